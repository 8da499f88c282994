"""A tree whose nodes have no ids yet, because its format lists them in any order."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbdt.documents import described, shortened
from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy.classes import ambiguity, canonical
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import class_list


@dataclass(frozen=True)
class UnorderedTree:
    """Nodes 0 … n-1 in any order, with one root and no cycles.

    Attributes:
        parents: −1 at the root.
        names: ``""`` for none.
        heights: the merge heights, or None.
        describe: what an error calls a node, in the words of the format.
    """

    parents: Sequence[int]
    names: Sequence[str]
    heights: Sequence[float] | None
    attributes: Sequence[Mapping[str, Any]]
    describe: Callable[[int], str]

    def hierarchy(self, classes: Sequence[str] | None, index: Mapping[int, int]) -> Hierarchy:
        """The tree with its nodes in order: leaves, then inner nodes, the root last.

        Leaves are ordered by `classes`, if given; else by their `index`, if each has its own; else
        they keep their order. Inner nodes are ordered by `index` likewise, else bottom-up: each
        after its children, siblings by the lowest class under them.
        """
        if len(self.parents) < 3:
            raise HierarchyError(
                "a tree needs at least two classes and a root, that is 3 nodes; got "
                f"{len(self.parents)}."
            )
        children: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                children[parent].append(node)
        for node, below in enumerate(children):
            if len(below) == 1:
                raise HierarchyError(
                    f"{self.describe(node)} has only one child; an inner node needs at least "
                    "two, or there is nothing to decide."
                )
        leaves = [node for node, below in enumerate(children) if not below]
        if classes is None:
            leaves = _by_index(leaves, index) or leaves
        else:
            leaves = self._by_class(leaves, classes)
        inner = [node for node, below in enumerate(children) if below]
        inner = _by_index(inner, index) or self._bottom_up(leaves, children)
        root = self.parents.index(-1)
        order = [*leaves, *(node for node in inner if node != root), root]
        new_id = {node: new for new, node in enumerate(order)} | {-1: -1}
        try:
            return Hierarchy(
                [new_id[self.parents[node]] for node in order],
                [self.names[node] for node in order],
                merge_heights=None if self.heights is None else [self.heights[v] for v in order],
                attributes={new_id[node]: self.attributes[node] for node in order},
            )
        except HierarchyError as error:
            raise HierarchyError(shortened(str(error))) from None

    def _by_class(self, leaves: Sequence[int], classes: Sequence[str]) -> list[int]:
        leaf_of: dict[str, int] = {}
        for leaf in leaves:
            if leaf_of.setdefault(canonical(self.names[leaf]), leaf) != leaf:
                raise HierarchyError(
                    f"two leaves are called {described(self.names[leaf])}; give them different "
                    "names, as nbdt.hierarchy.distinct_names does."
                )
        classes = [canonical(name) if isinstance(name, str) else name
                   for name in class_list(classes)]  # fmt: skip
        if len(set(classes)) < len(classes):
            raise InputError("classes has a name twice; every class needs a name of its own.")
        missing = [name for name in classes if name not in leaf_of]
        if missing:
            if several := ambiguity(str(missing[0]), leaf_of):
                raise InputError(f"{several}.")
            close = difflib.get_close_matches(str(missing[0])[:100], list(leaf_of), n=1)
            hint = f"; did you mean {described(close[0])}?" if close else "."
            raise InputError(f"no leaf is called {described(missing[0])}{hint}")
        if len(classes) < len(leaf_of):
            extra = next(name for name in leaf_of if name not in set(classes))
            raise InputError(f"the leaf {described(extra)} is not one of the classes given.")
        return [leaf_of[name] for name in classes]

    def _bottom_up(self, leaves: Sequence[int], children: Sequence[Sequence[int]]) -> list[int]:
        # This order follows from the topology and the order of the classes alone, so that two
        # files of one tree give one numbering, however they are laid out.
        lowest = [len(self.parents)] * len(self.parents)
        for rank, leaf in enumerate(leaves):
            lowest[leaf] = rank
        top_down = [self.parents.index(-1)]
        for node in top_down:
            top_down.extend(children[node])
        for node in reversed(top_down[1:]):
            lowest[self.parents[node]] = min(lowest[self.parents[node]], lowest[node])
        # A preorder that takes siblings from the highest to the lowest, read backwards.
        stack, order = [top_down[0]], []
        while stack:
            order.append(stack.pop())
            stack.extend(sorted(children[order[-1]], key=lowest.__getitem__))
        return [node for node in reversed(order) if children[node]]


def _by_index(nodes: Sequence[int], index: Mapping[int, int]) -> list[int] | None:
    known = {index[node]: node for node in nodes if node in index}
    return [known[key] for key in sorted(known)] if len(known) == len(nodes) else None


def linked_parents(
    n: int, edges: Iterable[tuple[int, int]], describe: Callable[[int], str]
) -> list[int]:
    """The parent of every node, −1 at the root, from the (parent, child) edges of a graph."""
    if n == 0:
        raise FormatError("the graph has no nodes; a tree needs at least two classes and a root.")
    parents = [-1] * n
    for parent, child in edges:
        if parents[child] >= 0:
            raise FormatError(
                f"{describe(child)} has two parents, {describe(parents[child])} and "
                f"{describe(parent)}; in a tree every node has one."
            )
        parents[child] = parent
    roots = [node for node in range(n) if parents[node] < 0]
    if len(roots) > 1:
        raise FormatError(
            f"a tree has one root, but {describe(roots[0])} and {describe(roots[1])} both have "
            "no parent."
        )

    # Up from every node, each node visited once: what does not end at the root is a cycle.
    reached = [parent < 0 for parent in parents]
    for start in range(n):
        walked: dict[int, None] = {}
        node = start
        while not reached[node]:
            if node in walked:
                raise FormatError(f"{describe(node)} is its own ancestor; a tree has no cycles.")
            walked[node] = None
            node = parents[node]
        for node in walked:
            reached[node] = True
    return parents
