"""Names written into a picture: in a font that has their characters, or with codes for them.

Pillow brings a font of English letters and little more. Names with others are set in a font of
the system, the one that has the most of their characters; what none has is written as its code.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from PIL import ImageFont, features
from PIL.ImageFont import FreeTypeFont, Layout

from nbdt.hierarchy.text import JOINERS, one_line

SIZE = 14
# What Linux, Windows and macOS have, those with many scripts first.
SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc"),
    *("DroidSansFallbackFull.ttf", "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf"),
    *("NotoEmoji-Regular.ttf", "Symbola.ttf"),
    *("segoeui.ttf", "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttf", "seguisym.ttf"),
    *("Arial Unicode.ttf", "AppleSDGothicNeo.ttc", "Apple Symbols.ttf"),
)
_ABSENT = "\U0010fffe"  # no character, so that every font draws its sign for one that it lacks


class Lettering(NamedTuple):
    r"""A text as it can be drawn.

    Attributes:
        text: the text; characters that no font has stand as ``\u732b``.
        font: the font that has the others.
        code: one of these codes; "" where there is none.
    """

    text: str
    font: FreeTypeFont
    code: str = ""


def lettering(name: str) -> Lettering:
    r"""The name on one line, with a font to draw it in.

    Accents that no font has are left out before a code is written.

    Example:
        >>> lettering("two\nlines").text
        'two lines'
    """
    text = unicodedata.normalize("NFC", one_line(" ".join(name.split())))
    font, fewest = _own(), _lacking(text, _own())
    for other in _system_fonts() if fewest else ():
        lacking = _lacking(text, other)
        if lacking < fewest:
            font, fewest = other, lacking
    pieces, code = [], ""
    for char in text:
        piece = char if _has(font, char) else _plainer(char, font)
        if piece is None:
            piece = code = char.encode("unicode_escape").decode()
        pieces.append(piece)
    return Lettering("".join(pieces), font.shaped, code)


class _Font(NamedTuple):
    """A font, once to draw with and once to ask which characters it has."""

    shaped: FreeTypeFont
    unshaped: FreeTypeFont


@cache
def _own() -> _Font:
    """The font that comes with Pillow, and so looks the same everywhere."""
    font = ImageFont.load_default(SIZE)
    assert isinstance(font, FreeTypeFont)
    return _Font(font, font.font_variant(layout_engine=Layout.BASIC))


@cache
def _system_fonts() -> tuple[_Font, ...]:
    """Those of `SYSTEM_FONTS` that are there, and can write codes, too."""
    return tuple(font for font in map(_opened, SYSTEM_FONTS) if font and _has(font, "\\"))


def _opened(name: str) -> _Font | None:
    try:
        font = ImageFont.truetype(name, SIZE)
    except OSError:
        return None
    return _Font(font, font.font_variant(layout_engine=Layout.BASIC))


def _lacking(text: str, font: _Font) -> int:
    """How many characters of the text the font does not have."""
    return sum(not _has(font, char) for char in text)


@lru_cache(maxsize=1 << 14)
def _has(font: _Font, char: str) -> bool:
    """Whether the font can draw the character, as it is to be drawn."""
    if unicodedata.bidirectional(char) in ("R", "AL") and not _turns():
        return False
    return char == " " or _drawn(font, char) != _drawn(font, _ABSENT)


def _drawn(font: _Font, char: str) -> tuple[tuple[int, int], bytes]:
    mask = font.unshaped.getmask(char)
    return mask.size, bytes(mask)


@cache
def _turns() -> bool:
    """Whether Pillow can write from right to left."""
    return bool(features.check("raqm") and features.check("fribidi"))


def _plainer(char: str, font: _Font) -> str | None:
    """A letter without the accents that the font lacks; None where that is no way out."""
    if char in JOINERS:
        return ""
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return plain if plain and all(_has(font, c) for c in plain) else None
