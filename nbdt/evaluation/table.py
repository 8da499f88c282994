"""What was counted of a network and its tree, as a table that can be read, printed and stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbdt.errors import InputError
from nbdt.evaluation.interval import wilson_interval
from nbdt.evaluation.text import aligned, percent, percent_range
from nbdt.rules import RULES, SCORES, RuleName, ScoreName

_HEADINGS = ("rule", "score", "correct", "accuracy", "95 % interval", "top-5", "same as network")


@dataclass(frozen=True)
class AccuracyRow:
    """How one way to answer did.

    Attributes:
        rule: "soft" or "hard"; None for the network itself.
        score: "logsumexp" or "mean"; None for the network itself.
        samples: how many samples were answered.
        correct: how many of them rightly.
        top5_correct: how many have the true class among the five likeliest; None where there are
            no more than five classes, and for the hard rule, which names one class only.
        agreeing: how many answers are those of the network, right or wrong.

    Example:
        >>> row = AccuracyRow("hard", "mean", samples=200, correct=190, agreeing=196)
        >>> row.accuracy, row.agreement
        (0.95, 0.98)
        >>> [round(bound, 3) for bound in row.interval]
        [0.91, 0.973]
    """

    rule: RuleName | None
    score: ScoreName | None
    samples: int
    correct: int
    agreeing: int
    top5_correct: int | None = None

    @property
    def accuracy(self) -> float:
        """The share of correct answers."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by `wilson_interval`."""
        return wilson_interval(self.correct, self.samples)

    @property
    def top5_accuracy(self) -> float | None:
        """The share of samples whose true class is among the five likeliest, where defined."""
        return None if self.top5_correct is None else self.top5_correct / self.samples

    @property
    def agreement(self) -> float:
        """The share of answers that are those of the network."""
        return self.agreeing / self.samples

    def to_dict(self) -> dict[str, Any]:
        """The row as values that JSON can hold, what follows from the counts included."""
        return {
            "rule": self.rule,
            "score": self.score,
            "samples": self.samples,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "top5_correct": self.top5_correct,
            "top5_accuracy": self.top5_accuracy,
            "agreeing": self.agreeing,
            "agreement": self.agreement,
        }

    def _cells(self) -> tuple[str, ...]:
        return (
            self.rule or "network",
            self.score or "",
            f"{self.correct}/{self.samples}",
            percent(self.accuracy),
            percent_range(self.interval),
            "" if self.top5_accuracy is None else percent(self.top5_accuracy),
            "" if self.rule is None else percent(self.agreement),
        )


@dataclass(frozen=True)
class AccuracyTable:
    """The network beside the tree under each rule and score, on the same samples.

    `str` draws it as plain text.

    Attributes:
        rows: the network first, then soft and hard under ``logsumexp``, then under ``mean``.
        num_classes: C.
    """

    rows: tuple[AccuracyRow, ...]
    num_classes: int

    @property
    def samples(self) -> int:
        """How many samples were answered, by every row."""
        return self.rows[0].samples

    @property
    def network(self) -> AccuracyRow:
        """How the network itself did."""
        return self.rows[0]

    def row(self, rule: RuleName, score: ScoreName) -> AccuracyRow:
        """How the tree did under one rule and score.

        Raises:
            InputError: there is no such rule or score.
        """
        for row in self.rows[1:]:
            if (row.rule, row.score) == (rule, score):
                return row
        raise InputError(
            f"the rules are {' and '.join(RULES)}, the scores "
            f"{' and '.join(SCORES)}; got {rule!r:.80} and {score!r:.80}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The table as values that JSON can hold."""
        return {
            "samples": self.samples,
            "classes": self.num_classes,
            "rows": [row.to_dict() for row in self.rows],
        }

    def __str__(self) -> str:
        caption = f"{self.samples:,} samples, {self.num_classes:,} classes"
        return "\n".join(
            [*aligned(_HEADINGS, [row._cells() for row in self.rows], words=2), caption]
        )
