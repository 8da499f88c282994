"""How far apart two trees over the same classes are, and which of their groups are the same.

A *clade* is the set of classes under an inner node other than the root.

- *Robinson–Foulds distance* (Math. Biosciences 53, 1981): how many clades only one of the trees
  has, in linear time (Day, J. of Classification 2, 1985). Moving one class can change every clade.
- *Triplet distance* (Dobson 1975): the share of triples of classes for which the trees disagree
  about which two are closest. Small changes of a tree change it little.
- *Cophenetic correlation* (Sokal and Rohlf, Taxon 11, 1962): Pearson's correlation, over pairs
  of classes, of the heights at which the trees join them.

Up to two million pairs and triples are all compared; beyond that, two million are sampled (the same
ones every time) and the results have a standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdt.errors import InputError
from nbdt.hierarchy.classes import canonical
from nbdt.hierarchy.lookup import LcaTable
from nbdt.hierarchy.text import join_names
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import IntArray

MOST = 2_000_000
_BLOCK = 250_000


@dataclass(frozen=True)
class TreeComparison:
    """How far apart two trees are.

    Attributes:
        classes: how many classes each has.
        clades: how many clades the first tree has, and the second.
        shared: pairs of inner nodes, one per tree, with the same classes; without the roots.
        triplet_distance: the share of triples grouped differently; 0 if there are none.
        triples: how many triples were compared, as `pairs` of classes for the correlation.
        triplet_error: the standard error, like `cophenetic_error`; 0 if all were compared.
        cophenetic_correlation: from −1 to 1; None where a tree joins all pairs at one height.
    """

    classes: int
    clades: tuple[int, int]
    shared: tuple[tuple[int, int], ...]
    triplet_distance: float
    triples: int
    triplet_error: float
    cophenetic_correlation: float | None
    pairs: int
    cophenetic_error: float

    @property
    def robinson_foulds(self) -> int:
        """The number of clades that only one of the trees has."""
        return sum(self.clades) - 2 * len(self.shared)

    @property
    def normalized_robinson_foulds(self) -> float:
        """The distance as a share of all clades: 0 for equal trees, 1 where no clade is shared."""
        return self.robinson_foulds / sum(self.clades) if sum(self.clades) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON-able values."""
        return {
            "classes": self.classes,
            "clades": list(self.clades),
            "shared": [list(pair) for pair in self.shared],
            "robinson_foulds": self.robinson_foulds,
            "normalized_robinson_foulds": self.normalized_robinson_foulds,
            "triplet_distance": self.triplet_distance,
            "triplet_error": self.triplet_error,
            "triples": self.triples,
            "cophenetic_correlation": self.cophenetic_correlation,
            "cophenetic_error": self.cophenetic_error,
            "pairs": self.pairs,
        }

    def __str__(self) -> str:
        first, second = self.clades
        lines = [
            f"Clades       {len(self.shared):,} shared of {first:,} and {second:,}; "
            f"Robinson–Foulds distance {self.robinson_foulds:,} "
            f"({100 * self.normalized_robinson_foulds:.1f} %)",
            f"Triples      {100 * self.triplet_distance:.1f} % grouped differently"
            f"{_plus_minus(100 * self.triplet_error, 2, ' %')}",
        ]
        if self.cophenetic_correlation is not None:
            lines.append(
                f"Heights      cophenetic correlation {self.cophenetic_correlation:.3f}"
                f"{_plus_minus(self.cophenetic_error, 3, '')}"
            )
        return "\n".join(lines)


def compare(a: Hierarchy, b: Hierarchy, *, seed: int = 0) -> TreeComparison:
    """How far apart two trees over the same classes are; `seed` seeds the samples.

    Classes are matched by name. Heights are merge heights where both trees have them, else the
    number of edges down to the deepest leaf.

    Raises:
        InputError: the trees have different classes; if they share two or more,
            `nbdt.hierarchy.edit.restrict` reduces both to the shared ones.

    Example:
        >>> a = Hierarchy([4, 4, 5, 6, 5, 6, -1], ["cat", "dog", "cow", "car"])
        >>> b = Hierarchy([5, 4, 4, 6, 5, 6, -1], ["cat", "dog", "cow", "car"])
        >>> found = compare(a, b)
        >>> found.robinson_foulds, found.triplet_distance, found.shared
        (2, 0.25, ((5, 5),))
    """
    partner = _partners(a, b)
    generator = np.random.default_rng(seed)
    trees = LcaTable(a), LcaTable(b)
    correlation, pairs = _correlation(trees, partner, generator)
    distance, triples = _triplets(trees, partner, generator)
    all_pairs, all_triples = _choose(a.num_classes, 2), _choose(a.num_classes, 3)
    spread = np.sqrt(distance * (1 - distance) / triples) if triples < all_triples else 0.0
    # The large-sample standard error of a correlation of independent draws.
    sampled = correlation is not None and pairs < all_pairs
    error = (1 - correlation**2) / np.sqrt(pairs) if sampled and correlation is not None else 0.0
    return TreeComparison(
        classes=a.num_classes,
        clades=(len(a.inner) - 1, len(b.inner) - 1),
        shared=_shared(a, b, partner),
        triplet_distance=distance,
        triples=triples,
        triplet_error=float(spread),
        cophenetic_correlation=correlation,
        pairs=pairs,
        cophenetic_error=float(error),
    )


