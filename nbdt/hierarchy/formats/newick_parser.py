"""The nodes of a Newick text, read without recursion and with the place of every fault."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from nbdt.documents import (
    checked_counts,
    described,
    json_value,
    parsed_json,
)
from nbdt.errors import FormatError, InputError

MAX_COMMAS = 500_000
"""How many commas a text may hold; a tree of 100,000 classes has one a class."""

NOTE = "&&NHX:"
"""How a comment in the New Hampshire X style begins."""

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


@dataclass(slots=True)
class NewickNode:
    """What the text says of one node."""

    parent: int
    start: int
    name: str = ""
    named: bool = False
    closed: bool = False
    length: float | None = None
    noted_id: int | None = None
    noted_height: float | None = None
    attributes: Mapping[str, Any] | None = None


def parsed_newick(text: str) -> list[NewickNode]:
    """The nodes of the tree, every parent before its children.

    Raises:
        FormatError: this is not one Newick tree; the message says at which character.
    """
    if not isinstance(text, str):
        raise InputError(f"a Newick tree is a text, got {described(text)}.")
    checked_counts(text, "([", max_commas=MAX_COMMAS)
    nodes = [NewickNode(parent=-1, start=0)]
    current = 0
    awaits_length = False
    ended = False
    for kind, token, start in _tokens(text):
        node = nodes[current]
        place = f"at character {start + 1}"
        if kind == "comment":
            if token.startswith(NOTE):
                _read_note(node, token[len(NOTE) :], place)
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
                    f"{described(token)} {place} follows a name or length; a name with spaces "
                    "stands in single quotes."
                )
            node.name, node.named = token, True
        elif token == "(":
            if node.named or node.closed or node.length is not None:
                raise FormatError(f"a parenthesis opens after a name or a group, {place}.")
            nodes.append(NewickNode(parent=current, start=start + 1))
            current = len(nodes) - 1
        elif token == ":":
            if node.length is not None:
                raise FormatError(f"a second branch length begins {place}.")
            awaits_length = True
        elif token == ";":
            if current:
                raise FormatError(f"the tree ends {place} with a parenthesis still open.")
            ended = True
        else:
            if not current:
                raise FormatError(f"{token!r} {place} stands outside all parentheses.")
            current = node.parent
            if token == ",":
                nodes.append(NewickNode(parent=current, start=start + 1))
                current = len(nodes) - 1
            else:
                nodes[current].closed = True
    if not ended:
        raise FormatError("the text ends without the tree's semicolon; it may be cut off.")
    return nodes


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Every token as its kind, its text (quotes and brackets taken off), and where it starts."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            if text[position:].lstrip().startswith("'"):
                raise FormatError(f"the quote after character {position} is not closed.")
            raise FormatError(
                f"character {position + 1} begins nothing that Newick knows: "
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
    """Where the comment that starts here ends; comments may be nested."""
    depth, position = 0, start
    for match in _BRACKET.finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        position = match.end()
        if depth == 0:
            return position
    raise FormatError(f"the comment at character {start + 1} does not end.")


def _read_note(node: NewickNode, note: str, place: str) -> None:
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
                raise FormatError(f"the attributes in the note {place} are no object.")
            node.attributes = attributes


def _float(token: str) -> float | None:
    """The finite number that this is, or None."""
    value = float(token) if _NUMBER.fullmatch(token) else math.inf
    return value if math.isfinite(value) else None
