"""All decisions on a path in one picture: the picture itself, then a map for each decision."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from nbdt.errors import InputError
from nbdt.explain.percent import percent
from nbdt.preprocessing import to_mode
from nbdt.saliency.overlay import AGAINST, FOR, enlarged, overlay
from nbdt.saliency.placement import view_of
from nbdt.saliency.result import Saliency

_GAP = 12
_TEXT_SIZE = 14
_LINE = 20
_SWATCH = 10
_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
_BACKGROUND, _TEXT, _QUIET = "#ffffff", "#1a1a1a", "#595959"


def strip(
    saliencies: Sequence[Saliency], image: Image.Image, *, columns: int = 5, height: int = 160
) -> Image.Image:
    """The maps of a path's decisions side by side, each with what it decided.

    First comes the picture as the network saw it. Each map is captioned with its node, the child
    taken with its probability, in blue, and the rival, in orange. Depth of colour compares pixels
    within one map only.

    Args:
        saliencies: what `path_saliency` gives.
        image: the picture from which the input was made.
        columns: how many stand in a row.
        height: of each map in pixels.

    Raises:
        InputError: there is no map, or a number is not positive; or as in `on_picture`.

    Example:
        >>> import torch
        >>> map_ = torch.tensor([[1.0, -1.0], [0.0, 0.0]])
        >>> saliency = Saliency(map_, 4, "thing", 0, "cat", 1, "car", 0.9, 2.0, "occlusion")
        >>> strip([saliency], Image.new("RGB", (8, 8))).size
        (356, 244)
    """
    if not saliencies:
        raise InputError("there is no map to draw; give what path_saliency returned.")
    if type(columns) is not int or columns < 1:
        raise InputError(f"columns has to be a positive whole number, got {columns!r:.80}.")
    maps = [overlay(one, image, height=height, seen_only=True) for one in saliencies]
    width = maps[0].width
    box = view_of(saliencies[0], image, seen_only=True)
    picture = enlarged(to_mode(image, "RGB"), maps[0].size, box)

    columns = min(columns, 1 + len(maps))
    rows = -(-(1 + len(maps)) // columns)
    across, down = width + _GAP, height + 3 * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (columns * across + _GAP, rows * down), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, tile in enumerate([picture, *maps]):
        row, column = divmod(place, columns)
        left, top = _GAP + column * across, _GAP + row * down
        sheet.paste(tile, (left, top))
        if place:
            _caption(draw, saliencies[place - 1], left, top + height, width)
    return sheet


def _caption(
    draw: ImageDraw.ImageDraw, saliency: Saliency, left: int, top: int, width: int
) -> None:
    share = f" ({percent(saliency.probability)})"
    lines = [
        (None, saliency.node_name, "?", _QUIET),
        (FOR, saliency.child_name, share, _TEXT),
        (AGAINST, saliency.rival_name, "", _TEXT),
    ]
    font = ImageFont.load_default(_TEXT_SIZE)
    for number, (colour, name, rest, ink) in enumerate(lines):
        x, y = left, top + 4 + number * _LINE
        if colour is not None:
            draw.rectangle((x, y + 4, x + _SWATCH, y + 4 + _SWATCH), fill=colour)
            x += _SWATCH + 6
        draw.text((x, y), _fitting(name, rest, left + width - x, font), fill=ink, font=font)


def _fitting(name: str, rest: str, width: int, font: _Font) -> str:
    """The name on one line, cut where it is too wide, and what has to follow it."""
    name = " ".join(name.split())
    if font.getlength(name + rest) <= width:
        return name + rest
    while name and font.getlength(f"{name}…{rest}") > width:
        name = name[:-1]
    return f"{name.rstrip()}…{rest}"
