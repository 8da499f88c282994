"""A `Hierarchy` compiled once into the index tensors that the rules apply to logits.

Nodes are kept in two orders: by id, as everywhere, and in *rows*. There, the children of all inner
nodes with the same number of children stand together, first children first, so "softmax over
siblings" is a reduction over one axis of a view. The root is the last row.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import LcaTable
from nbdt.hierarchy.validation import IntArray

# Above this many path steps a node, the tree is a near-chain (single linkage makes such trees),
# and lists of every leaf's path would outgrow nodes × batch. The rules then walk by doubling.
MAX_STEPS_PER_NODE = 32


class Siblings(NamedTuple):
    """The rows of the children of all inner nodes with `arity` children: one block of rows.

    Row ``start + i · families + f`` is the i-th child in the f-th family.
    """

    arity: int
    start: int
    families: int


class Families(NamedTuple):
    """Who is whose child: the `counts[v]` children of node v start at `first[v]`."""

    counts: IntArray
    first: IntArray
    children: IntArray


class TreeLayout(nn.Module):
    """The index tensors of a tree, as buffers that move with the module that holds them.

    All are integers, so ``.half()`` doesn't change them, and none is in a state dict. `siblings`
    are the blocks of rows, one for each number of children that occurs. `has_paths` says whether
    every leaf's path is listed (`row_leaves`, `path_rows`); near-chains, whose lists would grow
    with C², have no list.

    Example:
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> layout.siblings
        (Siblings(arity=2, start=0, families=2),)
        >>> layout.row_node.tolist()
        [0, 2, 1, 3, 4]
    """

    leaf_order: Tensor
    leaf_start: Tensor
    leaf_stop: Tensor
    sizes: Tensor
    row_node: Tensor
    node_row: Tensor
    jumps: Tensor
    row_leaves: Tensor
    row_offsets: Tensor
    path_rows: Tensor
    path_offsets: Tensor
    blocks: Tensor
    block_place: Tensor

    def __init__(self, hierarchy: Hierarchy) -> None:
        super().__init__()
        if not isinstance(hierarchy, Hierarchy):
            raise InputError(f"hierarchy must be a Hierarchy, got {type(hierarchy).__name__}.")
        self.hierarchy = hierarchy
        self.num_classes = hierarchy.num_classes
        self.num_nodes = len(hierarchy)
        self.max_depth = int(hierarchy.depths.max())

        self.siblings, row_node = _rows(hierarchy)
        node_row = np.empty_like(row_node)
        node_row[row_node] = np.arange(len(row_node))
        start, sizes = hierarchy.leaf_start, hierarchy.sizes
        self._weights: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}
        self._elsewhere: dict[torch.device, TreeLayout] = {}
        self._keep("leaf_order", hierarchy.leaf_order)
        self._keep("leaf_start", start)
        self._keep("leaf_stop", start + sizes)
        self._keep("sizes", sizes)
        self._keep("row_node", row_node)
        self._keep("node_row", node_row)
        self._keep("jumps", _jumps(hierarchy.parents, self.max_depth))

        steps = int(hierarchy.depths[: self.num_classes].sum())
        self.has_paths = steps <= MAX_STEPS_PER_NODE * self.num_nodes
        if self.has_paths:
            leaves, leaf_offsets = _leaves_by_row(hierarchy, row_node)
            rows, row_offsets = _rows_by_leaf(leaves, leaf_offsets, self.num_classes)
            self._keep("row_leaves", leaves, torch.int32)
            self._keep("row_offsets", leaf_offsets, torch.int32)
            self._keep("path_rows", rows, torch.int32)
            self._keep("path_offsets", row_offsets, torch.int32)

        self.block_counts, blocks, place = _dyadic_blocks(start, sizes, self.num_classes)
        self._keep("blocks", blocks)
        self._keep("block_place", place)

    def _keep(self, name: str, values: IntArray, dtype: torch.dtype = torch.int64) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=dtype), persistent=False)

    def on(self, device: torch.device) -> TreeLayout:
        """This layout if it is on that device, else a cached copy there."""
        if self.sizes.device == device:
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = TreeLayout(self.hierarchy).to(device)
        return self._elsewhere[device]

    @cached_property
    def families(self) -> Families:
        """The children of every node, as numpy arrays."""
        parents = self.hierarchy.parents[:-1]
        counts = np.bincount(parents, minlength=self.num_nodes)
        children = np.argsort(parents, kind="stable")
        return Families(counts, np.cumsum(counts) - counts, children)

    @cached_property
    def lca_table(self) -> LcaTable:
        """Where the paths to any two leaves diverge."""
        return LcaTable(self.hierarchy)

    def row_inverse_sizes(self, dtype: torch.dtype) -> Tensor:
        """One over the number of classes under each row's node; shape (nodes,)."""
        return self._cached(dtype)[0]

    def row_weights(self, dtype: torch.dtype) -> Tensor:
        """The weight of each entry of `row_leaves` in the mean of its row."""
        return self._cached(dtype)[1]

    def _cached(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        # Not buffers, so a change of the module's dtype does not round them.
        key = (dtype, self.sizes.device)
        if key not in self._weights:
            sizes = self.sizes.index_select(0, self.row_node)
            inverse = sizes.to(dtype).reciprocal()
            self._weights[key] = inverse, inverse.repeat_interleave(sizes)
        return self._weights[key]

    def extra_repr(self) -> str:
        """What a module that holds this layout prints of it."""
        return f"classes={self.num_classes}, nodes={self.num_nodes}, depth={self.max_depth}"


def _rows(tree: Hierarchy) -> tuple[tuple[Siblings, ...], IntArray]:
    """The blocks of siblings, fewest children first, and the node in each row."""
    by_arity: dict[int, list[tuple[int, ...]]] = {}
    for node in tree.inner:
        children = tree.children(node)
        by_arity.setdefault(len(children), []).append(children)
    blocks, rows = [], []
    start = 0
    for arity in sorted(by_arity):
        families = np.array(by_arity[arity])
        blocks.append(Siblings(arity, start, len(families)))
        rows.append(families.T.ravel())
        start += families.size
    return tuple(blocks), np.concatenate([*rows, [tree.root]])


def _jumps(parents: IntArray, max_depth: int) -> IntArray:
    """The ancestors 1, 2, 4, … steps above each node; shape (⌈log2(depth + 1)⌉, nodes)."""
    jump = parents.copy()
    jump[-1] = len(parents) - 1
    jumps = [jump]
    while 2 ** len(jumps) <= max_depth:
        jump = jump[jump]
        jumps.append(jump)
    return np.stack(jumps)


def _ranges(starts: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers start … start + length − 1 of all ranges, joined, and where each begins."""
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths), offsets


def _leaves_by_row(tree: Hierarchy, row_node: IntArray) -> tuple[IntArray, IntArray]:
    positions, offsets = _ranges(tree.leaf_start[row_node], tree.sizes[row_node])
    return tree.leaf_order[positions], offsets


def _rows_by_leaf(
    leaves: IntArray, offsets: IntArray, num_classes: int
) -> tuple[IntArray, IntArray]:
    """The rows on each class's path without the root, class after class: the lists transposed."""
    below_root = leaves[: offsets[-1]]
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = np.bincount(below_root, minlength=num_classes)
    path_offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return rows[np.argsort(below_root, kind="stable")], path_offsets


def _dyadic_blocks(
    starts: IntArray, sizes: IntArray, num_classes: int
) -> tuple[tuple[int, ...], IntArray, IntArray]:
    """Each node's range of leaves as a union of aligned blocks of 1, 2, 4, … leaves.

    A binary tree over the leaf order holds every aligned block, level by level, leaves first. A
    range takes at most two blocks a level, so a quantity that can't be subtracted, such as a
    log-sum-exp, takes O(log C) steps for any range.

    Returns:
        How many nodes have a first, a second, … block; the positions of these blocks in the joined
        levels, round after round, nodes with the most blocks first; and each node's place in that
        order, shape (nodes,).
    """
    width = 1 << (num_classes - 1).bit_length()
    low, high = starts.copy(), starts + sizes
    rounds: list[tuple[IntArray, IntArray]] = []
    node = np.arange(len(starts))
    while len(node):
        # The largest block that starts at `low`, limited by its alignment and the range's end.
        aligned = np.where(low == 0, width, low & -low)
        level = np.log2(np.minimum(aligned, high - low)).astype(np.int64)
        level_start = 2 * width - (2 * width >> level)
        rounds.append((node, level_start + (low >> level)))
        low = low + (1 << level)
        more = low < high
        node, low, high = node[more], low[more], high[more]

    blocks_of = np.bincount(np.concatenate([node for node, _ in rounds]))
    order = np.argsort(-blocks_of, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    indices = [block[np.argsort(place[node])] for node, block in rounds]
    return tuple(map(len, indices)), np.concatenate(indices), place
