"""A tree induced from an array with one row per class, by agglomerative clustering.

The paper (Wan et al., ICLR 2021, section 3.1) clusters the rows of a network's last layer, each
divided by its length, with Ward's linkage. Any rows that place the classes will do: class-mean
features, embeddings of the class names, …; or a confusion matrix.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.hierarchy.naming import name_by_leaves
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import FloatArray, class_names, is_integer

# A centroid or median merge can be lower than an earlier one; the others only grow.
MONOTONE_LINKAGES = ("ward", "average", "complete", "single", "weighted")
LINKAGES = (*MONOTONE_LINKAGES, "centroid", "median")
EUCLIDEAN_LINKAGES = ("ward", "centroid", "median")
METRICS = ("euclidean", "cosine", "outputs", "confusion", "precomputed")
_EUCLIDEAN_METRICS = ("euclidean", "outputs")

# Probabilities below this all mean "no": forests give zeros, and the log of none is finite.
FLOOR = 1e-3
# Centered rows shorter than this share of the longest are what rounding left of zero.
NEGLIGIBLE = 1e-6

# Distances are rounded to this share of the largest, so that the last bits, which differ between
# BLAS libraries, do not decide between two merges.
ROUNDING = 1e-6
LARGEST = 1e150
BLOCK_ROWS = 512
# Numbers that fit a processor's cache, for passes over more than memory's speed allows.
CACHED = 1 << 15


def induce(
    rows: npt.ArrayLike,
    classes: Sequence[str] | None = None,
    *,
    linkage: str | None = None,
    metric: str = "euclidean",
    normalize: bool = True,
    branching: int = 2,
) -> Hierarchy:
    """Clusters the rows of an array into a tree whose leaves are the rows.

    The tree has merge heights, and its inner nodes are named after their most central classes. The
    same rows give the same tree on every machine. O(C²·d) for the distances and O(C²) for the
    clustering; memory is two condensed distance matrices, 8·C² bytes.

    Args:
        rows: one row per class, shape (C, d); or (1, d), the weights of a binary classifier whose
            only output is for the second class. With ``metric="confusion"`` a confusion matrix of
            counts or rates, one row per true class, shape (C, C); with ``"precomputed"`` distances;
            with ``"outputs"`` a classifier's probabilities of samples, shape (samples, C).
        classes: the names of the C classes; default ``"0" … "C-1"``.
        linkage: ``"ward"``, ``"average"``, ``"complete"``, ``"single"``, ``"weighted"``,
            ``"centroid"`` or ``"median"``, as in `scipy.cluster.hierarchy.linkage`; by default
            Ward's between rows and outputs, else average.
        metric: ``"euclidean"`` or ``"cosine"`` between rows, ``"confusion"`` (one minus the mean
            of the rates at which two classes are mistaken for each other), ``"precomputed"``, or
            ``"outputs"``: euclidean between the classes' log-probabilities, those below log 1e-3
            raised to it, centered for every sample and every class.
        normalize: divide each row by its L2 norm first, as the paper does. The 2020 code did not.
        branching: how many children a node may have. Above 2, the inner edge with the smallest
            gap of merge heights is contracted while no node gets more (ties: the lower index).

    Example:
        >>> rows = [[1, 0], [0.9, 0.2], [0, 1], [0.1, 1]]
        >>> print(induce(rows, ["cat", "dog", "car", "bus"]))
        dog, bus, +2
        ├─ car, bus
        │  ├─ car
        │  └─ bus
        └─ cat, dog
           ├─ cat
           └─ dog
    """
    linkage = linkage or ("ward" if metric in _EUCLIDEAN_METRICS else "average")
    _check_options(linkage, metric, branching)
    array = _checked_rows(rows)
    of_outputs = metric == "outputs"
    if of_outputs:
        array, metric = _rows_of_outputs(array), "euclidean"
    if len(array) == 1 and metric in ("euclidean", "cosine"):
        # Logits (0, z) differ by z alone: the two classes lie on either side of the origin.
        array = np.concatenate([-array / 2, array / 2])
    num_classes = len(array)
    if num_classes < 2:
        raise InputError(f"a tree needs at least two classes; got {num_classes} row.")
    names = [str(i) for i in range(num_classes)] if classes is None else class_names(classes)
    if len(names) != num_classes:
        raise InputError(f"{num_classes} rows need {num_classes} class names; got {len(names)}.")

    if metric in ("euclidean", "cosine") and (normalize or metric == "cosine"):
        array = _normalized(array, names, zeros=of_outputs)
    # The squares of larger entries, or their sum, would leave float64's range.
    if metric == "euclidean" and np.abs(array).max() > LARGEST:
        raise InputError(
            f"the rows have entries beyond ±{LARGEST:g}, too large for distances; divide all rows "
            "by one number."
        )
    from scipy.cluster.hierarchy import linkage as scipy_linkage

    merges = scipy_linkage(_rounded(_distances(array, metric)), method=linkage)
    parents, heights = _parents_of(merges, num_classes)
    if branching > 2:
        parents, heights = _contracted(parents, heights, num_classes, branching)
    tree = Hierarchy(parents, names, merge_heights=heights)
    return name_by_leaves(tree, None if metric in ("confusion", "precomputed") else array)


def _rows_of_outputs(probabilities: FloatArray) -> FloatArray:
    """A row per class: how its log-probability varies over the samples, beside the others'."""
    totals = probabilities.sum(axis=1)
    if len(probabilities) < 2 or probabilities.shape[1] < 2:
        raise InputError(
            "metric='outputs' needs probabilities of two samples or more for two classes or more; "
            f"got shape {probabilities.shape}."
        )
    if (probabilities < 0).any() or (np.abs(totals - 1) > 0.01).any():
        raise InputError("metric='outputs' needs probabilities: 0 or more, each row of sum 1.")
    if probabilities.shape[1] == 2:
        return np.array([[-1.0], [1.0]])  # there is one tree, whatever the samples are
    clipped = np.maximum(probabilities, FLOOR)
    logs = np.log(clipped / clipped.sum(axis=1, keepdims=True))
    logs -= logs.mean(axis=1, keepdims=True)
    rows: FloatArray = (logs - logs.mean(axis=0)).T
    lengths = np.linalg.norm(rows, axis=1)
    if lengths.max() <= np.finfo(np.float64).eps * len(probabilities):
        raise InputError("the classifier gives all samples the same answer; give other samples.")
    rows[lengths < NEGLIGIBLE * lengths.max()] = 0
    return rows


