"""All decisions on a path in one picture: the picture itself, then a map for each decision."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from math import ceil

from PIL import Image, ImageDraw, ImageFont, features
from PIL.ImageFont import FreeTypeFont, Layout

from nbdt.attribution.overlay import AGAINST, FOR, check_height, enlarged, overlay, view_of
from nbdt.attribution.saliency import Saliency
from nbdt.errors import InputError
from nbdt.explain import percent
from nbdt.hierarchy.text import JOINERS, one_line, shorten, wrap
from nbdt.inputs.image import to_mode

_GAP = 12
_LINE = 20
_BASELINE = 14  # of a line of text, below its upper edge
_FONT_SIZE = 14
_SWATCH = 10
_NARROWEST = 120  # the least room for a caption
_WIDEST = 2  # so many times as wide as high a map may be
_BACKGROUND, _TEXT, _QUIET = "#ffffff", "#1a1a1a", "#595959"

# Pillow brings a font of English letters and little more. These are what Linux, Windows and macOS
# have, those with many scripts first.
SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc"),
    *("DroidSansFallbackFull.ttf", "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf"),
    *("NotoEmoji-Regular.ttf", "Symbola.ttf"),
    *("segoeui.ttf", "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttf", "seguisym.ttf"),
    *("Arial Unicode.ttf", "AppleSDGothicNeo.ttc", "Apple Symbols.ttf"),
)
_ABSENT = "\U0010fffe"  # not a character, so that every font draws its sign for one that it lacks


def strip(
    saliencies: Sequence[Saliency], image: Image.Image, *, columns: int = 5, height: int = 160
) -> Image.Image:
    r"""The maps of a path's decisions side by side, each with what it decided.

    First comes the picture as the network saw it. The caption of each map names its node, the child
    taken with its probability, in blue, and the rival, in orange. Depth of color compares pixels
    within one map only. Names are drawn in a system font where Pillow's own lacks their letters. A
    character that no font has stands as its code, such as ``\u732b``, and a last line says so.

    Args:
        saliencies: the result of `path_saliency`.
        image: the picture from which the input was made.
        columns: how many stand in a row.
        height: of each map in pixels, at most; one that would be more than twice as wide is made
            smaller.
    """
    if not saliencies:
        raise InputError("no map to draw; pass the result of path_saliency.")
    if type(columns) is not int or columns < 1:
        raise InputError(f"columns must be a positive whole number, got {columns!r:.80}.")
    check_height(height)
    tiles = _tiles(saliencies, image, height)
    columns = min(columns, len(tiles))
    room = max(tiles[0].width, _NARROWEST)
    across, down = room + _GAP, tiles[0].height + 3 * _LINE + 2 * _GAP
    width, bottom = columns * across + _GAP, -(-len(tiles) // columns) * down
    names = [name for one in saliencies for name in (one.node_name, one.child_name, one.rival_name)]
    note = _note(names, width - 2 * _GAP)
    below = len(note) * _LINE + _GAP if note else 0
    sheet = Image.new("RGB", (width, bottom + below), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        left, top = _GAP + column * across, _GAP + row * down
        sheet.paste(tile, (left, top))
        if place:
            one, below = saliencies[place - 1], top + tile.height + 4
            share = f" ({percent(one.probability)})"
            _write(draw, (left, below), room, one.node_name, "?", ink=_QUIET)
            _write(draw, (left, below + _LINE), room, one.child_name, share, swatch=FOR)
            _write(draw, (left, below + 2 * _LINE), room, one.rival_name, swatch=AGAINST)
    for number, line in enumerate(note):
        _write(draw, (_GAP, bottom + number * _LINE), width, line, ink=_QUIET)
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


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    room: int,
    name: str,
    rest: str = "",
    *,
    swatch: tuple[int, int, int] | None = None,
    ink: str = _TEXT,
) -> None:
    """A line of a caption: a swatch, a name cut to the room, and what has to follow it."""
    x, y = corner
    if swatch is not None:
        draw.rectangle((x, y + 4, x + _SWATCH, y + 4 + _SWATCH), fill=swatch)
        x, room = x + _SWATCH + 6, room - _SWATCH - 6
    (text, font), plain = _lettering(name), _fonts()[0]
    shown = shorten(text, room - ceil(plain.getlength(rest)), font.getlength)
    draw.text((x, y + _BASELINE), shown, ink, font, anchor="ls")
    # By itself, so that a name from right to left does not turn it around.
    draw.text((x + font.getlength(shown), y + _BASELINE), rest, ink, plain, anchor="ls")


def _note(names: Sequence[str], room: int) -> list[str]:
    """What is to be said of the codes in names, in lines; nothing where there are none."""
    for text, font in ((_line(name), _lettering(name)[1]) for name in names):
        if code := next((_code(char) for char in text if not _has(font, char)), ""):
            said = f"Codes such as {code} stand for characters that no font here has."
            return wrap(said, room, _fonts()[0].getlength)
    return []


def _line(name: str) -> str:
    return unicodedata.normalize("NFC", one_line(" ".join(name.split())))


def _code(char: str) -> str:
    return char.encode("unicode_escape").decode()


@lru_cache(maxsize=1 << 12)
def _lettering(name: str) -> tuple[str, FreeTypeFont]:
    """The name on one line and the font with most of its characters; the others are codes."""
    text = _line(name)
    fonts = _fonts() if any(not _has(_fonts()[0], char) for char in text) else _fonts()[:1]
    font = min(fonts, key=lambda one: sum(not _has(one, char) for char in text))
    return "".join(char if _has(font, char) else _code(char) for char in text), font


@cache
def _fonts() -> tuple[FreeTypeFont, ...]:
    """Pillow's own font, which looks the same everywhere, and those of the system."""
    own = ImageFont.load_default(_FONT_SIZE)
    assert isinstance(own, FreeTypeFont)
    fonts = [own]
    for name in SYSTEM_FONTS:
        with suppress(OSError):
            font = ImageFont.truetype(name, _FONT_SIZE)
            fonts += [font] if _has(font, "\\") else []
    return tuple(fonts)


@lru_cache(maxsize=1 << 14)
def _has(font: FreeTypeFont, char: str) -> bool:
    """Whether the font can draw the character, as it is to be drawn."""
    if unicodedata.bidirectional(char) in ("R", "AL") and not features.check("raqm"):
        return False
    if char == " " or char in JOINERS:
        return True
    unshaped = font.font_variant(layout_engine=Layout.BASIC)
    drawn, absent = unshaped.getmask(char), unshaped.getmask(_ABSENT)
    return drawn.size != absent.size or bytes(drawn) != bytes(absent)
