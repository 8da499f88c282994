"""What arguments name: trees, lists of classes, rows, JSON."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.documents import parsed_json
from nbdt.errors import FormatError, InputError, Note, NotFoundError
from nbdt.files import error_context, list_subfolders, read_json, read_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.classes import WNID, canonical, checked_distinct
from nbdt.hierarchy.classfile import DELIMITERS, ClassInfo, numbered_lines, read_class_file
from nbdt.hierarchy.library import list_datasets, load_classes, load_hierarchy
from nbdt.hierarchy.lookup import node_ids, quoted

# As in nbdt.pretrained, whose import takes seconds.
TREE_OF_MODEL = "hierarchy.json"

_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
_WHOLE = re.compile(r"\d+", re.ASCII)
# What tables call the column of their classes; pandas leaves the heading of an index empty.
_HEADINGS = ("", "class", "classes", "category", "id", "index", "label", "name", "wnid")


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
    """The classes that a data set's name, a number, a file, a folder or a list stands for.

    A number n stands for classes called 0 to n - 1, a folder of class folders for their names; see
    `read_class_file` for files. Equal names are made distinct.
    """
    if source in list_datasets():
        return list(load_classes(source))
    if source.isascii() and source.isdigit() and len(source) < 7:
        return [ClassInfo(index, str(index), "") for index in range(int(source))]
    if Path(source).is_dir():
        folders = _class_folders(Path(source))
        rows = [ClassInfo(i, f, f if WNID.fullmatch(f) else "") for i, f in enumerate(folders)]
    elif not Path(source).exists() and "," in source and not Path(source).suffix:
        names = [name.strip() for name in next(csv.reader([source]))]
        if not all(names):
            raise InputError(f"{source!r:.200} lists a class without a name.")
        rows = [ClassInfo(i, name, "") for i, name in enumerate(names)]
    else:
        try:
            rows = read_class_file(source)
        except NotFoundError:
            raise NotFoundError(
                f"{source}: neither a file, nor a folder, nor names with commas between, nor a "
                f"data set with bundled classes; those are {', '.join(list_datasets())}."
            ) from None
    names = checked_distinct([row.name for row in rows], [row.wnid for row in rows])
    return [replace(row, name=name) for row, name in zip(rows, names, strict=True)]


def read_classes(source: str) -> list[str]:
    """The names of the classes, in order; see `read_class_table`."""
    return [row.name for row in read_class_table(source)]


def read_rows(path: str) -> tuple[list[str] | None, npt.NDArray[Any]]:
    """The rows of an array file, .npy or a table, and the names in the table's first column.

    A line of headings, as pandas writes it, is left out.
    """
    if path.lower().endswith(".npy"):
        return None, _read_array(path)
    text = read_text(path, bom=True)
    with error_context(path):
        lines = _lines_of_numbers(text)
        has_header = _has_header(lines)
        names = _names_of(lines[has_header:], lines[0][0] if has_header else None)
        rows = [line[1:] if names else line for line in lines[has_header:]]
        if len(set(map(len, lines))) != 1:
            raise FormatError("expected one line of numbers per class, all of the same length.")
        wrong = next((v for row in rows for v in row if not _NUMBER.fullmatch(v)), None)
        if wrong is not None:
            raise FormatError(
                f"expected numbers with commas between; {wrong!r:.60} is not a number."
            )
        if not rows or not rows[0]:
            raise FormatError("holds names but no numbers.")
        if has_header:
            _note(f"{path}: the first line is read as headings ({', '.join(lines[0])[:60]}).")
        if names and all(map(_WHOLE.fullmatch, names)):
            _note(f"{path}: the first column is read as the names of the classes.")
    return names, np.array(rows, dtype=np.float64)


def rows_in_order(
    rows: npt.NDArray[Any], named: Sequence[str], table: Sequence[ClassInfo], source: str
) -> npt.NDArray[Any]:
    """Rows that have names, in the order of these classes: by name, wnid or index.

    If the names have nothing in common with the classes, the classes are new names for them.
    """
    for keys in (
        [canonical(row.name) for row in table],
        [row.wnid for row in table],
        [str(row.index) for row in table],
    ):
        place = {canonical(name): i for i, name in enumerate(named)}
        if len(named) == len(place) == len(keys) and set(place) == set(keys):
            return rows[[place[key] for key in keys]]
    known = {key for row in table for key in (canonical(row.name), row.wnid, str(row.index))}
    others = [name for name in named if canonical(name) not in known]
    if len(others) == len(named):
        return rows
    raise InputError(
        f"{source}: the names in its first column are not those of the {len(table)} classes"
        f"{f': {quoted(others)}' if others else ''}; correct them, or leave out --classes."
    )


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


def _class_folders(top: Path) -> list[str]:
    names = list_subfolders(top)
    parts = [part for part in ("train", "test", "val") if part in names]
    found = next((inner for part in parts if (inner := list_subfolders(top / part))), names)
    if not found:
        raise InputError(f"{top}: expected one subfolder for every class, found none.")
    return found


def _note(message: str) -> None:
    warnings.warn(message, Note, stacklevel=3)


def _lines_of_numbers(text: str) -> list[list[str]]:
    """The lines of a table whose delimiter is the first that leaves a number at the end."""
    for delimiter in DELIMITERS:
        lines = [line for _, line in numbered_lines(text, delimiter)]
        if not lines:
            raise FormatError("is empty; expected one line of numbers per class.")
        if len(lines[-1]) > 1 and _NUMBER.fullmatch(lines[-1][-1]):
            return lines
    lines = [line for _, line in numbered_lines(text, ",")]
    blank = len(lines[-1]) == 1 and len(lines[-1][0].split()) > 1
    if blank and _NUMBER.fullmatch(lines[-1][0].split()[-1]):
        raise FormatError(
            "has blanks between its numbers, and commas are expected; numpy.savetxt writes them "
            "with delimiter=','."
        )
    return lines


def _has_header(lines: list[list[str]]) -> bool:
    """Whether the first line has headings: texts over numbers, or pandas' 0, 1, 2, …."""
    first, rest = lines[0], lines[1:]
    if not rest:
        return False
    if not first[0]:
        return True
    own = first if _NUMBER.fullmatch(first[0]) else first[1:]
    below = [value for row in rest for value in row[len(row) - len(own) :]]
    if own == [str(i) for i in range(len(own))] and own:
        return first[0].casefold() in _HEADINGS or not any(map(_WHOLE.fullmatch, below))
    texts = not any(map(_NUMBER.fullmatch, first))
    return texts and all(map(_NUMBER.fullmatch, below)) and bool(own or below)


def _names_of(rows: list[list[str]], heading: str | None) -> list[str] | None:
    """The first column if it holds names: texts, or whole numbers beside none that are."""
    first = [row[0] for row in rows]
    texts = [value for value in first if not _NUMBER.fullmatch(value)]
    if texts:
        others = (value for value in first if _NUMBER.fullmatch(value))
        is_name = all(_WHOLE.fullmatch(value) or value.isalpha() for value in others)
        return first if is_name else None
    if len(rows[0]) < 2 or not all(map(_WHOLE.fullmatch, first)) or len(set(first)) < len(first):
        return None
    known = heading is not None and heading.casefold() in _HEADINGS
    columns = list(zip(*rows, strict=False))[1:]
    beside = any(all(map(_WHOLE.fullmatch, column)) for column in columns)
    return first if known or not beside else None
