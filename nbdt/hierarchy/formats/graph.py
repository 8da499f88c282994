"""A tree as a `networkx.DiGraph` whose edges lead from parent to child."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import networkx as nx

from nbdt.documents import described
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.formats.unordered_tree import UnorderedTree, linked_parents
from nbdt.hierarchy.tree import Hierarchy

if TYPE_CHECKING:
    # networkx's graphs take a type argument in its stubs only.
    Graph = nx.DiGraph[Any]
else:
    Graph = nx.DiGraph

_OWN = ("index", "name", "merge_height")


def to_networkx(tree: Hierarchy) -> Graph:
    """The tree as a graph of nodes 0 … n-1, with an edge from every parent to its children.

    Each node carries its id as ``index`` (which survives `networkx.relabel_nodes`), its ``name``
    (``""`` for none), its ``merge_height`` if the tree has them, and its attributes as they are.

    Raises:
        FormatError: the tree has an attribute that is itself called so.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> graph = to_networkx(tree)
        >>> sorted(graph.edges)
        [(3, 0), (3, 1), (4, 2), (4, 3)]
        >>> from_networkx(graph) == tree
        True
    """
    graph: Graph = nx.DiGraph()
    for node, name in enumerate(tree.names):
        attributes = tree.attributes(node)
        taken = [key for key in _OWN if key in attributes]
        if taken:
            raise FormatError(
                f"node {node} has an attribute {taken[0]!r}, which in a graph means something "
                "else; rename it first."
            )
        graph.add_node(node, index=node, name=name, **attributes)
        if tree.merge_heights is not None:
            graph.nodes[node]["merge_height"] = float(tree.merge_heights[node])
    graph.add_edges_from((tree.parent(node), node) for node in range(tree.root))
    return graph


def from_networkx(graph: Graph, classes: Sequence[str] | None = None) -> Hierarchy:
    """The tree that a directed graph is, its edges leading from parent to child.

    A node's name is its attribute ``name``; without one, a leaf is called as its key, and so is
    an inner node whose key is a text. All other attributes are kept, except that ``merge_height``
    on every inner node becomes the merge heights.

    The order of the classes is that of `classes`, if given; else of the attribute ``index``, if
    every leaf has one; else of the leaves' keys, if they are integers. Inner nodes follow in the
    order of ``index`` or integer keys likewise, else bottom-up: each after its children, siblings
    by the lowest class under them.

    Args:
        graph: a rooted tree; its nodes may be anything.
        classes: the names of the leaves, in the classifier's order.

    Raises:
        FormatError: the graph is no tree, or an attribute is not what it should be.
        HierarchyError: the tree is none of classes, for example as a node has one child only.
        InputError: the order of the classes is unknown, or `classes` are not the leaves.

    Example:
        >>> import networkx as nx
        >>> graph = nx.DiGraph([("thing", "car"), ("thing", "animal"),
        ...                     ("animal", "cat"), ("animal", "dog")])
        >>> from_networkx(graph, classes=["cat", "dog", "car"])
        Hierarchy(3 classes, 5 nodes, depth 2: cat, dog, car)
    """
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise InputError(
            f"expected a networkx.DiGraph with edges from parent to child, got a "
            f"{type(graph).__name__}."
        )
    keys: list[Hashable] = list(graph)
    position = {key: node for node, key in enumerate(keys)}

    def describe(node: int) -> str:
        return f"node {described(keys[node])}"

    parents = linked_parents(
        len(keys), ((position[a], position[b]) for a, b in graph.edges), describe
    )
    given: list[Mapping[Any, Any]] = [graph.nodes[key] for key in keys]
    inner = sorted(set(parents) - {-1})
    is_inner = set(inner)
    draft = UnorderedTree(
        parents=parents,
        names=[_name(keys[v], given[v], v not in is_inner) for v in range(len(keys))],
        heights=_heights(given, inner, describe),
        attributes=[{k: v for k, v in values.items() if k not in _OWN} for values in given],
        describe=describe,
    )
    leaves = draft.leaves()
    if classes is not None:
        leaves = draft.leaves_by_class(classes)
    else:
        ordered = _by_index(leaves, keys, given)
        if ordered is None:
            raise InputError(
                "the order of the classes is unknown: give `classes`, or every leaf an attribute "
                "'index', or integers as the leaves' keys."
            )
        leaves = ordered
    return draft.numbered(leaves, _by_index(inner, keys, given) or draft.bottom_up(leaves))


def _name(key: Hashable, attributes: Mapping[Any, Any], is_leaf: bool) -> str:
    name = attributes.get("name", str(key) if is_leaf or isinstance(key, str) else "")
    if not isinstance(name, str):
        raise FormatError(f"the name of node {described(key)} is {described(name)}, not a text.")
    return name


def _heights(
    given: Sequence[Mapping[Any, Any]], inner: Sequence[int], describe: Callable[[int], str]
) -> list[float] | None:
    """The merge heights, 0 at leaves that have none; None if no inner node has one."""
    missing = [node for node in inner if "merge_height" not in given[node]]
    if len(missing) == len(inner):
        return None
    if missing:
        raise FormatError(
            f"{describe(missing[0])} has no merge_height, though other inner nodes have one."
        )
    heights = []
    for node, values in enumerate(given):
        try:
            heights.append(float(values.get("merge_height", 0.0)))
        except (TypeError, ValueError, OverflowError):
            raise FormatError(f"the merge_height of {describe(node)} is no number.") from None
    return heights


def _by_index(
    nodes: Sequence[int], keys: Sequence[Hashable], given: Sequence[Mapping[Any, Any]]
) -> list[int] | None:
    """These nodes in the order of ``index`` or of integer keys; None if they have neither."""
    for values in ([given[node].get("index") for node in nodes], [keys[node] for node in nodes]):
        if all(isinstance(v, Integral) and not isinstance(v, bool) for v in values):
            if len(set(values)) < len(values):
                raise FormatError("two nodes have the same index.")
            return [node for _, node in sorted(zip(values, nodes, strict=True))]
    return None
