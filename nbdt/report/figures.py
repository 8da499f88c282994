"""The drawings of a report, as small SVG elements that the report's style sheet colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbdt.evaluation import Reliability, wilson_interval
from nbdt.evaluation.text import percent, percent_range
from nbdt.report.markup import Markup, element

_BAR_WIDTH, _BAR_HEIGHT = 150, 16
_SIDE, _COUNTS = 340, 64  # the square of a reliability diagram, and the counts below it
_LEFT, _TOP = 40, 10


@dataclass(frozen=True)
class Axis:
    """The part of 0 … 1 that a column of interval bars shows.

    Example:
        >>> Axis.around([(0.62, 0.7), (0.811, 0.84)])
        Axis(low=0.6, high=0.85)
    """

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
        ends = [element("span", f"{100 * end:.0f} %") for end in (self.low, self.high)]
        return element("span", ends, class_="axis")

    def bar(self, share: float, interval: tuple[float, float]) -> Markup:
        """A share as a dot on its interval."""
        middle = _BAR_HEIGHT / 2
        low, high = map(self.place, interval)
        return element(
            "svg",
            element("line", class_="rail", x1=6, x2=_BAR_WIDTH - 6, y1=middle, y2=middle),
            element("line", class_="span", x1=low, x2=high, y1=middle, y2=middle),
            element("circle", class_="dot", cx=self.place(share), cy=middle, r=4),
            class_="interval",
            viewBox=f"0 0 {_BAR_WIDTH} {_BAR_HEIGHT}",
            width=_BAR_WIDTH,
            height=_BAR_HEIGHT,
            role="img",
            aria_label=f"{percent(share)}, 95 % interval {percent_range(interval)}",
        )


def reliability_diagram(found: Reliability, title: str) -> Markup:
    """Confidence and how often it was right, bin by bin, with how many samples each bin holds.

    A point below the diagonal was surer than it was right. Lines are 95 % intervals.

    Example:
        >>> found = Reliability(np.array([0, 3]), np.array([np.nan, 0.9]), np.array([np.nan, 1.0]))
        >>> drawing = reliability_diagram(found, "the answers")
        >>> drawing.count("<circle"), ">3</text>" in drawing
        (1, True)
    """
    bottom = _TOP + _SIDE
    parts = [
        element("rect", class_="frame", x=_LEFT, y=_TOP, width=_SIDE, height=_SIDE),
        element("line", class_="ideal", x1=_LEFT, y1=bottom, x2=_LEFT + _SIDE, y2=_TOP),
        *_axes(bottom),
    ]
    for place in np.flatnonzero(found.samples).tolist():
        samples = int(found.samples[place])
        confidence, accuracy = float(found.confidences[place]), float(found.accuracies[place])
        right = min(samples, round(accuracy * samples))
        low, high = wilson_interval(right, samples)
        x = _LEFT + _SIDE * confidence
        below = [bottom - _SIDE * bound for bound in (low, high)]
        parts += [
            element("line", class_="span", x1=x, x2=x, y1=below[0], y2=below[1]),
            element("circle", class_="dot", cx=x, cy=bottom - _SIDE * accuracy, r=4.5),
        ]
    parts += _counts(found, bottom + 46)
    return element(
        "svg",
        parts,
        class_="reliability",
        viewBox=f"0 0 {_LEFT + _SIDE + 14} {bottom + 46 + _COUNTS + 18}",
        role="img",
        aria_label=f"Reliability diagram of {title}; the table below it holds the same numbers",
    )


def reliability_cells(found: Reliability) -> list[list[str]]:
    """The bins that hold samples as rows of a table: bin, samples, confidence, right, interval."""
    rows = []
    for place in np.flatnonzero(found.samples).tolist():
        samples, share = int(found.samples[place]), float(found.accuracies[place])
        interval = wilson_interval(min(samples, round(share * samples)), samples)
        edges = (float(found.edges[place]), float(found.edges[place + 1]))
        cells = [percent_range(edges), f"{samples:,}", percent(float(found.confidences[place]))]
        rows.append([*cells, percent(share), percent_range(interval)])
    return rows


def _axes(bottom: float) -> list[Markup]:
    ticks = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y, text = _LEFT + _SIDE * share, bottom - _SIDE * share, f"{100 * share:.0f}"
        ticks += [
            element("text", text, x=x, y=bottom + 17, text_anchor="middle"),
            element("text", text, x=_LEFT - 7, y=y + 4, text_anchor="end"),
        ]
    middle = _TOP + _SIDE / 2
    turned = f"rotate(-90 11 {middle:.0f})"
    right = element("text", "right, %", x=11, y=middle, text_anchor="middle", transform=turned)
    mean = element(
        "text", "mean probability, %", x=_LEFT + _SIDE / 2, y=bottom + 34, text_anchor="middle"
    )
    return [*ticks, right, mean]


def _counts(found: Reliability, top: float) -> list[Markup]:
    """How many samples each bin holds, as bars with their numbers."""
    most, width = int(found.samples.max()), _SIDE / len(found.samples)
    base = top + _COUNTS
    drawn = [element("line", class_="rail", x1=_LEFT, x2=_LEFT + _SIDE, y1=base, y2=base)]
    for place in np.flatnonzero(found.samples).tolist():
        samples = int(found.samples[place])
        height = max(1.0, (_COUNTS - 16) * samples / most)
        x = _LEFT + width * place
        drawn += [
            element("rect", class_="count", x=x + 1.5, width=width - 3, y=base - height,
                    height=height),
            element("text", _compact(samples), class_="small", x=x + width / 2,
                    y=base - height - 4, text_anchor="middle"),
        ]  # fmt: skip
    caption = element(
        "text", "samples in each bin", x=_LEFT + _SIDE / 2, y=base + 14, text_anchor="middle"
    )
    return [*drawn, caption]


def _compact(number: int) -> str:
    """A number in four characters: 9999, 12k, 3M."""
    if number < 10_000:
        return str(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number // 1_000_000}M"
