"""A map on its picture: put back where the network looked, and drawn over it in two colors."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import functional as transforms

from nbdt.attribution.saliency import Saliency
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing, to_mode

# Blue for the answer and orange for its rival, as in all views, but of one lightness and chroma in
# OKLCH (0.65, 0.15), so that neither side looks stronger.
FOR = (73, 144, 232)
AGAINST = (216, 109, 56)

# The deepest color is that of the strongest pixels, one in so many.
_STRONGEST = 200
_DEEPEST = 0.85
# How far the picture is paled, so that the colors seen are those of the map.
_PALED = 0.4
_PALED_UNSEEN = 0.75
# The standard deviation of the smoothing, as a share of the map's shorter side.
_SMOOTHING = 0.01
_SMOOTH = Image.Resampling.LANCZOS
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


def overlay(
    saliency: Saliency,
    image: Image.Image,
    *,
    height: int | None = None,
    seen_only: bool = False,
) -> Image.Image:
    """The map over the picture: blue speaks for the child taken, orange for its rival.

    The picture is gray, and paler where the network did not see it. The deeper the color, the
    more a pixel contributed, compared with the others of the same map. The map is smoothed by 1 %
    of its side, since single pixels mean little. The arguments are those of `on_picture`.
    """
    smooth = replace(saliency, attribution=_smoothed(saliency.attribution))
    placed = on_picture(smooth, image, height=height, seen_only=seen_only)
    rows, columns = placed.shape
    box = view_of(saliency, image, seen_only=seen_only)
    gray = enlarged(to_mode(image, "L"), (columns, rows), box)
    light = transforms.pil_to_tensor(gray)[0].float()
    light += (255 - light) * torch.where(placed.isnan(), _PALED_UNSEEN, _PALED)
    depth = (placed.nan_to_num(0) / _strongest(smooth.attribution)).clamp(-1, 1)[..., None]
    color = torch.where(depth > 0, torch.tensor(FOR), torch.tensor(AGAINST)).float()
    blended = torch.lerp(light[..., None].expand_as(color), color, _DEEPEST * depth.abs())
    return Image.fromarray(blended.round().to(torch.uint8).numpy())


def enlarged(image: Image.Image, size: tuple[int, int], view: View) -> Image.Image:
    """A piece of a picture in another size, the pixels of tiny pictures being kept square."""
    square = size[1] >= SQUARE * (view.bottom - view.top)
    return image.resize(size, Image.Resampling.NEAREST if square else _SMOOTH, view)


def _smoothed(attribution: Tensor) -> Tensor:
    sigma = _SMOOTHING * min(attribution.shape)
    reach = min(round(3 * sigma), min(attribution.shape) - 1)
    if reach < 1:
        return attribution
    smooth: Tensor = transforms.gaussian_blur(attribution[None], [2 * reach + 1] * 2, [sigma] * 2)
    return smooth[0]


def _strongest(attribution: Tensor) -> float:
    """The contribution that is drawn in the deepest color."""
    # Not `quantile`, which takes no more than 16 million numbers.
    ordered = attribution.abs().flatten().sort().values
    return ordered[-1 - len(ordered) // _STRONGEST].item() or 1.0


def on_picture(
    saliency: Saliency,
    image: Image.Image,
    *,
    height: int | None = None,
    seen_only: bool = False,
) -> Float[Tensor, "height width"]:
    """The map as it lies on the picture: turned back, and put where the network looked.

    It undoes the model's preprocessing: flip, rotation, crop and resizing. Where the model knows
    none, the network is taken to have seen the whole picture, upright. Between pixels the map is
    interpolated, unless they come out as squares of four pixels or more.

    The result has a number a pixel; NaN where the network saw nothing of the picture.

    Args:
        image: the picture from which the input was made.
        height: of the result in pixels, its width being in proportion; by default the picture's.
        seen_only: whether to leave out what the network did not see.
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
    placed = functional.grid_sample(
        upright, grid[None], mode, padding_mode="border", align_corners=False
    )
    return placed[0, 0].masked_fill((grid.abs() > 1).any(-1), torch.nan)


def check_height(height: int) -> None:
    """Raises InputError unless the height is a positive whole number."""
    if type(height) is not int or height < 1:
        raise InputError(f"height must be a whole number of pixels, got {height!r:.80}.")


def view_of(saliency: Saliency, image: Image.Image, *, seen_only: bool) -> View:
    """The whole picture, or what the network saw of it."""
    seen = _seen(saliency, image)
    if not seen_only:
        return View(0, 0, image.width, image.height)
    # Where an image is smaller than the crop, what the network saw goes on beyond its edges.
    left, top = max(0, seen.left), max(0, seen.top)
    return View(left, top, min(image.width, seen.right), min(image.height, seen.bottom))


def _seen(saliency: Saliency, image: Image.Image) -> View:
    """What became the input; where that was padded it goes on beyond the edges."""
    if not isinstance(image, Image.Image):
        raise InputError(f"image must be a Pillow image, got {type(image).__name__}.")
    how = saliency.preprocessing
    if how is None:
        return View(0, 0, image.width, image.height)
    resized = _resized(how.resize, image.height, image.width)
    crop = (how.crop, how.crop) if isinstance(how.crop, int) else how.crop
    pieces = crop or resized
    upright = tuple(_turned_back(saliency.attribution, how).shape)
    if pieces != upright:
        raise InputError(
            f"a picture of {image.width}×{image.height} pixels becomes an input of "
            f"{pieces[1]}×{pieces[0]}, but the map has {upright[1]}×{upright[0]}: it belongs to "
            "another picture, or to an input that the model's preprocessing did not make."
        )
    top, bottom = _edges(image.height, resized[0], pieces[0])
    left, right = _edges(image.width, resized[1], pieces[1])
    return View(left, top, right, bottom)


def _turned_back(map_: Tensor, how: Preprocessing | None) -> Tensor:
    """The map of an input without the flip and the rotation of the preprocessing."""
    if how is None:
        return map_
    return torch.rot90(map_.flip(1) if how.hflip else map_, -how.rotate // 90)


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
