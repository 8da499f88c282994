"""What people see of a sample, and the parts of it that attribution speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from nbdt.errors import InputError


@dataclass(frozen=True, eq=False)
class Preview:
    """What a page shows of a sample: a picture, texts, columns with their values, or nothing."""

    picture: Image.Image | None = None
    texts: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()


Span = tuple[int, int, int]
"""A piece of a text: its place in `Preview.texts`, and the first character and the one after it."""

PartKind = Literal["word", "character", "n-gram", "column", "value"]


@dataclass(frozen=True, eq=False)
class Parts:
    """What attribution speaks of: the parts of one sample, and the sample without some of them.

    Attributes:
        kind: what a part is.
        names: "good", "age".
        without: from a mask of shape (samples, parts), True for what is left out, to samples as
            `Input.batch` takes them.
        in_place: what stands in place of a part that is left out: "nothing", "the example row".
        values: of columns, as a reader sees them; empty for others.
        spans: of words, where they stand; empty for others.
        groups: of large arrays, the part that each value belongs to, in the order of the values.
    """

    kind: PartKind
    names: tuple[str, ...]
    without: Callable[[npt.NDArray[np.bool_]], Sequence[Any]]
    in_place: str
    values: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    groups: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.names)


def columns_of(cells: Mapping[str, Any]) -> Preview:
    """A row of columns as a reader sees it."""
    return Preview(columns=tuple((name, shown(value)) for name, value in cells.items()))


def column_parts(
    cells: Mapping[str, Any],
    others: Mapping[str, Any],
    in_place: str,
    rows: Callable[[dict[str, list[Any]]], Sequence[Any]],
) -> Parts:
    """The columns of a row; `others` stand in their place, and `rows` makes samples of columns."""

    def without(left_out: npt.NDArray[np.bool_]) -> Sequence[Any]:
        return rows(
            {
                name: [others[name] if is_out else value for is_out in column]
                for (name, value), column in zip(cells.items(), left_out.T.tolist(), strict=True)
            }
        )

    values = tuple(map(shown, cells.values()))
    return Parts("column", tuple(cells), without, in_place, values=values)


def shown(value: Any) -> str:
    """A value of a column as a reader sees it: "52", "0.3333", "Private"."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).strip()


def refuse_division(by: str | int | None, reads: str) -> None:
    """Refuses `by` for kinds whose samples are divided in one way only."""
    if by is not None:
        raise InputError(f"by={by!r:.80} is for models that read text; this one reads {reads}.")
