"""Lists of classes in files as people keep them: CSV and its kin, JSON, or a name per line."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nbdt.documents import described, parsed_json
from nbdt.errors import FormatError
from nbdt.files import error_context, read_text
from nbdt.hierarchy.text import join_names

DELIMITERS = ",;\t|"
TABLES = (".csv", ".tsv")
# Under these headings tables keep a class's place; pandas leaves the heading of its index empty.
_INDEX = ("index", "id", "")
_WNID_FIRST = re.compile(r"(n\d{8})\s+(.*\S)")  # as in ImageNet's synset_words.txt


@dataclass(frozen=True)
class ClassInfo:
    """One class of a data set: its place in the output, and its WordNet 3.0 id.

    The ``wnid`` is ``""`` for classes without one.
    """

    index: int
    name: str
    wnid: str


def read_class_file(path: str | os.PathLike[str]) -> list[ClassInfo]:
    """The classes that a file in UTF-8 lists, in the order of a classifier's outputs.

    - A table (``.csv``, ``.tsv``, or a first line with several headings) has the column ``name``
      and may have ``wnid`` and ``index``, which then gives the order: 0 to C - 1, each once.
    - JSON is a list of names, or an object of names by index, of indices by name, or of
      ``[wnid, name]`` by index; in a model's ``config.json`` it is ``id2label``.
    - Any other file has a name per line, or a wnid and a name.
    """
    text, suffix = read_text(path, bom=True), Path(path).suffix.lower()
    with error_context(path):
        if suffix in (".yaml", ".yml"):
            raise FormatError("is YAML, which is not read; save the list as .json, .csv or .txt.")
        if suffix == ".json" or _is_json(text):
            return _from_json(parsed_json(text))
        headings = _headings(text, ["name"])
        if suffix in TABLES or ("name" in headings and len(headings) > 1):
            return _from_table(text)
        lines = [line for line in map(str.strip, re.split(r"\r\n|\n|\r", text)) if line]
        found = [_WNID_FIRST.fullmatch(line) for line in lines]
        if lines and all(found):
            return _ordered([(i, m[2], m[1]) for i, m in enumerate(found) if m])
        return _ordered([(i, line, "") for i, line in enumerate(lines)])


def read_table(
    path: str | os.PathLike[str], needed: Collection[str]
) -> list[tuple[int, dict[str, str]]]:
    """The rows of a table as (line, values by column); its first line has the columns needed.

    Commas, semicolons, tabs or bars may stand between values.
    """
    text = read_text(path, bom=True)
    with error_context(path):
        return table_of(text, needed)


def table_of(text: str, needed: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """As `read_table`, from the text of a file."""
    columns = _headings(text, needed)
    lines = numbered_lines(text, _delimiter(text, needed))
    missing = [name for name in needed if name not in columns]
    if missing:
        raise FormatError(
            f"the first line must name the columns, including {' and '.join(map(repr, needed))}; "
            f"it has {join_names(map(repr, columns), len(columns), most=6) or 'none'}."
        )
    if len(set(columns)) < len(columns):
        raise FormatError("the first line names a column twice.")
    rows = []
    for number, values in lines[1:]:
        if len(values) != len(columns):
            raise FormatError(f"line {number}: expected {len(columns)} values, got {len(values)}.")
        rows.append((number, dict(zip(columns, values, strict=True))))
    return rows


def numbered_lines(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """The lines of a table that are not empty, numbered from 1, as stripped values.

    Quotes may hold delimiters and line breaks; no other sign, such as U+2028, ends a line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines, number = [], 1
    try:
        for values in reader:
            if any(value.strip() for value in values):
                lines.append((number, [value.strip() for value in values]))
            number = reader.line_num + 1
    except csv.Error as error:
        raise FormatError(f"is not valid CSV at line {number}: {error}.") from None
    return lines


def _headings(text: str, needed: Collection[str]) -> list[str]:
    try:
        lines = numbered_lines(_first_line(text), _delimiter(text, needed))
    except FormatError:
        return []
    return [value.casefold() for value in lines[0][1]] if lines else []


def _delimiter(text: str, needed: Collection[str]) -> str:
    """What stands between the columns needed in the first line; a comma if nothing does."""
    for delimiter in DELIMITERS:
        parts = _first_line(text).split(delimiter)
        headings = [part.strip().strip('"').casefold() for part in parts]
        if len(headings) > 1 and set(needed) <= set(headings):
            return delimiter
    return ","


def _first_line(text: str) -> str:
    return re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("[", "{"):
        return False
    try:
        return isinstance(parsed_json(text), list | dict)
    except FormatError:
        return False


def _from_table(text: str) -> list[ClassInfo]:
    rows = table_of(text, ["name"])
    column = next(filter(partial(_is_index, rows), _INDEX), None)
    indices = list(range(len(rows)))
    if column is not None:
        what = column or "the first value"
        indices = [number_of(row[column], f"line {line}: {what}") for line, row in rows]
    names = [(row["name"], row.get("wnid", "")) for _, row in rows]
    return _ordered([(index, *name) for index, name in zip(indices, names, strict=True)])


def _is_index(rows: Sequence[tuple[int, Mapping[str, str]]], column: str) -> bool:
    values = [row.get(column) for _, row in rows]
    return None not in values and (column == "index" or all(v and v.isdigit() for v in values))


def _from_json(value: Any) -> list[ClassInfo]:
    if isinstance(value, Mapping) and isinstance(value.get("id2label"), Mapping):
        value = value["id2label"]
    entries: list[tuple[Any, Any]] = [("", None)]
    if isinstance(value, list):
        entries = [(str(index), name) for index, name in enumerate(value)]
    elif isinstance(value, Mapping):
        entries = list(value.items())
        if entries and all(type(index) is int for _, index in entries):
            entries = [(str(index), name) for name, index in entries]
    rows = []
    for key, entry in entries:
        wnid, name = entry if isinstance(entry, list) and len(entry) == 2 else ("", entry)
        if not isinstance(name, str) or not isinstance(wnid, str):
            raise FormatError(
                "expected a list of names, an object of names by index, or of indices by name; "
                f"got {described(entry if entry is not None else value)}."
            )
        rows.append((number_of(key, "a key"), name.strip(), wnid))
    return _ordered(rows)


def number_of(text: str, what: str) -> int:
    """A class's index in a file; `what` begins the message of the FormatError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FormatError(f"{what} is {described(text)}; expected a class's index, 0 or more.")
    return int(text)


def _ordered(rows: Sequence[tuple[int, str, str]]) -> list[ClassInfo]:
    if not rows:
        raise FormatError("lists no classes.")
    indices = [index for index, _, _ in rows]
    if len(set(indices)) < len(indices):
        twice = next(index for index in indices if indices.count(index) > 1)
        raise FormatError(f"has the index {twice} twice; every class needs its own.")
    missing = sorted(set(range(len(rows))).difference(indices))
    if missing:
        raise FormatError(
            f"its {len(rows)} indices must be 0 to {len(rows) - 1}, the classifier's outputs, but "
            f"{missing[0]} is missing and there is {max(indices)}."
        )
    blank = [index for index, name, _ in rows if not name]
    if blank:
        raise FormatError(f"class {min(blank)} has no name.")
    return [ClassInfo(*row) for row in sorted(rows)]
