import contextlib
import io
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.inputs import image as module
from nbdt.inputs.image import Preprocessing, decode_image, open_image, to_mode


def picture(width: int = 61, height: int = 47, channels: int = 3, seed: int = 0) -> Image.Image:
    shape = (height, width, channels)[: 2 if channels == 1 else 3]
    pixels = np.random.default_rng(seed).integers(0, 256, shape)
    return Image.fromarray(pixels.astype(np.uint8))


class TestSteps:
    def test_default_is_the_pixels_over_255(self):
        image = picture()
        expected = np.asarray(image).transpose(2, 0, 1) / 255
        np.testing.assert_allclose(Preprocessing()(image).numpy(), expected, rtol=1e-6)

    def test_scale_mean_and_std_by_channel(self):
        image = Image.new("RGB", (2, 2), (128, 192, 0))
        found = Preprocessing(mean=128 / 255, std=(128 / 255, 64 / 255, 1.0))(image)
        torch.testing.assert_close(found[:, 0, 0], torch.tensor([0.0, 1.0, -128 / 255]))

    def test_mobilenet_of_the_coral_repository(self):
        image = picture(300, 280)
        described = Preprocessing(resize=256, crop=224, mean=128 / 255, std=128 / 255, rotate=180)
        resized = image.resize((274, 256), Image.Resampling.BILINEAR)
        pixels = np.asarray(resized)[16:240, 25:249].transpose(2, 0, 1)
        expected = ((pixels.astype(np.float64) - 128) / 128)[:, ::-1, ::-1]
        np.testing.assert_allclose(described(image).numpy(), expected, atol=1e-6)

    @pytest.mark.parametrize(("rotate", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
    @pytest.mark.parametrize("hflip", [False, True])
    def test_rotates_counter_clockwise_and_then_flips(self, rotate, turns, hflip):
        image = picture(channels=1)
        expected = np.rot90(np.asarray(image), turns)
        expected = expected[:, ::-1] if hflip else expected
        found = Preprocessing(mode="L", scale=1, rotate=rotate, hflip=hflip)(image)
        np.testing.assert_array_equal(found[0].numpy(), expected)
        assert found.is_contiguous()

    def test_without_antialias_samples_between_pixels(self):
        stripes = Image.fromarray(np.tile(np.uint8([0, 0, 255, 0]), (8, 8)))
        sharp = Preprocessing(mode="L", resize=(8, 8), antialias=False)
        smooth = Preprocessing(mode="L", resize=(8, 8))
        # Every fourth place: columns 1.5, 5.5, … lie between a black and a white pixel.
        assert torch.all(sharp(stripes) == 0.5)
        assert torch.all(smooth(stripes) < 0.4)

    def test_small_images_are_padded_with_black(self):
        found = Preprocessing(mode="L", crop=4)(Image.new("L", (2, 2), 255))
        assert found.sum() == 4

    def test_grey_network_takes_colour_images(self):
        assert Preprocessing(mode="L")(picture()).shape == (1, 47, 61)

    def test_needs_an_image(self):
        with pytest.raises(InputError, match="Pillow image, got str"):
            Preprocessing()("cat.jpg")

    def test_strip_is_not_blown_up(self, monkeypatch):
        monkeypatch.setattr("nbdt.inputs.image._MAX_RESIZED", 16 * 16 * 20)
        assert Preprocessing(resize=16)(Image.new("L", (1, 20))).shape == (3, 320, 16)
        with pytest.raises(InputError, match="21×1 pixels is too elongated"):
            Preprocessing(resize=16)(Image.new("L", (21, 1)))

    def test_strip_may_be_squashed(self):
        assert Preprocessing(resize=(8, 8))(Image.new("L", (20000, 1))).shape == (3, 8, 8)


class TestBatch:
    def test_stacks(self):
        described = Preprocessing(resize=16, crop=16)
        images = [picture(), picture(40, 80, seed=1)]
        batch = described.batch(images)
        assert batch.shape == (2, 3, 16, 16)
        assert torch.equal(batch[1], described(images[1]))

    def test_names_the_sizes_that_differ(self):
        with pytest.raises(InputError, match="got 3×2, 4×2; set crop"):
            Preprocessing().batch([Image.new("RGB", (2, 3)), Image.new("RGB", (2, 4))])

    def test_needs_an_image(self):
        with pytest.raises(InputError, match="no image at all"):
            Preprocessing().batch([])


class TestValidation:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"mode": "CMYK"},
            {"mode": ["RGB"]},
            {"resize": 0},
            {"resize": True},
            {"resize": 10**9},
            {"resize": (1, 2, 3)},
            {"resize": [8]},
            {"resize": "256"},
            {"crop": (4, 2.0)},
            {"crop": -1},
            {"interpolation": "cubic"},
            {"antialias": 1},
            {"antialias": False, "interpolation": "lanczos"},
            {"scale": 0},
            {"scale": float("nan")},
            {"scale": [1.0, 2.0]},
            {"mean": (0.1, 0.2)},
            {"mean": (0.1, 0.2, "0.3")},
            {"mean": float("inf")},
            {"mean": 10**400},
            {"mean": None},
            {"std": 0},
            {"std": (1, 1, -1)},
            {"std": 1e-300},
            {"std": False},
            {"rotate": 45},
            {"rotate": False},
            {"hflip": "yes"},
        ],
        ids=lambda wrong: str(wrong)[:40],
    )
    def test_refuses(self, wrong):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Preprocessing(**wrong)
        document = {**Preprocessing().to_dict(), **wrong}
        with pytest.raises(FormatError, match=f"{next(iter(wrong))}|nan|inf|huge"):
            Preprocessing.from_dict(document)

    def test_one_number_stands_for_all_channels(self):
        assert Preprocessing(mean=0.5) == Preprocessing(mean=(0.5, 0.5, 0.5))
        assert Preprocessing(mode="L", mean=0.5).mean == (0.5,)
        assert Preprocessing(mode="L").channels == 1

    def test_is_frozen_and_hashable(self):
        described = Preprocessing(crop=[2, 3])
        assert hash(described) == hash(Preprocessing(crop=(2, 3)))
        with pytest.raises(ValidationError, match="frozen"):
            described.crop = 4


