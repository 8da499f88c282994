import re

import numpy as np
import pytest

from nbdt.evaluation import Reliability, wilson_interval
from nbdt.report.figures import Axis, reliability_cells, reliability_diagram

FOUND = Reliability(
    np.array([4, 0, 12_000]), np.array([0.25, np.nan, 0.9]), np.array([0.5, np.nan, 0.75])
)


def boxes(drawing: str, name: str) -> list[tuple[float, ...]]:
    """The place and size of each rectangle or dot of that class."""
    found = re.findall(
        rf'<rect class="{name}" x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', drawing
    )
    return [tuple(map(float, one)) for one in found]


def lines(drawing: str, name: str) -> list[tuple[float, ...]]:
    """The ends of each line of that class."""
    found = re.findall(rf'<path class="{name}" d="M(.*?) (.*?)L(.*?) (.*?)"', drawing)
    return [tuple(map(float, one)) for one in found]


def middles(drawing: str) -> list[tuple[float, float]]:
    return [(x + width / 2, y + height / 2) for x, y, width, height in boxes(drawing, "dot")]


def test_points_stand_where_the_numbers_say() -> None:
    drawing = reliability_diagram(FOUND, "x")
    ((left, top, width, _),) = boxes(drawing, "frame")
    points = [((x - left) / width, 1 - (y - top) / width) for x, y in middles(drawing)]
    assert points == [pytest.approx((0.25, 0.5), abs=1e-3), pytest.approx((0.9, 0.75), abs=1e-3)]
    low = [1 - (y - top) / width for _, y, *_ in lines(drawing, "span")]
    assert low == pytest.approx(
        [wilson_interval(2, 4)[0], wilson_interval(9000, 12000)[0]], abs=1e-3
    )
    heights = [height for *_, height in boxes(drawing, "count")]
    assert heights[0] < heights[1] / 10
    assert ">4</text>" in drawing
    assert ">12k</text>" in drawing
    assert ">2M</text>" in reliability_diagram(
        Reliability(np.array([2_500_000]), np.array([0.5]), np.array([0.5])), "x"
    )


def test_the_table_says_the_same() -> None:
    assert reliability_cells(FOUND) == [
        ["0.0 – 33.3 %", "4", "25.0 %", "50.0 %", "15.0 – 85.0 %"],
        ["66.7 – 100.0 %", "12,000", "90.0 %", "75.0 %", "74.2 – 75.8 %"],
    ]


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(0.0, 1.0)], (0, 1)),
        ([(0.5, 0.5)], (0.5, 0.55)),
        ([(0.71, 0.79), (0.9, 0.93)], (0.7, 0.95)),
    ],
)  # fmt: skip
def test_an_axis_holds_its_intervals(
    intervals: list[tuple[float, float]], expected: tuple[float, float]
) -> None:
    axis = Axis.around(intervals)
    assert (axis.low, axis.high) == pytest.approx(expected)
    places = [axis.place(bound) for interval in intervals for bound in interval]
    assert all(6 <= place <= 144.001 for place in places)
    assert f"{100 * expected[0]:.0f} %" in axis.heading()


def test_a_bar_can_be_read_aloud() -> None:
    bar = Axis(0.5, 1.0).bar(0.75, (0.7, 0.8))
    assert 'aria-label="75.0 %, 95 % interval 70.0 – 80.0 %"' in bar
    ((x1, _, x2, _),), ((cx, _),) = lines(bar, "span"), middles(bar)
    assert x1 < cx < x2
    assert (x1 + x2) / 2 == pytest.approx(cx, abs=0.1)
