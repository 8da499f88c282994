"""Trees and names as plain text: drawn, shortened, and safe to print."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from nbdt.errors import InputError

JOINERS = frozenset("\u200d\ufe0e\ufe0f")
"""Invisible characters that join those around them into one sign."""

# Embeddings, overrides and isolates (Unicode Annex 9): they hold until a mark or the line ends
# them. U+200E, U+200F and U+061C act like one letter, and names in Hebrew need them.
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def draw(
    root: int,
    children: Callable[[int], Sequence[int]],
    label: Callable[[int], str],
    contents: Callable[[int], str],
    max_lines: int,
) -> str:
    """Draws the tree below `root`, one node a line, opening nodes level by level from the top.

    A node stays closed where its children do not fit in `max_lines`; its `contents` then follow in
    parentheses. Where even the root's do not fit, the first of them are drawn and the others
    counted.

    Example:
        >>> below = {4: (2, 3), 3: (0, 1)}
        >>> print(draw(4, lambda v: below.get(v, ()), "n{}".format, lambda v: "closed", 4))
        n4
        ├─ n2
        └─ n3 (closed)
    """
    if max_lines < 1:
        raise InputError(f"max_lines must be at least 1, got {max_lines}.")
    shown = _opened(root, children, max_lines)
    lines: list[str] = []
    stack: list[tuple[int, str, str]] = [(root, "", "")]
    while stack:
        node, first, rest = stack.pop()
        below = shown.get(node, ())
        closed = not below and children(node)
        lines.append(first + one_line(label(node)) + (f" ({contents(node)})" if closed else ""))
        for child in reversed(below):
            last = child == below[-1]
            branch, gap = ("└─ ", "   ") if last else ("├─ ", "│  ")
            stack.append((child, rest + branch, rest + gap))
    hidden = len(children(root)) - len(shown.get(root, ()))
    if shown and hidden:
        lines[-1] = lines[-1].replace("└", "├", 1)
        lines.append(f"└─ … {hidden} more")
    return "\n".join(lines)


def _opened(
    root: int, children: Callable[[int], Sequence[int]], max_lines: int
) -> dict[int, Sequence[int]]:
    """The children to draw for each node that is opened."""
    shown: dict[int, Sequence[int]] = {}
    left = max_lines - 1
    queue = deque([root])
    while queue and left > 1:
        node = queue.popleft()
        below = children(node)
        if len(below) <= left:
            shown[node] = below
            left -= len(below)
            queue.extend(below)
        elif node == root:
            return {root: below[: left - 1]}
    return shown


def join_names(names: Iterable[str], total: int, most: int = 3, width: int = 28) -> str:
    """The first of `total` names on one line, long ones shortened: ``cat, dog, …``."""
    shown = [
        name if len(name) <= width else name[: width - 1].rstrip() + "…"
        for name in map(one_line, islice(names, most))
    ]
    return ", ".join(shown if total <= most else [*shown[: most - 1], "…"])


def one_line(text: str) -> str:
    r"""The text with everything that would act beyond its line escaped.

    Names come from files, and must not break a drawing, command a terminal, or reverse the text
    after them. So control characters, line breaks, lone surrogates and lasting direction marks are
    escaped. Marks that only act on their neighbors, as Hebrew or Arabic letters do, stay.

    Example:
        >>> print(one_line("two\nlines"))
        two\nlines
    """
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if char in _TURNING or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
        else char
        for char in text
    )


# ── texts made to fit, by any measure of width ────────────────────────────────────────────────


def shorten(text: str, width: float, measure: Callable[[str], float]) -> str:
    """One line of text, cut in its middle if `measure` finds it wider than `width`.

    The end is kept as well, since related names often differ only there.
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
    """The text in lines that are at most `width` wide, broken between words."""
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
