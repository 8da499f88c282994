"""Class names: equal ones made distinct, and one name recognized in every Unicode form."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

from nbdt.errors import Note

WNID = re.compile(r"n\d{8}")
# What `distinct_names` adds to a name: the class's index or its WordNet id.
_TAGGED = re.compile(r"(.+) \((?:\d+|n\d{8})\)", re.DOTALL)


def canonical(name: str) -> str:
    """The form in which names are compared (NFC): macOS writes the "ü" of a folder as two signs."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def distinct_names(names: Sequence[str], wnids: Sequence[str] = ()) -> list[str]:
    """The names, with those that several classes share followed by what sets them apart.

    That is the wnid if all classes of a name have one, else the class's index. A blank name becomes
    the wnid, or ``"class 3"``. Distinct names stay as they are, so a second pass changes nothing.

    Example:
        >>> distinct_names(["crane", "dog", "crane"])
        ['crane (0)', 'dog', 'crane (2)']
        >>> distinct_names(["crane", "crane"], ["n02012849", "n03126707"])
        ['crane (n02012849)', 'crane (n03126707)']
    """
    bearers: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        bearers[canonical(name)].append(index)
    ids = list(wnids) or [""] * len(names)
    chosen, taken = list(names), set(bearers)
    for name, indices in bearers.items():
        blank, known = not name.strip(), {ids[index] for index in indices if ids[index]}
        if len(indices) == 1 and not blank:
            continue
        for index in indices:
            tag = ids[index] if len(known) == len(indices) else str(index)
            new = (ids[index] or f"class {index}") if blank else f"{names[index]} ({tag})"
            while canonical(new) in taken:
                new = f"{new} ({index})"
            chosen[index] = new
            taken.add(canonical(new))
    return chosen


def checked_distinct(names: Sequence[str], wnids: Sequence[str] = ()) -> list[str]:
    """The `distinct_names`, with a `Note` if any name changed."""
    given = list(names)
    if not all(isinstance(name, str) for name in given):
        return given
    chosen = distinct_names(given, wnids)
    changed = [(old, new) for old, new in zip(given, chosen, strict=True) if old != new]
    if changed:
        first = changed[0][0]
        now = [repr(new) for old, new in changed if canonical(old) == canonical(first)]
        others = len(changed) - len(now)
        what = f"several classes are called {first!r}" if first.strip() else "classes have no name"
        warnings.warn(
            f"{what}; they are now {', '.join(now[:-1])}{' and ' * (len(now) > 1)}{now[-1]}"
            f"{f', and {others} others likewise' if others else ''}.",
            Note,
            stacklevel=3,
        )
    return chosen


def note_told_apart(names: Sequence[str]) -> None:
    """A `Note` if names that a classifier gives were made distinct by their indices."""
    plain = list(names)
    for index, name in enumerate(names):
        tag = f" ({index})"
        if name.endswith(tag) and len(candidates(name.removesuffix(tag), names)) > 1:
            plain[index] = name.removesuffix(tag)
    if plain != list(names):
        checked_distinct(plain)


def candidates(name: str, names: Iterable[str]) -> list[str]:
    """The names that `distinct_names` made of a name that several classes share."""
    plain = canonical(name)
    return [one for one in names if (m := _TAGGED.fullmatch(one)) and canonical(m[1]) == plain]


def ambiguity(name: str, names: Iterable[str]) -> str | None:
    """Says which classes a name may mean, if several; the end of a message."""
    found = candidates(name, names)
    if len(found) < 2:
        return None
    listed = " or ".join(map(repr, found[:4])) + " or others" * (len(found) > 4)
    return f"{name!r:.80} may mean {listed}; use the full name"
