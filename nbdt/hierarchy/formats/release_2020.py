"""Trees of the 2020 release (``pip install nbdt``, 0.0.4): node-link JSON and a list of wnids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nbdt.documents import described, encodable, shortened
from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy.classes import distinct_names
from nbdt.hierarchy.formats.graph import describe_by, is_graph, parsed_graph
from nbdt.hierarchy.formats.registry import Format
from nbdt.hierarchy.formats.unordered_tree import linked_parents
from nbdt.hierarchy.rebuild import collapse_unary
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import class_names

_WNID = re.compile(r"n[0-9]{8}")


def from_2020(
    graph: Mapping[str, Any],
    wnids: str | Sequence[str],
    classes: Sequence[str] | None = None,
) -> Hierarchy:
    """The tree that the NBDT release of 2020 wrote as ``graph-*.json`` and ``<dataset>.txt``.

    Its graphs are networkx's node-link data (edges as ``links`` or ``edges``) with wnids as keys;
    the list of wnids, or the text of its file with one per line, gives the order of the classes.

    - Leaf i is the node of the i-th wnid; inner nodes follow in the order of the file, so that in
      an induced tree ``f00000013`` becomes node 13.
    - Names are the file's labels, except for generated ones such as ``(generated)``; `classes`
      replaces those of the classes. Classes without a label are named by their wnid; labels that
      several classes share are followed by it.
    - Wnids are kept as attributes; generated ids (``f00000013``) are not.
    - Chains of single children (from ``--no-prune``) are reduced to the lowest node, as that
      release did.

    Raises:
        FormatError: the graph is not a tree (as from ``--multi-path``), or its leaves are not
            the wnids.
        InputError: the wnids are not unique, or `classes` has another length.
    """
    order = _wnid_list(wnids)
    ids, attributes, edges = parsed_graph(graph)
    labels = [_label(known, place) for place, known in enumerate(attributes)]
    parents = linked_parents(len(ids), edges, describe_by(ids))
    leaves = _leaves(order, ids, set(parents))
    leaf_names = _class_names(order, [labels[leaf] for leaf in leaves], classes)
    inner = [node for node in sorted(set(parents) - {-1}) if parents[node] >= 0]
    nodes = [*leaves, *inner, parents.index(-1)]
    new_id = {node: new for new, node in enumerate(nodes)} | {-1: -1}
    try:
        return collapse_unary(
            [new_id[parents[node]] for node in nodes],
            [*leaf_names, *(labels[node] for node in nodes[len(leaves) :])],
            attributes={
                new: {"wnid": ids[node]}
                for new, node in enumerate(nodes)
                if _WNID.fullmatch(str(ids[node]))
            },
        )
    except HierarchyError as error:
        raise HierarchyError(shortened(str(error))) from None


def _wnid_list(wnids: str | Sequence[str]) -> list[str]:
    lines = wnids.split("\n") if isinstance(wnids, str) else list(wnids)
    for line, wnid in enumerate(lines):
        if not isinstance(wnid, str):
            raise InputError(f"wnid {line} is {described(wnid)}; expected a text.")
    order = [line.strip() for line in lines if line.strip()]
    twice = [wnid for wnid, count in Counter(order).items() if count > 1]
    if twice:
        raise InputError(f"the list of wnids has {described(twice[0])} twice.")
    return order


def _label(attributes: Mapping[str, Any], place: int) -> str:
    label = attributes.get("label", "")
    if not isinstance(label, str):
        raise FormatError(f"the label of nodes[{place}] is {described(label)}, not a text.")
    return "" if label.startswith("(") else encodable(label, "a label")


def _leaves(order: Sequence[str], ids: Sequence[str | int], inner: set[int]) -> list[int]:
    """The node of each wnid; the graph's leaves must be exactly these."""
    position = {key: node for node, key in enumerate(ids)}
    for i, wnid in enumerate(order):
        if wnid not in position:
            raise FormatError(f"class {i}, {described(wnid)}, is not a node of the graph.")
        if position[wnid] in inner:
            raise FormatError(f"class {i}, {described(wnid)}, has children, so it is not a leaf.")
    expected = set(order)
    extra = [key for key, node in position.items() if node not in inner and key not in expected]
    if extra:
        raise FormatError(
            f"the leaf {described(extra[0])} is not in the list of wnids; does the list belong to "
            "another data set?"
        )
    return [position[wnid] for wnid in order]


def _class_names(
    order: Sequence[str], labels: Sequence[str], classes: Sequence[str] | None
) -> list[str]:
    if classes is not None:
        names = class_names(classes, order)
        if len(names) != len(order):
            raise InputError(f"{len(order)} wnids need {len(order)} classes, got {len(names)}.")
        return names
    return distinct_names(labels, order)


FORMAT = Format(
    "2020",
    (".json",),
    lambda graph, classes, wnids: from_2020(graph, wnids, classes),
    recognizes=is_graph,
    needs_wnids=True,
)
