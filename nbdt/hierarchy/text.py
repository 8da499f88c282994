"""A tree drawn as plain text: which nodes are opened, and what their lines say."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from nbdt.errors import InputError

# Embeddings, overrides and isolates (Unicode Annex 9): they hold until a mark or the line ends
# them. U+200E, U+200F and U+061C act as one letter would, and names in Hebrew need them.
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def draw(
    root: int,
    children: Callable[[int], Sequence[int]],
    label: Callable[[int], str],
    contents: Callable[[int], str],
    max_lines: int,
) -> str:
    """Draws the tree below `root`, one node a line, opening nodes level by level from the top.

    A node whose children do not fit in the lines left stays closed. Where even the root's do
    not fit, the first of them are drawn and the others counted.

    Args:
        root: the node at the top.
        children: gives a node's children in the order of drawing; empty for a leaf.
        label: gives a node's text.
        contents: gives what is written behind a node that stays closed.
        max_lines: how many lines to draw at most.

    Raises:
        InputError: `max_lines` is less than 1.

    Example:
        >>> below = {4: (2, 3), 3: (0, 1)}
        >>> print(draw(4, lambda v: below.get(v, ()), "n{}".format, lambda v: "closed", 60))
        n4
        ├─ n2
        └─ n3
           ├─ n0
           └─ n1
        >>> print(draw(4, lambda v: below.get(v, ()), "n{}".format, lambda v: "closed", 4))
        n4
        ├─ n2
        └─ n3 (closed)
    """
    if max_lines < 1:
        raise InputError(f"max_lines has to be at least 1, got {max_lines}.")
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
    """The children to draw of each node that is opened."""
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


def listed(names: Iterable[str], total: int, most: int = 3, width: int = 28) -> str:
    """The first of `total` names on one line, long ones cut.

    Example:
        >>> listed(["cat", "dog", "fox"], total=3)
        'cat, dog, fox'
        >>> listed(["cat", "dog", "fox", "owl"], total=398)
        'cat, dog, …'
    """
    shown = [
        name if len(name) <= width else name[: width - 1].rstrip() + "…"
        for name in map(one_line, islice(names, most))
    ]
    return ", ".join(shown if total <= most else [*shown[: most - 1], "…"])


def one_line(text: str) -> str:
    r"""The text with what would act beyond it written out: as it stands, it is one line.

    That is control characters, line breaks, lone surrogates, and the marks that set the direction
    of all that follows. Names come out of files, and must neither break a drawing nor command a
    terminal, nor turn around what stands behind them. Marks that act on their neighbours only, as
    a letter of Hebrew or Arabic does, stay.

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
