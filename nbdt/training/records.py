"""What an epoch came to: one record each, as a line of a table for people and programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbdt.evaluation import rule_scores

# In the order of the rows of an `AccuracyTable`.
RULE_SCORES = ("network", *(f"{rule} {score}" for rule, score in rule_scores.RULE_SCORES))


@dataclass(frozen=True)
class EpochRecord:
    """What an epoch came to.

    Attributes:
        epoch: its number, from 1.
        loss: the mean over its samples, in nats.
        learning_rate: at its last step; that of the head is `head_multiplier` times this.
        seconds: how long its steps took, without the measuring that followed.
        images_per_second: samples over seconds.
        accuracy: the share of right answers on the validation data for each way to answer:
            "network", "soft mean", "hard logsumexp", …; empty where there is no such data.
        moved: where the tree was rebuilt for this epoch, the share of the groups of classes in
            the old tree and the new that only one of them has: 0 where they are the same, 1 where
            they have none in common; else None.

    Example:
        >>> record = EpochRecord(1, 0.5, 0.01, 2.0, 500.0, {"network": 0.9, "soft mean": 0.8})
        >>> print(record)
        epoch 1: loss 0.5000, network 90.00 %, soft mean 80.00 %, 500 images/s
        >>> EpochRecord.from_dict(record.to_dict()) == record
        True
    """

    epoch: int
    loss: float
    learning_rate: float
    seconds: float
    images_per_second: float
    accuracy: Mapping[str, float] = field(default_factory=dict)
    moved: float | None = None

    def __str__(self) -> str:
        accuracy = "".join(f", {way} {100 * share:.2f} %" for way, share in self.accuracy.items())
        moved = "" if self.moved is None else f", tree moved by {100 * self.moved:.0f} %"
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}{accuracy}, "
            f"{self.images_per_second:.0f} images/s{moved}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The record as values that JSON can hold."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> EpochRecord:
        """The record that `to_dict` gave."""
        return cls(**document)


def as_csv(records: Sequence[EpochRecord]) -> str:
    """The records as a table with a line each, for spreadsheets; shares are of 1.

    Example:
        >>> print(as_csv([EpochRecord(1, 0.5, 0.01, 2.0, 500.0, {"network": 0.9})]).split()[1])
        1,0.5,0.01,2.0,500.0,,0.9,,,,
    """
    numbers = ("epoch", "loss", "learning_rate", "seconds", "images_per_second", "moved")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*numbers, *(way.replace(" ", "_") for way in RULE_SCORES)])
    for record in records:
        row = [getattr(record, name) for name in numbers]
        writer.writerow([*row, *(record.accuracy.get(way) for way in RULE_SCORES)])
    return text.getvalue()
