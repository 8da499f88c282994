"""How far a share that was counted can be from the true one."""

from __future__ import annotations

import math
from statistics import NormalDist

from nbdt.errors import InputError


def wilson_interval(correct: int, samples: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share k/n (Wilson, J. Am. Stat. Assoc. 22, 1927, pages 209–212).

    With p = k/n and z the normal quantile of (1 + confidence)/2, the bounds are
    (p + z²/2n ± z · √(p(1−p)/n + z²/4n²)) / (1 + z²/n): those shares that k of n does not speak
    against. Unlike p ± z · √(p(1−p)/n) it stays in [0, 1], and has a width where p is 0 or 1.

    Args:
        correct: k, from 0 to n.
        samples: n, at least 1.
        confidence: how often such intervals hold the true share, between 0 and 1.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(95, 100)]
        [0.8882, 0.9785]
    """
    if not 0 <= correct <= samples or samples < 1 or not 0 < confidence < 1:
        raise InputError(
            "an interval needs 0 ≤ correct ≤ samples, samples ≥ 1 and 0 < confidence < 1; got "
            f"{correct}, {samples} and {confidence}."
        )
    share = correct / samples
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread = z * math.sqrt(share * (1 - share) / samples + (z / samples) ** 2 / 4)
    centre, scale = share + z * z / (2 * samples), 1 + z * z / samples
    # At 0 and 1 the bound is that number, which rounding would miss.
    low = 0.0 if correct == 0 else (centre - spread) / scale
    return low, 1.0 if correct == samples else (centre + spread) / scale
