"""A tree in the Newick format, which phylogenetic drawing programs read.

Names, topology and branch lengths follow Olsen ("Gary Olsen's Interpretation of the Newick's 8:45
Tree Format Standard", 1990). Everything else is kept in notes: comments in the New Hampshire X
style, which other readers skip.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from nbdt.documents import checked_counts, described, json_value, parsed_json
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.formats.registry import Format
from nbdt.hierarchy.formats.unordered_tree import UnorderedTree
from nbdt.hierarchy.tree import Hierarchy

MAX_COMMAS = 500_000
"""How many commas a text may hold; a tree of 100,000 classes has one per class."""

_NOTE = "&&NHX:"
_PLAIN_NAME = re.compile(r"[^\s()\[\]{}':;,_]+")
_TOKEN = re.compile(
    r"""\s*+(?:
        (?P<quoted>'[^']*+(?:''[^']*+)*+')
        |(?P<mark>[(),:;\[])
        |(?P<word>[^\s()\[\]':;,]++)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ENTRY = re.compile(r"(?<![^:])(nbdt_[a-z]+)=([^:]*+)")
_BRACKET = re.compile(r"[\[\]]")

# How far the leaves' distances from the root may differ, relative to the largest.
_ROUNDING = 1e-6


def to_newick(tree: Hierarchy, *, notes: bool = True) -> str:
    """The tree as one line of Newick that ends with a semicolon.

    Merge heights become branch lengths: a node's length is its parent's height minus its own.
    `notes` adds each node's id, exact merge height and attributes as a comment, so that
    `from_newick` gives exactly the same tree.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["tabby cat", "dog", "car", "animal", ""])
        >>> to_newick(tree, notes=False)
        "(car,('tabby cat',dog)animal);"
    """
    parts: list[str] = []
    stack: list[int | str] = [";", tree.root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        label = (
            _quoted(tree.names[item]) + _length(tree, item) + (_note(tree, item) if notes else "")
        )
        children = tree.children(item)
        if not children:
            parts.append(label)
            continue
        parts.append("(")
        stack.append(")" + label)
        for child in reversed(children[1:]):
            stack += [child, ","]
        stack.append(children[0])
    return "".join(parts)


def from_newick(text: str, classes: Sequence[str] | None = None) -> Hierarchy:
    """The tree of one line of Newick, of at most 64 million characters.

    The classes are ordered as in `classes`, if given; else by the ids in `to_newick`'s notes, if
    every leaf has one; else by appearance. Inner nodes follow, ordered by the noted ids, else
    bottom-up: each after its children, siblings by the lowest class under them.

    Merge heights are the noted ones, else each node's distance to the leaves under it, if the
    branch lengths put all leaves equally far from the root (to 1e-6); else there are none.
    As the format defines, an underscore outside quotes is a space. A `FormatError` gives the place.
    """
    if not isinstance(text, str):
        raise InputError(f"a Newick tree is a text, got {described(text)}.")
    checked_counts(text, "([", max_commas=MAX_COMMAS)
    nodes = _parsed(text)
    tree = UnorderedTree(
        parents=[node.parent for node in nodes],
        names=[node.name for node in nodes],
        heights=_noted_heights(nodes) or _summed_heights(nodes),
        attributes=[node.attributes or {} for node in nodes],
        describe=lambda node: f"the node at character {nodes[node].start + 1}",
    )
    noted = {v: node.noted_id for v, node in enumerate(nodes) if node.noted_id is not None}
    return tree.hierarchy(classes, noted)


# ── writing ───────────────────────────────────────────────────────────────────────────────────


def _quoted(name: str) -> str:
    if not name or _PLAIN_NAME.fullmatch(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def _length(tree: Hierarchy, node: int) -> str:
    heights, parent = tree.merge_heights, tree.parent(node)
    if heights is None or parent < 0:
        return ""
    return f":{float(heights[parent] - heights[node])!r}"


def _note(tree: Hierarchy, node: int) -> str:
    note = f"[{_NOTE}nbdt_id={node}"
    if tree.merge_heights is not None and not tree.is_leaf(node):
        note += f":nbdt_height={float(tree.merge_heights[node])!r}"
    if tree.attributes(node):
        values = json_value(tree.attributes(node), f"an attribute of node {node}")
        note += f":nbdt_attributes={quote(json.dumps(values, ensure_ascii=False), safe='')}"
    return note + "]"


# ── reading, without recursion and with the place of every fault ──────────────────────────────


@dataclass(slots=True)
class _Node:
    parent: int
    start: int
    name: str = ""
    named: bool = False
    closed: bool = False
    length: float | None = None
    noted_id: int | None = None
    noted_height: float | None = None
    attributes: Mapping[str, Any] | None = None


def _parsed(text: str) -> list[_Node]:
    """The nodes of the tree, every parent before its children."""
    nodes = [_Node(parent=-1, start=0)]
    current = 0
    awaits_length = False
    ended = False
    for kind, token, start in _tokens(text):
        node = nodes[current]
        place = f"at character {start + 1}"
        if kind == "comment":
            if token.startswith(_NOTE):
                _read_note(node, token[len(_NOTE) :], place)
            continue
        if ended:
            raise FormatError(f"there is more after the tree's semicolon, {place}.")
        if awaits_length:
            node.length = _float(token) if kind == "word" else None
            if node.length is None:
                raise FormatError(f"a branch length is expected {place}, got {described(token)}.")
            awaits_length = False
        elif kind in ("word", "quoted"):
            if node.named or node.length is not None:
                raise FormatError(
                    f"{described(token)} {place} follows a name or length; put a name with "
                    "spaces in single quotes."
                )
            node.name, node.named = token, True
        elif token == "(":
            if node.named or node.closed or node.length is not None:
                raise FormatError(f"a parenthesis opens after a name or a group, {place}.")
            nodes.append(_Node(parent=current, start=start + 1))
            current = len(nodes) - 1
        elif token == ":":
            if node.length is not None:
                raise FormatError(f"a second branch length begins {place}.")
            awaits_length = True
        elif token == ";":
            if current:
                raise FormatError(f"the tree ends {place} with a parenthesis still open.")
            ended = True
        elif not current:
            raise FormatError(f"{token!r} {place} stands outside all parentheses.")
        else:
            current = node.parent
            if token == ",":
                nodes.append(_Node(parent=current, start=start + 1))
                current = len(nodes) - 1
            else:
                nodes[current].closed = True
    if not ended:
        raise FormatError("the text ends without the tree's semicolon; it may be cut off.")
    return nodes


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Each token's kind, its text (without quotes and brackets), and where it starts."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            if text[position:].lstrip().startswith("'"):
                raise FormatError(f"the quote after character {position} is not closed.")
            raise FormatError(
                f"character {position + 1} does not begin anything in Newick: "
                f"{described(text[position : position + 20])}."
            )
        kind = str(match.lastgroup)
        token, start = match[kind], match.start(kind)
        position = match.end()
        if kind == "quoted":
            token = token[1:-1].replace("''", "'")
        elif kind == "word":
            token = token.replace("_", " ")
        elif token == "[":
            kind, position = "comment", _comment_end(text, start)
            token = text[start + 1 : position - 1]
        yield kind, token, start


def _comment_end(text: str, start: int) -> int:
    # Comments may be nested.
    depth = 0
    for match in _BRACKET.finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        if depth == 0:
            return match.end()
    raise FormatError(f"the comment at character {start + 1} does not end.")


def _read_note(node: _Node, note: str, place: str) -> None:
    for key, value in _ENTRY.findall(note):
        if key == "nbdt_id" and value.isascii() and value.isdigit() and len(value) < 19:
            node.noted_id = int(value)
        elif key == "nbdt_height":
            node.noted_height = _float(value)
        elif key == "nbdt_attributes":
            try:
                attributes = json_value(parsed_json(unquote(value)), "an attribute")
            except FormatError as error:
                raise FormatError(f"the note {place}: {error}") from None
            if not isinstance(attributes, dict):
                raise FormatError(f"the attributes in the note {place} are not an object.")
            node.attributes = attributes


def _float(token: str) -> float | None:
    value = float(token) if _NUMBER.fullmatch(token) else math.inf
    return value if math.isfinite(value) else None


def _noted_heights(nodes: Sequence[_Node]) -> list[float] | None:
    heights = [0.0] * len(nodes)
    for position in {node.parent for node in nodes} - {-1}:
        noted = nodes[position].noted_height
        if noted is None:
            return None
        heights[position] = noted
    return heights


def _summed_heights(nodes: Sequence[_Node]) -> list[float] | None:
    """Each node's distance to its leaves, if that is the same for all of them; else None."""
    if any(node.length is None for node in nodes[1:]):
        return None
    highest: list[float] = [-math.inf] * len(nodes)
    lowest: list[float] = [math.inf] * len(nodes)
    for position in range(len(nodes) - 1, -1, -1):
        node = nodes[position]
        if highest[position] == -math.inf:
            highest[position] = lowest[position] = 0.0
        if node.parent >= 0 and node.length is not None:
            above = highest[position] + node.length
            highest[node.parent] = max(highest[node.parent], above)
            lowest[node.parent] = min(lowest[node.parent], above)
    spread = max(high - low for high, low in zip(highest, lowest, strict=True))
    if min(highest) < 0 or not spread <= _ROUNDING * max(highest) < math.inf:
        return None
    return highest


FORMAT = Format(
    "newick",
    (".nwk", ".newick", ".tree"),
    from_newick,
    lambda tree: to_newick(tree) + "\n",
)
