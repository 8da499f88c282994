"""`wilson_interval` against scipy's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nbdt.errors import InputError
from nbdt.evaluation import wilson_interval


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