class TestDocument:
    @pytest.mark.parametrize(
        "described",
        [
            Preprocessing(),
            Preprocessing(mode="L", resize=(9, 8), crop=8, scale=1 / 16, rotate=90, hflip=True),
            Preprocessing(interpolation="nearest", antialias=False, mean=(0.1, 0.2, 1 / 3)),
        ],
    )
    def test_round_trip_through_json(self, described):
        document = json.loads(json.dumps(described.to_dict()))
        assert Preprocessing.from_dict(document) == described

    @pytest.mark.parametrize("document", [None, [], "RGB", {}, {"mode": "RGB"}])
    def test_refuses_other_documents(self, document):
        with pytest.raises(FormatError, match=r"lacks|should be an object"):
            Preprocessing.from_dict(document)

    def test_refuses_unknown_keys(self):
        with pytest.raises(FormatError, match="'jitter'"):
            Preprocessing.from_dict({**Preprocessing().to_dict(), "jitter": 1})


class TestToMode:
    def test_transparency_lies_over_white(self):
        image = Image.new("RGBA", (1, 1), (100, 0, 0, 128))
        red, green, _ = to_mode(image, "RGB").getpixel((0, 0))
        assert (red, green) == (177, 127)

    def test_transparent_colour_of_a_palette(self):
        image = Image.new("P", (2, 1))
        image.putpalette([9, 9, 9, 50, 60, 70])
        image.putpixel((1, 0), 1)
        image.info["transparency"] = 0
        assert list(to_mode(image, "RGB").get_flattened_data()) == [(255,) * 3, (50, 60, 70)]

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_transparent_colour_of_a_png(self, mode):
        image = Image.new(mode, (2, 1), "black")
        image.putpixel((1, 0), 9 if mode == "L" else (9, 9, 9))
        image.info["transparency"] = image.getpixel((1, 0))
        assert np.asarray(to_mode(image, mode))[0].flatten().tolist() in (
            [0, 255],
            [0] * 3 + [255] * 3,
        )

    @pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "RGBX", "LA", "La"])
    def test_black_stays_black_in_every_mode(self, mode):
        opaque = picture(3, 3).convert("L").point(lambda _: 0)
        image = opaque.convert("LA").convert("La") if mode == "La" else opaque.convert("RGB")
        image = image if mode == "La" else image.convert("L" if mode == "LA" else "RGB")
        image = image if mode == "La" else image.convert(mode)
        assert image.mode == mode
        for wanted in ("RGB", "L"):
            found = to_mode(image, wanted)
            assert found.mode == wanted
            assert not np.asarray(found).any()

    @pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
    def test_16_bits_keep_the_upper_8(self, mode):
        image = Image.new(mode, (1, 1), 0x12FF)
        assert to_mode(image, "L").getpixel((0, 0)) == 0x12
        assert to_mode(image, "RGB").getpixel((0, 0)) == (0x12,) * 3

    @pytest.mark.parametrize("value", [-1, 65536])
    def test_refuses_integers_beyond_16_bits(self, value):
        with pytest.raises(InputError, match="outside 0 to 65535"):
            to_mode(Image.new("I", (1, 1), value), "L")

    def test_refuses_floats(self):
        with pytest.raises(InputError, match="floating-point"):
            to_mode(Image.new("F", (1, 1), 0.5), "L")

    def test_refuses_what_pillow_cannot_convert(self, monkeypatch):
        def convert(image, mode):
            raise ValueError("conversion not supported")

        monkeypatch.setattr(Image.Image, "convert", convert)
        with pytest.raises(InputError, match="mode LAB cannot be converted"):
            to_mode(Image.new("LAB", (1, 1)), "RGB")

    def test_same_mode_is_not_copied(self):
        image = picture()
        assert to_mode(image, "RGB") is image


