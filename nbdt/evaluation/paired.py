"""What changed between two ways to answer the same samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class PairedCounts:
    """How many samples were answered rightly before and after a change.

    Only the samples whose answer turned from wrong to right, or back, say anything of the change,
    so the interval of the difference is far narrower than those of the two accuracies.

    Attributes:
        samples: how many samples were answered, both times.
        before: how many rightly before.
        gained: how many were wrong before and are right after.
        lost: how many were right before and are wrong after.

    Raises:
        InputError: these are no such counts.

    Example:
        >>> change = PairedCounts(samples=200, before=180, gained=8, lost=2)
        >>> change.after, change.difference
        (186, 0.03)
        >>> [round(bound, 3) for bound in change.interval]
        [-0.002, 0.062]
    """

    samples: int
    before: int
    gained: int
    lost: int

    def __post_init__(self) -> None:
        wrong = self.samples - self.before
        if not (0 <= self.lost <= self.before and 0 <= self.gained <= wrong and self.samples):
            raise InputError(
                "paired counts need samples, of which no more are lost than were right before, and "
                f"no more gained than were wrong; got {self}."
            )

    @classmethod
    def of(cls, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> PairedCounts:
        """The counts of which samples were right before and after; both of shape (samples,).

        Example:
            >>> PairedCounts.of(np.array([True, True, False]), np.array([True, False, True]))
            PairedCounts(samples=3, before=2, gained=1, lost=1)
        """
        return cls(
            len(before),
            int(before.sum()),
            int((~before & after).sum()),
            int((before & ~after).sum()),
        )

    @property
    def after(self) -> int:
        """How many samples are answered rightly after the change."""
        return self.before + self.gained - self.lost

    @property
    def difference(self) -> float:
        """The accuracy after less the accuracy before."""
        return (self.gained - self.lost) / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference (Agresti and Min, Stat. Med. 24, 2005, section 2.2).

        It is Wald's for paired shares after adding a half to each of the four counts (right or
        wrong, before or after): with g = gained + ½, l = lost + ½ and n = samples + 2,
        (g − l)/n ± 1.96 · √(g + l − (g − l)²/n) / n.
        """
        gained, lost, n = self.gained + 0.5, self.lost + 0.5, self.samples + 2
        centre = (gained - lost) / n
        spread = _Z * math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
        return max(centre - spread, -1.0), min(centre + spread, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """The counts as values that JSON can hold, what follows from them included."""
        return {
            "samples": self.samples,
            "before": self.before,
            "after": self.after,
            "gained": self.gained,
            "lost": self.lost,
            "difference": self.difference,
            "interval": list(self.interval),
        }


def signed(difference: float) -> str:
    """A difference of two shares, in percentage points.

    Example:
        >>> signed(0.0123), signed(-0.5), signed(0)
        ('+1.2', '−50.0', '0.0')
    """
    rounded = f"{100 * abs(difference):.1f}"
    return f"{'+' if difference > 0 else '−' if difference < 0 else ''}{rounded}"


def signed_range(bounds: tuple[float, float]) -> str:
    """The two bounds of a difference, in percentage points.

    Example:
        >>> signed_range((-0.003, 0.062))
        '−0.3 … +6.2'
    """
    return f"{signed(bounds[0])} … {signed(bounds[1])}"
