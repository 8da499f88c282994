"""The words of a text, its characters or n-grams, and the text without some of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.inputs.base import PartKind, Parts, Span

# Scripts that put no spaces between words, whose characters stand for themselves: Thai, Lao,
# Burmese, Khmer; kana and Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowel signs and tone marks have no character of their own.
_MARKS = "\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u3099\u309a"
_WORD = re.compile(
    rf"[{_UNSPACED}][{_MARKS}]*"  # one character
    rf"|(?:(?![{_UNSPACED}])\w[{_MARKS}\u200c\u200d]*)+(?:['’\-](?:(?![{_UNSPACED}])\w)+)*"
    r"|[^\w\s]+"  # punctuation, emoji
)
_CHARACTER = re.compile(rf"\S[{_MARKS}\ufe0f\u200d]*")


def spans_of(text: str, by: str | int | None = None) -> list[tuple[int, int]]:
    """Where the words of a text stand, its characters, or its n-grams, which overlap.

    Example:
        >>> text = "It isn't bad, 猫!"
        >>> [text[start:end] for start, end in spans_of(text)]
        ['It', "isn't", 'bad', ',', '猫', '!']
        >>> [text[start:end] for start, end in spans_of("good", by=3)]
        ['goo', 'ood']
    """
    if by in (None, "word"):
        return [match.span() for match in _WORD.finditer(text)]
    if by == "character":
        return [match.span() for match in _CHARACTER.finditer(text)]
    if isinstance(by, bool) or not isinstance(by, int) or by < 1:
        raise InputError(f"by must be 'word', 'character' or a number of them; got {by!r:.80}.")
    last = max(1, len(text) - by + 1)
    return [(start, min(start + by, len(text))) for start in range(last)]


def text_parts(
    texts: Sequence[str], as_sample: Callable[[list[str]], Any], by: str | int | None = None
) -> Parts:
    """The words of one text, or of the two of a pair; `as_sample` puts texts together again."""
    spans: list[Span] = [
        (place, start, end) for place, text in enumerate(texts) for start, end in spans_of(text, by)
    ]
    kind: PartKind = "word" if by in (None, "word") else "character"
    if isinstance(by, int):
        kind = "n-gram"

    def without(left_out: npt.NDArray[np.bool_]) -> list[Any]:
        rows = []
        for row in left_out:
            pieces: list[list[tuple[int, int]]] = [[] for _ in texts]
            for index in np.flatnonzero(row).tolist():
                place, start, end = spans[index]
                pieces[place].append((start, end))
            rows.append(as_sample(list(map(cut, texts, pieces))))
        return rows

    cut = _without_words if kind == "word" else _without
    names = tuple(texts[place][start:end] for place, start, end in spans)
    return Parts(kind, names, without, "nothing", spans=tuple(spans))


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without some pieces, which may overlap."""
    kept, last = [], 0
    for start, end in spans:
        kept.append(text[last:start])
        last = max(last, end)
    return "".join(kept) + text[last:]


def _without_words(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without some words; of the spaces around a word, those before it stay."""
    pieces = [
        (start, end + len(after) - len(after.lstrip()))
        for start, end in spans
        for after in [text[end:]]
        if start == 0 or text[start - 1].isspace()
    ]
    left = _without(text, sorted({*spans, *pieces}))
    return left if text[-1:].isspace() else left.rstrip()
