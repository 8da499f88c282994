"""A tree or an explanation as text: plain, and with colors for terminals.

The lines are those of ``str(tree)``; an explanation adds the decisions' probabilities in front and
marks its path, not by color alone: ▶ leads to the answer ✓, ▷ to the runner-up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from nbdt.errors import InputError
from nbdt.explain import Explanation, percent
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.text import shorten
from nbdt.view.folding import Folded, Folding, Item, fold
from nbdt.view.marks import Role

NARROWEST = 32
_NUMBER = 7  # how many columns a probability and the gap behind it take
# The sign of each role, what follows the name, and the style.
_LOOKS: dict[Role, tuple[str, str, str]] = {
    "path": ("▶ ", "", "bold blue"),
    "answer": ("▶ ", " ✓", "bold reverse blue"),
    "beyond": ("· ", "", "blue"),
    "rival": ("▷ ", "", "yellow"),
    "runner_up": ("▷ ", " (runner-up)", "bold yellow"),
    "other": ("─ ", "", ""),
}


def to_text(
    subject: Hierarchy | Explanation,
    explanation: Explanation | None = None,
    *,
    width: int | None = None,
    folded: Folded = "auto",
) -> str:
    """Draws a tree, or an explanation, as plain text with one line per node.

    Args:
        subject: the tree; or an explanation, which alone is drawn as its path with the siblings.
        width: the columns of the terminal, at least 32; None for as many as needed. Long names are
            shortened in the middle, and deep trees are indented less.
        folded: the inner nodes that are drawn closed; see `nbdt.view.fold`.

    Example:
        >>> import torch
        >>> from nbdt import NBDT
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> print(to_text(tree, model.explain(torch.tensor([[3.0, 2.0, 0.0]]))[0]))
               ▶ thing
          4 %  ├─ car
         96 %  └▶ animal
         73 %     ├▶ cat ✓
         27 %     └▷ dog (runner-up)
    """
    if width is not None and (not isinstance(width, int) or width < NARROWEST):
        raise InputError(f"width must be at least {NARROWEST} columns, or None; got {width!r:.60}.")
    folding = fold(subject, explanation, folded=folded)
    return "\n".join("".join(line[:-1]) for line in _lines(folding, width))


def to_rich(
    subject: Hierarchy | Explanation,
    explanation: Explanation | None = None,
    *,
    folded: Folded = "auto",
) -> RenderableType:
    """Like `to_text`, for rich: with colors, and as wide as the console."""
    return _Drawing(fold(subject, explanation, folded=folded))


@dataclass(frozen=True, slots=True)
class _Drawing:
    folding: Folding

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in _lines(self.folding, max(options.max_width, NARROWEST)):
            style, other = _LOOKS[line.role][2], line.role == "other"
            text = Text(no_wrap=True, overflow="ellipsis", end="\n")
            text.append(line.number, "dim" if other else "")
            text.append(line.branch, "dim")
            text.append(line.sign, style)
            text.append(line.name, style)
            text.append(line.note, "dim" if other else style)
            yield text


class _Line(NamedTuple):
    """One line, in parts that can have colors of their own."""

    number: str
    branch: str
    sign: str
    name: str
    note: str
    role: Role


def _lines(folding: Folding, width: int | None) -> Iterator[_Line]:
    items = folding.items
    last_below = {item.parent: place for place, item in enumerate(items)}
    gap = _NUMBER if folding.explanation is not None else 0
    # Half of a line is the names', however deep the tree.
    deepest = math.inf if width is None else width // 2 - gap
    depth = max(folding.depths)
    step = next((step for step in (3, 2) if step * depth <= deepest), 1)
    rails = [""] * len(items)  # what stands in front of the lines below each item
    for place, item in enumerate(items):
        number = "" if item.probability is None else f"{percent(item.probability):>5}"
        sign, branch = _LOOKS[item.role][0], ""
        if item.parent >= 0:
            last = last_below[item.parent] == place
            branch = rails[item.parent] + ("└" if last else "├")
            rail = rails[item.parent] + (" " if last else "│").ljust(step)
            rails[place] = rail if width is None else rail[-width:]
        elif item.role == "other":
            sign = ""
        if len(branch) > deepest:
            branch = "…" + branch[len(branch) - int(deepest) + 1 :]
        room = math.inf if width is None else width - gap - len(branch + sign)
        name, note = _fitted(item, room)
        yield _Line(number.ljust(gap), branch, sign, name, note, item.role)


def _fitted(item: Item, room: float) -> tuple[str, str]:
    """The name and what stands behind it, cut where both take more than `room` columns."""
    mark = _LOOKS[item.role][1]
    room -= cell_len(mark)
    name = f"… {item.name}" if item.kind == "rest" else item.name
    count = f" ({item.classes:,} classes)" if item.kind == "folded" else ""
    for note in (f" ({item.contents})" if item.contents else "", count):
        if cell_len(name + note) <= room:
            return name, note + mark
    if cell_len(count) > room / 2:
        count = ""
    return shorten(name, room - cell_len(count), cell_len), count + mark
