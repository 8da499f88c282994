"""A tree as a `networkx.DiGraph`, and as the node-link JSON that networkx and d3.js read and write.

Edges lead from parent to child.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from nbdt.documents import described, encodable, json_value
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.formats.registry import Format
from nbdt.hierarchy.formats.unordered_tree import UnorderedTree, linked_parents
from nbdt.hierarchy.tree import Hierarchy

if TYPE_CHECKING:
    import networkx as nx

    Graph = nx.DiGraph[Any]

_OWN = ("index", "name", "merge_height")


def to_networkx(tree: Hierarchy) -> Graph:
    """The tree as a graph of nodes 0 … n-1, with an edge from every parent to its children.

    Each node has its id as ``index`` (which survives `networkx.relabel_nodes`), its ``name``
    (``""`` for none), its ``merge_height`` if the tree has them, and its attributes. Attributes
    with one of these three names raise a `FormatError`.
    """
    import networkx as nx

    graph: Graph = nx.DiGraph()
    for node, name in enumerate(tree.names):
        attributes = tree.attributes(node)
        _check_unused(node, attributes, _OWN)
        graph.add_node(node, index=node, name=name, **attributes)
        if tree.merge_heights is not None:
            graph.nodes[node]["merge_height"] = float(tree.merge_heights[node])
    graph.add_edges_from((tree.parent(node), node) for node in range(tree.root))
    return graph


def from_networkx(graph: Graph, classes: Sequence[str] | None = None) -> Hierarchy:
    """The tree of a directed graph whose edges lead from parent to child.

    A node is named by its attribute ``name``; without one, a leaf is named by its key, and so is an
    inner node whose key is a string. Other attributes are kept; ``merge_height`` on every inner
    node becomes the merge heights.

    The classes are ordered as in `classes`, if given; else by the attribute ``index``, if every
    leaf has one; else by the leaves' keys, if they are integers. Inner nodes follow, ordered by
    ``index`` or integer keys likewise, else bottom-up: each after its children, siblings by the
    lowest class under them.

    Raises:
        FormatError: the graph is not a tree, or an attribute is not valid.
        InputError: the order of the classes is unknown, or `classes` are not the leaves.
    """
    import networkx as nx

    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise InputError(
            f"expected a networkx.DiGraph with edges from parent to child, got a "
            f"{type(graph).__name__}."
        )
    position = {key: node for node, key in enumerate(graph)}
    edges = [(position[a], position[b]) for a, b in graph.edges]
    return _from_graph(list(graph), [graph.nodes[key] for key in graph], edges, classes)


def to_node_link(tree: Hierarchy) -> dict[str, Any]:
    """The tree as node-link data: the graph of `to_networkx` in a form that `json.dumps` accepts.

    Attributes called ``id``, ``index``, ``name`` or ``merge_height`` raise a `FormatError`.
    """
    graph = to_networkx(tree)
    nodes = []
    for node, values in graph.nodes(data=True):
        _check_unused(node, values, ("id",))
        nodes.append({"id": node, **json_value(values, f"an attribute of node {node}")})
    edges = [{"source": parent, "target": child} for parent, child in graph.edges]
    return {"directed": True, "multigraph": False, "graph": {}, "nodes": nodes, "edges": edges}


def from_node_link(document: Mapping[str, Any], classes: Sequence[str] | None = None) -> Hierarchy:
    """The tree of node-link data, read as `from_networkx` reads a graph.

    The edges may be called ``edges`` or, as in older versions of networkx, ``links``.
    """
    return _from_graph(*parsed_graph(document), classes)


def parsed_graph(
    document: object,
) -> tuple[list[str | int], list[Mapping[str, Any]], list[tuple[int, int]]]:
    """The ids of the nodes, their attributes, and the edges as (parent, child) indices."""
    if not isinstance(document, Mapping) or document.get("directed", True) is not True:
        raise FormatError("a tree as node-link data is a JSON object whose graph is directed.")
    position: dict[str | int, int] = {}
    attributes: list[Mapping[str, Any]] = []
    for place, node in enumerate(_objects(document, "nodes")):
        key = _key(node.get("id"), f"the id of nodes[{place}]")
        if position.setdefault(key, place) != place:
            raise FormatError(f"two nodes have the id {described(key)}.")
        attributes.append({name: value for name, value in node.items() if name != "id"})
    name = "links" if "links" in document and "edges" not in document else "edges"
    edges: dict[tuple[int, int], None] = {}
    for place, edge in enumerate(_objects(document, name)):
        ends = []
        for end in ("source", "target"):
            key = _key(edge.get(end), f"the {end} of {name}[{place}]")
            if key not in position:
                raise FormatError(f"the {end} of {name}[{place}] is {described(key)}, not a node.")
            ends.append(position[key])
        if (ends[0], ends[1]) in edges:
            raise FormatError(f"{name}[{place}] repeats an edge.")
        edges[ends[0], ends[1]] = None
    return list(position), attributes, list(edges)


def describe_by(keys: Sequence[Hashable]) -> Callable[[int], str]:
    """How errors call the node at an index of this list."""
    return lambda node: f"node {described(keys[node])}"


def _from_graph(
    keys: Sequence[Hashable],
    given: Sequence[Mapping[Any, Any]],
    edges: Sequence[tuple[int, int]],
    classes: Sequence[str] | None,
) -> Hierarchy:
    describe = describe_by(keys)
    parents = linked_parents(len(keys), edges, describe)
    is_inner = set(parents) - {-1}
    inner = sorted(is_inner)
    leaves = [node for node in range(len(keys)) if node not in is_inner]
    tree = UnorderedTree(
        parents=parents,
        names=[_name(keys[v], given[v], v not in is_inner) for v in range(len(keys))],
        heights=_heights(given, inner, describe),
        attributes=[{k: v for k, v in values.items() if k not in _OWN} for values in given],
        describe=describe,
    )
    index = {} if classes is not None else _index(leaves, keys, given)
    if classes is None and len(keys) > 2 and not index:
        raise InputError(
            "the order of the classes is unknown: give `classes`, or every leaf an attribute "
            "'index', or integers as the leaves' keys."
        )
    return tree.hierarchy(classes, index | _index(inner, keys, given))


def _check_unused(node: int, attributes: Mapping[str, Any], reserved: Sequence[str]) -> None:
    taken = [key for key in reserved if key in attributes]
    if taken:
        raise FormatError(
            f"node {node} has an attribute {taken[0]!r}, which in a graph means something else; "
            "rename it first."
        )


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
            raise FormatError(f"the merge_height of {describe(node)} is not a number.") from None
    return heights


def _index(
    nodes: Sequence[int], keys: Sequence[Hashable], given: Sequence[Mapping[Any, Any]]
) -> dict[int, Any]:
    """Where each of these nodes stands by ``index`` or integer keys; empty if they have neither."""
    for values in ([given[node].get("index") for node in nodes], [keys[node] for node in nodes]):
        if all(isinstance(v, Integral) and not isinstance(v, bool) for v in values):
            if len(set(values)) < len(values):
                raise FormatError("two nodes have the same index.")
            return dict(zip(nodes, values, strict=True))
    return {}


def _objects(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    values = document.get(key)
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise FormatError(f"node-link data has a list of objects called {key}.")
    return values


def _key(value: object, where: str) -> str | int:
    if isinstance(value, str):
        return encodable(value, where)
    if type(value) is not int:
        raise FormatError(f"{where} is {described(value)}; expected a text or a whole number.")
    return value


def _written(tree: Hierarchy) -> str:
    return json.dumps(to_node_link(tree), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def is_graph(content: object) -> bool:
    """Whether this may be node-link data."""
    return isinstance(content, dict) and "nodes" in content


FORMAT = Format("node-link", (".json",), from_node_link, _written, is_graph)
