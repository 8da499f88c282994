"""A tree as networkx's node-link data: a JSON-able dict that networkx and d3.js read and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from nbdt.documents import described, encodable, json_value
from nbdt.errors import FormatError
from nbdt.hierarchy.formats.graph import from_networkx, to_networkx
from nbdt.hierarchy.tree import Hierarchy

_ENDS = ("source", "target")


def to_node_link(tree: Hierarchy) -> dict[str, Any]:
    """The tree as node-link data: the graph that `to_networkx` gives, as `json.dumps` takes it.

    Raises:
        FormatError: an attribute is called ``id``, ``index``, ``name`` or ``merge_height``, which
            mean something else there, or JSON cannot hold it.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog"])
        >>> document = to_node_link(tree)
        >>> document["nodes"][0], document["edges"][0]
        ({'id': 0, 'index': 0, 'name': 'cat'}, {'source': 2, 'target': 0})
        >>> from_node_link(document) == tree
        True
    """
    graph = to_networkx(tree)
    nodes = []
    for node, values in graph.nodes(data=True):
        if "id" in values:
            raise FormatError(f"node {node} has an attribute 'id', which is the node's own there.")
        nodes.append({"id": node, **json_value(values, f"an attribute of node {node}")})
    edges = [dict(zip(_ENDS, edge, strict=True)) for edge in graph.edges]
    return {"directed": True, "multigraph": False, "graph": {}, "nodes": nodes, "edges": edges}


def from_node_link(document: Mapping[str, Any], classes: Sequence[str] | None = None) -> Hierarchy:
    """The tree that node-link data holds; see `from_networkx` for what becomes of it.

    Args:
        document: the parsed JSON, which may come from a stranger; its edges may be called
            ``edges`` or, as by older versions of networkx, ``links``.
        classes: the names of the leaves, in the classifier's order.

    Raises:
        FormatError: this is no node-link data, or the graph is no tree.
        HierarchyError: the tree is none of classes.
        InputError: the order of the classes is unknown, or `classes` are not the leaves.

    Example:
        >>> nodes = [{"id": name} for name in ("thing", "cat", "dog")]
        >>> edges = [{"source": "thing", "target": name} for name in ("cat", "dog")]
        >>> from_node_link({"nodes": nodes, "links": edges}, classes=["dog", "cat"])
        Hierarchy(2 classes, 3 nodes, depth 1: dog, cat)
    """
    if not isinstance(document, Mapping) or document.get("directed", True) is not True:
        raise FormatError("a tree as node-link data is a JSON object whose graph is directed.")
    graph: Any = nx.DiGraph()
    for place, node in enumerate(_objects(document, "nodes")):
        key = _key(node.get("id"), f"the id of nodes[{place}]")
        if key in graph:
            raise FormatError(f"two nodes have the id {described(key)}.")
        graph.add_node(key)
        graph.nodes[key].update((name, value) for name, value in node.items() if name != "id")
    edges = "links" if "links" in document and "edges" not in document else "edges"
    for place, edge in enumerate(_objects(document, edges)):
        ends = [_key(edge.get(end), f"the {end} of {edges}[{place}]") for end in _ENDS]
        for key in ends:
            if key not in graph:
                raise FormatError(f"{edges}[{place}] leads to or from {described(key)}, no node.")
        if graph.has_edge(*ends):
            raise FormatError(f"{edges}[{place}] is there twice.")
        graph.add_edge(*ends)
    return from_networkx(graph, classes)


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