def _check_options(linkage: str, metric: str, branching: int) -> None:
    if linkage not in LINKAGES:
        raise InputError(f"linkage must be one of {', '.join(LINKAGES)}; got {linkage!r}.")
    if metric not in METRICS:
        raise InputError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}.")
    if linkage in EUCLIDEAN_LINKAGES and metric not in _EUCLIDEAN_METRICS:
        raise InputError(
            f"{linkage!r} linkage is defined for euclidean distances only; "
            f"with metric={metric!r} use linkage='average'."
        )
    if not is_integer(branching) or branching < 2:
        raise InputError(f"branching must be a whole number, 2 or more; got {branching!r}.")
    if branching > 2 and linkage not in MONOTONE_LINKAGES:
        raise InputError(
            f"branching={branching} compares merge heights, which {linkage!r} linkage does not "
            f"order; use one of {', '.join(MONOTONE_LINKAGES)}."
        )


def _checked_rows(rows: npt.ArrayLike) -> FloatArray:
    try:
        array = np.asarray(rows)
        if array.dtype.kind == "c":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError("rows must be an array of real numbers with a row a class.") from None
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"rows must have the shape (classes, features); got {array.shape}.")
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise InputError(f"row {wrong[0]} contains NaN or infinity and has no distance to others.")
    return array


def _normalized(rows: FloatArray, names: Sequence[str], *, zeros: bool) -> FloatArray:
    """Unit rows; of zeros an error, unless `zeros` lets them stay."""
    # Scaled by the largest entry first: the square of a tiny or huge entry leaves float64's range.
    largest = np.abs(rows).max(axis=1, keepdims=True)
    zero = np.flatnonzero(largest == 0)
    if zeros:
        largest[zero] = 1
    elif len(zero):
        raise InputError(
            f"the row of class {names[zero[0]]!r} is all zeros and has no direction; "
            "use normalize=False with metric='euclidean' to cluster it as it is."
        )
    scaled = rows / largest
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit: FloatArray = scaled / np.where(lengths == 0, 1, lengths)
    return unit


