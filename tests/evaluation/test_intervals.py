"""Intervals against scipy's own, the variance of paired samples, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nbdt.errors import InputError
from nbdt.evaluation import PairedCounts, wilson_interval


@given(data=st.data(), samples=st.integers(1, 100_000), confidence=st.floats(0.5, 0.999))
def test_it_is_scipys(data: st.DataObject, samples: int, confidence: float) -> None:
    correct = data.draw(st.integers(0, samples))
    expected = binomtest(correct, samples).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(correct, samples, confidence)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= correct / samples <= high <= 1
    assert low < high


def test_by_default_it_holds_95_percent() -> None:
    assert wilson_interval(8, 10) == wilson_interval(8, 10, 0.95) != wilson_interval(8, 10, 0.9)


@pytest.mark.parametrize(
    ("correct", "samples", "confidence"),
    [(-1, 5, 0.95), (6, 5, 0.95), (0, 0, 0.95), (1, 5, 0.0), (1, 5, 1.0), (1, 5, float("nan"))],
)
def test_what_is_no_share_is_refused(correct: int, samples: int, confidence: float) -> None:
    with pytest.raises(InputError, match="0 ≤ correct ≤ samples"):
        wilson_interval(correct, samples, confidence)


def test_counts_are_those_of_the_samples() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.random((2, 500)) < [[0.8], [0.7]]
    counts = PairedCounts.of(before, after)
    assert (counts.samples, counts.before, counts.after) == (500, before.sum(), after.sum())
    assert counts.difference == pytest.approx(after.mean() - before.mean())
    assert counts.gained - counts.lost == after.sum() - before.sum()
    assert counts.to_dict()["interval"] == list(counts.interval)


@pytest.mark.parametrize(("samples", "gained", "lost"), [(200, 8, 2), (50, 0, 0), (1000, 30, 31)])
def test_the_interval_is_that_of_a_mean_with_half_a_sample_of_each_kind_more(
    samples: int, gained: int, lost: int
) -> None:
    values = np.array([1.0, -1, 0])
    weights = np.array([gained + 0.5, lost + 0.5, samples - gained - lost + 1])
    mean = np.average(values, weights=weights)
    variance = np.average((values - mean) ** 2, weights=weights)
    spread = 1.959964 * np.sqrt(variance / weights.sum())
    found = PairedCounts(samples, samples - gained - 1, gained, lost).interval
    assert found == pytest.approx((mean - spread, mean + spread), abs=1e-6)


def test_the_interval_holds_the_true_difference_in_most_samples() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        kind = generator.choice(3, size=80, p=[0.1, 0.04, 0.86])
        gained, lost = int((kind == 0).sum()), int((kind == 1).sum())
        low, high = PairedCounts(80, 40, gained, lost).interval
        held += low <= 0.06 <= high
    assert held / 500 > 0.92


def test_the_interval_stays_within_one() -> None:
    assert PairedCounts(1, 0, 1, 0).interval[1] <= 1
    assert PairedCounts(1, 1, 0, 1).interval[0] >= -1


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (5, 6, 0, 0), (5, 3, 3, 0), (5, 3, 0, 4)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="paired counts need"):
        PairedCounts(*counts)
