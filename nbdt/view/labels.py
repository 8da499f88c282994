"""Names made fit to be drawn, and their widths.

Names come from files, so they may hold control characters, line breaks, characters that XML
forbids, or marks that turn the rest of a line around. Widths are in pixels and never less than
what browsers draw in the usual sans-serif fonts, so that a layout has room for every name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from nbdt.hierarchy.text import JOINERS, one_line, shorten

# Widths in hundredths of the font size, the larger of DejaVu Sans and Arial, rounded up.
_WIDTHS = {
    character: width / 100
    for width, characters in {
        30: "'Iijl",
        35: " ,./:;\\|·",
        40: "()-[]ft",
        45: "!r",
        50: '"*J`',
        55: "csz",
        60: "?L_kvxy",
        65: "$0123456789FTabdeghnopqu{}–",
        70: "ABEKPSVXYZ",
        75: "CNRU",
        80: "&DGHOQ",
        85: "#+<=>^w~→",
        90: "M",
        100: "%Wm…—",
        105: "@",
    }.items()
    for character in characters
}
_BOLD = 1.18


@lru_cache(maxsize=1 << 16)
def clean(name: str) -> str:
    r"""The name on one line, its words one space apart, without anything that XML forbids."""
    text = one_line(" ".join(name.split()))
    if text.isascii():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if ord(char) & 0xFFFE == 0xFFFE else char
        for char in text
    )


@lru_cache(maxsize=1 << 16)
def text_width(text: str, size: float = 13, bold: bool = False) -> float:
    """How wide a browser draws one line of text at most, in pixels; `size` is the font's."""
    total = sum(_WIDTHS.get(char) or _other_width(char) for char in text)
    return round(total * size * (_BOLD if bold else 1), 2)


def fitted(text: str, room: float, size: float = 13, bold: bool = False) -> str:
    """The text, shortened in the middle where it is wider than the room."""
    return shorten(text, room, lambda part: text_width(part, size, bold))


def _other_width(char: str) -> float:
    """The width of a character that is not ASCII, over the font size."""
    if unicodedata.category(char) in {"Mn", "Me"} or char in JOINERS:
        return 0
    if ord(char) >= 0x1F000:  # emoji
        return 1.4
    if unicodedata.east_asian_width(char) in "WF":
        return 1.1
    # Latin, Greek and Cyrillic letters are at most this wide, but for a few ligatures.
    return 0.9 if ord(char) < 0x600 and char.islower() else 1.25
