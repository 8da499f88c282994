"""Intervals for counts: how far a measured share, or a change of it, can be from the true one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.evaluation.tables import Record


def wilson_interval(correct: int, samples: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share p = k/n (Wilson, J. Am. Stat. Assoc. 22, 1927, pages 209–212).

    With z the normal quantile of (1 + confidence)/2, the bounds are
    (p + z²/2n ± z · √(p(1−p)/n + z²/4n²)) / (1 + z²/n). Unlike p ± z · √(p(1−p)/n) they stay in
    [0, 1], and apart where p is 0 or 1. It is `scipy.stats.binomtest(k, n).proportion_ci(method=
    "wilson")` without the exact test, which is slow for the thousands of nodes of a large tree.
    """
    if not 0 <= correct <= samples or samples < 1 or not 0 < confidence < 1:
        raise InputError(
            "an interval needs 0 ≤ correct ≤ samples, samples ≥ 1 and 0 < confidence < 1; got "
            f"{correct}, {samples} and {confidence}."
        )
    share = correct / samples
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread = z * math.sqrt(share * (1 - share) / samples + (z / samples) ** 2 / 4)
    center, scale = share + z * z / (2 * samples), 1 + z * z / samples
    # At 0 and 1 the bound is that number, which rounding would miss.
    low = 0.0 if correct == 0 else (center - spread) / scale
    return low, 1.0 if correct == samples else (center + spread) / scale


@dataclass(frozen=True)
class PairedCounts(Record):
    """How many answers to the same samples are correct before and after a change.

    Only the samples that turn from wrong to right, or back, tell anything about the change, so the
    interval of the difference is far narrower than those of the two accuracies.

    Example:
        >>> change = PairedCounts(samples=200, before=180, gained=8, lost=2)
        >>> change.after, change.difference, [round(bound, 3) for bound in change.interval]
        (186, 0.03, [-0.002, 0.062])
    """

    derived = ("after", "difference", "interval")
    samples: int
    before: int
    gained: int
    lost: int

    def __post_init__(self) -> None:
        wrong = self.samples - self.before
        if not (0 <= self.lost <= self.before and 0 <= self.gained <= wrong and self.samples):
            raise InputError(
                "paired counts need at least one sample, lost ≤ before and gained ≤ samples − "
                f"before; got {self}."
            )

    @classmethod
    def of(cls, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> PairedCounts:
        """The counts from which answers are correct before and after; both of shape (samples,)."""
        gained, lost = (~before & after).sum(), (before & ~after).sum()
        return cls(len(before), int(before.sum()), int(gained), int(lost))

    @property
    def after(self) -> int:
        """How many answers are correct after the change."""
        return self.before + self.gained - self.lost

    @property
    def difference(self) -> float:
        """The accuracy after minus the accuracy before."""
        return (self.gained - self.lost) / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference (Agresti and Min, Stat. Med. 24, 2005, section 2.2).

        It is Wald's for paired shares after adding a half to each of the four counts (right or
        wrong, before or after): with g = gained + ½, l = lost + ½ and n = samples + 2,
        (g − l)/n ± 1.96 · √(g + l − (g − l)²/n) / n.
        """
        gained, lost, n = self.gained + 0.5, self.lost + 0.5, self.samples + 2
        center = (gained - lost) / n
        spread = NormalDist().inv_cdf(0.975) * math.sqrt(gained + lost - (gained - lost) ** 2 / n)
        return max(center - spread / n, -1.0), min(center + spread / n, 1.0)
