"""Several explanations side by side, with the nodes marked that not every path passes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.view.folding import Folding, Item, fold
from nbdt.view.svg.frame import NARROWEST, Panel, check_width, compose, written
from nbdt.view.svg.pictures import Picturable

Subject = Explanation | tuple[Hierarchy, Explanation]
"""An explanation, alone or with the tree it was made with."""

_GAP = 12.0
_NARROWEST_PANEL = 460  # where panels stand side by side
_ON_PATH = {"path", "answer", "beyond"}


def compare_svg(
    subjects: Sequence[Subject],
    *,
    titles: Sequence[str | None] | None = None,
    images: Sequence[Picturable | None] | None = None,
    same_sample: bool = False,
    width: float = 960,
) -> str:
    """Draws several explanations side by side, as one SVG text that stands alone.

    Args:
        subjects: the explanations; ``(tree, explanation)`` draws one in its tree.
        images: the sample of each.
        same_sample: whether all explain one sample, under other rules, trees or networks. Then
            ≠ marks each node that one path passes and another does not; see `compare`.
        width: how wide the whole may be, in pixels. Panels that do not fit side by side stand
            one below the other.
    """
    if not isinstance(subjects, Iterable):
        raise InputError(f"subjects must be a list of explanations, got {type(subjects).__name__}.")
    foldings = [folding_of(subject) for subject in subjects]
    if not foldings:
        raise InputError("there is nothing to compare: subjects is empty.")
    count = len(foldings)
    for what, values in (("titles", titles), ("images", images)):
        if values is not None and len(values) != count:
            raise InputError(
                f"{what} needs {count} entries, one per explanation; got {len(values)}."
            )
    check_width(width, NARROWEST)
    if same_sample:
        foldings = with_differences(foldings)
    columns = min(count, max(1, int((width + _GAP) // (_NARROWEST_PANEL + _GAP))))
    room = (width - _GAP * (columns - 1)) / columns
    each = zip(foldings, titles or [None] * count, images or [None] * count, strict=True)
    panels = [
        compose(folding, width=room, title=title, image=image) for folding, title, image in each
    ]
    name = f"{count} decision paths" + (" of one sample" if same_sample else "")
    return written(_in_a_grid(panels, columns), name)


def folding_of(subject: Subject) -> Folding:
    """What is drawn of one of the things compared."""
    if isinstance(subject, Explanation):
        return fold(subject)
    if isinstance(subject, tuple) and len(subject) == 2 and isinstance(subject[1], Explanation):
        return fold(*subject)
    raise InputError(
        "each subject must be an Explanation or a pair (tree, explanation), got "
        f"{type(subject).__name__}."
    )


def with_differences(foldings: Sequence[Folding]) -> list[Folding]:
    """Marks the nodes on each path that are not on all of the others; see `compare_svg`."""
    by_name = any(folding.tree is None for folding in foldings)

    def key(folding: Folding, item: Item) -> Hashable:
        """What makes a node the same in two trees; None for one that is on no path."""
        if item.role not in _ON_PATH:
            return None
        if by_name or folding.tree is None:
            return item.name
        return frozenset(folding.tree.name(leaf) for leaf in folding.tree.leaves(item.node))

    keys = [[key(folding, item) for item in folding.items] for folding in foldings]
    shared = {None}.union(frozenset.intersection(*map(frozenset, keys)))
    marked = []
    for folding, known in zip(foldings, keys, strict=True):
        items = zip(folding.items, known, strict=True)
        differing = tuple(replace(item, differs=one not in shared) for item, one in items)
        marked.append(replace(folding, items=differing))
    return marked


def _in_a_grid(panels: list[Panel], columns: int) -> list[Panel]:
    """The panels on cards, row by row; those of a row are equally high, those of a column wide."""
    widths = [max(panel.width for panel in panels[column::columns]) for column in range(columns)]
    placed, y = [], 0.0
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        height = max(panel.height for panel in row)
        x = 0.0
        for panel, width in zip(row, widths, strict=False):
            placed.append(panel.framed(width, height, x, y))
            x += width + _GAP
        y += height + _GAP
    return placed
