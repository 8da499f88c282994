"""Tables of any library, and tables in files, as columns by name.

Libraries are recognized by the names of their modules, so none of them is imported here unless the
caller already has one of its tables, or asks for a file that only it can read.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nbdt.documents import described, parsed_json
from nbdt.errors import FormatError, InputError, NotFoundError, missing, reason_of
from nbdt.files import error_context, is_file
from nbdt.inputs.base import kind_of

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
"""The files that `read_table` reads."""

MAX_BYTES = 2**30
MAX_COLUMNS = 10_000

ABSENT = object()
"""Stands in a column for rows that do not have it."""

# What exporters call the index of a frame.
_INDEX = re.compile(r"Unnamed: \d+|__index_level_\d+__|index|")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_SCALARS = (str, bytes, bool, int, float, np.generic, type(None))
MISSING_WORDS = {"", "na", "n/a", "nan", "null", "none"}
"""Words, in lower case, that text files have in place of a number."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length, by name; by place (`named` is False) where they have no names.

    Attributes:
        is_text: whether cells are texts whose types are still to be read, as in a CSV file.
        is_row: whether it was given as a single row, not as a table of one.
        broken: the rows that a file does not hold whole, by place, and why; their cells are "".
    """

    columns: Mapping[str, Sequence[Any]]
    named: bool = True
    is_text: bool = False
    is_row: bool = False
    broken: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def without(self, names: Iterable[str]) -> Table:
        """The table without some of its columns; a NotFoundError if it lacks one."""
        left = dict(self.columns)
        for name in names:
            if left.pop(name, None) is None:
                raise NotFoundError(
                    f"has no column {described(name)}; it has {', '.join(self.columns)}."
                )
        return replace(self, columns=left)

    def without_index(self, known: Iterable[str]) -> Table:
        """The table without the columns that exporters make of a frame's index."""
        kept = set(known)
        columns = {
            name: values
            for name, values in self.columns.items()
            if name in kept or not _INDEX.fullmatch(name)
        }
        return replace(self, columns=columns)

    def typed(self) -> Table:
        """The table with numbers and truth values in place of texts that hold nothing else."""
        for why in self.broken.values():
            raise FormatError(why)
        if not self.is_text:
            return self
        return Table({name: _typed(column) for name, column in self.columns.items()}, self.named)

    def to_frame(self) -> Any:
        """The table as a pandas frame."""
        pandas = import_pandas()
        return pandas.DataFrame({name: list(column) for name, column in self.columns.items()})


def as_table(value: Any) -> Table:
    """A pandas, polars or pyarrow table, an array, a mapping or a list, as a `Table`.

    A mapping is one row if its values are scalars, else columns; a list holds rows, each a mapping
    or a list of values in the columns' order, or is such a row itself.
    """
    if isinstance(value, Table):
        return value
    library = type(value).__module__.partition(".")[0]
    if library in ("pandas", "polars", "pyarrow"):
        return _of_library(value, library)
    if library == "torch":
        value = value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, np.void) and value.dtype.names:
        return Table({name: [value[name]] for name in value.dtype.names}, is_row=True)
    if isinstance(value, np.ndarray):
        if value.dtype.names:
            array = np.atleast_1d(value)
            return Table({name: array[name] for name in value.dtype.names})
        if value.ndim in (1, 2):
            return _by_place(np.atleast_2d(value).T, is_row=value.ndim == 1)
        raise InputError(
            f"a table has rows and columns; got an array of shape {value.shape}, expected "
            "(rows, columns)."
        )
    if isinstance(value, list | tuple):
        return _of_list(value)
    raise InputError(
        "expected a table: of pandas, polars or pyarrow, an array, or columns or rows by name; got "
        f"{kind_of(value)}."
    )


def is_table(value: Any) -> bool:
    """Whether `as_table` takes a value of this kind."""
    library = type(value).__module__.partition(".")[0]
    is_container = isinstance(value, Table | Mapping | list | tuple | np.ndarray | np.void)
    return is_container or library in ("pandas", "polars", "pyarrow", "torch")


def is_scalar(value: Any) -> bool:
    """Whether this is a cell rather than several."""
    return isinstance(value, _SCALARS) or not (
        isinstance(value, Mapping | Sequence) or hasattr(value, "__array__")
    )


def import_pandas() -> Any:
    """pandas; a MissingDependencyError if it is not installed."""
    try:
        import pandas
    except ImportError:
        raise missing("pandas", "sklearn", "a model of columns with names") from None
    return pandas


