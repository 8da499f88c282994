"""Weights that change over training."""

import math

import numpy as np
import pytest

from nbdt.errors import InputError
from nbdt.losses import Constant, Ramp


@pytest.mark.parametrize(
    ("ramp", "weights"),
    [
        (Ramp(0, 0.5), [0, 0.25, 0.5]),
        (Ramp(2, 1), [2, 1.5, 1]),
        (Ramp(0, 1, power=2), [0, 0.25, 1]),
        (Ramp(1, 3, power=0.5), [1, 1 + 2 * math.sqrt(0.5), 3]),
    ],
)
def test_a_ramp_goes_from_start_to_end(ramp, weights):
    assert [ramp(progress) for progress in (0, 0.5, 1)] == pytest.approx(weights)


def test_a_ramp_ends_exactly_at_its_end():
    assert Ramp(0.1, 0.7, power=3)(1.0) == 0.7
    assert Ramp(0.1, 0.7, power=3)(0.0) == 0.1


def test_a_constant_stays():
    assert Constant(2)(0.0) == Constant(2)(1.0) == 2


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "1", None, True])
def test_weights_that_are_none_are_refused(value):
    with pytest.raises(InputError, match="finite number of at least 0"):
        Constant(value)
    with pytest.raises(InputError, match="Ramp's start"):
        Ramp(value, 1)
    with pytest.raises(InputError, match="Ramp's end"):
        Ramp(1, value)
    with pytest.raises(InputError, match="Ramp's power"):
        Ramp(0, 1, power=value)


def test_a_ramp_of_power_0_is_refused():
    with pytest.raises(InputError, match="constant"):
        Ramp(0, 1, power=0)


@pytest.mark.parametrize("progress", [-1, -1e-9, 1.1, 2.0, math.nan, math.inf, "half", None])
@pytest.mark.parametrize("ramp", [Ramp(0, 1), Ramp(0, 1, power=0.5)])
@pytest.mark.usefixtures("unchecked")
def test_a_ramp_knows_no_weight_beyond_training(ramp, progress):
    with pytest.raises(InputError, match="a number from 0 to 1"):
        ramp(progress)


def test_progress_may_be_any_real_number():
    assert Ramp(0, 2)(np.float32(0.5)) == Ramp(0, 2)(0.5) == 1.0
