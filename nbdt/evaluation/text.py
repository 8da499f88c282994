"""Measures as text: percentages, and tables whose columns line up."""

from __future__ import annotations

from collections.abc import Sequence

from nbdt.hierarchy.text import one_line

_WIDEST = 40


def percent(share: float | None) -> str:
    """A percentage with one decimal, which says 100 or 0 only where that is exact.

    Example:
        >>> percent(0.5), percent(0.99999), percent(1), percent(None)
        ('50.0 %', '>99.9 %', '100.0 %', '–')
    """
    return "–" if share is None else f"{_rounded(share)} %"


def percent_range(bounds: tuple[float, float] | None) -> str:
    """Two bounds in percent.

    Example:
        >>> percent_range((0.25, 0.5))
        '25.0 – 50.0 %'
    """
    return "" if bounds is None else f"{_rounded(bounds[0])} – {_rounded(bounds[1])} %"


def short(name: str) -> str:
    """A name on one line, cut where it is long.

    Example:
        >>> short("grey wolf, timber wolf, Canis lupus, and others")
        'grey wolf, timber wolf, Canis lupus, an…'
    """
    line = one_line(name)
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1].rstrip() + "…"


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> list[str]:
    r"""The lines of a table: headings, a rule, the rows; columns without entries are left out.

    Args:
        headings: what stands over the columns.
        rows: the cells of each row.
        words: how many columns, from the left, hold words; the others are numbers, on the right.

    Example:
        >>> print("\n".join(aligned(["node", "right"], [["animal", "7"], ["thing", "12"]])))
        node    right
        ──────  ─────
        animal      7
        thing      12
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