# ── tables in memory ──────────────────────────────────────────────────────────────────────────


def _of_library(value: Any, library: str) -> Table:
    kind = type(value).__name__
    if kind == "Series":
        if library == "polars":
            raise InputError("got a column of polars; give a table, or a row as a dict.")
        return _of_mapping(value.to_dict())
    found = getattr(value, "column_names", None) or getattr(value, "columns", None)
    names = [] if found is None else [*map(str, found)]
    if not names or kind == "LazyFrame":
        raise InputError(f"expected a table; got {library}'s {kind} (call collect() on a query).")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the table has two columns called {described(twice)}.")
    if library == "pandas":
        named = all(isinstance(name, str) for name in value.columns)
        columns: dict[str, Any] = {name: value.iloc[:, i] for i, name in enumerate(names)}
        columns = {name: _as_array(column) for name, column in columns.items()}
        return Table(columns, named)
    if library == "polars":
        return Table({name: value[name].to_list() for name in names})
    return Table({name: value.column(i).to_pylist() for i, name in enumerate(names)})


def _as_array(column: Any) -> Any:
    # A nullable or a categorical column would become an array of objects at a high price.
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.tolist()


def _of_mapping(value: Mapping[Any, Any]) -> Table:
    if not value or not all(isinstance(name, str) for name in value):
        raise InputError("a row or a table by name needs at least one column, with a text as name.")
    if all(map(is_scalar, value.values())):
        return Table({name: [cell] for name, cell in value.items()}, is_row=True)
    singles = [name for name, cells in value.items() if is_scalar(cells)]
    others = [name for name in value if name not in singles]
    if 2 * len(singles) > len(value):
        raise InputError(
            f"column {described(others[0])} takes a single value; got {kind_of(value[others[0]])}."
        )
    columns: dict[str, Any] = {}
    for name, cells in value.items():
        if name in singles or isinstance(cells, Mapping):
            raise InputError(f"column {described(name)} is one value among columns; give a list.")
        array = cells if isinstance(cells, list | tuple) else np.asarray(cells)
        if np.ndim(array) > 1 if isinstance(array, np.ndarray) else not all(map(is_scalar, array)):
            raise InputError(f"column {described(name)} holds lists; a cell is a single value.")
        columns[name] = array
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        first, *others = lengths
        other = next(name for name in others if lengths[name] != lengths[first])
        raise InputError(
            f"columns need one length; {described(first)} has {lengths[first]} values and "
            f"{described(other)} has {lengths[other]}."
        )
    return Table(columns)


def _of_list(rows: Sequence[Any]) -> Table:
    if not rows:
        raise InputError("no rows were given; give one or more.")
    if all(map(is_scalar, rows)):
        return _by_place([[cell] for cell in rows], is_row=True)
    tables = [row if isinstance(row, Mapping) else None for row in rows]
    if None not in tables:
        names: dict[str, None] = {}
        for row in tables:
            names |= dict.fromkeys(row or ())
        if not all(isinstance(name, str) for name in names):
            raise InputError("the names of columns are texts.")
        return Table({name: [row.get(name, ABSENT) for row in tables if row is not None]
                      for name in names})  # fmt: skip
    for index, row in enumerate(rows):
        if isinstance(row, Mapping) or is_scalar(row) or len(row) != len(rows[0]):
            raise InputError(
                f"sample {index}: expected {_described_row(rows[0])} as sample 0 is; got "
                f"{_described_row(row)}."
            )
    return _by_place(list(zip(*rows, strict=True)))


def _described_row(row: Any) -> str:
    if isinstance(row, Mapping) or is_scalar(row):
        return described(row)
    return f"a row of {len(row)} values"


def _by_place(columns: Any, *, is_row: bool = False) -> Table:
    found = {str(place): column for place, column in enumerate(columns)}
    return Table(found, named=False, is_row=is_row)


# ── tables in files ───────────────────────────────────────────────────────────────────────────


def read_table(path: str | os.PathLike[str]) -> Table:
    """The table in a CSV, TSV, Parquet, JSON-lines or JSON file, recognized by its suffix."""
    file, suffix = Path(path), Path(path).suffix.lower()
    if not is_file(file):
        raise NotFoundError(f"{file}: no such file.")
    if suffix not in SUFFIXES:
        raise InputError(f"{file}: a table is one of {', '.join(SUFFIXES)}.")
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file}: is larger than {MAX_BYTES // 2**20:,} MB; split it.")
    with error_context(file):
        if suffix == ".parquet":
            return _parquet(file)
        try:
            with file.open(encoding="utf-8-sig", newline="") as lines:
                if suffix in (".csv", ".tsv"):
                    return table_of_csv(lines, "\t" if suffix == ".tsv" else None)
                return _of_list(json_rows(lines if suffix != ".json" else [lines.read()]))
        except UnicodeDecodeError as error:
            raise FormatError(
                f"is not UTF-8 text (at byte {error.start}); save it as UTF-8."
            ) from None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}.") from None