def shared_clades(a: Hierarchy, b: Hierarchy) -> tuple[tuple[int, int], ...]:
    """Pairs of inner nodes, one per tree, with the same classes; without the roots. Linear time."""
    return _shared(a, b, _partners(a, b))


def _plus_minus(error: float, digits: int, unit: str) -> str:
    return f" (± {error:.{digits}f}{unit} standard error)" if error else ""


def _partners(a: Hierarchy, b: Hierarchy) -> IntArray:
    leaf_of = {canonical(name): leaf for leaf, name in enumerate(b.classes)}
    common = [name for name in map(canonical, a.classes) if name in leaf_of]
    if len(common) == a.num_classes == b.num_classes:
        return np.array([leaf_of[name] for name in common])
    both, lacking = set(common), []
    for side, tree in (("first", a), ("second", b)):
        alone = [name for name in tree.classes if canonical(name) not in both]
        if alone:
            lacking.append(f"only the {side} has {len(alone):,} ({join_names(alone, len(alone))})")
    if len(common) < 2:
        shared = f"only {common[0]!r:.80}" if common else "no class"
        problem = f"these have {shared} in common: {' and '.join(lacking)}."
    else:
        problem = f"{' and '.join(lacking)}; remove them first (nbdt.hierarchy.edit.restrict)."
    raise InputError(f"only trees over the same classes can be compared, but {problem}")


def _shared(a: Hierarchy, b: Hierarchy, partner: IntArray) -> tuple[tuple[int, int], ...]:
    # In a's leaf order every clade of a is an interval, so b shares a clade if it is one of these.
    place = np.empty(b.num_classes, dtype=np.int64)
    place[partner[a.leaf_order]] = np.arange(a.num_classes)
    node_at = {(int(a.leaf_start[v]), int(a.sizes[v])): v for v in a.inner if v != a.root}
    lowest, highest = [a.num_classes] * len(b), [-1] * len(b)
    pairs = []
    for node in b.postorder():
        if node < b.num_classes:
            lowest[node] = highest[node] = int(place[node])
        if node == b.root:
            continue
        above, size = b.parent(node), int(b.sizes[node])
        lowest[above] = min(lowest[above], lowest[node])
        highest[above] = max(highest[above], highest[node])
        mine = node_at.get((lowest[node], size))
        if node >= b.num_classes and mine and highest[node] - lowest[node] + 1 == size:
            pairs.append((mine, node))
    return tuple(sorted(pairs))


def _closest(joins: LcaTable, triples: IntArray) -> IntArray:
    """Which class of each triple is apart from the two closest; 3 if none is. Shape (triples,)."""
    one, two, three = triples
    depths = joins.tree.depths
    # By the class that a pair leaves out.
    joined = np.stack(
        [depths[joins.lca(two, three)], depths[joins.lca(one, three)], depths[joins.lca(one, two)]]
    )
    apart = joined.argmax(axis=0)
    return np.where(joined.max(axis=0) == joined.min(axis=0), 3, apart)


def _correlation(
    trees: tuple[LcaTable, LcaTable], partner: IntArray, generator: np.random.Generator
) -> tuple[float | None, int]:
    """The cophenetic correlation and its number of pairs."""
    first, second = (joins.tree.merge_heights for joins in trees)
    if first is None or second is None:
        first, second = (joins.tree.heights.astype(np.float64) for joins in trees)
    pairs = _subsets(len(partner), 2, generator)
    mine, other = first[trees[0].lca(*pairs)], second[trees[1].lca(*partner[pairs])]
    if not len(mine) or np.ptp(mine) == 0 or np.ptp(other) == 0:
        return None, len(mine)
    # In units of their range: the squares of very small differences would be 0.
    units = [(heights - heights.min()) / np.ptp(heights) for heights in (mine, other)]
    return float(np.corrcoef(*units)[0, 1]), len(mine)


def _triplets(
    trees: tuple[LcaTable, LcaTable], partner: IntArray, generator: np.random.Generator
) -> tuple[float, int]:
    """The share of triples that are grouped differently, and how many were compared."""
    triples = _subsets(len(partner), 3, generator)
    different = 0
    for start in range(0, triples.shape[1], _BLOCK):
        some = triples[:, start : start + _BLOCK]
        different += int((_closest(trees[0], some) != _closest(trees[1], partner[some])).sum())
    return different / max(triples.shape[1], 1), triples.shape[1]


def _subsets(count: int, size: int, generator: np.random.Generator) -> IntArray:
    """All sets of 2 or 3 classes, or a sample if there are too many; shape (size, sets)."""
    if _choose(count, size) > MOST:
        # Drawn with replacement; the few sets with a class twice are discarded.
        drawn = generator.integers(0, count, (size, MOST + MOST // 8))
        ordered = np.sort(drawn, axis=0)
        distinct = (np.diff(ordered, axis=0) > 0).all(axis=0)
        return drawn[:, distinct][:, :MOST]
    one, two = np.triu_indices(count, 1)
    if size == 2:
        return np.stack([one, two])
    more = count - 1 - two
    starts = np.cumsum(more) - more
    three = np.arange(more.sum()) - np.repeat(starts, more) + np.repeat(two + 1, more)
    return np.stack([np.repeat(one, more), np.repeat(two, more), three])


def _choose(count: int, size: int) -> int:
    return count * (count - 1) // 2 if size == 2 else count * (count - 1) * (count - 2) // 6
