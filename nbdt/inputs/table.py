"""Rows of a table: columns by name, each with the values that the classifier was fitted to."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, overload

import numpy as np
from pydantic import Field, model_validator

from nbdt.documents import described
from nbdt.errors import InputError
from nbdt.files import error_context
from nbdt.inputs.base import Input, Source
from nbdt.inputs.column import (
    Cell,
    Column,
    described_column,
    dtypes_of,
    empty_cell,
    is_missing,
    listed,
    mismatch,
    series_of,
    unseen_category,
)
from nbdt.inputs.frames import (
    MAX_COLUMNS,
    SUFFIXES,
    Table,
    as_table,
    import_pandas,
    is_json,
    is_table,
    parsed_table,
    read_table,
)
from nbdt.inputs.parts import Parts, Preview, column_parts, columns_of, refuse_division

Row = dict[str, Any]

_TRIED_ALONE = 64  # columns that `accepted_by` tries one by one


class TableInput(Input):
    """Rows of columns, matched by name in any order, as the frame that the classifier takes.

    Attributes:
        columns: in the classifier's order.
        named: whether the classifier takes a pandas frame with these names; else an array.
        example: the values of one row, for a reader; empty if none is known.

    Example:
        >>> table = TableInput.from_frame({"age": [39, 50], "sex": ["Male", "Female"]})
        >>> table.read({"sex": "Male", "age": 61})
        {'age': 61, 'sex': 'Male'}
        >>> table.read({"sex": "Male", "age": "old"})
        Traceback (most recent call last):
        nbdt.errors.InputError: column 'age' takes a whole number; got 'old'.
    """

    kind: ClassVar[str] = "table"
    reads: ClassVar[str] = "a row of columns"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    columns: tuple[Column, ...] = Field(min_length=1, max_length=MAX_COLUMNS)
    named: bool = True
    example: tuple[Cell | None, ...] = ()

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        names = self.names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"columns has {described(twice)} twice.")
        if self.example and len(self.example) != len(names):
            raise ValueError(f"example has {len(self.example)} values for {len(names)} columns.")
        return self

    @classmethod
    def from_names(cls, names: Iterable[str] | int, *, named: bool = True) -> Self:
        """Columns of which only the names are known; of a number of columns, numbers in an array.

        That is what an estimator knows by itself: ``feature_names_in_``, or ``n_features_in_``.
        """
        if isinstance(names, int):
            columns = tuple(Column(name=str(i), type="number") for i in range(names))
            return cls(columns=columns, named=False)
        return cls(columns=tuple(Column(name=str(name)) for name in names), named=named)

    @classmethod
    def from_frame(cls, frame: Any, names: Sequence[str] | None = None) -> Self:
        """The columns of training data: their types, categories, missing values, and a row.

        Args:
            frame: a pandas, polars or pyarrow table, an array, columns or rows by name.
            names: of the columns of an array; by default their places.
        """
        table = as_table(frame).typed()
        dtypes = dtypes_of(frame)
        columns, example = [], []
        given = table.columns if names is None else names
        if len(given) != len(table.columns):
            raise InputError(f"{len(table.columns)} columns need as many names; got {len(given)}.")
        for name, old in zip(given, table.columns, strict=True):
            column, shown = described_column(
                str(name), table.columns[old], dtypes.get(old), table.named
            )
            columns.append(column)
            example.append(shown)
        return cls(columns=tuple(columns), named=table.named, example=tuple(example))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in the classifier's order."""
        return tuple(column.name for column in self.columns)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The number of columns."""
        return (len(self.columns),)

    @property
    def example_row(self) -> Row:
        """The example by name; empty if none is known."""
        return dict(zip(self.names, self.example, strict=False))

    def notes(self, sample: Any) -> list[str]:
        """Which categories were never seen, of those that are passed on."""
        if not isinstance(sample, Mapping):
            return []
        notes = (column.note(sample[column.name]) for column in self.columns)
        return [f"{note}." for note in notes if note]

    def json_schema(self) -> dict[str, Any]:
        """An object with the columns, and the example."""
        columns = {column.name: column.json_schema() for column in self.columns}
        schema = {"type": "object", "properties": columns, "required": list(self.names)}
        return schema | ({"examples": [self.example_row]} if self.example else {})

    def accepted_by(self, answer: Callable[[Any], Any]) -> Self:
        """The columns with missing values and unseen categories allowed where `answer` takes them.

        `answer` is called with batches of one row, made of the example; what it refuses it refuses
        by an error of any kind.
        """
        if not self.example or any(map(is_missing, self.example)):
            return self
        columns = list(self.columns)
        for field, taken, change in (
            ("unseen", "passed on", unseen_category),
            ("missing", "nan", lambda _: math.nan),
        ):
            changed = {i: change(column) for i, column in enumerate(columns)
                       if getattr(column, field) == "refused"}  # fmt: skip
            changed = {i: value for i, value in changed.items() if value is not None}
            places = [*changed]
            if not changed or not self._is_answered(answer, changed):
                alone = places if 1 < len(places) <= _TRIED_ALONE else []
                places = [i for i in alone if self._is_answered(answer, {i: changed[i]})]
            for i in places:
                columns[i] = columns[i].replace(**{field: taken})
        return self.replace(columns=tuple(columns))

    def _is_answered(self, answer: Callable[[Any], Any], changed: Mapping[int, Any]) -> bool:
        row = [changed.get(i, value) for i, value in enumerate(self.example)]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                answer(self._batch([[value] for value in row]))
            except Exception:  # whatever a classifier raises on what it does not take
                return False
        return True

    # ── from what callers give to samples and batches ─────────────────────────────────────────

    def read(self, value: Any) -> Any:
        """One row: a mapping by name, values in the columns' order, or either as JSON."""
        if _is_sparse(value):
            return self._checked_sparse(value)
        if isinstance(value, str) and not is_json(value):
            self.refuse(value)
        rows = self._rows(value)
        if len(rows) != 1:
            raise InputError(f"expected one row, got {len(rows)}.")
        return rows[0]

    def open(self, path: str | os.PathLike[str]) -> Row:
        """The row in a file of one."""
        rows = self.rows_in(path)
        if len(rows) != 1:
            raise InputError(f"{os.fspath(path)}: expected one row, got {len(rows)}.")
        return rows[0]

    def rows_in(self, path: str | os.PathLike[str]) -> Rows:
        """The rows in a file."""
        table = read_table(path)
        with error_context(path):
            return Rows(self, table)

    def samples(self, value: Any) -> Sequence[Any]:
        """The rows of a table of any library, of an array, a file, or of JSON or CSV as bytes."""
        if _is_sparse(value):
            matrix = self._checked_sparse(value)
            return [matrix[i] for i in range(matrix.shape[0])]
        if isinstance(value, os.PathLike) or (isinstance(value, str) and not is_json(value)):
            return self.rows_in(value)
        if isinstance(value, list | tuple) and any(map(_is_sparse, value)):
            return [self._checked_sparse(row) for row in value]
        return self._rows(value)

    def batch(self, samples: Sequence[Any]) -> Any:
        """The frame or array of several rows, in the types that the classifier was fitted to."""
        if isinstance(samples, list) and any(map(_is_sparse, samples)):
            from scipy.sparse import vstack

            return vstack(list(samples), format="csr")
        return self._batch(self._rows(samples).columns())

    def prepared(self, value: Any) -> Any:
        """As `Input.prepared`; a frame that fits as it is goes to the classifier unchanged."""
        if _is_sparse(value):
            return self._checked_sparse(value)
        if type(value).__module__.startswith("pandas.") and type(value).__name__ == "DataFrame":
            frame = self._as_it_is(value)
            if frame is not None:
                return frame
        return self.batch(self.samples(value))

    def sources(self, argument: str, *, text: bool = False) -> list[Source]:
        """The rows of files and folders, or those that the argument itself holds as JSON."""
        if text or (not is_json(argument) and Path(argument).is_dir()):
            return super().sources(argument, text=text)
        is_given = is_json(argument)
        rows = self.samples(argument)
        name = "the row" if is_given else argument
        several = "row" if is_given else f"{argument}, row"
        return [
            Source(name if len(rows) == 1 else f"{several} {i + 1}", partial(rows.__getitem__, i))
            for i in range(len(rows))
        ]

    # ── what people see of a row ──────────────────────────────────────────────────────────────

    def preview(self, sample: Any) -> Preview:
        """The columns with their values; of a sparse row, those that are not 0."""
        return columns_of(self._cells(sample))

    def parts(self, sample: Any, *, baseline: Any = None, by: str | int | None = None) -> Parts:
        """The columns; the baseline, by default the example row, stands in their place.

        Without an example it is 0, which only columns of numbers can be.
        """
        refuse_division(by, self.reads)
        cells = self._cells(sample)
        given = self.example_row if baseline is None else self._cells(self.read(baseline))
        if _is_sparse(sample):
            others = {name: given.get(name, 0) for name in cells}
            return column_parts(cells, others, "0", partial(self._sparse_rows, sample))
        others = given or {name: empty_cell(name, value) for name, value in cells.items()}
        in_place = "the row given" if baseline is not None else "the example row" if given else "0"
        return column_parts(cells, others, in_place, partial(Rows, self))

    def _sparse_rows(self, sample: Any, columns: Mapping[str, list[Any]]) -> Sequence[Any]:
        """Sparse rows that differ from one in some columns."""
        values = np.array(list(columns.values())).T
        rows = sample[[0] * len(values)].toarray()
        rows[:, [self.names.index(name) for name in columns]] = values
        return self.samples(type(sample)(rows))

    def _cells(self, sample: Any) -> Row:
        if not _is_sparse(sample):
            return dict(self.read(sample))
        row = sample.tocsr()
        return {self.names[i]: row[0, i].item() for i in sorted(row.indices.tolist())}

    def _rows(self, value: Any) -> Rows:
        if isinstance(value, Rows):
            return value
        return Rows(
            self, parsed_table(value) if isinstance(value, str | bytes | bytearray) else value
        )

    def _matched(self, table: Table) -> list[Sequence[Any]]:
        """The columns of a table in the classifier's order."""
        what = "the row" if table.is_row or len(table) == 1 else "the table"
        if not table.named:
            if len(table.columns) != len(self.columns):
                raise InputError(
                    f"{what} has {len(table.columns)} columns; the model reads "
                    f"{len(self.columns)}: {listed(self.names, most=20)}."
                )
            return list(table.columns.values())
        table = table.without_index(self.names)
        found = self._found(table)
        lacking = [name for name in self.names if name not in found]
        unknown = self.unknown(table)
        if lacking or unknown:
            raise InputError(mismatch(what, table, self.names, lacking, unknown))
        return [table.columns[name] for name in found.values()]

    def unknown(self, table: Table) -> list[str]:
        """The columns of a table that the classifier does not read, apart from an index."""
        found = set(self._found(table).values())
        columns = table.without_index(self.names).columns if table.named else ()
        return [name for name in columns if name not in found]

    def _found(self, table: Table) -> dict[str, str]:
        """What a table calls the columns of the classifier; spaces around names don't count."""
        given = {name.strip(): name for name in table.columns} | dict(
            zip(table.columns, table.columns, strict=True)
        )
        pairs = {name: given.get(name, given.get(name.strip())) for name in self.names}
        return {name: other for name, other in pairs.items() if other is not None}

    def _batch(self, columns: Sequence[Any]) -> Any:
        if self.named:
            pandas = import_pandas()
            pairs = zip(self.columns, columns, strict=True)
            return pandas.DataFrame(
                {column.name: series_of(pandas, column, values) for column, values in pairs}
            )
        if any(column.type not in ("number", "integer", "boolean") for column in self.columns):
            array = np.empty((len(columns[0]), len(columns)), dtype=object)
            for i, values in enumerate(columns):
                array[:, i] = values
            return array
        dtypes = {column.dtype for column in self.columns}
        dtype = dtypes.pop() if len(dtypes) == 1 else ""
        return np.array(columns, dtype=dtype if dtype.startswith("float") else np.float64).T

    def _as_it_is(self, frame: Any) -> Any:
        """The frame with its columns in order if it is one that `batch` could have made."""
        names = list(self.names)
        if not self.named or set(frame.columns) != set(names) or len(frame.columns) != len(names):
            return None
        frame = frame if list(frame.columns) == names else frame[names]
        pairs = zip(self.columns, names, strict=True)
        return frame if all(column.fits(frame[name]) for column, name in pairs) else None

    def _checked_sparse(self, matrix: Any) -> Any:
        if self.named or matrix.ndim != 2 or matrix.shape[1] != len(self.columns):
            raise InputError(
                f"this model reads {len(self.columns)} columns"
                f"{' by name' * self.named}; got a sparse matrix of shape {matrix.shape}."
            )
        return matrix.tocsr()


class Rows(Sequence[Row]):
    """The rows of a table as a table input reads them: each is checked when it is asked for."""

    def __init__(self, reader: TableInput, value: Any) -> None:
        if not is_table(value):
            reader.refuse(value)
        self.reader = reader
        table = as_table(value)
        self._is_text, self._broken = table.is_text, table.broken
        self._cells = reader._matched(table)
        if not len(self):
            raise InputError("the table has no row; give one or more.")

    def __len__(self) -> int:
        return len(self._cells[0])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """A row by name, in the classifier's order; those of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if index in self._broken:
            raise InputError(self._broken[index])
        return {
            column.name: column.values([cells[index]], self._is_text)[0]
            for column, cells in zip(self.reader.columns, self._cells, strict=True)
        }

    def columns(self) -> list[Any]:
        """The checked values of all columns; an error names the sample, where there are several."""
        for index, why in self._broken.items():
            raise InputError(f"sample {index}: {why}")
        return [
            column.values(cells, self._is_text, numbered=len(self) > 1)
            for column, cells in zip(self.reader.columns, self._cells, strict=True)
        ]


def _is_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse")
