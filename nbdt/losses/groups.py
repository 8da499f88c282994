"""Sums of logits over groups of classes that are neighbours in the tree's leaf order.

A path to a class parts all classes into groups: the class itself, and the classes under each
sibling on the way up. Both modules here know these groups for the path to every class. They give
the sum over each, and what is its transpose: to every class the value of its group.

`GroupColumns` is the faster one, but holds a number for each two classes; `GroupBorders` needs no
more memory than the groups do.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import IntArray

# Neighbouring classes are mostly of one group. Added up in turn to several numbers in place of one,
# they need not wait for each other, and float32 loses less.
LANES = 8


class GroupColumns(nn.Module):
    """Which group each class belongs to, for the path to every class.

    Args:
        hierarchy: the tree.
        groups: the nodes that the groups lie under, a row a path; shape (C, groups). A group may
            be empty: node -1.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> groups = GroupColumns(tree, np.array([[0, 1, 2], [1, 0, 2], [2, 3, -1]]))
        >>> index = groups.index(torch.tensor([2]))
        >>> groups.sums(torch.tensor([[1.0, 2.0, 4.0]]), index)
        tensor([[4., 3., 0.]], dtype=torch.float64)
        >>> groups.spread(torch.tensor([[7.0, 8.0, 9.0]]), index, torch.float32)
        tensor([[8., 8., 7.]])
    """

    lanes: Tensor

    def __init__(self, hierarchy: Hierarchy, groups: IntArray) -> None:
        super().__init__()
        num_classes = hierarchy.num_classes
        start, stop = _extent(hierarchy, groups)
        # In leaf order the groups of a path stand in a row, so that each class's follow at once.
        order = np.argsort(start, axis=1, kind="stable")
        sizes = np.take_along_axis(stop - start, order, axis=1)
        in_order = np.repeat(order.ravel(), sizes.ravel()).reshape(num_classes, num_classes)
        columns = np.empty_like(in_order)
        columns[:, hierarchy.leaf_order] = in_order
        self.count = groups.shape[1]
        lanes = columns * LANES + np.arange(num_classes) % LANES
        dtype = torch.uint8 if self.count * LANES <= 256 else torch.int16
        self.register_buffer("lanes", torch.tensor(lanes, dtype=dtype), persistent=False)

    def index(self, target: Int[Tensor, " batch"]) -> Int[Tensor, "batch classes"]:
        """What the two other methods need to know of the paths to these classes."""
        return self.lanes.index_select(0, target).long()

    def sums(
        self, logits: Float[Tensor, "batch classes"], index: Tensor
    ) -> Float[Tensor, "batch groups"]:
        """The sum of the logits over each group, in float64."""
        lanes = logits.new_zeros(len(logits), self.count * LANES).scatter_add_(1, index, logits)
        return lanes.view(-1, self.count, LANES).sum(2, dtype=torch.float64)

    def spread(
        self, values: Float[Tensor, "batch groups"], index: Tensor, dtype: torch.dtype
    ) -> Float[Tensor, "batch classes"]:
        """The value of each class's group, in this type."""
        lanes = values.to(dtype).unsqueeze(2).expand(-1, -1, LANES)
        return lanes.reshape(len(values), -1).gather(1, index)


class GroupBorders(nn.Module):
    """Where the groups end and begin in the leaf order, for the path to every class.

    A running sum over the ordered logits gives the sum over any group as a difference of two of
    its entries; and values that jump at the borders, summed up likewise, spread over the groups.

    Args:
        hierarchy: the tree.
        groups: as for `GroupColumns`.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> groups = GroupBorders(tree, np.array([[0, 1, 2], [1, 0, 2], [2, 3, -1]]))
        >>> index = groups.index(torch.tensor([2]))
        >>> groups.sums(torch.tensor([[1.0, 2.0, 4.0]]), index)
        tensor([[4., 3., 0.]], dtype=torch.float64)
        >>> groups.spread(torch.tensor([[7.0, 8.0, 9.0]]), index, torch.float32)
        tensor([[8., 8., 7.]])
    """

    order: Tensor
    place: Tensor
    borders: Tensor

    def __init__(self, hierarchy: Hierarchy, groups: IntArray) -> None:
        super().__init__()
        borders = np.concatenate(_extent(hierarchy, groups)[::-1], axis=1)
        self.register_buffer("borders", torch.tensor(borders, dtype=torch.int32), persistent=False)
        leaves = hierarchy.leaf_order
        # The running sum begins with 0, in a column of its own.
        order = torch.tensor(np.pad(leaves, (1, 0)))
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", torch.tensor(np.argsort(leaves)), persistent=False)

    def index(self, target: Int[Tensor, " batch"]) -> Int[Tensor, "batch borders"]:
        """What the two other methods need to know of the paths to these classes."""
        return self.borders.index_select(0, target).long()

    def sums(
        self, logits: Float[Tensor, "batch classes"], index: Tensor
    ) -> Float[Tensor, "batch groups"]:
        """The sum of the logits over each group, in float64."""
        ordered = logits.index_select(1, self.order)
        ordered.select(1, 0).fill_(0)
        stop, start = ordered.cumsum(1, dtype=torch.float64).gather(1, index).chunk(2, dim=1)
        return stop - start

    def spread(
        self, values: Float[Tensor, "batch groups"], index: Tensor, dtype: torch.dtype
    ) -> Float[Tensor, "batch classes"]:
        """The value of each class's group, in this type."""
        jumps = values.new_zeros(len(values), len(self.order), dtype=torch.float64)
        jumps.scatter_add_(1, index, torch.cat([-values, values], dim=1).double())
        torch.cumsum(jumps, 1, out=jumps)
        return jumps.to(dtype).index_select(1, self.place)


def _extent(tree: Hierarchy, groups: IntArray) -> tuple[IntArray, IntArray]:
    """Where each group starts and stops in the leaf order; an empty one at 0."""
    start = np.append(tree.leaf_start, 0)
    stop = np.append(tree.leaf_start + tree.sizes, 0)
    return start[groups], stop[groups]
