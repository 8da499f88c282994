"""Several explanations side by side, with what differs between them marked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.view.folding import Folding, Item, fold
from nbdt.view.svg.frame import NARROWEST, Panel, compose, written
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
        titles: a line above each; None where there is none.
        images: the sample of each; None where there is none.
        same_sample: whether all explain one sample, under other rules, trees or networks. Then
            ≠ marks each node that one path passes and another does not. In two trees, nodes are
            the same if they hold the same classes; where explanations come without a tree, if
            they have the same name.
        width: how wide the whole may be, in pixels. Panels that do not fit side by side stand
            one below the other.

    Returns:
        An ``<svg>`` element, as `nbdt.view.to_svg` gives it.

    Raises:
        InputError: there is nothing to compare, there is not one title or image a subject, or an
            explanation is of another tree.

    Example:
        >>> import torch
        >>> from nbdt import NBDT
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree, score="mean")
        >>> logits = torch.tensor([[3.0, 2.0, 2.3]])
        >>> both = [(tree, model.explain(logits, rule=rule)[0]) for rule in ("soft", "hard")]
        >>> drawing = compare_svg(both, titles=["soft", "hard"], same_sample=True)
        >>> "not on every path" in drawing
        True
    """
    if not isinstance(subjects, Iterable):
        raise InputError(f"subjects has to be a list of them, got {type(subjects).__name__}.")
    foldings = [folding_of(subject) for subject in subjects]
    if not foldings:
        raise InputError("there is nothing to compare: no explanation was given.")
    for what, values in (("titles", titles), ("images", images)):
        if values is not None and len(values) != len(foldings):
            raise InputError(
                f"{what} need one entry an explanation, {len(foldings)}; got {len(values)}."
            )
    if not isinstance(width, int | float) or not NARROWEST <= width < float("inf"):
        raise InputError(f"width has to be at least {NARROWEST} pixels, got {width!r:.60}.")
    if same_sample:
        foldings = with_differences(foldings)
    columns = min(len(foldings), max(1, int((width + _GAP) // (_NARROWEST_PANEL + _GAP))))
    room = (width - _GAP * (columns - 1)) / columns
    panels = [
        compose(
            folding,
            width=room,
            title=titles[place] if titles else None,
            image=images[place] if images else None,
        )
        for place, folding in enumerate(foldings)
    ]
    name = f"{len(panels)} decision paths" + (" of one sample" if same_sample else "")
    return written(_in_a_grid(panels, columns), name)


def folding_of(subject: Subject) -> Folding:
    """What is drawn of one of the things compared.

    Raises:
        InputError: it is neither an explanation nor a pair (tree, explanation), or the explanation
            is of another tree.
    """
    if isinstance(subject, Explanation):
        return fold(subject)
    if (
        not isinstance(subject, tuple)
        or len(subject) != 2
        or not isinstance(subject[1], Explanation)
    ):
        raise InputError(
            "each of the things compared has to be an Explanation or a pair (tree, explanation); "
            f"got {type(subject).__name__}."
        )
    return fold(*subject)


def with_differences(foldings: Sequence[Folding]) -> list[Folding]:
    """Marks the nodes on each path that are not on all of the others; see `compare_svg`."""
    by_name = any(folding.tree is None for folding in foldings)
    keys = [
        {place: _key(folding, item, by_name) for place, item in enumerate(folding.items)
         if item.role in _ON_PATH}
        for folding in foldings
    ]  # fmt: skip
    shared = frozenset.intersection(*(frozenset(known.values()) for known in keys))
    return [
        replace(
            folding,
            items=tuple(
                replace(item, differs=place in known and known[place] not in shared)
                for place, item in enumerate(folding.items)
            ),
        )
        for folding, known in zip(foldings, keys, strict=True)
    ]


def _key(folding: Folding, item: Item, by_name: bool) -> Hashable:
    """What makes a node the same in two trees."""
    if by_name or folding.tree is None:
        return item.name
    return frozenset(folding.tree.name(leaf) for leaf in folding.tree.leaves(item.node))


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
