"""How far the groups of a tree can be trusted: how often they come back when it is made again.

The *support* of an inner node is the share of other trees over the same classes that have a node
with just the same classes under it (Felsenstein, "Confidence limits on phylogenies: an approach
using the bootstrap", Evolution 39, 1985). The other trees may come from

- networks trained anew from other seeds: the most that can be asked of a tree;
- the same rows with their columns drawn anew: the columns, which are the features of a last layer,
  take the part of the sites of a sequence;
- the same rows with noise.

Support says how much the tree depends on what was drawn. It is not the probability that a group
is real: columns of one network are not independent of each other, and noise is as large as you
choose. A node is either in a tree or not, so one class that wanders lowers the support of all nodes
on its ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.hierarchy.compare import shared_clades
from nbdt.hierarchy.induce import METRICS, induce
from nbdt.hierarchy.rebuild import attributes_by_node, relabelled
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import is_integer

SUPPORT = "support"
TREES = "support_trees"
"""The attributes of a node: the share of trees that have it, and how many trees were looked at."""

_FEATURES = tuple(metric for metric in METRICS if metric not in ("confusion", "precomputed"))


def with_support(tree: Hierarchy, others: Iterable[Hierarchy]) -> Hierarchy:
    """The same tree, with the support of each inner node among its attributes.

    The root has all classes in every tree, so it has no support to speak of.

    Args:
        tree: the tree.
        others: trees over the same classes, in any order; only one at a time is kept.

    Returns:
        The tree with the attributes "support", from 0 to 1, and "support_trees", how many trees
        that is a share of.

    Raises:
        InputError: there is no other tree, or one has other classes.

    Example:
        >>> names = ["cat", "dog", "cow", "car"]
        >>> tree = Hierarchy([4, 4, 5, 6, 5, 6, -1], names)
        >>> other = Hierarchy([5, 4, 4, 6, 5, 6, -1], names)
        >>> known = with_support(tree, [tree, other])
        >>> [known.attributes(node)["support"] for node in (4, 5)]
        [0.5, 1.0]
    """
    counts = np.zeros(len(tree), dtype=np.int64)
    trees = 0
    for other in others:
        counts[[mine for mine, _ in shared_clades(tree, other)]] += 1
        trees += 1
    if not trees:
        raise InputError("support is a share of other trees; give at least one.")
    attributes = attributes_by_node(tree)
    for node in tree.inner[:-1]:
        attributes[node] |= {SUPPORT: int(counts[node]) / trees, TREES: trees}
    return relabelled(tree, attributes=attributes)


def resampled_trees(
    rows: npt.ArrayLike,
    classes: Sequence[str] | None = None,
    *,
    count: int = 100,
    noise: float | None = None,
    seed: int = 0,
    **options: Any,
) -> Iterator[Hierarchy]:
    """Trees of the same rows with the columns drawn anew, or with noise: for `with_support`.

    Each tree takes as long as `induce`.

    Args:
        rows: as for `induce`: one row a class, shape (C, d).
        classes: the names of the C classes.
        count: how many trees.
        noise: the standard deviation of normal noise that is added to each entry, as a share of
            the entries' own. None: as many columns as there are are drawn, with replacement.
        seed: of what is drawn.
        **options: those of `induce`.

    Raises:
        InputError: as in `induce`; `count` is less than 1, the noise is no positive number, or the
            metric is "confusion" or "precomputed", which have no features to draw.

    Example:
        >>> rows = [[1, 0.1, 0.9], [0.9, 0.2, 1], [0.1, 1, 0.2], [0.2, 1, 0.1]]
        >>> names = ["cat", "dog", "car", "bus"]
        >>> tree = with_support(induce(rows, names), resampled_trees(rows, names, count=20))
        >>> tree.name(4), tree.attributes(4)["support"]
        ('cat, dog', 1.0)
    """
    if not is_integer(count) or count < 1:
        raise InputError(f"count is how many trees, a whole number from 1 on; got {count!r:.60}.")
    if not is_integer(seed) or seed < 0:
        raise InputError(f"seed is a whole number from 0 on; got {seed!r:.60}.")
    is_number = isinstance(noise, int | float) and not isinstance(noise, bool)
    if noise is not None and not (is_number and 0 < noise < np.inf):
        raise InputError(f"noise is a number above 0, or None; got {noise!r:.60}.")
    if options.get("metric", "euclidean") not in _FEATURES:
        raise InputError(
            f"metric={options['metric']!r} compares classes as wholes, so there are no features to "
            "draw; give with_support trees of several such matrices."
        )
    # Refuses bad rows and options here, and not when the first tree is asked for.
    induce(rows, classes, **options)
    return _drawn(np.asarray(rows, dtype=np.float64), classes, count, noise, seed, options)


def _drawn(
    rows: npt.NDArray[np.float64],
    classes: Sequence[str] | None,
    count: int,
    noise: float | None,
    seed: int,
    options: dict[str, Any],
) -> Iterator[Hierarchy]:
    generator = np.random.default_rng(seed)
    for number in range(1, count + 1):
        if noise is not None:
            drawn = rows + generator.normal(0, noise * rows.std(), rows.shape)
        else:
            drawn = rows[:, generator.integers(0, rows.shape[1], rows.shape[1])]
        try:
            yield induce(drawn, classes, **options)
        except InputError as error:
            # Of rows that are fine themselves: one was left with nothing but zeros.
            raise InputError(
                f"{error} This is resample {number}: the rows are too sparse to draw columns of; "
                "use normalize=False, or noise."
            ) from None


def support_of(tree: Hierarchy) -> dict[int, float]:
    """The support of the inner nodes that have one, by node.

    Example:
        >>> names = ["cat", "dog", "car", "pet", "thing"]
        >>> tree = Hierarchy([3, 3, 4, 4, -1], names)
        >>> support_of(tree), support_of(with_support(tree, [tree]))
        ({}, {3: 1.0})
    """
    # A file may call anything "support".
    known = {node: tree.attributes(node).get(SUPPORT) for node in tree.inner}
    return {
        node: float(share)
        for node, share in known.items()
        if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    }


def support_labels(tree: Hierarchy) -> dict[int, str]:
    """The names of the inner nodes with their support, for `Hierarchy.to_text`.

    Example:
        >>> names = ["cat", "dog", "car", "pet", "thing"]
        >>> tree = Hierarchy([3, 3, 4, 4, -1], names)
        >>> print(tree.to_text(labels=support_labels(with_support(tree, [tree]))))
        thing
        ├─ car
        └─ pet (100 %)
           ├─ cat
           └─ dog
    """
    return {
        node: f"{tree.name(node)} ({100 * share:.0f} %)" for node, share in support_of(tree).items()
    }
