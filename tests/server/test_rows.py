"""Images and arrays from strangers: what is read, what is refused, and when."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.data import decode_image
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing
from nbdt.server.errors import MediaTypeError, TooLargeError
from nbdt.server.rows import MAX_SCANS, RowReader, read_image
from nbdt.server.settings import Settings
from tests.server.conftest import encoded, png
from tests.timing import cpu_seconds

GREY = Preprocessing(mode="L", resize=(8, 8))


def read(data, mode="RGB", max_bytes=10_000_000, max_pixels=25_000_000):
    return read_image(data, mode, max_bytes=max_bytes, max_pixels=max_pixels)


def png_of_size(width, height):
    """A PNG of black pixels, a bit each, that takes few bytes."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_read(kind):
    image = Image.new("RGB", (9, 7), (200, 30, 30))
    found = read(encoded(image, kind))
    assert found.size == (9, 7)
    assert np.abs(np.asarray(found, dtype=int) - np.asarray(image)).max() < 12


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_refused(kind):
    with pytest.raises(MediaTypeError, match="not a JPEG, PNG or WebP"):
        read(encoded(Image.new("RGB", (4, 4)), kind))


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(MediaTypeError):
        read(data)


def test_too_long_a_file_is_refused_before_it_is_opened():
    with pytest.raises(TooLargeError, match="1,001 bytes exceed the limit of 1,000"):
        read(bytes(1001), max_bytes=1000)


def test_too_many_pixels_are_refused_before_any_is_decoded():
    bomb = png_of_size(13_000, 13_000)  # 169 megapixels
    assert len(bomb) < 25_000

    def refuse():
        with pytest.raises(TooLargeError):
            read(bomb)

    assert cpu_seconds(refuse) < 0.2
    with pytest.raises(TooLargeError, match="4 × 3 pixels exceed the limit of 11"):
        read(png(size=(4, 3)), max_pixels=11)


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded():
    plain = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    start = plain.rindex(b"\xff\xda")
    many = plain[:start] + plain[start:-2] * (MAX_SCANS + 1) + plain[-2:]
    with pytest.raises(InputError, match="more than 100 scans"):
        read(many)
    assert read(plain).size == (64, 64)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind):
    pictures = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    data = encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=50)
    with pytest.raises(InputError, match="animated"):
        read(data)


def test_of_a_jpeg_with_several_pictures_the_first_is_taken():
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    found = read(encoded(red, "MPO", save_all=True, append_images=[blue]))
    assert found.getpixel((4, 4))[0] > 200


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_cut_short_is_refused(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(InputError, match=r"broken or cut short|not a JPEG"):
        read(data[: len(data) // 2])


def test_rotation_transparency_palettes_cmyk_and_16_bits_are_handled():
    sides = Image.new("L", (2, 1))
    sides.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert read(encoded(sides, "PNG", exif=exif)).size == (1, 2)
    assert read(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 0)), "PNG")).getpixel((0, 0)) == (
        *(255, 255, 255),
    )
    palette = Image.new("P", (1, 1))
    palette.putpalette([10, 20, 30])
    assert read(encoded(palette, "PNG")).getpixel((0, 0)) == (10, 20, 30)
    cmyk = read(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")).getpixel((4, 4))
    assert cmyk[0] > 200
    assert cmyk[1] < 60
    deep = Image.fromarray(np.full((1, 1), 0x8034, dtype=np.uint16))
    assert read(encoded(deep, "PNG"), "L").getpixel((0, 0)) == 0x80


def test_an_image_becomes_what_preprocessing_makes_of_it():
    image = png(1)
    (row,) = RowReader(GREY, Settings())([image])
    assert torch.equal(row, GREY(decode_image(image, "L")))


@pytest.mark.parametrize(
    ("preprocessing", "shape"),
    [
        (None, None),
        (GREY, (1, 8, 8)),
        (Preprocessing(resize=8), (3, None, None)),
        (Preprocessing(resize=9, crop=8), (3, 8, 8)),
        (Preprocessing(crop=(4, 6), rotate=90), (3, 6, 4)),
        (Preprocessing(), (3, None, None)),
    ],
)
def test_the_shape_of_rows(preprocessing, shape):
    assert RowReader(preprocessing, Settings()).shape == shape


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        ("text", "this model reads an image"),
        (None, "this model reads an image"),
        ({"b64": 3}, "this model reads an image"),
        ({"b64": "AA==", "more": 1}, "this model reads an image"),
        ({"url": "http://127.0.0.1/secret"}, "this model reads an image"),
        ({"b64": "not base64!"}, "this is not base64"),
        ({"b64": "Ä"}, "this is not base64"),
        ([], "expected an array of numbers"),
        ([[1, 2], [3]], "expected an array of numbers"),
        ([["1"]], "expected an array of numbers"),
        ([[True]], "expected an array of numbers"),
        ([1, [2]], "expected an array of numbers"),
        ([[1, {}]], "expected an array of numbers"),
        ([[None]], "expected an array of numbers"),
        ([[1e39]], "32 bits cannot hold"),
        ([[[[1]], []]], "expected an array of numbers"),
    ],
)
def test_rows_that_are_none_are_named(instance, said):
    with pytest.raises(InputError, match=f"row 1: .*{said}"):
        RowReader(GREY, Settings())([np.zeros((1, 8, 8)).tolist(), instance])


def test_arrays_have_to_be_of_that_shape():
    reader = RowReader(GREY, Settings())
    with pytest.raises(InputError, match=r"row 1: the network takes 1 × 8 × 8 numbers, got \(8,\)"):
        reader([np.zeros((1, 8, 8), np.float32), np.zeros(8, np.float32)])
    anything = RowReader(Preprocessing(), Settings())
    assert anything([np.zeros((3, 2, 5), np.float32)])[0].shape == (3, 2, 5)
    with pytest.raises(InputError, match="3 × any × any"):
        anything([np.zeros((1, 2, 5), np.float32)])


def test_a_row_may_have_so_many_numbers():
    reader = RowReader(None, Settings(row_values=10))
    with pytest.raises(TooLargeError, match="row 0: 11 numbers exceed the limit of 10"):
        reader([np.zeros(11, np.float32)])


def test_without_preprocessing_images_are_refused():
    with pytest.raises(InputError, match="send an array"):
        RowReader(None, Settings())([png()])


def test_what_preprocessing_refuses_names_the_row():
    wide = Preprocessing(resize=8000)
    with pytest.raises(InputError, match="row 0: "):
        RowReader(wide, Settings())([png(size=(400, 1))])
