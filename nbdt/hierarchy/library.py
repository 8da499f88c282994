"""Trees in files: the ones that come with nbdt, and anybody's own.

A *bundled* tree is called ``data set/name``, as ``"cifar10/wordnet"``; the files are those of the
package ``nbdt.hierarchies``. Of a file that is not valid nothing is used.
"""

from __future__ import annotations

import csv
import difflib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NoReturn

from nbdt.documents import described, parsed_json
from nbdt.errors import FormatError, NotFoundError
from nbdt.files import error_context, is_file, read_text, write_text
from nbdt.hierarchy.formats.document import from_dict, to_dict
from nbdt.hierarchy.tree import Hierarchy

_CLASSES = "classes.csv"
_COLUMNS = ["index", "name", "wnid"]


@dataclass(frozen=True)
class ClassInfo:
    """One class of a bundled data set.

    Attributes:
        index: its place in the classifier's output.
        name: what it is called.
        wnid: its WordNet 3.0 id, as ``"n02121620"``; ``""`` where it has none.
    """

    index: int
    name: str
    wnid: str


def list_hierarchies() -> list[str]:
    """The names of the bundled trees, sorted; `load_hierarchy` takes each.

    Example:
        >>> all(name.count("/") == 1 for name in list_hierarchies())
        True
    """
    return sorted(
        f"{folder.name}/{file.name.removesuffix('.json')}"
        for folder in _data_sets()
        for file in folder.iterdir()
        if file.name.endswith(".json")
    )


def load_hierarchy(name_or_path: str | os.PathLike[str]) -> Hierarchy:
    """Reads a tree: a bundled one by its name, or a file of schema ``nbdt.hierarchy/1``.

    A `pathlib.Path`, or a text that ends in ``.json``, is a file. Any other text is the name of a
    bundled tree, which nothing in the current folder can hide; only if there is none of that
    name, it is a file after all.

    Args:
        name_or_path: the name, as ``"cifar10/wordnet"``, or the path; at most 64 MB are read.

    Raises:
        NotFoundError: there is neither such a tree nor such a file; near names are suggested.
        FormatError: the file is not of that schema, or not JSON in UTF-8.
        HierarchyError: what it holds is no tree of classes.
        InputError: the file cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_hierarchy(tree, pathlib.Path(folder, "pets.json"))
        ...     load_hierarchy(pathlib.Path(folder, "pets.json")) == tree
        True
    """
    if isinstance(name_or_path, str) and not name_or_path.endswith(".json"):
        # Only listed names are opened, so no name leads out of the package.
        if name_or_path in list_hierarchies():
            return _from_text(_bundled_text(f"{name_or_path}.json"), name_or_path)
        if not is_file(name_or_path):
            _raise_missing(name_or_path, "bundled hierarchy or file", list_hierarchies())
    return _from_text(read_text(name_or_path), name_or_path)


def save_hierarchy(tree: Hierarchy, path: str | os.PathLike[str]) -> None:
    """Writes a tree to a file of schema ``nbdt.hierarchy/1``, for `load_hierarchy`.

    The file is replaced in one step: whatever goes wrong, it holds either what it held or the
    whole tree.

    Args:
        tree: the tree.
        path: where to write; the folder has to exist, and the name should end in ``.json``.

    Raises:
        FormatError: the tree has an attribute that JSON cannot hold.
        InputError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "tree.json")
        ...     save_hierarchy(Hierarchy([2, 2, -1], ["cat", "dog"]), path)
        ...     print(path.read_text(), end="")
        {
        "schema": "nbdt.hierarchy/1",
        "parents": [2, 2, -1],
        "names": ["cat", "dog", ""]
        }
    """
    write_text(path, _formatted(to_dict(tree)))


def list_datasets() -> list[str]:
    """The data sets whose classes are bundled, sorted; `load_classes` takes each.

    Example:
        >>> sorted(list_datasets()) == list_datasets()
        True
    """
    return sorted(folder.name for folder in _data_sets() if folder.joinpath(_CLASSES).is_file())


def load_classes(dataset: str) -> tuple[ClassInfo, ...]:
    """The classes of a bundled data set, in the order of a classifier's outputs.

    Raises:
        NotFoundError: no classes are bundled for a data set of that name.
        FormatError: the table of classes is damaged.

    Example:
        >>> [load_classes(dataset)[0].index for dataset in list_datasets()[:1]] in ([0], [])
        True
    """
    if dataset not in list_datasets():
        _raise_missing(dataset, "data set with bundled classes", list_datasets())
    place = f"{dataset}/{_CLASSES}"
    rows = list(csv.reader(_bundled_text(place).splitlines(), strict=True))
    if not rows or rows[0] != _COLUMNS:
        raise FormatError(f"{place}: the columns have to be {','.join(_COLUMNS)}.")
    classes = []
    for index, row in enumerate(rows[1:]):
        if len(row) != len(_COLUMNS) or row[0] != str(index) or not row[1].strip():
            raise FormatError(f"{place}: line {index + 2} has to be {index},name,wnid.")
        classes.append(ClassInfo(index, row[1], row[2]))
    return tuple(classes)


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


def _from_text(text: str, source: str | os.PathLike[str]) -> Hierarchy:
    with error_context(source):
        return from_dict(parsed_json(text))


def _formatted(document: dict[str, Any]) -> str:
    """JSON with a line a key, and a line a node within the attributes, so that diffs are short."""
    lines = []
    for key, value in document.items():
        if key == "attributes":
            nodes = ",\n".join(f"{_json(node)}: {_json(known)}" for node, known in value.items())
            lines.append(f'"attributes": {{\n{nodes}\n}}')
        else:
            lines.append(f"{_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _raise_missing(name: str, what: str, names: Sequence[str]) -> NoReturn:
    close = difflib.get_close_matches(str(name)[:100], names, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else (
            f"there are {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
            if names
            else "there are none."
        )
    )
    raise NotFoundError(f"there is no {what} {described(name)}; {hint}")
