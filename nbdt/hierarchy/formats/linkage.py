"""A binary tree as the merges of a clustering: scipy's linkage matrix, scikit-learn's children_.

Both number nodes as a `Hierarchy` does: classes 0 … C-1, then node C+i for merge i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.classes import checked_distinct
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray, class_list


def to_linkage(tree: Hierarchy) -> FloatArray:
    """The tree as a linkage matrix of `scipy.cluster.hierarchy`; shape (C-1, 4).

    Row i holds the two children of node C+i, its merge height, and the number of classes under it.
    """
    children = _merges(tree)
    if tree.merge_heights is None:
        raise HierarchyError(
            "this tree has no merge heights, which a linkage matrix needs; "
            "to_sklearn_children does without them."
        )
    inner = slice(tree.num_classes, None)
    return np.column_stack([children, tree.merge_heights[inner], tree.sizes[inner]])


def from_linkage(linkage: npt.ArrayLike, names: Sequence[str] | None = None) -> Hierarchy:
    """The tree of a linkage matrix of `scipy.cluster.hierarchy` or fastcluster, shape (C-1, 4).

    `names` are those of the C classes or of all nodes; default ``"0" … "C-1"``. An `InputError`
    names the row that is not valid.
    """
    array = _numbers(linkage, "a linkage matrix", 4)
    tree = _from_merges(array[:, :2], array[:, 2], names)
    wrong = np.flatnonzero(array[:, 3] != tree.sizes[tree.num_classes :])
    if len(wrong):
        size = tree.sizes[tree.num_classes + wrong[0]]
        raise InputError(
            f"row {wrong[0]} joins {size} classes, but its last column says {array[wrong[0], 3]:g}."
        )
    return tree


def to_sklearn_children(tree: Hierarchy) -> tuple[IntArray, FloatArray | None]:
    """The tree as scikit-learn's ``children_``, shape (C-1, 2), and ``distances_``, shape (C-1,).

    The distances are None if the tree has no merge heights.
    """
    heights = tree.merge_heights
    return _merges(tree), None if heights is None else heights[tree.num_classes :].copy()


def from_sklearn_children(
    children: npt.ArrayLike,
    distances: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Hierarchy:
    """The tree of a fitted scikit-learn AgglomerativeClustering.

    Pass its ``children_``, shape (C-1, 2), and, if it was fitted with ``compute_distances=True``,
    its ``distances_``, shape (C-1,), which become the merge heights. `names` are as in
    `from_linkage`.
    """
    array = _numbers(children, "children_", 2)
    heights = None
    if distances is not None:
        heights = _numbers(distances, "distances_", 1)[:, 0]
        if len(heights) != len(array):
            raise InputError(f"{len(array)} merges need as many distances, got {len(heights)}.")
    return _from_merges(array, heights, names)


def _merges(tree: Hierarchy) -> IntArray:
    children = np.empty((len(tree.inner), 2), dtype=np.int64)
    for row, node in enumerate(tree.inner):
        below = tree.children(node)
        if len(below) > 2:
            raise HierarchyError(
                f"node {node} ({tree.name(node)!r}) has {len(below)} children; a list of merges "
                "holds binary trees only."
            )
        if below[1] > node:
            raise HierarchyError(
                f"node {node} has a lower id than its child {below[1]}, but merges are listed "
                "bottom-up; renumber the nodes with tree.select first."
            )
        children[row] = below
    return children


def _from_merges(
    children: FloatArray, heights: FloatArray | None, names: Sequence[str] | None
) -> Hierarchy:
    num_classes = len(children) + 1
    parents = np.full(2 * num_classes - 1, -1)
    for row, pair in enumerate(children.tolist()):
        made = num_classes + row
        for child in pair:
            if child != int(child) or not 0 <= child < made:
                raise InputError(
                    f"row {row} joins node {child:g}; expected an integer from 0 to {made - 1}, "
                    f"as {num_classes - 1} rows are the merges of {num_classes} classes."
                )
            if parents[int(child)] >= 0:
                raise InputError(
                    f"row {row} joins node {child:g}, which row "
                    f"{parents[int(child)] - num_classes} has already joined."
                )
            parents[int(child)] = made
    return Hierarchy(
        parents,
        [str(i) for i in range(num_classes)] if names is None else _distinct(names, num_classes),
        merge_heights=None if heights is None else np.append(np.zeros(num_classes), heights),
    )


def _distinct(names: Sequence[str], num_classes: int) -> list[str]:
    given = class_list(names)
    return checked_distinct(given[:num_classes]) + given[num_classes:]


def _numbers(values: npt.ArrayLike, what: str, width: int) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
        if width == 1:
            array = array.reshape(-1, 1)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be an array of numbers.") from None
    if array.ndim != 2 or array.shape[1] != width or not len(array):
        raise InputError(f"{what} must have shape (C-1, {width}), got {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(f"{what} contains NaN or infinity.")
    return array
