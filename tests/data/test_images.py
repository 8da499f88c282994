import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nbdt.data import decode_image, list_images, open_image
from nbdt.data import images as module
from nbdt.data.images import list_subfolders
from nbdt.errors import InputError, NotFoundError

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
        with pytest.raises(NotFoundError, match=r"cat\.png: there is no such file"):
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


def folder_of(top, **counts):
    for name, count in counts.items():
        (top / name).mkdir(parents=True)
        for i in range(count):
            gradient().save(top / name / f"{i}.png")
    return top


class TestListImages:
    def test_recursive_and_sorted(self, tmp_path):
        for name in ("b/2.png", "b/10.JPG", "a.webp", "b.png", "a/c/d.gif"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for name in ("notes.txt", ".hidden.png", "._a.png", ".cache/x.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
        assert found == ["a/c/d.gif", "a.webp", "b/10.JPG", "b/2.png", "b.png"]

    def test_links_to_folders_are_not_followed(self, tmp_path):
        folder_of(tmp_path, a=1)
        (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
        assert len(list_images(tmp_path)) == 1

    def test_empty(self, tmp_path):
        with pytest.raises(InputError, match=r"no image is in this folder .*\.jpg"):
            list_images(tmp_path)

    def test_missing_or_a_file(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder"):
            list_images(tmp_path / "x")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="this is a file"):
            list_images(tmp_path / "file")

    def test_unreadable(self, tmp_path, monkeypatch):
        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))

        monkeypatch.setattr(module.os, "walk", walk)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            list_images(tmp_path)


class TestListSubfolders:
    def test_sorted_without_files_and_hidden_ones(self, tmp_path):
        folder_of(tmp_path, dog=0, cat=0, **{".git": 0})
        (tmp_path / "README.txt").touch()
        assert list_subfolders(tmp_path) == ["cat", "dog"]

    def test_missing_or_a_file(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder"):
            list_subfolders(tmp_path / "x")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="this is a file"):
            list_subfolders(tmp_path / "file")

    def test_unreadable(self, tmp_path, monkeypatch):
        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))

        monkeypatch.setattr(module.os, "walk", walk)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            list_subfolders(tmp_path)
