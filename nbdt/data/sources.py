"""Where the pictures of a data set are: pixels in memory, or files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nbdt.errors import InputError
from nbdt.inputs.image import open_image


class PixelArray:
    """Pictures of one size in memory.

    Args:
        pixels: 0 … 255, uint8; shape (images, height, width), or (images, height, width, 3).

    Raises:
        InputError: it is no such array.

    Example:
        >>> PixelArray(np.zeros((2, 28, 28), np.uint8))[1].size
        (28, 28)
    """

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        is_array = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
        if not is_array or not (pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] == 3)):
            got = f"{pixels.dtype} of shape {pixels.shape}" if hasattr(pixels, "dtype") else pixels
            raise InputError(
                "pixels have to be a uint8 array of shape (images, height, width), or "
                f"(images, height, width, 3) for colour; got {got!s:.80}."
            )
        # An image whose pixels lie apart is copied each time it is asked for.
        self.pixels = np.ascontiguousarray(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, place: int) -> Image.Image:
        return Image.fromarray(self.pixels[place])


class ImageFiles:
    """Pictures in files, each read when it is asked for; see `open_image`.

    Args:
        paths: the files.

    Example:
        >>> len(ImageFiles(["cat.jpg", "dog.png"]))
        2
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = tuple(map(Path, paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Image.Image:
        return open_image(self.paths[place])