ORIENTATION = 0x0112


def gradient(width: int = 16, height: int = 8) -> Image.Image:
    return Image.fromarray(np.arange(width * height, dtype=np.uint8).reshape(height, width))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


class TestDecodeImage:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
    def test_lossless_formats(self, kind):
        found = decode_image(encoded(gradient(), kind), "L")
        np.testing.assert_array_equal(np.asarray(found), np.asarray(gradient()))

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
    def test_lossy_formats(self, kind):
        found = decode_image(encoded(gradient().convert("RGB"), kind, quality=95))
        assert found.mode == "RGB"
        difference = np.asarray(found.convert("L"), int) - np.asarray(gradient(), int)
        assert np.abs(difference).max() < 12

    def test_cmyk_jpeg(self):
        found = decode_image(encoded(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG"))
        red, green, blue = found.getpixel((0, 0))
        assert red > 200
        assert green < 60
        assert blue < 60

    @pytest.mark.parametrize(
        ("orientation", "corner"), [(1, 0), (2, 15), (3, 127), (6, 112), (8, 15)]
    )
    def test_camera_rotation_is_applied(self, orientation, corner):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        found = decode_image(encoded(gradient(), "PNG", exif=exif), "L")
        assert found.getpixel((0, 0)) == corner
        assert found.size == ((8, 16) if orientation in (6, 8) else (16, 8))

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
    def test_broken_exif_is_ignored(self):
        data = encoded(gradient().convert("RGB"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
        assert decode_image(data).size == (16, 8)

    def test_exif_that_breaks_pillow_is_ignored(self, monkeypatch):
        def broken(image):
            raise SyntaxError("not a TIFF file")

        monkeypatch.setattr(module.ImageOps, "exif_transpose", broken)
        assert decode_image(encoded(gradient(), "PNG")).size == (16, 8)

    def test_first_picture_of_an_animation(self):
        frames = [Image.new("L", (4, 4), shade) for shade in (40, 200)]
        data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        assert decode_image(data, "L").getpixel((0, 0)) == 40

    def test_transparency_and_16_bits(self):
        clear = encoded(Image.new("RGBA", (1, 1), (9, 9, 9, 0)), "PNG")
        assert decode_image(clear).getpixel((0, 0)) == (255, 255, 255)
        deep = encoded(Image.new("I;16", (1, 1), 0xABCD), "PNG")
        assert decode_image(deep, "L").getpixel((0, 0)) == 0xAB

    def test_float_image_names_the_file(self):
        data = encoded(Image.new("F", (1, 1), 0.5), "TIFF")
        with pytest.raises(InputError, match=r"upload 3: an image of floating-point pixels"):
            decode_image(data, name="upload 3")

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
    def test_cut_short(self, kind):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
        data = encoded(Image.fromarray(noise), kind)
        with pytest.raises(InputError, match=r"^x: ") as caught:
            decode_image(data[: len(data) // 2], name="x")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "data", [b"hello", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 1000]
    )
    def test_not_an_image(self, data):
        with pytest.raises(InputError, match=r"^x: this is not an image that can be read"):
            decode_image(data, name="x")

    def test_eps_is_not_even_tried(self):
        data = encoded(gradient(), "EPS")
        assert Image.open(io.BytesIO(data)).format == "EPS"
        with pytest.raises(InputError, match="not an image that can be read"):
            decode_image(data)

    def test_empty(self):
        with pytest.raises(InputError, match="the file is empty"):
            decode_image(b"")

    # The second and third are beyond where Pillow itself warns and refuses.
    @pytest.mark.parametrize("side", [9_000, 9_500, 20_000])
    def test_decompression_bomb(self, side):
        with pytest.raises(InputError, match="more than 80 megapixels"):
            decode_image(png_header(side, side))

    def test_too_long(self, monkeypatch):
        monkeypatch.setattr(module, "MAX_BYTES", 10)
        with pytest.raises(InputError, match="too much for an image"):
            decode_image(b"x" * 11)

    def test_every_flipped_byte_is_an_image_or_an_input_error(self):
        generator = np.random.default_rng(0)
        for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
            good = encoded(gradient().convert("RGB"), kind)
            for _ in range(60):
                data = bytearray(good)
                for place in generator.integers(0, len(data), 3):
                    data[place] = generator.integers(256)
                with contextlib.suppress(InputError):
                    assert decode_image(bytes(data)).mode == "RGB"


class TestOpenImage:
    def test_reads_by_content_and_not_by_name(self, tmp_path):
        path = tmp_path / "picture.jpg"
        path.write_bytes(encoded(gradient(), "PNG"))
        assert open_image(path, "L").tobytes() == gradient().tobytes()
        assert open_image(str(path)).mode == "RGB"

    def test_missing(self, tmp_path):
        with pytest.raises(NotFoundError, match=r"cat\.png: no such file"):
            open_image(tmp_path / "cat.png")

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="this is not a file"):
            open_image(tmp_path)

    def test_broken_names_the_file(self, tmp_path):
        path = tmp_path / "cat.png"
        path.write_bytes(b"no")
        with pytest.raises(InputError, match=r"cat\.png: this is not an image"):
            open_image(path)

    def test_large_file_is_not_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "MAX_BYTES", 10)
        path = tmp_path / "cat.png"
        path.write_bytes(b"x" * 11)
        monkeypatch.setattr(type(path), "read_bytes", lambda _: pytest.fail("was read"))
        with pytest.raises(InputError, match=r"cat\.png: .* MB are too much"):
            open_image(path)

    def test_impossible_path(self):
        with pytest.raises((InputError, NotFoundError), match="x"):
            open_image("x\0y")
        with pytest.raises((InputError, NotFoundError)):
            open_image("x" * 5000)

    def test_unreadable(self, tmp_path, monkeypatch):
        path = tmp_path / "cat.png"
        path.write_bytes(b"x")

        def refuse(_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "read_bytes", refuse)
        with pytest.raises(InputError, match=r"cat\.png: .*Permission denied"):
            open_image(path)


# ── transparency ────────────────────────────────────────────────────────────────────────────────


def png(
    depth: int, kind: int, row: bytes, clear: bytes | None = None, palette: bytes = b""
) -> bytes:
    """A PNG of 4 × 4 pixels; `clear` is its tRNS chunk."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 4, 4, depth, kind, 0, 0, 0)
    return b"".join([
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", header),
        chunk(b"PLTE", palette) if palette else b"",
        b"" if clear is None else chunk(b"tRNS", clear),
        chunk(b"IDAT", zlib.compress((b"\0" + row) * 4)),
        chunk(b"IEND", b""),
    ])  # fmt: skip


GRAYS = {1: b"\xf0", 2: b"\x55", 4: b"\x77" * 2, 8: b"\x4d" * 4, 16: b"\x80\x01" * 4}
RGB_16 = struct.pack(">3H", 700, 800, 900)
VALUES = {1: 1, 2: 1, 4: 7, 8: 0x4D, 16: 0x8001}


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("depth", GRAYS)
def test_the_transparent_gray_of_any_depth_becomes_white(depth: int, mode: str) -> None:
    shown = round(VALUES[depth] / (2**depth - 1) * 255) if depth < 16 else VALUES[16] >> 8
    for clear, expected in ((VALUES[depth], 255), (0, shown), (None, shown)):
        chunk = None if clear is None else struct.pack(">H", clear)
        image = decode_image(png(depth, 0, GRAYS[depth], chunk), mode)
        assert (image.mode, set(np.asarray(image).ravel())) == (mode, {expected})


@pytest.mark.parametrize(("data", "expected"), [
    (png(8, 2, bytes([7, 8, 9] * 4), struct.pack(">3H", 7, 8, 9)), (255, 255, 255)),
    (png(8, 2, bytes([7, 8, 9] * 4), struct.pack(">3H", 7, 8, 8)), (7, 8, 9)),
    (png(16, 2, RGB_16 * 4, RGB_16), (255, 255, 255)),
    (png(16, 2, RGB_16 * 4, struct.pack(">3H", 0, 800, 900)), (2, 3, 3)),
    (png(16, 4, struct.pack(">2H", 700, 0) * 4), (255, 255, 255)),
    (png(16, 6, struct.pack(">4H", 700, 700, 700, 0) * 4), (255, 255, 255)),
    (png(4, 3, b"\x11\x11", b"\xff\x00", bytes([0, 0, 0, 10, 20, 30])), (255, 255, 255)),
    (png(8, 3, b"\1\1\1\1", b"\x00\xff", bytes([0, 0, 0, 10, 20, 30])), (10, 20, 30)),
])  # fmt: skip
def test_transparency_in_other_pngs(data: bytes, expected: tuple[int, ...]) -> None:
    assert decode_image(data).getpixel((0, 0)) == expected


@pytest.mark.parametrize(("mode", "value"), [("1", 0), ("L", 5), ("I", 300), ("I;16", 300),
    ("I;16B", 300), ("RGB", (1, 2, 3)), ("P", 0), ("LA", None), ("La", None), ("PA", None),
    ("RGBA", None), ("RGBa", None)])  # fmt: skip
def test_every_mode_with_transparency_is_laid_over_white(mode: str, value: Any) -> None:
    image = Image.new(mode, (2, 2), 0 if value is None else value)
    if value is not None:
        image.info["transparency"] = value
    assert to_mode(image, "RGB").getpixel((0, 0)) == (255, 255, 255)
    assert to_mode(image, "L").getpixel((0, 0)) == 255
