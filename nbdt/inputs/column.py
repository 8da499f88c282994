"""What is known of one column of a table: its type, its categories, and how a value is checked."""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import Field

from nbdt.documents import CompleteDocument, described
from nbdt.errors import InputError, SampleWarning
from nbdt.inputs.base import numbered as numbered_samples
from nbdt.inputs.frames import ABSENT, MISSING_WORDS, Table, is_scalar, number_of

Cell = bool | int | float | str
Kind = Literal["number", "integer", "boolean", "category", "text", "any"]
Missing = Literal["refused", "nan", "none"]

MAX_CATEGORIES = 1_000
# Texts of few words that recur, or are few, are taken for categories.
_WORDS, _FEW = 5, 20
_LONGEST = 200  # characters of an example
_DTYPES = (
    r"|category|object|str|string(\[\w+\])?|bool(ean)?|(u?int|float|U?Int|Float)\d{1,2}"
    r"|datetime64\[\w+\]"
)
_NUMPY = re.compile(r"bool|(u?int|float)\d+")
_TAKES = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "one of its categories",
    "text": "a text",
}


class Column(CompleteDocument):
    """What is known of one column.

    Attributes:
        type: "any" where nothing is known.
        dtype: of the column in the frame or array that the classifier was fitted to.
        categories: the known values of a category, sorted, or in the order of a pandas category.
        unseen: whether other categories are refused or passed on to the classifier.
        missing: whether a value may be missing, and what then stands in its place.
    """

    name: str = Field(max_length=1000)
    type: Kind = "any"
    dtype: str = Field(default="", pattern=rf"^({_DTYPES})$")
    categories: tuple[Cell, ...] = Field(default=(), max_length=MAX_CATEGORIES)
    unseen: Literal["refused", "passed on"] = "refused"
    missing: Missing = "refused"

    def values(self, cells: Sequence[Any], is_text: bool, numbered: bool = False) -> Any:
        """The checked values of a column; an error names the sample if they are `numbered`."""
        array = cells if isinstance(cells, np.ndarray) else None
        if array is not None and array.dtype.kind in "iuf" and self.type in ("number", "integer"):
            lost = np.isnan(array) if array.dtype.kind == "f" else np.zeros(0, dtype=bool)
            wrong = ~np.isfinite(array) & ~lost if lost.size else lost
            if self.type == "integer" and lost.size:
                wrong = wrong | (~lost & (array != np.round(array)))
            if not wrong.any() and not (lost.any() and self.missing == "refused"):
                return array
        if numbered:
            values = numbered_samples(lambda cell: self._value(cell, is_text), cells)
        else:
            values = [self._value(cell, is_text) for cell in cells]
        if self.type == "category" and self.unseen == "passed on":
            self._warn(values)
        return values

    def _warn(self, values: list[Any]) -> None:
        new = [
            row
            for row, cell in enumerate(values)
            if not is_missing(cell) and (type(cell) is bool, cell) not in self._categories
        ]
        if new:
            name = f"sample {new[0]}: " if len(values) > 1 else ""
            others = f" (and {len(new) - 1} more rows)" if len(new) > 1 else ""
            said = f"{name}{self.note(values[new[0]])}{others}."
            warnings.warn(said, SampleWarning, stacklevel=2)

    def note(self, cell: Any) -> str:
        """That a value is a category that was never seen, if it is one that is passed on."""
        is_open = self.type == "category" and self.unseen == "passed on"
        if not is_open or is_missing(cell) or (type(cell) is bool, cell) in self._categories:
            return ""
        return (
            f"column {described(self.name)} has the category {described(cell)}, which the model "
            "has never seen; it makes of it what it can"
        )

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of a value; known categories are ``examples`` where others are taken."""
        if self.type == "category":
            key = "enum" if self.unseen == "refused" else "examples"
            lost = [None] if self.missing != "refused" and key == "enum" else []
            return {key: [*self.categories, *lost]}
        if self.type == "any":
            return {}
        name = "string" if self.type == "text" else self.type
        return {"type": name if self.missing == "refused" else [name, "null"]}

    def fits(self, values: Any) -> bool:
        """Whether a pandas column is what the classifier was fitted to, and needs no more checks.

        False may also mean that only `values` can tell.
        """
        dtype = values.dtype
        if self.type == "any" and not self.dtype:
            return True  # nothing is known that a value could break
        if self.type in ("any", "text") or str(dtype) != self.dtype or not len(values):
            return False
        if self.dtype == "category":
            is_same = tuple(dtype.categories) == self.categories
            return is_same and (self.missing != "refused" or not values.isna().any())
        array = values.to_numpy()
        if array.dtype.kind in "iub":
            return True
        if array.dtype.kind == "f":
            wrong = ~np.isfinite(array) if self.missing == "refused" else np.isinf(array)
            return not wrong.any()
        if self.type != "category":
            return False
        others = set(array.tolist()) - {*self.categories}
        return all(map(is_missing, others)) and not (others and self.missing == "refused")

    @cached_property
    def _categories(self) -> Mapping[Any, Cell]:
        """The categories, with truth values apart from 0 and 1."""
        return {(type(one) is bool, one): one for one in self.categories}

    @cached_property
    def _words(self) -> Mapping[str, Cell]:
        """The categories by their text in a file, which may have lost the spaces around it."""
        stripped = {str(one).strip(): one for one in self.categories}
        return stripped | {str(one): one for one in self.categories}

    def _value(self, cell: Any, is_text: bool) -> Any:
        cell = cell.item() if isinstance(cell, np.generic) else cell
        if cell is ABSENT:
            raise InputError(f"the row lacks the column {described(self.name)}.")
        if is_text and self.type == "category":
            cell = self._words.get(cell, self._words.get(cell.strip(), cell))
        if is_missing(cell) or (is_text and self._is_missing_word(cell)):
            if self.missing == "refused" and self.type != "any":
                raise InputError(
                    f"column {described(self.name)} has no value; give it {self._takes()}."
                )
            return None if self.missing == "none" else math.nan
        if is_text and self.type != "category":
            cell = self._parsed(cell)
        if self.type == "category":
            found = self._categories.get((type(cell) is bool, cell)) if is_scalar(cell) else None
            if found is None and (self.unseen == "refused" or not isinstance(cell, Cell)):
                raise InputError(self._never_seen(cell))
            return cell if found is None else found
        if self.type == "text" and hasattr(cell, "isoformat"):
            cell = cell.isoformat()
        if not self._fits(cell):
            raise InputError(
                f"column {described(self.name)} takes {self._takes()}; got {described(cell)}."
            )
        return int(cell) if self.type == "integer" else cell

    def _fits(self, cell: Any) -> bool:
        is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
        match self.type:
            case "any":
                return isinstance(cell, Cell)
            case "text":
                return isinstance(cell, str)
            case "boolean":
                return isinstance(cell, bool)
            case "integer":
                return is_number and math.isfinite(cell) and cell == int(cell)
            case _:
                return is_number and math.isfinite(cell)

    def _is_missing_word(self, cell: Any) -> bool:
        if self.type == "text":
            return cell == "" and self.missing != "refused"
        is_word = isinstance(cell, str) and cell.strip().lower() in MISSING_WORDS
        return is_word and (False, cell) not in self._categories

    def _parsed(self, cell: Any) -> Any:
        """The value that a cell of a text file stands for."""
        word = cell.strip()
        if self.type == "text":
            return cell
        if self.type in ("boolean", "any") and word.lower() in ("true", "false"):
            return word.lower() == "true"
        if self.type == "boolean":
            return {"0": False, "1": True}.get(word, cell)
        number = number_of(word)
        return cell if number is None else number

    def _takes(self) -> str:
        if self.type == "category":
            return f"one of {listed(self.categories)}"
        return _TAKES.get(self.type, "a number, a text, or true or false")

    def _never_seen(self, cell: Any) -> str:
        of_lower = {str(one).lower(): one for one in self.categories}
        close = difflib.get_close_matches(str(cell)[:100].lower(), of_lower, n=1)
        takes = f"; did you mean {of_lower[close[0]]!r}?" if close else f"; give {self._takes()}."
        return (
            f"column {described(self.name)} has the category {described(cell)}, which the model "
            f"has never seen{takes}"
        )


def dtypes_of(frame: Any) -> dict[str, Any]:
    """The types of the columns of a pandas frame or a structured array, by name."""
    if type(frame).__module__.startswith("pandas.") and type(frame).__name__ == "DataFrame":
        return {str(name): dtype for name, dtype in frame.dtypes.items()}
    if isinstance(frame, np.ndarray) and frame.dtype.names:
        return {name: frame.dtype[name] for name in frame.dtype.names}
    if isinstance(frame, np.ndarray):
        return {str(i): frame.dtype for i in range(frame.shape[-1])}
    return {}


def described_column(
    name: str, cells: Sequence[Any], dtype: Any, named: bool
) -> tuple[Column, Cell | None]:
    """What training data says of a column, and a typical value of it."""
    plain = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    filled = [cell for cell in plain if not is_missing(cell)]
    missing: Missing = "refused"
    if len(filled) < len(plain):
        missing = "none" if any(cell is None for cell in plain) else "nan"
    kinds = {type(cell) for cell in filled}
    kind: Kind = "any"
    categories: tuple[Cell, ...] = ()
    usual = "object"
    if dtype is not None and str(dtype) == "category":
        kind, categories = "category", tuple(_cells_of(name, dtype.categories))
    elif kinds == {bool}:
        kind, usual = "boolean", "bool" if missing == "refused" else "object"
    elif kinds == {int}:
        kind, usual = (
            "integer" if named else "number",
            "int64" if missing == "refused" else "float64",
        )
    elif kinds and kinds <= {int, float}:
        kind, usual = "number", "float64"
    elif kinds == {str}:
        kind = "text"
        if len(values := set(filled)) <= MAX_CATEGORIES and _are_categories(values, len(filled)):
            kind, categories = "category", tuple(sorted(values))
    elif kinds and all(hasattr(cell, "isoformat") for cell in filled):
        kind, usual = "text", "datetime64[ns]"
    own = str(dtype) if dtype is not None and re.fullmatch(_DTYPES, str(dtype)) else usual
    if own != "category" and kind in ("number", "integer") and missing == "none":
        missing = "nan"
    column = Column(name=name, type=kind, dtype=own, categories=categories, missing=missing)
    return column, _typical(filled, kind)


def _are_categories(values: set[str], rows: int) -> bool:
    words = sum(len(value.split()) for value in values) / len(values)
    return words <= _WORDS and (2 * len(values) <= rows or len(values) <= _FEW)


def _cells_of(name: str, categories: Iterable[Any]) -> list[Cell]:
    cells = [one.item() if isinstance(one, np.generic) else one for one in categories]
    wrong = [one for one in cells if not isinstance(one, Cell)]
    if wrong or len(cells) > MAX_CATEGORIES:
        got = f"{len(cells):,} of them" if not wrong else described(wrong[0])
        raise InputError(
            f"column {described(name)}: categories are at most {MAX_CATEGORIES:,} texts, numbers "
            f"or truth values; got {got}."
        )
    return cells


def _typical(filled: list[Any], kind: str) -> Cell | None:
    """The median of numbers, the first text, else the most frequent value."""
    if not filled:
        return None
    if kind in ("number", "integer"):
        finite = sorted(cell for cell in filled if math.isfinite(cell))
        return finite[len(finite) // 2] if finite else None
    if kind == "text":
        return str(filled[0].isoformat() if hasattr(filled[0], "isoformat") else filled[0])[
            :_LONGEST
        ]
    most = Counter(filled).most_common(1)[0][0]
    return most if isinstance(most, Cell) else None


def unseen_category(column: Column) -> Cell | None:
    """A category that a column does not have; None if it can have no other, as in pandas."""
    if column.type != "category" or column.dtype == "category":
        return None
    if all(isinstance(one, str) for one in column.categories):
        return "\N{DOTTED CIRCLE}nbdt"
    return max(one for one in column.categories if not isinstance(one, str)) + 1


def is_missing(cell: Any) -> bool:
    """Whether this stands for a missing value in any library."""
    # NaN differs from itself; pandas' NA and NaT have no truth value, or are equal to nothing.
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return True
    return type(cell).__module__.startswith("pandas.") and type(cell).__name__ in (
        "NAType",
        "NaTType",
    )


def listed(values: Sequence[Any], most: int = 6) -> str:
    """The first of some values, as an error lists them."""
    shown = [described(value) for value in values[:most]]
    return ", ".join(shown if len(values) <= most else [*shown[:-1], f"… ({len(values)} in all)"])


def series_of(pandas: Any, column: Column, values: Any) -> Any:
    """Values as a column of the type that the classifier was fitted to."""
    dtype = column.dtype
    if dtype == "category":
        return pandas.Categorical(values, categories=list(column.categories))
    if isinstance(values, list) and any(map(is_missing, values)):
        dtype = re.sub("^u?int.*", "float64", dtype.replace("bool", "object"))
    if dtype == "object":
        # pandas would guess a type, at ten times the cost.
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    if _NUMPY.fullmatch(dtype):
        return np.asarray(values, dtype=dtype)
    return pandas.Series(values, dtype=dtype or None)


def empty_cell(name: str, value: Any) -> Cell:
    """What stands in place of a value if no row to compare with is known."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return 0
    raise InputError(
        f"nothing is known that could stand in place of {described(value)} in the column "
        f"{described(name)}; give a typical row to compare with, as baseline=…."
    )


def mismatch(
    what: str, table: Table, names: Sequence[str], lacking: list[str], unknown: list[str]
) -> str:
    """What a table lacks, and has beside the columns that the classifier reads."""
    if not unknown:
        lack = f"the column{'s' * (len(lacking) > 1)} {listed(lacking)}"
        return f"{what} lacks {lack}; the model reads {listed(names, most=20)}."
    # Of rows by name, only some may have the column.
    cells = enumerate(table.columns[unknown[0]])
    first = next((row for row, cell in cells if cell is not ABSENT), 0)
    where = f"sample {first}: " if first else ""
    close = difflib.get_close_matches(unknown[0], lacking or names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    surplus = f"the column{'s' * (len(unknown) > 1)} {listed(unknown)}, which the model does not"
    surplus += f" read{hint}"
    if not lacking:
        it = "it" if len(unknown) == 1 else "them"
        return f"{where}{what} has {surplus}; leave {it} out."
    lack = f"the column{'s' * (len(lacking) > 1)} {listed(lacking)}"
    return f"{where}{what} lacks {lack}; it has {surplus}."
