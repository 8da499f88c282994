"""What arguments name: trees, lists of classes, rows, JSON."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.documents import parsed_json
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.files import read_json, read_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import (
    ClassInfo,
    list_datasets,
    load_classes,
    load_hierarchy,
)
from nbdt.hierarchy.lookup import node_ids

# As in nbdt.pretrained, whose import takes seconds.
TREE_OF_MODEL = "hierarchy.json"


def read_tree(name: str) -> Hierarchy:
    """The tree that a bundled name, a file, or the folder of a model stands for."""
    if is_model(name):
        return load_hierarchy(Path(name) / TREE_OF_MODEL)
    return load_hierarchy(name)


def is_model(name: str) -> bool:
    """Whether this is the folder of a model rather than a file or a bundled tree's name."""
    return (Path(name) / TREE_OF_MODEL).is_file()


def node_of(tree: Hierarchy, name: str) -> int:
    """The node of that name or, where none has it, of that id."""
    is_id = name not in tree.names and name.isascii() and name.isdigit()
    return node_ids(tree, [int(name) if is_id else name])[0]


def read_class_table(source: str) -> list[ClassInfo]:
    """The classes that a data set's name, a CSV file, a text file or a number stands for.

    A CSV file has the column ``name`` and may have ``wnid``; a text file has one name per line; a
    number n stands for classes called 0 to n - 1.
    """
    if source in list_datasets():
        return list(load_classes(source))
    if source.isascii() and source.isdigit() and len(source) < 7:
        return [ClassInfo(index, str(index), "") for index in range(int(source))]
    try:
        text = read_text(source)
    except NotFoundError:
        raise NotFoundError(
            f"{source}: neither a file nor a data set with bundled classes; those are "
            f"{', '.join(list_datasets())}."
        ) from None
    if not source.endswith(".csv"):
        lines = (line.strip() for line in text.splitlines())
        return [ClassInfo(index, name, "") for index, name in enumerate(filter(None, lines))]
    rows = csv.DictReader(text.splitlines())
    if "name" not in (rows.fieldnames or ()):
        raise FormatError(f"{source}: the first line must name the columns, including 'name'.")
    return [
        ClassInfo(index, (row["name"] or "").strip(), (row.get("wnid") or "").strip())
        for index, row in enumerate(rows)
    ]


def read_classes(source: str) -> list[str]:
    """The names of the classes, in order; see `read_class_table`."""
    return [row.name for row in read_class_table(source)]


def read_rows(path: str) -> tuple[list[str] | None, npt.NDArray[Any]]:
    """The rows of an array file, .npy or CSV, and the names that a CSV has in its first column."""
    if path.endswith(".npy"):
        return None, _read_array(path)
    lines = [row for row in csv.reader(read_text(path).splitlines()) if row]
    names = None
    if lines and not any(_is_number(row[0]) for row in lines):
        names, lines = [row[0].strip() for row in lines], [row[1:] for row in lines]
    widths = {len(row) for row in lines}
    wrong = [entry for row in lines for entry in row if not _is_number(entry)]
    if len(widths) != 1 or wrong:
        problem = f"{wrong[0]!r:.60} is not a number" if wrong else "its lines differ in length"
        raise FormatError(
            f"{path}: expected comma-separated numbers, one line per class: {problem}."
        )
    return names, np.array(lines, dtype=np.float64)


def read_options(source: str) -> dict[str, Any]:
    """A JSON object, given as it is or as the name of a file."""
    inline = source.lstrip().startswith("{")
    try:
        value = parsed_json(source) if inline else read_json(source)
    except FormatError as error:
        raise FormatError(f"{source}: {error}" if inline else str(error)) from None
    if not isinstance(value, dict):
        raise FormatError(f"{source}: expected a JSON object.")
    return value


def _read_array(path: str) -> npt.NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (ValueError, EOFError):
        raise FormatError(f"{path}: not an array of numbers in numpy's .npy format.") from None
    if not isinstance(array, np.ndarray):
        raise FormatError(
            f"{path}: this is an archive of arrays; expected a single array, as .npy."
        )
    return array


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
