"""A tree as a JSON-able dict: schema ``nbdt.hierarchy/1``, documented in hierarchies/README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field

from nbdt.documents import Document, checked, described, encodable, json_value, shortened
from nbdt.errors import FormatError, HierarchyError
from nbdt.hierarchy.edit import reorder
from nbdt.hierarchy.formats.graph import is_graph
from nbdt.hierarchy.formats.registry import DEFAULT, Format
from nbdt.hierarchy.tree import Hierarchy

SCHEMA = "nbdt.hierarchy/1"

# "07", "+7" or "７" would make two keys for one node.
_NODE = re.compile(r"0|[1-9][0-9]{0,17}")


class _Record(Document):
    model_config = ConfigDict(title="the tree")

    schema_: str = Field(alias="schema")
    parents: list[int]
    names: list[str]
    merge_heights: list[float] = Field(default_factory=list)
    attributes: dict[str, dict[str, Any]] = Field(default_factory=dict)


def to_dict(tree: Hierarchy) -> dict[str, Any]:
    """The tree as a dict that `json.dumps` takes and `from_dict` reads."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "parents": tree.parents.tolist(),
        "names": [encodable(name, f"the name of node {v}") for v, name in enumerate(tree.names)],
    }
    if tree.merge_heights is not None:
        document["merge_heights"] = tree.merge_heights.tolist()
    attributes = {
        str(node): json_value(known, f"an attribute of node {node}")
        for node in range(len(tree))
        if (known := tree.attributes(node))
    }
    return document | ({"attributes": attributes} if attributes else {})


def from_dict(document: Mapping[str, Any]) -> Hierarchy:
    """The tree of a dict made by `to_dict`, or of a file with that schema.

    Every type and range is checked and unknown keys are refused, since strangers may have written
    the document. A `FormatError` names the place.
    """
    if not isinstance(document, Mapping):
        raise FormatError(f"a hierarchy is a JSON object, got {described(document)}.")
    schema = document.get("schema")
    if schema != SCHEMA:
        raise FormatError(
            "this looks like a graph of the 2020 release; read it and its list of wnids with "
            "nbdt.hierarchy.formats.from_2020."
            if schema is None and is_graph(document)
            else f"the schema is {described(schema)}; this version of nbdt reads {SCHEMA!r}."
        )
    record = checked(_Record, document)
    n = len(record.parents)
    if len(record.names) != n:
        raise FormatError(f"{n} nodes need {n} names ('' for none), got {len(record.names)}.")
    if not "".join(record.names).isascii():
        for node, name in enumerate(record.names):
            encodable(name, f"names[{node}]")
    attributes = {}
    for key, values in record.attributes.items():
        if not _NODE.fullmatch(key) or int(key) >= n:
            raise FormatError(
                f"attributes has the key {described(key)}; expected a node id, 0 to {n - 1}."
            )
        attributes[int(key)] = json_value(values, f"an attribute of node {key}")
    try:
        return Hierarchy(
            record.parents,
            record.names,
            merge_heights=record.merge_heights if "merge_heights" in document else None,
            attributes=attributes,
        )
    except HierarchyError as error:
        # The message may quote a name from the document, of any length.
        raise HierarchyError(shortened(str(error))) from None


def _read(document: Any, classes: Sequence[str] | None) -> Hierarchy:
    tree = from_dict(document)
    return tree if classes is None else reorder(tree, classes)


def _written(tree: Hierarchy) -> str:
    """JSON with a line per key, and a line per node in the attributes, so that diffs are short."""
    lines = []
    for key, value in to_dict(tree).items():
        if key == "attributes":
            nodes = ",\n".join(f"{_json(node)}: {_json(known)}" for node, known in value.items())
            lines.append(f'"attributes": {{\n{nodes}\n}}')
        else:
            lines.append(f"{_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


FORMAT = Format(DEFAULT, (".json",), _read, _written, lambda content: not is_graph(content))
