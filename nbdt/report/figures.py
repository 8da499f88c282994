"""The drawings of a report, as small SVG elements that the report's style sheet colors."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from nbdt.evaluation import Reliability, wilson_interval
from nbdt.evaluation.tables import percent, percent_range
from nbdt.view.svg.shapes import Box, Rect, Shape, Text, dot, line

_BAR_WIDTH, _BAR_HEIGHT = 150, 16
_SIDE, _COUNTS = 340, 64  # the square of a reliability diagram, and the counts below it
_LEFT, _TOP = 40, 10


@dataclass(frozen=True)
class Axis:
    """The part of 0 … 1 that a column of interval bars shows."""

    low: float
    high: float

    @classmethod
    def around(cls, intervals: Sequence[tuple[float, float]]) -> Axis:
        """The narrowest axis in steps of 5 % that holds all intervals."""
        low = math.floor(20 * min(low for low, _ in intervals)) / 20
        high = math.ceil(20 * max(high for _, high in intervals)) / 20
        return cls(low, high if high > low else low + 0.05)

    def place(self, share: float) -> float:
        """Where on a bar a share stands, in pixels."""
        return 6 + (share - self.low) / (self.high - self.low) * (_BAR_WIDTH - 12)

    def heading(self) -> Markup:
        """What stands over a column of bars: where the axis begins and ends."""
        ends = "".join(f"<span>{100 * end:.0f} %</span>" for end in (self.low, self.high))
        return Markup(f'<span class="axis">{ends}</span>')

    def bar(self, share: float, interval: tuple[float, float]) -> Markup:
        """A share as a dot on its interval."""
        middle = _BAR_HEIGHT / 2
        low, high = map(self.place, interval)
        return _drawing(
            "interval",
            (
                line((6, middle), (_BAR_WIDTH - 6, middle), css="rail"),
                line((low, middle), (high, middle), css="span"),
                dot(self.place(share), middle, 4, "dot"),
            ),
            (_BAR_WIDTH, _BAR_HEIGHT),
            f"{percent(share)}, 95 % interval {percent_range(interval)}",
        )


def share_bar(share: float) -> Markup:
    """A share of the whole as a filled part of a bar, for who sees the number beside it."""
    rail, part = (
        Rect(Box(0, 0, 150 * one, 8), css, 4) for one, css in ((1, "rail"), (share, "part"))
    )
    return _drawing("share", (rail, part), (150, 8), "")


def sides_bar(share: float) -> Markup:
    """A bar to the right of a middle line for the child taken, to the left for its rival."""
    width = max(abs(36 * share), 1)
    start, side = (36.0, "for") if share > 0 else (36.0 - width, "against")
    part = Rect(Box(start, 0, width, 10), side)
    return _drawing("share", (part, line((36, 0), (36, 10), css="frame")), (72, 10), "")


def reliability_diagram(found: Reliability, title: str) -> Markup:
    """Confidence and how often it was right, bin by bin, with how many samples each bin holds.

    A point below the diagonal was overconfident. Lines are 95 % intervals.
    """
    bottom = _TOP + _SIDE
    return _drawing(
        "reliability",
        (
            Rect(Box(_LEFT, _TOP, _SIDE, _SIDE), "frame"),
            line((_LEFT, bottom), (_LEFT + _SIDE, _TOP), css="ideal"),
            *_axes(bottom),
            *_points(found, bottom),
            *_counts(found, bottom + 46 + _COUNTS),
        ),
        (_LEFT + _SIDE + 14, bottom + 46 + _COUNTS + 18),
        f"Reliability diagram of {title}; the table below it holds the same numbers",
    )


def reliability_cells(found: Reliability) -> list[list[str]]:
    """The bins that hold samples as rows of a table: bin, samples, confidence, right, interval."""
    rows = []
    for place, samples, confidence, share, interval in _bins(found):
        edges = (float(found.edges[place]), float(found.edges[place + 1]))
        cells = [percent_range(edges), f"{samples:,}", percent(confidence)]
        rows.append([*cells, percent(share), percent_range(interval)])
    return rows


def _bins(found: Reliability) -> Iterator[tuple[int, int, float, float, tuple[float, float]]]:
    """Of each bin with samples: its place, how many, confidence, share right and its interval."""
    for place in np.flatnonzero(found.samples).tolist():
        samples, share = int(found.samples[place]), float(found.accuracies[place])
        interval = wilson_interval(min(samples, round(share * samples)), samples)
        yield place, samples, float(found.confidences[place]), share, interval


def _points(found: Reliability, bottom: float) -> Iterator[Shape]:
    for _, _, confidence, share, (low, high) in _bins(found):
        x = _LEFT + _SIDE * confidence
        yield line((x, bottom - _SIDE * low), (x, bottom - _SIDE * high), css="span")
        yield dot(x, bottom - _SIDE * share, 4.5, "dot")


def _axes(bottom: float) -> Iterator[Shape]:
    for share in (0, 0.25, 0.5, 0.75, 1):
        said = f"{100 * share:.0f}"
        yield Text(_LEFT + _SIDE * share, bottom + 17, said, "middle")
        yield Text(_LEFT - 7, bottom - _SIDE * share + 4, said, "end")
    yield Text(11, _TOP + _SIDE / 2, "correct, %", "middle upwards")
    yield Text(_LEFT + _SIDE / 2, bottom + 34, "mean probability, %", "middle")


def _counts(found: Reliability, base: float) -> Iterator[Shape]:
    """How many samples each bin holds, as bars with their numbers."""
    most, width = int(found.samples.max()), _SIDE / len(found.samples)
    yield line((_LEFT, base), (_LEFT + _SIDE, base), css="rail")
    for place, samples, *_ in _bins(found):
        height = max(1.0, (_COUNTS - 16) * samples / most)
        x = _LEFT + width * place
        yield Rect(Box(x + 1.5, base - height, width - 3, height), "count")
        yield Text(x + width / 2, base - height - 4, _compact(samples), "small middle")
    yield Text(_LEFT + _SIDE / 2, base + 14, "samples in each bin", "middle")


def _compact(number: int) -> str:
    """A number in four characters: 9999, 12k, 3M."""
    if number < 10_000:
        return str(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number // 1_000_000}M"


def _drawing(css: str, shapes: Iterable[Shape], size: tuple[float, float], label: str) -> Markup:
    """The shapes as an SVG element; one without a label is not read aloud."""
    said = f'role="img" aria-label="{html.escape(label)}"' if label else 'aria-hidden="true"'
    width, height = size
    body = "".join(shape.svg() for shape in shapes)
    return Markup(
        f'<svg class="{css}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f"{said}>{body}</svg>"
    )
