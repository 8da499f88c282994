"""How certain answers are: the entropy of their paths, and the closest decision on them.

The *path entropy* is the sum of the entropies −Σ p log p of the decisions on the path to the
answer, in nats: 0 where every decision is certain; for a tree with a single inner node it is the
entropy of the classes. The *margin* is that of the closest decision on the path: the score of the
child taken minus that of its nearest sibling (`Explanation.closest`), which still differs where
probabilities round to 1. It is negative where a soft path takes a child that is not the likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdt.errors import InputError
from nbdt.evaluation.measure import Extremes, Measure, Result, Section, TextOptions, measure
from nbdt.evaluation.tables import Record, aligned, short
from nbdt.hierarchy import Hierarchy
from nbdt.rules import Predictions

# What each list holds: the samples with the highest value of a column, or of its negative.
_ENDS = {
    "highest_entropy": ("entropy", 1),
    "lowest_entropy": ("entropy", -1),
    "smallest_margin": ("margin", -1),
    "largest_margin": ("margin", 1),
}


@dataclass(frozen=True)
class UncertainSample(Record):
    """One sample, its path entropy in nats, and its margin in the units of the logits.

    The margin is infinite (None in JSON) where all siblings on the path are masked out.
    """

    index: int
    label: int
    answer: int
    entropy: float
    margin: float


@dataclass(frozen=True, eq=False)
class Uncertainty(Result):
    """How certain the answers on some data are: mean path entropies in nats, and extreme samples.

    `ends` has samples under ``highest_entropy``, ``lowest_entropy``, ``smallest_margin`` and
    ``largest_margin``. A mean over no answers is None.
    """

    hierarchy: Hierarchy
    samples: int
    mean_entropy: float
    mean_entropy_right: float | None
    mean_entropy_wrong: float | None
    ends: dict[str, tuple[UncertainSample, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The uncertainty as values that JSON can hold."""
        document = super().to_dict()
        ends: dict[str, Any] = document.pop("ends")
        del document["hierarchy"]
        return document | ends

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The samples with the most uncertain paths."""
        name = self.hierarchy.name
        cells = [
            (
                options.sample_name(one.index),
                short(name(one.label)),
                short(name(one.answer)),
                f"{one.entropy:.3f}",
                f"{one.margin:.3f}",
            )
            for one in self.ends["highest_entropy"][: options.most]
        ]
        if cells:
            headings = ("sample", "class", "answer", "path entropy", "margin")
            table = aligned(headings, cells, words=3)
            yield Section(40, ["Most uncertain samples", *table], full=True)

    def summary(self) -> Iterable[str]:
        """The mean entropies."""
        kinds = {"correct": self.mean_entropy_right, "wrong": self.mean_entropy_wrong}
        means = [f"{mean:.3f} where {kind}" for kind, mean in kinds.items() if mean is not None]
        yield f"Uncertainty  path entropy {', '.join(means)} (nats)"

    def examples(self) -> Iterable[int]:
        """The extreme samples."""
        return (one.index for samples in self.ends.values() for one in samples)


@measure("uncertainty", order=4)
class UncertaintyCounter(Measure[Uncertainty]):
    """Measures path entropies and margins, and keeps the samples at both ends."""

    def start(self) -> None:
        """Sets all counts to zero."""
        columns = {"index": -1, "label": -1, "answer": -1, "entropy": math.nan, "margin": math.nan}
        self._ends = Extremes(len(_ENDS), self.examples, columns)
        # Of wrong and of correct answers: how many, and the sum of their path entropies.
        self._counts = np.zeros(2, dtype=np.int64)
        self._entropies = np.zeros(2)

    def update(self, batch: Predictions) -> None:
        """Counts a batch."""
        size, path = len(batch), batch.answer_path
        entropies = path.totals(path.entropies, size)
        margins = path.least_margins(size)
        right = (batch.labels == batch.answers).astype(np.int64)
        self._counts += np.bincount(right, minlength=2)
        self._entropies += np.bincount(right, weights=entropies, minlength=2)
        columns = {
            "index": batch.indices,
            "label": batch.labels,
            "answer": batch.answers,
            "entropy": entropies,
            "margin": margins,
        }
        for end, (column, sign) in enumerate(_ENDS.values()):
            keys = np.asarray(sign * columns[column], dtype=np.float64)
            self._ends.update(np.full(size, end), keys, **columns)

    def merge(self, other: UncertaintyCounter) -> None:
        """Adds the sums of another one, and keeps the more extreme samples."""
        self._counts += other._counts
        self._entropies += other._entropies
        self._ends.merge(other._ends)

    def compute(self) -> Uncertainty:
        """The uncertainty so far."""
        total = int(self._counts.sum())
        if not total:
            raise InputError("uncertainty needs at least one sample.")
        wrong, right = (
            float(entropy / count) if count else None
            for entropy, count in zip(self._entropies, self._counts, strict=True)
        )
        mean = float(self._entropies.sum() / total)
        ends = {name: self._samples(end) for end, name in enumerate(_ENDS)}
        return Uncertainty(self.hierarchy, total, mean, right, wrong, ends)

    def _samples(self, end: int) -> tuple[UncertainSample, ...]:
        columns = [column[end].tolist() for column in self._ends.columns.values()]
        rows = zip(*columns, strict=True)
        return tuple(UncertainSample(*row) for row in rows if row[0] >= 0)
