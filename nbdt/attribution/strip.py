"""All decisions on a path in one picture: the picture itself, then a map for each decision."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from PIL import Image, ImageDraw

from nbdt.attribution.lettering import Lettering, lettering
from nbdt.attribution.overlay import AGAINST, FOR, enlarged, overlay
from nbdt.attribution.placement import check_height, view_of
from nbdt.attribution.result import Saliency
from nbdt.errors import InputError
from nbdt.explain.percent import percent
from nbdt.hierarchy.text import shorten, wrap
from nbdt.inputs.image import to_mode

_GAP = 12
_LINE = 20
_BASELINE = 14  # of a line of text, below its upper edge
_SWATCH = 10
_NARROWEST = 120  # the least room for a caption
_WIDEST = 2  # so many times as wide as high a map may be
_BACKGROUND, _TEXT, _QUIET = "#ffffff", "#1a1a1a", "#595959"


def strip(
    saliencies: Sequence[Saliency], image: Image.Image, *, columns: int = 5, height: int = 160
) -> Image.Image:
    r"""The maps of a path's decisions side by side, each with what it decided.

    First comes the picture as the network saw it. Each map is captioned with its node, the child
    taken with its probability, in blue, and the rival, in orange. Depth of colour compares pixels
    within one map only.

    Names are drawn in a font of the system where Pillow's own lacks their letters. A character
    that no font found has stands as its code, such as ``\u732b``, and a last line says so.

    Args:
        saliencies: what `path_saliency` gives.
        image: the picture from which the input was made.
        columns: how many stand in a row.
        height: of each map in pixels, at most; one that would be more than twice as wide is made
            smaller.

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
    check_height(height)
    tiles = _tiles(saliencies, image, height)
    captions = [_caption(saliency) for saliency in saliencies]
    columns = min(columns, len(tiles))
    room = max(tiles[0].width, _NARROWEST)
    across, down = room + _GAP, tiles[0].height + 3 * _LINE + 2 * _GAP
    width, bottom = columns * across + _GAP, -(-len(tiles) // columns) * down
    note = _note([line.name.code for caption in captions for line in caption], width - 2 * _GAP)
    below = len(note) * _LINE + _GAP if note else 0
    sheet = Image.new("RGB", (width, bottom + below), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        left, top = _GAP + column * across, _GAP + row * down
        sheet.paste(tile, (left, top))
        for number, line in enumerate(captions[place - 1] if place else ()):
            line.draw(draw, left, top + tile.height + 4 + number * _LINE, room)
    for number, said in enumerate(note):
        _Line(None, lettering(said), "", _QUIET).draw(draw, _GAP, bottom + number * _LINE, width)
    return sheet


def _tiles(saliencies: Sequence[Saliency], image: Image.Image, height: int) -> list[Image.Image]:
    """The picture as it was seen, then the maps, all of one size that is not too wide."""
    box = view_of(saliencies[0], image, seen_only=True)
    rows, columns = box.size(height)
    if columns > _WIDEST * height:
        rows = max(1, _WIDEST * height * rows // columns)
        columns = _WIDEST * height
    maps = [overlay(one, image, height=rows, seen_only=True) for one in saliencies]
    picture = enlarged(to_mode(image, "RGB"), maps[0].size, box)
    return [tile.resize((columns, rows)) for tile in (picture, *maps)]


class _Line(NamedTuple):
    """A line of a caption: a swatch of that colour, a name, and what has to follow it."""

    colour: tuple[int, int, int] | None
    name: Lettering
    rest: str
    ink: str

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, room: int) -> None:
        """Draws the line with its upper left corner there, the name cut to the room."""
        if self.colour is not None:
            draw.rectangle((x, y + 4, x + _SWATCH, y + 4 + _SWATCH), fill=self.colour)
            x += _SWATCH + 6
            room -= _SWATCH + 6
        font, plain = self.name.font, lettering("").font
        room -= ceil(plain.getlength(self.rest))
        name = shorten(self.name.text, room, font.getlength)
        draw.text((x, y + _BASELINE), name, self.ink, font, anchor="ls")
        # By itself, so that a name from right to left does not turn it around.
        after = x + font.getlength(name)
        draw.text((after, y + _BASELINE), self.rest, self.ink, plain, anchor="ls")


def _caption(saliency: Saliency) -> list[_Line]:
    share = f" ({percent(saliency.probability)})"
    return [
        _Line(None, lettering(saliency.node_name), "?", _QUIET),
        _Line(FOR, lettering(saliency.child_name), share, _TEXT),
        _Line(AGAINST, lettering(saliency.rival_name), "", _TEXT),
    ]


def _note(codes: Sequence[str], room: int) -> list[str]:
    """What is to be said of the codes in names, in lines; nothing where there are none."""
    code = next(filter(None, codes), "")
    if not code:
        return []
    said = f"Codes such as {code} stand for characters that no font here has."
    return wrap(said, room, lettering(said).font.getlength)
