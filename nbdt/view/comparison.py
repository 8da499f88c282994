"""Several explanations side by side, with the nodes marked that not every path passes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from nbdt.display import Displayed
from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.text import one_line
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
        titles: a line above each, or None.
        images: the sample of each, or None.
        same_sample: whether all explain one sample, under other rules, trees or networks. Then
            ≠ marks each node that one path passes and another does not. In two trees, nodes are
            the same if they hold the same classes; where explanations come without a tree, if
            they have the same name.
        width: how wide the whole may be, in pixels. Panels that do not fit side by side stand
            one below the other.

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
        raise InputError(f"subjects must be a list of explanations, got {type(subjects).__name__}.")
    foldings = [folding_of(subject) for subject in subjects]
    if not foldings:
        raise InputError("there is nothing to compare: subjects is empty.")
    for what, values in (("titles", titles), ("images", images)):
        if values is not None and len(values) != len(foldings):
            raise InputError(
                f"{what} needs {len(foldings)} entries, one per explanation; got {len(values)}."
            )
    if not isinstance(width, int | float) or not NARROWEST <= width < float("inf"):
        raise InputError(f"width must be at least {NARROWEST} pixels, got {width!r:.60}.")
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
    """What is drawn of one of the things compared."""
    if isinstance(subject, Explanation):
        return fold(subject)
    if (
        not isinstance(subject, tuple)
        or len(subject) != 2
        or not isinstance(subject[1], Explanation)
    ):
        raise InputError(
            "each subject must be an Explanation or a pair (tree, explanation), got "
            f"{type(subject).__name__}."
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


@dataclass(frozen=True, slots=True)
class Comparison(Displayed):
    """Explanations of one sample beside each other; `compare` makes it, a notebook draws it."""

    subjects: tuple[Subject, ...]
    titles: tuple[str, ...]
    image: Picturable | None = None

    def to_svg(self, width: int = 960) -> str:
        """The drawing as an SVG text; see `nbdt.view.compare_svg`."""
        images = None if self.image is None else [self.image] * len(self.subjects)
        return compare_svg(
            self.subjects, titles=self.titles, images=images, same_sample=True, width=width
        )

    def __str__(self) -> str:
        lines = []
        foldings = with_differences(list(map(folding_of, self.subjects)))
        for title, folding in zip(self.titles, foldings, strict=True):
            own = [item.name for item in folding.items if item.differs]
            differs = f"\n≠ not on every path: {', '.join(own)}" if own else ""
            lines.append(f"{one_line(title)}\n{folding.explanation}{differs}")
        return "\n\n".join(lines)


def compare(
    *subjects: Subject, titles: Sequence[str] | None = None, image: Picturable | None = None
) -> Comparison:
    """The same sample, explained in several ways: by two rules, two trees, two networks.

    In a notebook the explanations are drawn side by side, and ≠ marks each node that one path
    passes and another does not; `print` gives it as text.

    Args:
        subjects: two or more, each an explanation or a pair (tree, explanation). Where all have
            trees, two nodes are the same if they hold the same classes; else, if they have the
            same name.
        titles: what each is called; by default its rule and score.
        image: the sample: a PIL image or a ``data:image/…`` address.

    Example:
        >>> import torch
        >>> from nbdt import NBDT
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[2.0, 2.0, 2.2]])
        >>> soft, hard = (model.explain(logits, rule=rule)[0] for rule in ("soft", "hard"))
        >>> print(compare(soft, hard))
        rule soft, score logsumexp
        Predicted car (38 %); the network agrees.
        ...
        ≠ not on every path: animal, cat
    """
    if len(subjects) < 2:
        raise InputError(f"a comparison needs at least two explanations, got {len(subjects)}.")
    explanations = [folding_of(subject).explanation for subject in subjects]
    named = [f"rule {one.rule}, score {one.score}" for one in explanations if one is not None]
    if titles is not None and len(titles) != len(subjects):
        raise InputError(f"titles needs {len(subjects)} entries; got {len(titles)}.")
    return Comparison(subjects, tuple(named if titles is None else titles), image)
