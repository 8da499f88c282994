"""A map drawn over its picture in two colours: for the child taken, and for its rival."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as F

from nbdt.attribution.placement import SQUARE, View, on_picture, view_of
from nbdt.attribution.result import Saliency
from nbdt.inputs.image import to_mode

# Blue for the answer and orange for its rival, as in all views, but of one lightness and chroma in
# OKLCH (0.65, 0.15), so that neither side looks stronger.
FOR = (73, 144, 232)
AGAINST = (216, 109, 56)

# The deepest colour is that of the strongest pixels, one in so many.
_STRONGEST = 200
_DEEPEST = 0.85
# How far the picture is paled, so that the colours seen are those of the map.
_PALED = 0.4
_PALED_UNSEEN = 0.75
# The standard deviation of the smoothing, as a share of the map's shorter side.
_SMOOTHING = 0.01
_SMOOTH = Image.Resampling.LANCZOS


def overlay(
    saliency: Saliency,
    image: Image.Image,
    *,
    height: int | None = None,
    seen_only: bool = False,
) -> Image.Image:
    """The map over the picture: blue speaks for the child taken, orange for its rival.

    The picture is grey, and paler where the network did not see it. The deeper the colour, the
    more a pixel contributed, compared with the others of the same map. The map is smoothed by 1 %
    of its side, as single pixels mean little.

    Args:
        saliency: the map.
        image: the picture from which the input was made.
        height: of the result in pixels, its width being in proportion; by default the picture's.
        seen_only: whether to leave out what the network did not see.

    Raises:
        InputError: as in `on_picture`.

    Example:
        >>> map_ = torch.tensor([[1.0, 0.0, 0.0, -1.0]])
        >>> saliency = Saliency(map_, 4, "thing", 0, "cat", 1, "car", 0.9, 2.0, "occlusion")
        >>> picture = overlay(saliency, Image.new("L", (4, 1), "white"))
        >>> picture.getpixel((1, 0)), picture.getpixel((3, 0))
        ((255, 255, 255), (222, 131, 86))
    """
    smooth = replace(saliency, attribution=_smoothed(saliency.attribution))
    placed = on_picture(smooth, image, height=height, seen_only=seen_only)
    rows, columns = placed.shape
    box = view_of(saliency, image, seen_only=seen_only)
    grey = enlarged(to_mode(image, "L"), (columns, rows), box)
    light = F.pil_to_tensor(grey)[0].float()
    light += (255 - light) * torch.where(placed.isnan(), _PALED_UNSEEN, _PALED)
    depth = (placed.nan_to_num(0) / _strongest(smooth.attribution)).clamp(-1, 1)[..., None]
    colour = torch.where(depth > 0, torch.tensor(FOR), torch.tensor(AGAINST)).float()
    blended = torch.lerp(light[..., None].expand_as(colour), colour, _DEEPEST * depth.abs())
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
    smooth: Tensor = F.gaussian_blur(attribution[None], [2 * reach + 1] * 2, [sigma] * 2)
    return smooth[0]


def _strongest(attribution: Tensor) -> float:
    """The contribution that is drawn in the deepest colour."""
    # Not `quantile`, which takes no more than 16 million numbers.
    ordered = attribution.abs().flatten().sort().values
    return ordered[-1 - len(ordered) // _STRONGEST].item() or 1.0
