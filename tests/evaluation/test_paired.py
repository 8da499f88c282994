"""Paired differences: against the variance of the samples' own differences, and by simulation."""

import numpy as np
import pytest

from nbdt.errors import InputError
from nbdt.evaluation.paired import PairedCounts, signed, signed_range


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


def test_differences_have_a_sign() -> None:
    assert [signed(value) for value in (0.0123, -0.5, 0.0)] == ["+1.2", "−50.0", "0.0"]
    assert signed_range((-0.01, 0.25)) == "−1.0 … +25.0"
