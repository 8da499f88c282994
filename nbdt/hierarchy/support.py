"""How far the groups of a tree can be trusted: how often they reappear when it is built again.

The *support* of an inner node is the share of other trees over the same classes that have a node
with exactly the same classes under it (Felsenstein, "Confidence limits on phylogenies: an approach
using the bootstrap", Evolution 39, 1985). The other trees may come from

- networks trained with other seeds, the hardest test of a tree;
- the same rows with resampled columns: the features of a last layer play the role of the sites of
  a sequence;
- the same rows with noise.

Support measures how much the tree depends on chance. It is not the probability that a group is
real: the columns of one network are not independent, and you choose the noise. A single class that
moves lowers the support of all nodes on its paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.hierarchy.compare import shared_clades
from nbdt.hierarchy.induce import induce
from nbdt.hierarchy.rebuild import attributes_by_node, relabelled
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import is_integer

SUPPORT = "support"
TREES = "support_trees"
"""The attributes of a node: the share of the other trees that have it, and their number."""

_FEATURES = ("euclidean", "cosine")


def with_support(tree: Hierarchy, others: Iterable[Hierarchy]) -> Hierarchy:
    """The tree with the attributes "support" (0 to 1) and "support_trees" (the number of others).

    The others have the same classes, in any order; only one at a time is kept in memory. The root
    contains all classes in every tree, so it gets no support.

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
        raise InputError("support needs at least one other tree.")
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
    """Trees of the rows, shape (C, d), with resampled columns or noise, for `with_support`.

    `noise` is the standard deviation of normal noise added to each entry, as a fraction of the
    entries' own; None draws d columns with replacement instead. The other options are passed to
    `induce`; the metrics "confusion", "precomputed" and "outputs" raise an `InputError`: they have
    no columns to draw.
    """
    if not is_integer(count) or count < 1:
        raise InputError(f"count must be a whole number of trees, 1 or more; got {count!r:.60}.")
    if not is_integer(seed) or seed < 0:
        raise InputError(f"seed must be a whole number, 0 or more; got {seed!r:.60}.")
    is_number = isinstance(noise, int | float) and not isinstance(noise, bool)
    if noise is not None and not (is_number and 0 < noise < np.inf):
        raise InputError(f"noise must be a number above 0, or None; got {noise!r:.60}.")
    if options.get("metric", "euclidean") not in _FEATURES:
        raise InputError(
            f"metric={options['metric']!r} compares whole classes, so there are no columns to "
            "draw; give with_support trees of several such matrices."
        )
    # Bad rows and options are refused here, not when the first tree is asked for.
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
            # The rows themselves are fine, but a resampled one has only zeros.
            raise InputError(
                f"{error} This is resample {number}: the rows are too sparse to draw columns; "
                "use normalize=False, or noise."
            ) from None


def support_of(tree: Hierarchy) -> dict[int, float]:
    """The support of each inner node that has one."""
    # A file may call anything "support".
    known = {node: tree.attributes(node).get(SUPPORT) for node in tree.inner}
    return {
        node: float(share)
        for node, share in known.items()
        if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    }


def support_labels(tree: Hierarchy) -> dict[int, str]:
    """The names of inner nodes with their support, ``"pet (100 %)"``, for `Hierarchy.to_text`."""
    return {
        node: f"{tree.name(node)} ({100 * share:.0f} %)" for node, share in support_of(tree).items()
    }
