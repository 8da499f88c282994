"""Where the nodes of a tree lie in feature space, when the classifier's head is linear.

With logits z = W·x + b and the score ``mean``, the score of node v is w̄ᵥ·x + b̄ᵥ, with w̄ᵥ the mean
of the rows of W under v (Wan et al., arXiv 2004.00221, section 3.1). The border between two
siblings c and d is then a hyperplane, and the features stand (s_c − s_d) / ‖w̄_c − w̄_d‖ away from
it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray


class FeatureGeometry:
    """The mean head row of every node, and the distances between siblings.

    `rows` is the weight of the linear head, shape (C, features), finite; a head with one output z,
    which means the logits (0, z), has a row of zeros before its own. Computed once: it does not
    follow further training.
    """

    def __init__(self, hierarchy: Hierarchy, rows: npt.ArrayLike | torch.Tensor) -> None:
        array = _checked_rows(rows, hierarchy.num_classes)
        self.hierarchy = hierarchy
        # The rows under a node are adjacent in leaf order, so two running sums give their mean.
        self._sums = np.zeros((len(array) + 1, array.shape[1]))
        np.cumsum(array[hierarchy.leaf_order], axis=0, out=self._sums[1:])
        # Distances below float32 resolution count as 0.
        self._nothing = 1e-7 * float(np.sqrt(np.einsum("ij,ij->i", array, array).max()))
        self._kept: dict[int, FloatArray] = {}

    def mean_rows(self, nodes: IntArray) -> FloatArray:
        """The mean head row w̄ of each of these nodes; shape (len(nodes), features)."""
        start, sizes = self.hierarchy.leaf_start[nodes], self.hierarchy.sizes[nodes]
        means: FloatArray = (self._sums[start + sizes] - self._sums[start]) / sizes[:, None]
        return means

    def sibling_distances(self, nodes: IntArray) -> FloatArray:
        """The distances of each node's mean row from those of all its parent's children.

        Gives ‖w̄_c − w̄_d‖ for each given node c (never the root) and each child d of its parent,
        lowest id first; the runs of the given nodes are joined. 0 for d = c and for rows that
        float32 cannot distinguish.
        """
        asked = nodes.tolist()
        unknown = set(asked).difference(self._kept)
        by_parent: dict[int, list[int]] = {}
        for node in sorted(unknown):
            by_parent.setdefault(int(self.hierarchy.parents[node]), []).append(node)
        passing: dict[int, FloatArray] = {}
        for parent, some in by_parent.items():
            children = self.hierarchy.children(parent)
            # All distances between them are kept if they take no more memory than the rows.
            if len(children) > self._sums.shape[1]:
                passing.update(self._measured(children, some))
            else:
                self._kept.update(self._measured(children, list(children)))
        runs = [passing[node] if node in passing else self._kept[node] for node in asked]
        return np.concatenate([np.empty(0), *runs])

    def _measured(self, children: tuple[int, ...], some: list[int]) -> dict[int, FloatArray]:
        """The distances from some children of one parent to all of its children."""
        rows = self.mean_rows(np.array(children))
        # Distances don't depend on the origin; centering reduces cancellation.
        rows -= rows.mean(axis=0)
        places = np.searchsorted(children, some)
        squares = np.einsum("ij,ij->i", rows, rows)
        squared = squares[places, None] + squares - 2 * (rows[places] @ rows.T)
        squared[np.arange(len(places)), places] = 0
        distances = np.sqrt(np.maximum(squared, 0))
        distances[distances <= self._nothing] = 0
        return dict(zip(some, distances, strict=True))


def _checked_rows(rows: npt.ArrayLike | torch.Tensor, num_classes: int) -> FloatArray:
    if isinstance(rows, torch.Tensor):
        rows = rows.detach().to("cpu", torch.float64).numpy()
    try:
        array = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("the head's rows must be a table of numbers, one row per class.") from None
    if array.ndim != 2 or len(array) != num_classes:
        raise InputError(
            f"the head needs a row a class, shape ({num_classes}, features); got {array.shape}."
        )
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise InputError(f"row {wrong[0]} of the head holds NaN or an infinite number.")
    return array
