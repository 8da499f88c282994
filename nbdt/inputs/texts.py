"""Texts in what callers give, their words, characters and n-grams, and texts without some."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nbdt.documents import described
from nbdt.errors import InputError
from nbdt.inputs.parts import PartKind, Parts, Span

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


Text = str | tuple[str, str]
"""One sample: a text, or the two that a classifier of pairs compares."""

KEYS = ("text", "text_pair")


def texts_of(sample: Text) -> tuple[str, ...]:
    """The text, or the two of a pair."""
    return (sample,) if isinstance(sample, str) else sample


def several_texts(value: Any) -> list[Any] | None:
    """Several texts as a list; None for one text or pair, and for what is no text."""
    names = getattr(value, "column_names", getattr(value, "columns", None))
    if names is not None and not isinstance(value, Mapping):
        value = _columns(value, list(names))
    if isinstance(value, Mapping):
        parts = [several_texts(value[key]) for key in KEYS if value.get(key) is not None]
        columns = [part for part in parts if part is not None]
        if not columns or len(columns) < len(parts) or not set(value) <= set(KEYS):
            return None
        if len(set(map(len, columns))) > 1:
            raise InputError("'text' and 'text_pair' have different numbers of texts.")
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, str) for v in value):
        return None
    if isinstance(value, str | bytes | bytearray | Tensor) or not isinstance(value, Iterable):
        return None
    # Arrow and numpy have values of their own, which these convert.
    convert = next((getattr(value, n) for n in ("to_pylist", "tolist") if hasattr(value, n)), None)
    found = list(value) if convert is None else convert()
    return found if isinstance(found, list) else None


def _columns(table: Any, names: list[Any]) -> dict[str, Any]:
    """The columns of a table that hold texts: those named so, or its only one."""
    if len(names) == 1:
        return {"text": table[names[0]]}
    if "text" not in names:
        raise InputError(
            "this model reads text; the table needs a column 'text', and 'text_pair' for pairs; "
            f"got {', '.join(map(described, names[:5])) or 'no column'}."
        )
    return {name: table[name] for name in KEYS if name in names}


def spans_of(text: str, by: str | int | None = None) -> list[tuple[int, int]]:
    """Where the words of a text stand, its characters, or its n-grams, which overlap.

    Example:
        >>> text = "It isn't bad, 猫!"
        >>> [text[start:end] for start, end in spans_of(text)]
        ['It', "isn't", 'bad', ',', '猫', '!']
        >>> ["good"[start:end] for start, end in spans_of("good", by=3)]
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


def text_parts(sample: Text, by: str | int | None = None, baseline: Any = None) -> Parts:
    """The words of one text, or of the two of a pair; nothing takes their place."""
    if baseline is not None:
        raise InputError("words are left out of a text, so leave out baseline too.")
    texts = texts_of(sample)
    spans: list[Span] = [
        (place, start, end) for place, text in enumerate(texts) for start, end in spans_of(text, by)
    ]
    kind: PartKind = "word" if by in (None, "word") else "character"
    if isinstance(by, int):
        kind = "n-gram"

    # Of the spaces around a word that is left out, those before it stay.
    cuts = [
        (place, start, _next_word(texts[place], start, end) if kind == "word" else end)
        for place, start, end in spans
    ]

    def without(left_out: npt.NDArray[np.bool_]) -> list[Any]:
        rows = []
        for row in left_out:
            out = [cuts[index] for index in np.flatnonzero(row).tolist()]
            left = tuple(_without(text, [cut[1:] for cut in out if cut[0] == place])
                         for place, text in enumerate(texts))  # fmt: skip
            rows.append(left[0] if len(left) == 1 else left)
        return rows

    names = tuple(texts[place][start:end] for place, start, end in spans)
    return Parts(kind, names, without, "nothing", spans=tuple(spans))


def _next_word(text: str, start: int, end: int) -> int:
    """Where a word ends together with the spaces behind it, if it stands alone."""
    while (start == 0 or text[start - 1].isspace()) and text[end : end + 1].isspace():
        end += 1
    return end


def _without(text: str, cuts: Sequence[tuple[int, ...]]) -> str:
    """The text without some pieces, which may overlap; no space is left at its end."""
    kept, last = [], 0
    for start, end in cuts:
        kept.append(text[last:start])
        last = max(last, end)
    left = "".join(kept) + text[last:]
    return left if text[-1:].isspace() else left.rstrip()
