"""A tree as a JSON-able dict: schema ``nbdt.hierarchy/1``, documented in hierarchies/README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdt.documents import (
    MAX_INTEGER,
    described,
    encodable,
    json_value,
    shortened,
)
from nbdt.errors import FormatError, HierarchyError
from nbdt.hierarchy.tree import Hierarchy

SCHEMA = "nbdt.hierarchy/1"

_KEYS = ("schema", "parents", "names", "merge_heights", "attributes")


def to_dict(tree: Hierarchy) -> dict[str, Any]:
    """The tree as a dict that `json.dumps` takes; `from_dict` gives the same tree back.

    Raises:
        FormatError: an attribute or a name is something that JSON cannot hold. (A tuple becomes
            a list, a number of numpy one of Python.)

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> to_dict(tree)
        {'schema': 'nbdt.hierarchy/1', 'parents': [3, 3, 4, 4, -1],
         'names': ['cat', 'dog', 'car', '', '']}
        >>> from_dict(to_dict(tree)) == tree
        True
    """
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "parents": tree.parents.tolist(),
        "names": [encodable(name, f"the name of node {v}") for v, name in enumerate(tree.names)],
    }
    if tree.merge_heights is not None:
        document["merge_heights"] = tree.merge_heights.tolist()
    attributes = {
        str(node): _attributes(node, values)
        for node in range(len(tree))
        if (values := tree.attributes(node))
    }
    if attributes:
        document["attributes"] = attributes
    return document


def from_dict(document: Mapping[str, Any]) -> Hierarchy:
    """The tree that `to_dict` made into a dict, or that a file of that schema holds.

    The document may come from a stranger: every type and range is checked, and unknown keys are
    refused. Nothing of it is shared with the tree.

    Raises:
        FormatError: the document is not of this schema; the message names the place.
        HierarchyError: its parents, names or heights are not those of a tree of classes.

    Example:
        >>> from_dict({"schema": SCHEMA, "parents": [2, 2, -1], "names": ["cat", "dog", ""]})
        Hierarchy(2 classes, 3 nodes, depth 1: cat, dog)
    """
    if not isinstance(document, Mapping):
        raise FormatError(f"a hierarchy is a JSON object, got {described(document)}.")
    _check_schema(document)
    unknown = [key for key in document if key not in _KEYS]
    if unknown:
        raise FormatError(
            f"a hierarchy has no key {described(unknown[0])}; its keys are {', '.join(_KEYS)}."
        )

    parents = _list(document, "parents")
    n = len(parents)
    for node, parent in enumerate(parents):
        if type(parent) is not int or not -1 <= parent < n:
            raise FormatError(
                f"parents[{node}] is {described(parent)}; expected -1 (the root) or a node, 0 to "
                f"{n - 1}."
            )
    names = _list(document, "names")
    if len(names) != n:
        raise FormatError(f"{n} nodes need {n} names ('' for none), got {len(names)}.")
    for node, name in enumerate(names):
        if not isinstance(name, str):
            raise FormatError(f"names[{node}] is {described(name)}; expected a text.")
        encodable(name, f"names[{node}]")
    heights = _list(document, "merge_heights") if "merge_heights" in document else None
    for node, height in enumerate(heights or ()):
        if type(height) is not float and not (type(height) is int and abs(height) <= MAX_INTEGER):
            raise FormatError(f"merge_heights[{node}] is {described(height)}; expected a number.")
    attributes = _numbered(document.get("attributes", {}), n)
    try:
        return Hierarchy(parents, names, merge_heights=heights, attributes=attributes)
    except HierarchyError as error:
        # Names come from the document, so a message that quotes one may be of any length.
        raise HierarchyError(shortened(str(error))) from None


def _check_schema(document: Mapping[str, Any]) -> None:
    schema = document.get("schema")
    if schema == SCHEMA:
        return
    if schema is None and "nodes" in document and ("links" in document or "edges" in document):
        raise FormatError(
            "this looks like a graph of the 2020 release; read it and its list of wnids with "
            "nbdt.hierarchy.formats.from_2020."
        )
    raise FormatError(f"the schema is {described(schema)}; this version of nbdt reads {SCHEMA!r}.")


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    values = document.get(key)
    if not isinstance(values, list):
        found = described(values) if key in document else "nothing"
        raise FormatError(f"{key} has to be a list, got {found}.")
    return values


def _numbered(attributes: object, n: int) -> dict[int, dict[str, Any]]:
    """The attributes by node id; JSON has texts as keys only."""
    if not isinstance(attributes, Mapping):
        raise FormatError(f"attributes has to be an object, got {described(attributes)}.")
    numbered: dict[int, dict[str, Any]] = {}
    for key, values in attributes.items():
        # "07", "+7" or "７" would make two keys for one node.
        if not (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 19):
            raise FormatError(f"attributes has the key {described(key)}; expected a node id.")
        node = int(key)
        if str(node) != key or node >= n:
            raise FormatError(
                f"attributes has the key {described(key)}; expected a node id, 0 to {n - 1}."
            )
        numbered[node] = _attributes(node, values)
    return numbered


def _attributes(node: int, values: object) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise FormatError(
            f"the attributes of node {node} have to be an object, got {described(values)}."
        )
    copied: dict[str, Any] = json_value(values, f"an attribute of node {node}")
    return copied
