"""Trees of the 2020 release (``pip install nbdt``, 0.0.4): node-link JSON and a list of wnids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nbdt.documents import described, encodable, shortened
from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy.formats.unordered_tree import linked_parents
from nbdt.hierarchy.table import prune
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import class_list

_WNID = re.compile(r"n[0-9]{8}")


def from_2020(
    graph: Mapping[str, Any],
    wnids: str | Sequence[str],
    classes: Sequence[str] | None = None,
) -> Hierarchy:
    """The tree that the NBDT release of 2020 wrote as ``graph-*.json`` and ``<dataset>.txt``.

    Its graphs are networkx's node-link data with wnids as keys; the list of wnids gives the
    order of the classes. Here

    - leaf i is the node of the i-th wnid; inner nodes follow in the order of the file, so that
      in an induced tree ``f00000013`` becomes node 13;
    - names are the file's labels as they are, except that made-up ones, as ``(generated)``, are
      left out; classes without a label, or that share one, are told apart by their wnid;
    - wnids are kept as attributes; ids that are none (``f00000013``) are not;
    - chains of single children, as of graphs made with ``--no-prune``, are cut down to the
      lowest node, which is how that release pruned.

    Args:
        graph: the parsed JSON; links may be called ``links`` or, as newer versions of networkx
            write them, ``edges``.
        wnids: the list of wnids in class order, or the text of its file, one a line.
        classes: names for the classes, instead of the file's labels.

    Raises:
        FormatError: the graph is no tree (as those of ``--multi-path``), or its leaves are not
            the wnids.
        InputError: the wnids are not unique, or `classes` not as many.

    Example:
        >>> graph = {
        ...     "directed": True, "multigraph": False, "graph": {},
        ...     "nodes": [{"id": "n02121620", "label": "cat"}, {"id": "n02958343", "label": "car"},
        ...               {"id": "n02084071", "label": "dog"}, {"id": "f00000003"},
        ...               {"id": "f00000004", "label": "(generated)"}],
        ...     "links": [{"source": "f00000003", "target": "n02121620"},
        ...               {"source": "f00000003", "target": "n02084071"},
        ...               {"source": "f00000004", "target": "n02958343"},
        ...               {"source": "f00000004", "target": "f00000003"}]}
        >>> tree = from_2020(graph, ["n02121620", "n02958343", "n02084071"])
        >>> tree
        Hierarchy(3 classes, 5 nodes, depth 2: cat, car, dog)
        >>> tree.leaves(3), tree.attributes(0)["wnid"]
        ((0, 2), 'n02121620')
    """
    order = _listed(wnids)
    ids, labels = _nodes(graph)
    position = {key: node for node, key in enumerate(ids)}

    def describe(node: int) -> str:
        return f"node {described(ids[node])}"

    parents = linked_parents(len(ids), _links(graph, position), describe)
    _check_leaves(order, position, set(parents))
    leaves = [position[wnid] for wnid in order]
    leaf_names = _class_names(order, [labels[leaf] for leaf in leaves], classes)
    # As a Hierarchy has them: the leaves first, the root last.
    inner = [node for node in sorted(set(parents) - {-1}) if parents[node] >= 0]
    nodes = [*leaves, *inner, parents.index(-1)]
    new_id = {node: new for new, node in enumerate(nodes)} | {-1: -1}
    try:
        return prune(
            [new_id[parents[node]] for node in nodes],
            [*leaf_names, *(labels[node] for node in nodes[len(leaves) :])],
            attributes={
                new: {"wnid": ids[node]}
                for new, node in enumerate(nodes)
                if _WNID.fullmatch(ids[node])
            },
        )
    except HierarchyError as error:
        raise HierarchyError(shortened(str(error))) from None


def _listed(wnids: str | Sequence[str]) -> list[str]:
    lines = wnids.splitlines() if isinstance(wnids, str) else list(wnids)
    for line, wnid in enumerate(lines):
        if not isinstance(wnid, str):
            raise InputError(f"wnid {line} is {described(wnid)}; expected a text.")
    order = [line.strip() for line in lines if line.strip()]
    twice = [wnid for wnid, count in Counter(order).items() if count > 1]
    if twice:
        raise InputError(f"the list of wnids has {described(twice[0])} twice.")
    return order


def _nodes(graph: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The ids and the labels of the nodes, ``""`` where there is none or a made-up one."""
    if not isinstance(graph, Mapping) or not isinstance(graph.get("nodes"), list):
        raise FormatError("a graph of 2020 is a JSON object with a list of nodes.")
    if graph.get("directed", True) is not True:
        raise FormatError("the graph is not directed; its links have to lead from parent to child.")
    ids, labels = [], []
    for place, node in enumerate(graph["nodes"]):
        key = node.get("id") if isinstance(node, Mapping) else None
        if not isinstance(key, str):
            raise FormatError(f"nodes[{place}] has no id that is a text.")
        label = node.get("label", "")
        if not isinstance(label, str):
            raise FormatError(f"the label of nodes[{place}] is {described(label)}, not a text.")
        ids.append(encodable(key, f"the id of nodes[{place}]"))
        labels.append("" if label.startswith("(") else encodable(label, "a label"))
    twice = [key for key, count in Counter(ids).items() if count > 1]
    if twice:
        raise FormatError(f"two nodes have the id {described(twice[0])}.")
    return ids, labels


def _links(graph: Mapping[str, Any], position: Mapping[str, int]) -> list[tuple[int, int]]:
    links = graph.get("links", graph.get("edges"))
    if not isinstance(links, list):
        raise FormatError("a graph of 2020 has a list of links (or edges).")
    pairs = []
    for place, link in enumerate(links):
        if not isinstance(link, Mapping):
            raise FormatError(f"links[{place}] is {described(link)}; expected an object.")
        ends = []
        for end in ("source", "target"):
            key = link.get(end)
            if not isinstance(key, str) or key not in position:
                raise FormatError(f"the {end} of links[{place}] is {described(key)}, no node.")
            ends.append(position[key])
        pairs.append((ends[0], ends[1]))
    return pairs


def _check_leaves(order: Sequence[str], position: Mapping[str, int], inner: set[int]) -> None:
    """Refuses a graph whose leaves are not exactly the listed wnids."""
    for i, wnid in enumerate(order):
        if wnid not in position:
            raise FormatError(f"class {i}, {described(wnid)}, is no node of the graph.")
        if position[wnid] in inner:
            raise FormatError(f"class {i}, {described(wnid)}, has children, so it is no leaf.")
    listed = set(order)
    extra = [key for key, node in position.items() if node not in inner and key not in listed]
    if extra:
        raise FormatError(
            f"the leaf {described(extra[0])} is not in the list of wnids; is it the list of "
            "another data set?"
        )


def _class_names(
    order: Sequence[str], labels: Sequence[str], classes: Sequence[str] | None
) -> list[str]:
    if classes is not None:
        names = class_list(classes)
        if len(names) != len(order):
            raise InputError(f"{len(order)} wnids need {len(order)} classes, got {len(names)}.")
        return names
    count = Counter(labels)
    return [
        (label if count[label] == 1 else f"{label} ({wnid})") if label.strip() else wnid
        for wnid, label in zip(order, labels, strict=True)
    ]
