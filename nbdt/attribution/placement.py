"""From the network's input back to the picture: which part of it the network saw, and how."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from nbdt.attribution.result import Saliency
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing

# A pixel that is drawn this many times as wide is drawn as a square, as it is one.
SQUARE = 4


class View(NamedTuple):
    """A piece of a picture: its edges in pixels of the picture, which need not be whole."""

    left: float
    top: float
    right: float
    bottom: float

    def size(self, height: int | None) -> tuple[int, int]:
        """The height and width in which the piece is drawn, by default its own."""
        across, down = self.right - self.left, self.bottom - self.top
        rows = height or max(1, round(down))
        return rows, max(1, round(rows * across / down))


def on_picture(
    saliency: Saliency,
    image: Image.Image,
    *,
    height: int | None = None,
    seen_only: bool = False,
) -> Float[Tensor, "height width"]:
    """The map as it lies on the picture: turned back, and put where the network looked.

    The model's preprocessing is undone: flip, rotation, crop and resizing. Where the model knows
    none, the picture is taken for what the network saw, upright and whole. Between pixels the map
    is interpolated, unless they come out as squares of four pixels or more.

    Args:
        saliency: the map.
        image: the picture from which the input was made.
        height: of the result in pixels, its width being in proportion; by default the picture's.
        seen_only: whether to leave out what the network did not see.

    Returns:
        A number a pixel; NaN where the network saw nothing of the picture.

    Raises:
        InputError: this is no Pillow image, or the preprocessing makes an input of another size
            than the map from it; or the height is no whole number.

    Example:
        >>> turned = Preprocessing(resize=4, crop=2, rotate=180)
        >>> map_ = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> saliency = Saliency(map_, 4, "", 0, "", 1, "", 1, 1, "", preprocessing=turned)
        >>> on_picture(saliency, Image.new("RGB", (4, 4)))
        tensor([[nan, nan, nan, nan],
                [nan, 4., 3., nan],
                [nan, 2., 1., nan],
                [nan, nan, nan, nan]])
    """
    if height is not None:
        check_height(height)
    seen = _seen(saliency, image)
    view = view_of(saliency, image, seen_only=seen_only)
    rows, columns = view.size(height)
    # From the middle of each pixel of the result to where in the part seen it lies: −1 … 1.
    y = view.top + (torch.arange(rows) + 0.5) / rows * (view.bottom - view.top)
    x = view.left + (torch.arange(columns) + 0.5) / columns * (view.right - view.left)
    y = 2 * (y - seen.top) / (seen.bottom - seen.top) - 1
    x = 2 * (x - seen.left) / (seen.right - seen.left) - 1
    grid = torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], -1)
    upright = _turned_back(saliency.attribution, saliency.preprocessing)[None, None]
    square = rows / (view.bottom - view.top) * (seen.bottom - seen.top) >= SQUARE * upright.shape[2]
    mode = "nearest" if square else "bilinear"
    placed = F.grid_sample(upright, grid[None], mode, padding_mode="border", align_corners=False)
    return placed[0, 0].masked_fill((grid.abs() > 1).any(-1), torch.nan)


def check_height(height: int) -> None:
    """Refuses what is no height of a picture.

    Raises:
        InputError: it is no positive whole number.
    """
    if type(height) is not int or height < 1:
        raise InputError(f"height has to be a whole number of pixels, got {height!r:.80}.")


def view_of(saliency: Saliency, image: Image.Image, *, seen_only: bool) -> View:
    """The whole picture, or what the network saw of it.

    Raises:
        InputError: as in `on_picture`.

    Example:
        >>> cropped = Preprocessing(resize=256, crop=224)
        >>> map_ = torch.zeros(224, 224)
        >>> saliency = Saliency(map_, 4, "", 0, "", 1, "", 1, 1, "", preprocessing=cropped)
        >>> view_of(saliency, Image.new("RGB", (1024, 512)), seen_only=True)
        View(left=288.0, top=32.0, right=736.0, bottom=480.0)
    """
    seen = _seen(saliency, image)
    if not seen_only:
        return View(0, 0, image.width, image.height)
    # Where an image is smaller than the crop, what the network saw goes on beyond its edges.
    left, top = max(0, seen.left), max(0, seen.top)
    return View(left, top, min(image.width, seen.right), min(image.height, seen.bottom))


def _seen(saliency: Saliency, image: Image.Image) -> View:
    """What became the input; where that was padded it goes on beyond the edges."""
    if not isinstance(image, Image.Image):
        raise InputError(f"image has to be a Pillow image, got {type(image).__name__}.")
    how = saliency.preprocessing
    if how is None:
        return View(0, 0, image.width, image.height)
    resized = _resized(how.resize, image.height, image.width)
    pieces = resized if how.crop is None else _both(how.crop)
    upright = tuple(_turned_back(saliency.attribution, how).shape)
    if pieces != upright:
        raise InputError(
            f"a picture of {image.width}×{image.height} pixels becomes an input of "
            f"{pieces[1]}×{pieces[0]}, but the map is of one of {upright[1]}×{upright[0]}: it "
            "belongs to another picture, or to an input that the model's preprocessing did not "
            "make."
        )
    top, bottom = _edges(image.height, resized[0], pieces[0])
    left, right = _edges(image.width, resized[1], pieces[1])
    return View(left, top, right, bottom)


def _turned_back(map_: Tensor, how: Preprocessing | None) -> Tensor:
    """The map of an input without the flip and the rotation of the preprocessing."""
    if how is None:
        return map_
    return torch.rot90(map_.flip(1) if how.hflip else map_, -how.rotate // 90)


def _both(side: int | tuple[int, int]) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else side


def _resized(resize: int | tuple[int, int] | None, height: int, width: int) -> tuple[int, int]:
    """The height and width after torchvision's ``resize``."""
    if not isinstance(resize, int):
        return resize or (height, width)
    short, long = sorted((height, width))
    other = int(resize * long / short)
    return (resize, other) if height <= width else (other, resize)


def _edges(length: int, resized: int, piece: int) -> tuple[float, float]:
    """Where a side's piece lies that torchvision's ``center_crop`` takes after resizing."""
    start = round((resized - piece) / 2) if piece <= resized else -((piece - resized) // 2)
    return start * length / resized, (start + piece) * length / resized