def table_of_csv(lines: Iterable[str], delimiter: str | None = None) -> Table:
    """The table in the lines of a CSV file, whose first line names the columns.

    Spaces after a delimiter are dropped. Without a `delimiter` it is the comma or, if the first
    line has none, the semicolon.
    """
    whole = iter(lines)
    first = next((line for line in whole if line.strip()), "").removeprefix("\ufeff")
    if delimiter is None:
        delimiter = ";" if "," not in first and ";" in first else ","
    reader = csv.reader(
        _chained(first, whole), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            raise FormatError("is empty; the first line names the columns.")
        if len(header) > MAX_COLUMNS or len(set(header)) < len(header):
            twice = next((name for name in header if header.count(name) > 1), None)
            what = f"more than {MAX_COLUMNS:,} columns" if twice is None else (
                f"two columns called {described(twice)}"
            )  # fmt: skip
            raise FormatError(f"its first line, which names the columns, has {what}.")
        columns: list[list[str]] = [[] for _ in header]
        broken: dict[int, str] = {}
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                broken[len(columns[0])] = (
                    f"line {reader.line_num} has {len(row)} cells; the first line names "
                    f"{len(header)} columns."
                )
                row = [""] * len(header)
            for column, cell in zip(columns, row, strict=True):
                column.append(cell)
    except csv.Error as error:
        raise FormatError(f"line {reader.line_num} is not valid CSV: {reason_of(error)}.") from None
    if broken and len(broken) == len(columns[0]):
        raise FormatError(next(iter(broken.values())))
    return Table(dict(zip(header, columns, strict=True)), is_text=True, broken=broken)


def json_rows(texts: Iterable[str]) -> list[Any]:
    """The rows in JSON texts: objects, lists of values, or one list of these."""
    rows: list[Any] = []
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            value = parsed_json(text.removeprefix("\ufeff"))
        except FormatError as error:
            raise FormatError(f"line {number} {error}") from None
        is_rows = isinstance(value, list) and not all(map(is_scalar, value))
        rows += value if is_rows else [value]
    return rows


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _parquet(file: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise missing("pyarrow", "all", "a Parquet file") from None
    try:
        table = parquet.read_table(file)
    except (ArrowException, OSError) as error:
        raise FormatError(f"cannot be read as Parquet: {reason_of(error)}.") from None
    return _of_library(table, "pyarrow")


def _typed(cells: Sequence[str]) -> list[Any]:
    """The cells of one column of a text file, as numbers or truth values if all are such."""
    words = [cell.strip() for cell in cells]
    filled = [word for word in words if word.lower() not in MISSING_WORDS]
    for fits, convert in (
        (_INTEGER.fullmatch, int),
        (_NUMBER.fullmatch, float),
        (lambda word: word.lower() in ("true", "false"), lambda word: word.lower() == "true"),
    ):
        if filled and all(map(fits, islice(filled, 50))) and all(map(fits, filled)):
            return [None if word.lower() in MISSING_WORDS else convert(word) for word in words]
    return [cell or None for cell in cells]


def number_of(word: str) -> int | float | None:
    """The number that a cell of a text file holds; None if it is none."""
    if _INTEGER.fullmatch(word):
        return int(word)
    return float(word) if _NUMBER.fullmatch(word) else None


def parsed_table(value: str | bytes | bytearray) -> Any:
    """The rows that JSON, JSON lines or CSV hold."""
    if not isinstance(value, str):
        try:
            value = bytes(value).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise FormatError("is not UTF-8 text; a table is sent as CSV or JSON.") from None
    if not is_json(value):
        return table_of_csv(io.StringIO(value, newline=""))
    try:
        return json_rows([value])
    except FormatError:
        lines = value.strip().splitlines()
        if len(lines) == 1 or not lines[0].rstrip().endswith(("}", "]")):
            raise
        return json_rows(lines)


def is_json(text: str) -> bool:
    """Whether a text is an object or a list of JSON, and not a name or CSV."""
    return text.lstrip("\ufeff \t\r\n").startswith(("{", "["))
