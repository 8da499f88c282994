"""`Calibration`: what labelled samples say of how sure a tree is where it is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nbdt.explain.document import Part
from nbdt.rules import SCORES

SCHEMA = "nbdt.calibration/1"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Superclass:
    """The calibration samples whose predicted class lies under one child of the root.

    Attributes:
        node: the child of the root.
        samples: how many there are.
        wrong: the scores of those whose predicted class is not the true one, ascending; those of
            the others are −∞.

    Example:
        >>> Superclass(3, samples=5, wrong=(0.5, 0.75)).scores
        tensor([  -inf,   -inf,   -inf, 0.5000, 0.7500], dtype=torch.float64)
    """

    node: int
    samples: int
    wrong: tuple[float, ...]

    @property
    def scores(self) -> Tensor:
        """The calibration score of every sample, ascending; in float64."""
        right = self.samples - len(self.wrong)
        return torch.tensor([-math.inf] * right + list(self.wrong), dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What labelled samples say of how sure a tree is where it is wrong.

    It serves every guarantee that so many samples allow.

    Attributes:
        superclasses: the samples' scores, apart for each child of the root.
        score: what a node was worth: "logsumexp" or "mean".
        fingerprint: of the samples: the SHA-256, in hexadecimal, of the bytes of all inputs, one
            after the other, and then of the labels as 64-bit little-endian integers.

    Example:
        >>> parts = (Superclass(2, 4, (0.9,)), Superclass(3, 5, (0.5, 0.75)))
        >>> calibration = Calibration(parts, "logsumexp", "0" * 64)
        >>> calibration.samples, calibration.wrong
        (9, 3)
        >>> Calibration.from_dict(calibration.to_dict()) == calibration
        True
    """

    superclasses: tuple[Superclass, ...]
    score: str
    fingerprint: str

    @property
    def samples(self) -> int:
        """How many samples there were."""
        return sum(part.samples for part in self.superclasses)

    @property
    def wrong(self) -> int:
        """How many of them have another predicted class than the true one."""
        return sum(len(part.wrong) for part in self.superclasses)

    @property
    def scores(self) -> Tensor:
        """The calibration score of every sample, in no order that matters; in float64."""
        return torch.cat([part.scores for part in self.superclasses])

    @classmethod
    def of(
        cls,
        scores: Tensor,
        predicted: Tensor,
        superclasses: Iterable[int],
        score: str,
        fingerprint: str,
    ) -> Calibration:
        """From the scores of samples and the superclass that each is predicted in.

        Args:
            scores: as `nbdt.selective.calibration_scores` gives them; shape (samples,).
            predicted: as `nbdt.selective.superclass` gives them; shape (samples,).
            superclasses: the children of the root.
            score: what a node was worth.
            fingerprint: of the samples.

        Example:
            >>> scores = torch.tensor([0.75, -math.inf, 0.5])
            >>> Calibration.of(scores, torch.tensor([3, 2, 3]), [2, 3], "mean", "0" * 64)
            Calibration(superclasses=(Superclass(node=2, samples=1, wrong=()), Superclass(node=3,
            samples=2, wrong=(0.5, 0.75))), score='mean', fingerprint='000...')
        """
        parts = []
        for node in superclasses:
            own = scores[predicted == node].double()
            wrong = own[own > -math.inf].sort().values.tolist()
            parts.append(Superclass(node, len(own), tuple(wrong)))
        return cls(tuple(parts), score, fingerprint)

    def to_dict(self) -> dict[str, Any]:
        """The calibration as values that JSON can hold."""
        return {
            "schema": SCHEMA,
            "score": self.score,
            "fingerprint": self.fingerprint,
            "superclasses": [
                {"node": part.node, "samples": part.samples, "wrong": list(part.wrong)}
                for part in self.superclasses
            ],
        }

    @classmethod
    def from_dict(cls, document: object) -> Calibration:
        """The calibration that `to_dict` gave; the document may come from a stranger.

        Raises:
            FormatError: the document is not of this schema or contradicts itself.
        """
        part = Part(document, "$", ("schema", "score", "fingerprint", "superclasses"))
        part.constant("schema", SCHEMA)
        fingerprint = part.text("fingerprint")
        if not _SHA256.fullmatch(fingerprint):
            part.refuse("fingerprint", "has to be a SHA-256: 64 hexadecimal digits")
        superclasses = tuple(
            _superclass(entry) for entry in part.parts("superclasses", ("node", "samples", "wrong"))
        )
        return cls(superclasses, part.choice("score", tuple(SCORES)), fingerprint)


def _superclass(part: Part) -> Superclass:
    samples = part.number("samples")
    wrong = part.items("wrong")
    for place, value in wrong:
        if not isinstance(value, float | int) or isinstance(value, bool) or not 0 <= value <= 1:
            part.refuse(place, "has to be a probability, from 0 to 1")
    if not samples.is_integer() or samples < len(wrong):
        part.refuse("samples", f"has to be a whole number, at least the {len(wrong)} of wrong")
    return Superclass(part.node("node"), int(samples), tuple(float(value) for _, value in wrong))