def _distances(array: FloatArray, metric: str) -> FloatArray:
    """Condensed distances, in the order of pairs (0, 1), (0, 2), …, (C-2, C-1)."""
    if metric == "euclidean":
        return _euclidean(array)
    if metric == "cosine":
        # For unit rows |a − b|² = 2 (1 − a·b).
        return _euclidean(array) ** 2 / 2
    if len(array) != array.shape[1]:
        raise InputError(f"metric={metric!r} needs a square matrix; got shape {array.shape}.")
    if (array < 0).any():
        raise InputError(f"metric={metric!r} needs entries that are not negative.")
    upper = np.triu_indices(len(array), 1)
    if metric == "confusion":
        totals = array.sum(axis=1, keepdims=True)
        if not totals.all():
            raise InputError(
                f"class {np.flatnonzero(totals == 0)[0]} has no samples in the confusion matrix."
            )
        rates = array / totals
        condensed: FloatArray = 1 - (rates + rates.T)[upper] / 2
        return condensed
    if np.diagonal(array).any() or not np.allclose(array, array.T, rtol=1e-6, atol=0):
        raise InputError("distances must be symmetric, with zeros on the diagonal.")
    return array[upper]


def _euclidean(rows: FloatArray) -> FloatArray:
    # |a − b|² = |a|² + |b|² − 2 a·b, a block of rows at a time against the rows after it, so that
    # the work is BLAS's and the full C × C matrix never exists. In float64, since what is left of
    # a difference of large squares in float32 is far coarser than the rounding that follows.
    # The mean is taken off first: distances stay, and rows far from the origin lose no digits.
    rows = rows - rows.mean(axis=0)
    n = len(rows)
    squares = np.einsum("ij,ij->i", rows, rows)
    condensed = np.empty(n * (n - 1) // 2)
    end = 0
    for top in range(0, n - 1, BLOCK_ROWS):
        block = rows[top : top + BLOCK_ROWS] @ rows[top:].T
        # A row at a time from here on: it stays in the processor's cache, the block would not.
        for i, products in enumerate(block[: n - 1 - top], start=top):
            start, end = end, end + n - 1 - i
            later = condensed[start:end]
            np.multiply(products[i - top + 1 :], -2, out=later)
            later += squares[i + 1 :]
            later += squares[i]
            np.maximum(later, 0, out=later)
            np.sqrt(later, out=later)
    return condensed


def _rounded(distances: FloatArray) -> FloatArray:
    step = distances.max() * ROUNDING
    if step > 0:
        for start in range(0, len(distances), CACHED):
            part = distances[start : start + CACHED]
            part /= step
            np.rint(part, out=part)
            part *= step
    return distances


def _parents_of(merges: FloatArray, num_classes: int) -> tuple[list[int], list[float]]:
    """A linkage matrix as parents and merge heights: merge i makes node C + i."""
    parents = np.full(2 * num_classes - 1, -1)
    made = np.arange(num_classes, 2 * num_classes - 1)
    parents[merges[:, 0].astype(np.int64)] = made
    parents[merges[:, 1].astype(np.int64)] = made
    # A centroid's merge of rows that coincide may come out as minus the last bit.
    heights = np.concatenate([np.zeros(num_classes), np.maximum(merges[:, 2], 0)])
    return parents.tolist(), heights.tolist()


def _contracted(
    parents: list[int], heights: list[float], num_classes: int, branching: int
) -> tuple[list[int], list[float]]:
    """Contracts inner edges, smallest gap first, while no node gets more than `branching` children.

    A node's children are only ever added to, so an edge that does not fit once never fits later;
    each is looked at once per parent that it comes to hang from.
    """
    parents = list(parents)
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        children.setdefault(parent, []).append(node)
    queue = [
        (heights[parents[node]] - heights[node], node)
        for node in range(num_classes, len(parents) - 1)
    ]
    heapq.heapify(queue)
    while queue:
        gap, node = heapq.heappop(queue)
        if node not in children or gap != heights[parents[node]] - heights[node]:
            continue  # contracted, or moved to a higher parent, since it was queued
        above = parents[node]
        if len(children[above]) + len(children[node]) - 1 > branching:
            continue
        children[above].remove(node)
        for child in children.pop(node):
            parents[child] = above
            children[above].append(child)
            if child >= num_classes:
                heapq.heappush(queue, (heights[above] - heights[child], child))

    kept = [*range(num_classes), *sorted(node for node in children if node >= num_classes)]
    new_id = {old: new for new, old in enumerate(kept)} | {-1: -1}
    return [new_id[parents[node]] for node in kept], [heights[node] for node in kept]
