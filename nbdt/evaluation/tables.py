"""Measures as values for JSON, and as text: percentages, and tables whose columns line up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

from nbdt.hierarchy.text import one_line

INTERVAL = "95 % interval"
"""The heading of a column of Wilson intervals."""

_WIDEST = 40


class Record:
    """A dataclass that JSON can hold; `derived` names properties to list beside the fields."""

    derived: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields and what follows from them, as values that JSON can hold."""
        names = (*(field.name for field in fields(self)), *self.derived)  # type: ignore[arg-type]
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(share: float | None) -> str:
    """A percentage with one decimal, which says 100 or 0 only where that is exact."""
    return "–" if share is None else f"{_rounded(share)} %"


def percent_range(bounds: tuple[float, float] | None) -> str:
    """Two bounds in percent, such as "25.0 – 50.0 %"."""
    return "" if bounds is None else f"{_rounded(bounds[0])} – {_rounded(bounds[1])} %"


def short(name: str) -> str:
    """A name on one line, cut where it is long."""
    line = one_line(name)
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1].rstrip() + "…"


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> list[str]:
    r"""The lines of a table: headings, a rule, the rows; columns without entries are left out.

    The first `words` columns hold words, the others numbers, which stand on the right.
    """
    kept = [
        (place < words, [headings[place], *column])
        for place, column in enumerate(zip(*rows, strict=True))
        if any(column)
    ]
    widths = [max(map(len, column)) for _, column in kept]
    lines = []
    for line in zip(*(column for _, column in kept), strict=True):
        cells = [
            cell.ljust(width) if is_word else cell.rjust(width)
            for cell, width, (is_word, _) in zip(line, widths, kept, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return lines


def _rounded(share: float) -> str:
    rounded = round(100 * share, 1)
    if rounded in (0.0, 100.0) and share not in (0.0, 1.0):
        return "<0.1" if share < 0.5 else ">99.9"
    return f"{rounded:.1f}"


def signed(difference: float) -> str:
    """A difference of two shares in percentage points, such as "+1.2" or "−50.0"."""
    rounded = f"{100 * abs(difference):.1f}"
    return f"{'+' if difference > 0 else '−' if difference < 0 else ''}{rounded}"


def signed_range(bounds: tuple[float, float]) -> str:
    """Two bounds of a difference in percentage points, such as "−0.3 … +6.2"."""
    return f"{signed(bounds[0])} … {signed(bounds[1])}"
