"""How sure answers are: the entropy of their paths, and the closest decision on them.

The *path entropy* is the sum of the entropies −Σ p log p of the decisions on the path to the
answer, in nats: 0 where every decision is certain; for a tree with a single inner node it is the
entropy of the classes. The *margin* is that of the closest decision on the path: the score of the
child taken less that of its nearest sibling (`Explanation.closest`), which no probability near 1
hides. It is negative where a soft path takes a child that is not the likeliest.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbdt.errors import InputError
from nbdt.evaluation.extremes import Extremes
from nbdt.hierarchy import Hierarchy
from nbdt.rules import Predictions


@dataclass(frozen=True)
class UncertainSample:
    """One sample and how sure its answer is.

    Attributes:
        index: its index in the data.
        label: its class.
        answer: the class answered.
        entropy: its path entropy, in nats.
        margin: its margin, in the units of the logits; infinite (None in JSON) where the
            siblings of all nodes on the path are masked out.

    Example:
        >>> UncertainSample(17, label=0, answer=1, entropy=1.2, margin=0.1).to_dict()["margin"]
        0.1
    """

    index: int
    label: int
    answer: int
    entropy: float
    margin: float

    def to_dict(self) -> dict[str, Any]:
        """The sample as values that JSON can hold."""
        margin = self.margin if math.isfinite(self.margin) else None
        return asdict(self) | {"margin": margin}


@dataclass(frozen=True)
class Uncertainty:
    """How sure the answers on some data are.

    Attributes:
        samples: how many samples were answered.
        mean_entropy: the mean path entropy, in nats.
        mean_entropy_right: that of right answers; None where there are none.
        mean_entropy_wrong: that of wrong answers; None where there are none.
        highest_entropy: the samples with the most uncertain paths.
        lowest_entropy: those with the surest.
        smallest_margin: the samples with the closest decisions.
        largest_margin: those whose closest decision is clearest.

    Example:
        >>> unsure = UncertainSample(17, label=0, answer=1, entropy=1.2, margin=0.1)
        >>> Uncertainty(1, 1.2, None, 1.2, *[(unsure,)] * 4).highest_entropy[0].index
        17
    """

    samples: int
    mean_entropy: float
    mean_entropy_right: float | None
    mean_entropy_wrong: float | None
    highest_entropy: tuple[UncertainSample, ...]
    lowest_entropy: tuple[UncertainSample, ...]
    smallest_margin: tuple[UncertainSample, ...]
    largest_margin: tuple[UncertainSample, ...]

    def ends(self) -> tuple[tuple[UncertainSample, ...], ...]:
        """The four lists of samples."""
        return tuple(getattr(self, name) for name in _ENDS)

    def to_dict(self) -> dict[str, Any]:
        """The uncertainty as values that JSON can hold."""
        return {
            key: [sample.to_dict() for sample in value] if isinstance(value, tuple) else value
            for key, value in vars(self).items()
        }


class UncertaintyCounter:
    """Measures how sure answers are, batch by batch.

    Args:
        hierarchy: the tree.
        examples: how many samples to keep at each end.

    Example:
        >>> import torch
        >>> from nbdt.rules import TreeLayout
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> counted = UncertaintyCounter(tree, examples=1)
        >>> logits = torch.tensor([[9.0, 2.0, 0.0], [1.0, 0.0, 5.0], [2.0, 1.9, 2.5]])
        >>> labels = torch.tensor([0, 1, 0])
        >>> counted.update(Predictions(logits, TreeLayout(tree), score="mean", labels=labels))
        >>> found = counted.result()
        >>> found.highest_entropy[0].index, found.lowest_entropy[0].index
        (2, 0)
    """

    def __init__(self, hierarchy: Hierarchy, *, examples: int = 5) -> None:
        self.hierarchy = hierarchy
        columns = {"index": -1, "label": -1, "answer": -1, "entropy": math.nan, "margin": math.nan}
        self._ends = Extremes(len(_ENDS), examples, columns)
        self._counts = np.zeros(2, dtype=np.int64)
        self._entropies = np.zeros(2)

    def update(self, decided: Predictions) -> None:
        """Counts a batch."""
        batch, ways = len(decided), decided.answer_path
        entropies = ways.totals(ways.entropies, batch)
        margins = ways.least_margins(batch)
        right = (decided.labels == decided.answers).astype(np.int64)
        self._counts += np.bincount(right, minlength=2)
        self._entropies += np.bincount(right, weights=entropies, minlength=2)
        columns = {
            "index": decided.indices,
            "label": decided.labels,
            "answer": decided.answers,
            "entropy": entropies,
            "margin": margins,
        }
        for end, (column, sign) in enumerate(_ENDS.values()):
            keys = np.asarray(sign * columns[column], dtype=np.float64)
            self._ends.update(np.full(batch, end), keys, **columns)

    def result(self) -> Uncertainty:
        """What was measured so far.

        Raises:
            InputError: there was no sample yet.
        """
        total = int(self._counts.sum())
        if not total:
            raise InputError("there is no uncertainty without a sample; give at least one.")
        wrong, right = (
            float(entropy / count) if count else None
            for entropy, count in zip(self._entropies, self._counts, strict=True)
        )
        mean = float(self._entropies.sum() / total)
        ends = {name: self._samples(end) for end, name in enumerate(_ENDS)}
        return Uncertainty(total, mean, right, wrong, **ends)

    def _samples(self, end: int) -> tuple[UncertainSample, ...]:
        columns = [column[end].tolist() for column in self._ends.columns.values()]
        rows = zip(*columns, strict=True)
        return tuple(UncertainSample(*row) for row in rows if row[0] >= 0)


# What each list holds: the samples with the highest value of a column, or of its negative.
_ENDS = {
    "highest_entropy": ("entropy", 1),
    "lowest_entropy": ("entropy", -1),
    "smallest_margin": ("margin", -1),
    "largest_margin": ("margin", 1),
}
