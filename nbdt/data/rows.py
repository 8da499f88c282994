"""Labeled samples in one file: the rows of a table, the texts in a column, or arrays."""

from __future__ import annotations

import difflib
import os
import shlex
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nbdt.data.folder import PixelArray
from nbdt.data.labelled import IntArray, LabelledImages, LabelledSamples
from nbdt.documents import described
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.files import error_context, is_file
from nbdt.hierarchy.classes import ambiguity, canonical
from nbdt.hierarchy.text import join_names
from nbdt.inputs import Input, TableInput
from nbdt.inputs.frames import SUFFIXES, Table, read_table

ARCHIVE = ".npz"
_TEXT_COLUMNS = ("text", "text_pair")
_SHOWN = 5


def is_rows(path: str | os.PathLike[str]) -> bool:
    """Whether this names a file of rows or arrays, by its suffix."""
    return Path(path).suffix.lower() in (*SUFFIXES, ARCHIVE)


class FileRows:
    """The samples in a table file, as an input reads them; without one, by the types they look of.

    Args:
        column: the column with the texts, for inputs that read a single value a row.
    """

    def __init__(
        self, path: Path, table: Table, reader: Input | None = None, column: str | None = None
    ) -> None:
        self.path, self.table, self.column = path, table, column
        with error_context(path):
            self._rows = _rows_of(table, reader, column)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, place: int) -> Any:
        if place in self.table.broken:
            raise InputError(self.table.broken[place])
        return self._rows[place]

    def name(self, place: int) -> str:
        """The file and the number of a row, counted from 1."""
        return f"{self.path}, row {place + 1}"

    def read_by(self, reader: Input | None) -> FileRows:
        """The same rows, read by another input."""
        return FileRows(self.path, self.table, reader, self.column)


class ArrayRows:
    """The arrays along the first axis of one, as an input reads them; without one, as tensors."""

    def __init__(self, path: Path, array: npt.NDArray[Any], reader: Input | None = None) -> None:
        self.path, self.array, self.reader = path, array, reader

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, place: int) -> Any:
        value = self.array[place]
        if self.reader is not None:
            return self.reader.read(value)
        return torch.as_tensor(value).to(torch.get_default_dtype())

    def name(self, place: int) -> str:
        """The file and the place of an array, counted from 0."""
        return f"{self.path}[{place}]"

    def read_by(self, reader: Input | None) -> ArrayRows:
        """The same arrays, read by another input."""
        return ArrayRows(self.path, self.array, reader)


class _Lazy(Sequence[Any]):
    """What `read` gives for each value, when it is asked for."""

    def __init__(self, read: Any, values: Sequence[Any]) -> None:
        self.read, self.values = read, values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.read(self.values[index])


def unlabelled_rows(
    path: str | os.PathLike[str],
    reader: Input | None,
    *,
    column: str | None = None,
    ignore: Iterable[str] = (),
) -> FileRows | ArrayRows:
    """The samples in a file without labels; `ignore` names columns to leave out."""
    if Path(path).suffix.lower() == ARCHIVE:
        return ArrayRows(Path(path), _arrays(Path(path), None)[0], reader)
    table = read_table(path)
    with error_context(path):
        table = table.without(ignore)
    return FileRows(Path(path), table, reader, column)


def labelled_rows(
    path: str | os.PathLike[str],
    label: str | None,
    *,
    reader: Input | None = None,
    classes: Sequence[str] | None = None,
    wnids: Sequence[str] = (),
    column: str | None = None,
    ignore: Iterable[str] = (),
) -> LabelledSamples:
    """The samples and classes in a table, or in the arrays of an .npz file.

    Args:
        label: the column, or the array, with the classes: their names or, if no name of a class is
            among them, their indices. By default that of an archive is called y or labels.
        reader: what reads the rows: a model's input.
        classes: the model's, in its order; by default those that the labels name, sorted.
        column: the column with the samples, where a sample is a single value, such as a text.
        ignore: columns to leave out.
    """
    file = Path(path)
    if file.suffix.lower() == ARCHIVE:
        array, labels = _arrays(file, label or "")
        with error_context(file):
            targets, names = targets_of(labels.tolist(), classes, wnids)
        is_pixels = reader is not None and reader.kind == "image" and array.dtype == np.uint8
        if is_pixels and array.ndim in (3, 4):
            images: Any = reader
            return LabelledImages(PixelArray(array), targets, names, images, wnids=wnids)
        return LabelledSamples(ArrayRows(file, array, reader), targets, names, reader, wnids=wnids)
    table = read_table(file)
    with error_context(file):
        if label is None or label not in table.columns:
            raise _no_label(table, label, reader)
        cells = [cell.strip() if isinstance(cell, str) else cell for cell in table.columns[label]]
        whole = [place for place in range(len(cells)) if place not in table.broken]
        found, names = targets_of([cells[place] for place in whole], classes, wnids)
        targets = np.zeros(len(cells), dtype=np.int64)  # broken rows are never counted
        targets[whole] = found
        table = table.without([label, *ignore])
    rows = FileRows(file, table, reader, column)
    return LabelledSamples(rows, targets, names, reader, wnids=wnids)


