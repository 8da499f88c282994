"""Names made fit to be drawn: hostile ones tamed, long ones shortened, their widths known.

Names come out of files, so a name may hold control characters, line breaks, characters that XML
forbids, or marks that turn the rest of a line around. Widths are in pixels and never less than
what browsers draw in the usual sans-serif fonts, so that what is laid out by them has room.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

from nbdt.hierarchy.text import one_line

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
_JOINERS = {"\u200d", "\ufe0e", "\ufe0f"}
# They turn the order of what follows them around, even of what is not the name's own.
_TURNING = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


@lru_cache(maxsize=1 << 16)
def clean(name: str) -> str:
    r"""The name on one line, without anything that XML forbids or that reorders a line.

    Example:
        >>> print(clean("two\nlines \x00"))
        two lines \x00
    """
    text = one_line(" ".join(name.split()))
    if text.isascii():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if char in _TURNING or ord(char) & 0xFFFE == 0xFFFE
        else char
        for char in text
    )


@lru_cache(maxsize=1 << 16)
def text_width(text: str, size: float = 13, bold: bool = False) -> float:
    """How wide a browser draws the text at most, in pixels.

    Args:
        text: one line of text.
        size: the font size, in pixels.
        bold: whether it is set in bold.

    Example:
        >>> text_width("cat", size=10)
        16.0
        >>> text_width("猫", size=10)
        11.0
    """
    total = sum(_WIDTHS.get(char) or _other_width(char) for char in text)
    return round(total * size * (_BOLD if bold else 1), 2)


def _other_width(char: str) -> float:
    """The width of a character that is not ASCII, over the font size."""
    if unicodedata.category(char) in {"Mn", "Me"} or char in _JOINERS:
        return 0
    if ord(char) >= 0x1F000:  # emoji
        return 1.4
    if unicodedata.east_asian_width(char) in "WF":
        return 1.1
    # Latin, Greek and Cyrillic letters are at most this wide, but for a few ligatures.
    return 0.9 if ord(char) < 0x600 and char.islower() else 1.25


def shorten(text: str, width: float, measure: Callable[[str], float] = text_width) -> str:
    """The text, cut in its middle where it is wider than `width`, with … in the gap.

    The end is kept beside the beginning, since names of one family often differ there only.

    Args:
        text: one line of text.
        width: the room there is, in the units of `measure`.
        measure: gives a text's width; by default that in pixels at size 13.

    Example:
        >>> shorten("greater Swiss mountain dog", 15, len)
        'greater…ain dog'
        >>> shorten("dog", 15, len)
        'dog'
    """
    if measure(text) <= width:
        return text
    pieces = list(_clusters(text))
    low, high = 0, len(pieces) - 1  # how many pieces stay: `low` fit, more than `high` do not
    while low < high:
        middle = (low + high + 1) // 2
        if measure(_without_middle(pieces, middle)) <= width:
            low = middle
        else:
            high = middle - 1
    return _without_middle(pieces, low)


def wrap(text: str, width: float, measure: Callable[[str], float] = text_width) -> list[str]:
    """The text in lines that are at most `width` wide, broken between words.

    Example:
        >>> wrap("the network agrees", 11, len)
        ['the network', 'agrees']
    """
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, width, measure))
    return lines


def _without_middle(pieces: list[str], kept: int) -> str:
    tail = kept // 2
    end = "".join(pieces[len(pieces) - tail :])
    return "".join(pieces[: kept - tail]).rstrip() + "…" + end.lstrip()


def _clusters(text: str) -> Iterator[str]:
    """The text in pieces that belong together: a letter with its accents, an emoji's parts."""
    piece = ""
    for char in text:
        joined = char in _JOINERS or piece.endswith("\u200d") or unicodedata.combining(char)
        if piece and not joined:
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece
