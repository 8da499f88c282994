"""What a file format of trees is, and how the formats are found.

Each module of this package that reads or writes files has a `Format` called ``FORMAT``; other
distributions add theirs through entry points of the group ``nbdt.formats``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from nbdt.documents import parsed_json
from nbdt.errors import InputError
from nbdt.hierarchy.tree import Hierarchy

DEFAULT = "hierarchy"


@dataclass(frozen=True)
class Format:
    """One way to store a tree in a file.

    Attributes:
        name: what `nbdt tree convert --to` calls it.
        suffixes: of its files. ``.json`` files are parsed before they are read.
        read: makes a tree of the text or the parsed JSON, and of the names of the classes in order,
            or None where the file gives the order.
        write: gives the text of the file; None if the format is read-only.
        recognizes: whether some content is in this format, for formats that share a suffix.
        needs_wnids: whether `read` also takes the classes' wnids. Such a format is used only where
            they are given.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[..., Hierarchy]
    write: Callable[[Hierarchy], str] | None = None
    recognizes: Callable[[Any], bool] = lambda content: True
    needs_wnids: bool = False


@cache
def formats() -> Mapping[str, Format]:
    """All formats by name: those of this package, then those of entry points."""
    modules = (import_module(f"{__package__}.{m.name}") for m in iter_modules([_FOLDER]))
    found = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    found += [entry.load() for entry in metadata.entry_points(group="nbdt.formats")]
    return {kind.name: kind for kind in reversed(found)}


def read_tree(
    text: str, suffix: str, classes: Sequence[str] | None = None, wnids: Sequence[str] | None = None
) -> Hierarchy:
    """The tree in the text of a file with this suffix; an unknown suffix is read as JSON."""
    default = formats()[DEFAULT]
    kinds = [kind for kind in formats().values() if suffix in kind.suffixes] or [default]
    content = parsed_json(text) if kinds[0].suffixes == default.suffixes else text
    for kind in kinds:
        if kind.needs_wnids == (wnids is not None) and kind.recognizes(content):
            return kind.read(content, classes, *([] if wnids is None else [wnids]))
    if wnids is not None:
        raise InputError("only graphs of the 2020 release have a list of wnids; leave it out.")
    return default.read(content, classes)


def written_tree(tree: Hierarchy, path: str | os.PathLike[str], name: str | None = None) -> str:
    """The text to write to this path, in the format of that name, or else of the path's suffix."""
    if name is None:
        name = next((k.name for k in written_formats() if suffix_of(path) in k.suffixes), DEFAULT)
    write = formats()[name].write if name in formats() else None
    if write is None:
        names = ", ".join(kind.name for kind in written_formats())
        raise InputError(f"trees are written in the formats {names}; got {name!r:.60}.")
    return write(tree)


def written_formats() -> list[Format]:
    """The formats that can be written; the default for ``.json`` comes first."""
    found = [kind for kind in formats().values() if kind.write]
    return sorted(found, key=lambda kind: kind.name != DEFAULT)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix by which formats recognize the file, in lower case."""
    return Path(path).suffix.lower()


def known_suffix(path: str | os.PathLike[str]) -> bool:
    """Whether a format has the suffix of this path."""
    return any(suffix_of(path) in kind.suffixes for kind in formats().values())


_FOLDER = str(Path(__file__).parent)
