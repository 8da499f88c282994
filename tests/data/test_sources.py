"""Where pictures are: in memory, or in files."""

import numpy as np
import pytest
from PIL import Image

from nbdt.data import ImageFiles, PixelArray
from nbdt.errors import InputError, NotFoundError


@pytest.mark.parametrize(("shape", "mode"), [((3, 5, 4), "L"), ((3, 5, 4, 3), "RGB")])
def test_pixels_are_what_they_were(shape: tuple[int, ...], mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    source = PixelArray(pixels)
    assert len(source) == 3
    for place in range(3):
        image = source[place]
        assert (image.mode, image.size) == (mode, (4, 5))
        assert np.array_equal(np.asarray(image), pixels[place])


def test_pixels_that_lie_apart_are_put_together() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4), dtype=np.uint8)
    source = PixelArray(planes.transpose(0, 2, 3, 1))
    assert source.pixels.flags.c_contiguous
    assert source[1].getpixel((3, 2)) == tuple(planes[1, :, 2, 3])


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (np.zeros((2, 5, 4)), r"got float64 of shape \(2, 5, 4\)"),
        (np.zeros((5, 4), np.uint8), r"got uint8 of shape \(5, 4\)"),
        (np.zeros((2, 5, 4, 1), np.uint8), r"got uint8 of shape \(2, 5, 4, 1\)"),
        ([1, 2], r"got \[1, 2\]"),
    ],
)
def test_what_is_no_array_of_pixels_is_refused(pixels: object, got: str) -> None:
    with pytest.raises(InputError, match=got):
        PixelArray(pixels)  # type: ignore[arg-type]


def test_files_are_read_when_asked_for(tmp_path) -> None:  # type: ignore[no-untyped-def]
    source = ImageFiles([str(tmp_path / "a.png"), tmp_path / "b.png"])
    Image.new("L", (4, 3), 7).save(tmp_path / "a.png")
    assert len(source) == 2
    assert source[0].getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(NotFoundError, match=r"b\.png: there is no such file"):
        source[1]
