"""Weights that change over training: functions of progress, which goes from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

from nbdt.errors import InputError

Schedule = Callable[[float], float]
"""Training progress in [0, 1] → a weight. `Ramp` is one; so is any function of that kind."""


@dataclass(frozen=True)
class Constant:
    """A constant weight, finite and at least 0; a plain number means the same."""

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked_weight(self.value, "Constant's value"))

    def __call__(self, progress: float) -> float:
        """The weight, whatever the progress."""
        return self.value


@dataclass(frozen=True)
class Ramp:
    """A weight that goes from one value to another: start + (end − start) · progress^power.

    Both values are finite and at least 0. A power above 1 stays near `start` for longer, one below
    1 leaves it sooner.

    Example:
        >>> [Ramp(0, 0.5, power=2)(progress) for progress in (0.0, 0.5, 1.0)]
        [0.0, 0.125, 0.5]
    """

    start: float
    end: float
    power: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", checked_weight(self.start, "Ramp's start"))
        object.__setattr__(self, "end", checked_weight(self.end, "Ramp's end"))
        object.__setattr__(self, "power", checked_weight(self.power, "Ramp's power"))
        if self.power == 0:
            raise InputError(
                "Ramp's power is 0, which makes it a constant; give a positive number, or Constant."
            )

    def __call__(self, progress: float) -> float:
        """The weight at this progress in [0, 1]."""
        done: float = checked_progress(progress) ** self.power
        return (1 - done) * self.start + done * self.end


def checked_weight(value: object, what: str) -> float:
    """The value as a float if it is finite and at least 0; errors call it `what`."""
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and number >= 0:
            return number
    raise InputError(f"{what} must be a finite number of at least 0; got {value!r}.")


def checked_progress(value: object) -> float:
    """The value as a float if it is a number from 0 to 1."""
    if isinstance(value, Real) and 0 <= float(value) <= 1:
        return float(value)
    raise InputError(
        "progress is the part of training that is done, a number from 0 to 1 such as "
        f"epoch / epochs; got {value!r}."
    )
