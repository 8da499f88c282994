"""Texts made to fit: names shortened, sentences broken into lines, by any measure of width."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

JOINERS = frozenset("\u200d\ufe0e\ufe0f")
"""Characters that are not seen themselves, but make one sign of those around them."""


def shorten(text: str, width: float, measure: Callable[[str], float]) -> str:
    """The text, cut in its middle where it is wider than `width`, with … in the gap.

    The end is kept beside the beginning, since names of one family often differ there only.

    Args:
        text: one line of text.
        width: the room there is, in the units of `measure`.
        measure: gives a text's width.

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


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
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
        joined = char in JOINERS or piece.endswith("\u200d") or unicodedata.combining(char)
        if piece and not joined:
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece
