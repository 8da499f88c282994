"""Trees in files: the ones that come with nbdt, and your own.

A *bundled* tree is called ``data set/name``, as ``"cifar10/wordnet"``; the files are in the package
``nbdt.hierarchies``. If any part of a file is not valid, the whole file is refused.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NoReturn

from nbdt.documents import described
from nbdt.errors import FormatError, NotFoundError
from nbdt.files import error_context, is_file, read_text, write_text
from nbdt.hierarchy.classfile import ClassInfo, table_of
from nbdt.hierarchy.formats.registry import known_suffix, read_tree, suffix_of, written_tree
from nbdt.hierarchy.tree import Hierarchy

_CLASSES = "classes.csv"
_COLUMNS = ["index", "name", "wnid"]


def list_hierarchies() -> list[str]:
    """The names of the bundled trees, sorted."""
    return sorted(
        f"{folder.name}/{file.name.removesuffix('.json')}"
        for folder in _data_sets()
        for file in folder.iterdir()
        if file.name.endswith(".json")
    )


def load_hierarchy(name_or_path: str | os.PathLike[str]) -> Hierarchy:
    """Reads a tree: a bundled one by its name, or a file in any of `nbdt.hierarchy.formats`.

    A `pathlib.Path`, or a string that ends in ``.json``, is a file. Any other string is the name of
    a bundled tree, which no file in the current folder can hide; if there is none of that name, it
    is read as a file. The limit is 64 MB.

    Raises:
        NotFoundError: there is neither such a tree nor such a file; the message suggests names.
        InputError: the file cannot be read, or does not give the order of the classes.
    """
    return read_hierarchy(name_or_path)


def read_hierarchy(
    name_or_path: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    wnids: Sequence[str] | None = None,
) -> Hierarchy:
    """Like `load_hierarchy`, with the order of the classes, or the wnids of a graph of 2020."""
    text = None
    if isinstance(name_or_path, str) and not name_or_path.endswith(".json"):
        # Only listed names are opened, so no name leads out of the package.
        if name_or_path in list_hierarchies():
            text = _bundled_text(f"{name_or_path}.json")
        elif not known_suffix(name_or_path) and not is_file(name_or_path):
            _raise_missing(name_or_path, "bundled hierarchy or file", list_hierarchies())
    suffix = ".json" if text is not None else suffix_of(name_or_path)
    text = read_text(name_or_path) if text is None else text
    with error_context(name_or_path):
        return read_tree(text, suffix, classes, wnids)


def save_hierarchy(tree: Hierarchy, path: str | os.PathLike[str]) -> None:
    """Writes a tree to a file atomically: if anything fails, the file stays as it was.

    The path's suffix selects the format: ``nbdt.hierarchy/1`` for ``.json`` and unknown ones.
    """
    write_text(path, written_tree(tree, path))


def list_datasets() -> list[str]:
    """The names of the data sets whose classes are bundled, sorted."""
    return sorted(folder.name for folder in _data_sets() if folder.joinpath(_CLASSES).is_file())


def load_classes(dataset: str) -> tuple[ClassInfo, ...]:
    """The classes of a bundled data set, in the order of a classifier's outputs."""
    if dataset not in list_datasets():
        _raise_missing(dataset, "data set with bundled classes", list_datasets())
    place = f"{dataset}/{_CLASSES}"
    with error_context(place):
        rows = [row for _, row in table_of(_bundled_text(place), _COLUMNS)]
        for index, row in enumerate(rows):
            if row["index"] != str(index) or not row["name"]:
                raise FormatError(f"line {index + 2} must be {index},name,wnid.")
    return tuple(ClassInfo(i, row["name"], row["wnid"]) for i, row in enumerate(rows))


def _bundled() -> Traversable:
    return resources.files("nbdt.hierarchies")


def _data_sets() -> list[Traversable]:
    return [
        entry
        for entry in _bundled().iterdir()
        if entry.is_dir() and not entry.name.startswith(("_", "."))
    ]


def _bundled_text(place: str) -> str:
    return _bundled().joinpath(*place.split("/")).read_text(encoding="utf-8")


def _raise_missing(name: str, what: str, names: Sequence[str]) -> NoReturn:
    close = difflib.get_close_matches(str(name)[:100], names, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else (
            f"available: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
            if names
            else "none are available."
        )
    )
    raise NotFoundError(f"there is no {what} {described(name)}; {hint}")
