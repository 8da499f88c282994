"""Samples drawn at random, each class in the same share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from nbdt.errors import InputError

Indices = npt.NDArray[np.int64]

# What numpy's random numbers take as a seed.
MAX_SEED = 2**32 - 1


def stratified_split(
    targets: Indices, drawn: int | float, *, seed: int = 0
) -> tuple[Indices, Indices]:
    """Splits samples at random in two, each class in the same share.

    The same arguments give the same split on every machine; numpy's global random numbers are
    left alone.

    Args:
        targets: the class of each sample; shape (samples,).
        drawn: how many samples are drawn, or which share of them, between 0 and 1.
        seed: 0 … 2³² − 1.

    Returns:
        The indices of the samples left and of those drawn, both ascending.

    Raises:
        InputError: a side would be without a sample of some class, a class has only one sample,
            or an argument is out of range.

    Example:
        >>> targets = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        >>> left, drawn = stratified_split(targets, 0.25, seed=0)
        >>> targets[drawn].tolist()
        [0, 1]
    """
    is_share = type(drawn) is float and 0 < drawn < 1
    if not is_share and not (type(drawn) is int and drawn > 0):
        raise InputError(
            f"expected a share between 0 and 1, or a number of samples; got {drawn!r:.80}."
        )
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise InputError(f"a seed has to be a whole number from 0 to {MAX_SEED}, got {seed!r:.80}.")
    try:
        left, right = train_test_split(
            np.arange(len(targets)), test_size=drawn, random_state=seed, stratify=targets
        )
    except ValueError as error:
        raise InputError(
            f"{len(targets)} samples cannot be split by {drawn} with each class in the same share: "
            f"{error}"
        ) from None
    return np.sort(left), np.sort(right)