def targets_of(
    labels: Sequence[Any], classes: Sequence[str] | None = None, wnids: Sequence[str] = ()
) -> tuple[IntArray, tuple[str, ...]]:
    """The class of each label, and the names of the classes.

    A label is a class's name or its wnid; if no label is a name, it may be its index. Without
    `classes` they are the labels, sorted.

    Example:
        >>> targets_of(["dog", "cat", "dog"])
        (array([1, 0, 1]), ('cat', 'dog'))
        >>> targets_of(["dog", "cow"], ["dog", "cat"])
        Traceback (most recent call last):
        nbdt.errors.InputError: the label 'cow' (1 sample) is not one of the model's 2 classes: dog,
        cat.
    """
    lacking = next((place for place, label in enumerate(labels) if label in (None, "")
                    or label != label), None)  # fmt: skip
    if lacking is not None:
        raise InputError(f"row {lacking + 1} has no label.")
    words = [_word(label) for label in labels]
    if classes is None:
        found = sorted(dict.fromkeys(words), key=_order)
        place = {word: index for index, word in enumerate(found)}
        return np.array([place[word] for word in words], dtype=np.int64), tuple(found)
    label_of = {wnid: index for index, wnid in enumerate(wnids) if wnid}
    label_of |= {canonical(name): index for index, name in enumerate(classes)}
    unknown = {word for word in words if word not in label_of}
    if len(unknown) == len(set(words)) and all(word.isascii() and word.isdigit() for word in words):
        indices = np.array([int(word) for word in words], dtype=np.int64)
        if not len(indices) or indices.max() < len(classes):
            return indices, tuple(classes)
    if unknown:
        raise InputError(_unknown(words, min(unknown, key=words.index), len(unknown), classes))
    return np.array([label_of[word] for word in words], dtype=np.int64), tuple(classes)


def _word(label: Any) -> str:
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return canonical(str(label))


def _order(word: str) -> tuple[int, float, str]:
    try:
        return 0, float(word), word
    except ValueError:
        return 1, 0.0, word


def _unknown(words: Sequence[str], word: str, number: int, classes: Sequence[str]) -> str:
    if several := ambiguity(word, classes):
        return f"the label {several}."
    count = words.count(word)
    close = difflib.get_close_matches(word[:100], classes, n=1)
    nor = "is 1 other" if number == 2 else f"are {number - 1} others"
    others = f", nor {nor}" if number > 1 else ""
    known = join_names(classes, len(classes), most=_SHOWN)
    return (
        f"the label {described(word)} ({count:,} sample{'s' * (count != 1)}) is not one of the "
        f"model's {len(classes)} classes{others}"
        + (f"; did you mean {close[0]!r}?" if close else f": {known}.")
    )


def _no_label(table: Table, label: str | None, reader: Input | None) -> InputError | NotFoundError:
    names = list(table.columns)
    if label is not None:
        close = difflib.get_close_matches(label[:100], names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names[:20])}."
        return NotFoundError(f"has no column {described(label)}; {hint}")
    known = reader.names if isinstance(reader, TableInput) else ()
    others = [name for name in names if name not in known]
    shown = join_names(others or names, len(others or names), most=20)
    return InputError(f"say which column has the classes (--label, or label=…): {shown}.")


def _rows_of(table: Table, reader: Input | None, column: str | None) -> Sequence[Any]:
    """The rows of a table as samples of an input."""
    if reader is None or isinstance(reader, TableInput):
        own = TableInput.from_frame(table.without_index(())) if reader is None else reader
        surplus = own.unknown(table)
        if surplus and len(table.columns) >= len(own.columns):
            raise InputError(
                f"the model does not read the column {described(surplus[0])}; leave it out: "
                f"--ignore {shlex.quote(surplus[0])}, or ignore=[{surplus[0]!r}]."
            )
        return own.samples(table)
    if column is not None and column not in table.columns:
        raise NotFoundError(f"has no column {described(column)}; it has {_names(table)}.")
    kept = table.without_index(_TEXT_COLUMNS) if column is None else table
    if column is None and len(kept.columns) == 1:
        column = next(iter(kept.columns))
    if column is not None:
        return _Lazy(reader.read, kept.columns[column])
    if set(kept.columns) <= set(_TEXT_COLUMNS):
        rows = [
            dict(zip(kept.columns, row, strict=True))
            for row in zip(*kept.columns.values(), strict=True)
        ]
        return _Lazy(reader.read, rows)
    if _TEXT_COLUMNS[0] in kept.columns:
        return _Lazy(reader.read, kept.columns[_TEXT_COLUMNS[0]])
    if reader.kind == "array":
        return _Lazy(reader.read, list(map(list, zip(*kept.typed().columns.values(), strict=True))))
    raise InputError(
        f"this model reads {reader.reads}; say which column has it (--column, or column=…): "
        f"{_names(kept)}."
    )


def _names(table: Table) -> str:
    return join_names(table.columns, len(table.columns), most=20)


def _arrays(file: Path, label: str | None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The samples and the labels of an archive; without a label, no labels."""
    if not is_file(file):
        raise NotFoundError(f"{file}: no such file.")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays: Mapping[str, Any] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        raise FormatError(f"{file}: not an archive of arrays in numpy's .npz format.") from None
    known = [
        name for name in arrays if name.lower() in ("y", "label", "labels", "target", "targets")
    ]
    if label:
        known = [name for name in arrays if name == label]
    others = [name for name in arrays if name not in known]
    if (label is not None and len(known) != 1) or len(others) != 1:
        raise InputError(
            f"{file}: expected an array of samples and one of labels, as np.savez({file.name!r}, x="
            f"…, y=…) writes; it has {', '.join(arrays) or 'none'}."
        )
    samples, labels = arrays[others[0]], arrays[known[0]] if known else np.zeros(0)
    if label is not None and (labels.ndim != 1 or samples.ndim < 1 or len(samples) != len(labels)):
        raise InputError(
            f"{file}: {others[0]} of shape {samples.shape} and {known[0]} of shape {labels.shape} "
            "do not fit; there is one label per sample."
        )
    return samples, labels
