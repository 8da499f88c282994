"""The checks that make a list of parents a tree of classes; each names the offending node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, NoReturn, TypeGuard

import numpy as np
import numpy.typing as npt

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.classes import canonical, checked_distinct

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Attributes = Mapping[str, Any]


def frozen(values: Sequence[int] | IntArray) -> IntArray:
    """A read-only copy, as int64."""
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array


def is_integer(value: object) -> TypeGuard[int]:
    """Whether this is an integer of Python or numpy, and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def class_list(classes: object, expected: str = "a list of names") -> list[str]:
    """The names of the classes as a list; one string, or a set, which has no order, is refused."""
    if isinstance(classes, str | Set) or not isinstance(classes, Iterable):
        got = f"one text: {classes!r:.80}" if isinstance(classes, str) else f"{classes!r:.80}"
        raise InputError(f"the classes must be {expected}, got {got}.")
    return list(classes)


def class_names(classes: object, wnids: Sequence[str] = ()) -> list[str]:
    """As `class_list`, with equal names made distinct."""
    return checked_distinct(class_list(classes), wnids)


def checked_parents(parents: Sequence[int] | IntArray) -> IntArray:
    """The parents as an array: in range, with one root, which is last."""
    try:
        array = np.asarray(parents)
    except (TypeError, ValueError):
        raise HierarchyError("parents must be one flat list of node ids.") from None
    if not array.size:
        raise HierarchyError("a tree needs at least two classes and a root; got no nodes.")
    if array.ndim != 1:
        raise HierarchyError(
            f"parents must be one flat list of integers, got {array.ndim} dimensions."
        )
    if array.dtype.kind not in "iu":
        # numpy has made one type of them all, so the values are looked at as they were given.
        odd = (v for v, p in enumerate(parents) if not is_integer(p) or abs(int(p)) >= 2**63)
        node = next(odd, 0)
        raise HierarchyError(
            f"node {node} has parent {parents[node]!r}; parents must be a list of integers."
        )
    n = len(array)
    if n < 3:
        raise HierarchyError(
            f"a tree needs at least two classes and a root, that is 3 nodes; got {n}."
        )
    wrong = np.flatnonzero((array < -1) | (array >= n))
    if len(wrong):
        node = wrong[0]
        raise HierarchyError(
            f"node {node} has parent {array[node]}; parents are -1 (the root) or 0 to {n - 1}."
        )
    roots = np.flatnonzero(array == -1)
    if len(roots) != 1:
        found = f"nodes {roots[:5].tolist()}" if len(roots) else "none"
        raise HierarchyError(f"a tree has exactly one root (parent -1); found {found}.")
    if roots[0] != n - 1:
        raise HierarchyError(f"the root must be the last node, {n - 1}, but it is {roots[0]}.")
    return frozen(array)


def children_by_parent(parents: IntArray) -> tuple[IntArray, IntArray]:
    """All children by parent, then id, and where each parent's begin (nodes + 1 entries)."""
    n = len(parents)
    order = np.argsort(parents[:-1], kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(parents[:-1], minlength=n))])
    return frozen(order), frozen(start)


def checked_leaves(child_start: IntArray) -> int:
    """The number of classes: the nodes without children, which come first."""
    counts = np.diff(child_start)
    num_classes = int(np.count_nonzero(counts == 0))
    misplaced = np.flatnonzero(counts[:num_classes])
    if len(misplaced):
        late = int(np.flatnonzero(counts[num_classes:] == 0)[0]) + num_classes
        raise HierarchyError(
            f"the leaves must be the first {num_classes} nodes, but node {misplaced[0]} has "
            f"children and node {late} has none."
        )
    return num_classes


def check_branching(child_start: IntArray) -> None:
    """Refuses an inner node with one child."""
    single = np.flatnonzero(np.diff(child_start) == 1)
    if len(single):
        raise HierarchyError(
            f"node {single[0]} has only one child; an inner node needs at least two, or there "
            "is nothing to decide (nbdt.hierarchy.edit.collapse_unary leaves such nodes out)."
        )


def raise_cycle(parents: list[int], reached: list[int]) -> NoReturn:
    """Names a node that is its own ancestor; `reached` are the nodes under the root."""
    lost = set(range(len(parents))).difference(reached)
    node, seen = min(lost), set()
    while node not in seen:
        seen.add(node)
        node = parents[node]
    raise HierarchyError(f"node {node} is its own ancestor; a tree has no cycles.")


def checked_names(names: Sequence[str], num_classes: int, n: int) -> tuple[str, ...]:
    """A name for every node; the names of the classes are unique and not blank."""
    if isinstance(names, str | Set):
        got = "one text" if isinstance(names, str) else f"{names!r:.80}, which has no order"
        raise HierarchyError(f"names must be a list of names, got {got}.")
    try:
        given = tuple(names)
    except TypeError:
        raise HierarchyError(f"names must be a list of names, got {names!r}.") from None
    if len(given) not in (num_classes, n):
        raise HierarchyError(
            f"{num_classes} classes and {n} nodes need {num_classes} or {n} names; "
            f"got {len(given)}."
        )
    first_of: dict[str, int] = {}
    for node, name in enumerate(given):
        if not isinstance(name, str):
            raise HierarchyError(f"the name of node {node} must be a text, got {name!r}.")
        if node >= num_classes:
            continue
        if not name.strip():
            raise HierarchyError(f"class {node} has no name.")
        if first_of.setdefault(canonical(name), node) != node:
            raise HierarchyError(
                f"classes {first_of[canonical(name)]} and {node} are both called {name!r}; "
                "nbdt.hierarchy.distinct_names sets equal names apart."
            )
    return given + ("",) * (n - len(given))


def checked_heights(
    heights: Sequence[float] | FloatArray | None, num_classes: int, n: int
) -> FloatArray | None:
    """The merge heights as an array: finite, not negative, 0 at the leaves."""
    if heights is None:
        return None
    try:
        given = np.asarray(heights)
    except (TypeError, ValueError):
        given = np.array(None)
    if given.dtype.kind not in "iuf":
        raise HierarchyError("merge_heights must be a flat list of numbers.")
    array = given.astype(np.float64)
    if array.shape != (n,):
        raise HierarchyError(
            f"merge_heights needs one number a node, {n}; got shape {array.shape}."
        )
    wrong = np.flatnonzero(~np.isfinite(array) | (array < 0))
    if len(wrong):
        raise HierarchyError(
            f"the merge height of node {wrong[0]} is {array[wrong[0]]}; it must be finite and "
            "not negative."
        )
    high = np.flatnonzero(array[:num_classes])
    if len(high):
        raise HierarchyError(f"class {high[0]} joins nothing, so its merge height must be 0.")
    array.flags.writeable = False
    return array


def checked_attributes(
    attributes: Mapping[int, Attributes] | None, n: int
) -> Mapping[int, Attributes]:
    """A read-only copy of the attributes, without empty entries."""
    if not isinstance(attributes, Mapping | None):
        raise HierarchyError(f"attributes must be a mapping by node, got {attributes!r}.")
    checked: dict[int, Attributes] = {}
    for node, values in (attributes or {}).items():
        if not is_integer(node) or not 0 <= node < n:
            raise HierarchyError(f"attributes has the key {node!r}; nodes are 0 to {n - 1}.")
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise HierarchyError(
                f"the attributes of node {node} must be a mapping with texts as keys."
            )
        if values:
            checked[int(node)] = MappingProxyType(dict(values))
    return MappingProxyType(checked)
