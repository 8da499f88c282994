"""Samples drawn at random, each class in the same share."""

from __future__ import annotations

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError

Indices = npt.NDArray[np.int64]

# What numpy's random numbers take as a seed.
MAX_SEED = 2**32 - 1


def stratified_split(
    targets: Indices, drawn: int | float, *, seed: int = 0
) -> tuple[Indices, Indices]:
    """The indices of samples split at random in two, each class in the same share; both ascending.

    Both sides get a sample of every class that has two or more; the only sample of a class is not
    drawn. `drawn` is how many samples the second side gets, or their share, between 0 and 1; where
    a share is too small or too large for that, it is exceeded or not reached. A seed, 0 … 2³² − 1,
    gives the same split on every machine; numpy's global random numbers stay as they are.
    """
    counts = _class_sizes(targets)
    lowest = (counts > 1).astype(np.int64)
    if not lowest.any():
        raise InputError(
            f"{len(targets)} samples cannot be split: no class has two of them, one for each side."
        )
    return _drawn(targets, drawn, lowest, counts - 1, seed)


def stratified_draw(targets: Indices, drawn: int | float, *, seed: int = 0) -> Indices:
    """Draws samples at random, each class in the same share and at least one of each.

    Unlike in `stratified_split`, they may be nearly all: 1.0 means all, 1 means one sample.
    """
    counts = _class_sizes(targets)
    return _drawn(targets, drawn, np.minimum(counts, 1), counts, seed)[1]


def stratified_parts(targets: Indices, number: int, *, seed: int = 0) -> tuple[Indices, ...]:
    """The indices of samples, divided at random into equal parts, each class evenly.

    The parts differ by one sample at most, and so do the samples of each class in them.
    """
    if isinstance(number, bool) or not isinstance(number, numbers.Integral) or number < 1:
        raise InputError(f"the number of parts must be at least 1, got {number!r:.80}.")
    if number > len(targets):
        raise InputError(f"{len(targets)} samples cannot be shared out to {number} parts.")
    order = np.random.RandomState(_checked_seed(seed)).permutation(len(targets))
    # Dealt out like cards, class after class.
    order = order[np.argsort(targets[order], kind="stable")]
    return tuple(np.sort(order[place :: int(number)]) for place in range(int(number)))


class Part(NamedTuple):
    """One of several disjoint parts of samples, written as ``K/N``: `place` K counts from 1."""

    place: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that ``K/N`` stands for."""
        numbers = text.split("/")
        # int() accepts more than digits, and refuses very long texts with an error of its own.
        if len(numbers) == 2 and all(n.isascii() and n.isdigit() and len(n) < 7 for n in numbers):
            part = cls(*map(int, numbers))
            if 1 <= part.place <= part.number:
                return part
        raise InputError(f"--part takes K/N, such as 1/3 for the first of three; got {text!r:.80}.")

    def is_apart(self, other: Part) -> bool:
        """Whether the two have no sample in common."""
        return self.number == other.number and self.place != other.place


def _class_sizes(targets: Indices) -> Indices:
    return np.unique(targets, return_counts=True)[1].astype(np.int64)


def _drawn(
    targets: Indices, drawn: Any, lowest: Indices, highest: Indices, seed: int
) -> tuple[Indices, Indices]:
    """The samples left and those drawn, with bounds of how many each class may give."""
    seed = _checked_seed(seed)
    total, samples = _checked_number(drawn, lowest, highest, len(targets)), len(targets)
    counts = _class_sizes(targets)
    if counts.min() * min(total, samples - total) >= samples:
        from sklearn.model_selection import train_test_split

        left, right = train_test_split(
            np.arange(samples), test_size=total, random_state=seed, stratify=targets
        )
        return np.sort(left), np.sort(right)
    # With so few samples a class, scikit-learn leaves classes out or refuses.
    generator = np.random.RandomState(seed)
    is_drawn = np.zeros(samples, dtype=bool)
    numbers_drawn = _allotted(counts, total, lowest, highest)
    for label, number in zip(np.unique(targets), numbers_drawn, strict=True):
        is_drawn[generator.permutation(np.flatnonzero(targets == label))[:number]] = True
    return np.flatnonzero(~is_drawn), np.flatnonzero(is_drawn)


def _allotted(counts: Indices, total: int, lowest: Indices, highest: Indices) -> Indices:
    """How many samples each class gives: its share of the total, rounded within bounds."""
    shares = counts * (total / counts.sum())
    given: Indices = np.clip(np.floor(shares).astype(np.int64), lowest, highest)
    while given.sum() < total:
        given[np.argmax(np.where(given < highest, shares - given, -np.inf))] += 1
    while given.sum() > total:
        given[np.argmin(np.where(given > lowest, shares - given, np.inf))] -= 1
    return given


def _checked_number(drawn: Any, lowest: Indices, highest: Indices, samples: int) -> int:
    least, most = int(lowest.sum()), int(highest.sum())
    is_number = isinstance(drawn, numbers.Integral) and not isinstance(drawn, bool | np.bool_)
    is_share = isinstance(drawn, float | np.floating) and 0 < drawn <= 1
    if not is_share and not (is_number and drawn > 0):
        raise InputError(
            f"expected a share above 0 and at most 1, or a number of samples; got {drawn!r:.80}."
        )
    if not samples:
        raise InputError("no samples to draw from.")
    if is_share and drawn < 1:
        return min(max(math.ceil(float(drawn) * samples), least), most)
    number = int(drawn) if is_number else samples
    if number > samples:
        raise InputError(f"there are only {samples} samples, so {number} cannot be drawn.")
    if not least <= number <= most:
        raise InputError(
            f"{number} of {samples} samples cannot be drawn without leaving a class out: with "
            f"{len(lowest)} classes draw {least} to {most}."
        )
    return number


def _checked_seed(seed: Any) -> int:
    is_number = isinstance(seed, numbers.Integral) and not isinstance(seed, bool | np.bool_)
    if not is_number or not 0 <= seed <= MAX_SEED:
        raise InputError(f"a seed must be a whole number from 0 to {MAX_SEED}, got {seed!r:.80}.")
    return int(seed)
