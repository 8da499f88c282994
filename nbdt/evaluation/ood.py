"""Telling samples of no known class from others, by how sure the tree or the network is.

Each score is high for samples like those of the known classes:

- ``max probability``: the largest softmax probability of the network (Hendrycks and Gimpel, "A
  baseline for detecting misclassified and out-of-distribution examples", ICLR 2017);
- ``path entropy``: the path entropy of the tree's answer (see `nbdt.evaluation.uncertainty`),
  negated;
- ``stop depth``: how far down the path to the answer the probability of the node reached stays
  above a half, as a share of the path's decisions. A tree that stops when it is less than half
  sure stops there.

A detector is judged by the area under its ROC curve, which is the probability that a known sample
scores higher than an unknown one (ties count half), and by the share of unknown samples that pass
when 95 % of the known ones do (FPR95; lower is better).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.text import aligned, percent
from nbdt.hierarchy.validation import FloatArray
from nbdt.model import NBDT
from nbdt.rules import Predictions
from nbdt.run import answers

THRESHOLD = 0.5
SCORES = ("max probability", "path entropy", "stop depth")


@dataclass(frozen=True)
class OutlierRow:
    """How well one score tells known samples from unknown ones.

    Attributes:
        score: what the score is called.
        auroc: the area under the ROC curve; 0.5 is chance, 1 is perfect.
        fpr95: the share of unknown samples that pass when 95 % of the known ones do.

    Example:
        >>> OutlierRow("stop depth", auroc=0.75, fpr95=0.5).to_dict()["auroc"]
        0.75
    """

    score: str
    auroc: float
    fpr95: float

    def to_dict(self) -> dict[str, Any]:
        """The row as values that JSON can hold."""
        return {"score": self.score, "auroc": self.auroc, "fpr95": self.fpr95}


@dataclass(frozen=True)
class OutlierTable:
    """How well known samples are told from unknown ones by each score; `str` draws it.

    Attributes:
        rows: one a score, in the order of `SCORES`.
        known: how many samples of known classes there were.
        unknown: how many others.

    Example:
        >>> OutlierTable((OutlierRow("stop depth", 0.75, 0.5),), 20, 10).known
        20
    """

    rows: tuple[OutlierRow, ...]
    known: int
    unknown: int

    def row(self, score: str) -> OutlierRow:
        """The row of one of `SCORES`."""
        return self.rows[SCORES.index(score)]

    def to_dict(self) -> dict[str, Any]:
        """The table as values that JSON can hold."""
        rows = [row.to_dict() for row in self.rows]
        return {"known": self.known, "unknown": self.unknown, "rows": rows}

    def __str__(self) -> str:
        cells = [(row.score, f"{row.auroc:.4f}", percent(row.fpr95)) for row in self.rows]
        lines = aligned(("score", "AUROC", "FPR at 95 %"), cells)
        return "\n".join([*lines, f"{self.known:,} known samples, {self.unknown:,} unknown"])


def evaluate_outliers(
    model: NBDT, known: Data, unknown: Data, *, batch_size: int = 64
) -> OutlierTable:
    """How well a model tells samples of its classes from samples of none of them.

    Memory: 24 bytes a sample, as the scores are ranked together at the end.

    Args:
        model: the model.
        known: samples of the model's classes; labels, if there are any, are not looked at.
        unknown: samples of none of them.
        batch_size: how many samples given one by one share a batch.

    Raises:
        InputError: one side has no sample, or the network's answer to one is NaN or infinite.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> known, unknown = torch.tensor([[9.0, 1, 0], [0, 1, 8]]), torch.tensor([[1.0, 1, 1]])
        >>> print(evaluate_outliers(model, [known], [unknown]))
        score             AUROC  FPR at 95 %
        ───────────────  ──────  ───────────
        max probability  1.0000        0.0 %
        path entropy     1.0000        0.0 %
        stop depth       1.0000        0.0 %
        2 known samples, 1 unknown
    """
    counted = OutlierCounter(model)
    for update, data in ((counted.add_known, known), (counted.add_unknown, unknown)):
        for block in answers(model, data, batch_size=batch_size, labels="none", rows=1):
            update(block.logits)
    return counted.table()


class OutlierCounter:
    """Scores known and unknown samples batch by batch; for logits that are at hand.

    Memory: 24 bytes a sample, as the scores are ranked together at the end.

    Args:
        model: the model that the logits are of.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> counted = OutlierCounter(model)
        >>> counted.add_known(torch.tensor([[9.0, 1, 0], [0, 1, 8]]))
        >>> counted.add_unknown(torch.tensor([[1.0, 1, 1]]))
        >>> counted.table().row("path entropy").auroc
        1.0
    """

    def __init__(self, model: NBDT) -> None:
        self._model = model
        self._known = [np.empty((0, len(SCORES)))]
        self._unknown = [np.empty((0, len(SCORES)))]

    def add_known(self, logits: Float[Tensor, "batch classes"]) -> None:
        """Scores samples of the model's classes.

        Raises:
            InputError: the logits are none of this model, or hold NaN or +inf.
        """
        self._known.append(_scores_of(self._model.predictions(logits)))

    def add_unknown(self, logits: Float[Tensor, "batch classes"]) -> None:
        """Scores samples of none of them.

        Raises:
            InputError: as in `add_known`.
        """
        self._unknown.append(_scores_of(self._model.predictions(logits)))

    def table(self) -> OutlierTable:
        """How well the scores tell them apart.

        Raises:
            InputError: one side has no sample.
        """
        inside, outside = np.concatenate(self._known), np.concatenate(self._unknown)
        rows = tuple(
            OutlierRow(name, auroc(*columns), fpr_at(*columns))
            for name, *columns in zip(SCORES, inside.T, outside.T, strict=True)
        )
        return OutlierTable(rows, len(inside), len(outside))


def auroc(known: FloatArray, unknown: FloatArray) -> float:
    """The probability that a known sample scores higher than an unknown one; ties count half.

    This is the area under the ROC curve, as Mann and Whitney's statistic.

    Raises:
        InputError: one side is empty.

    Example:
        >>> auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
        0.875
    """
    _check_both(known, unknown)
    ranks = rankdata(np.concatenate([known, unknown]))[: len(known)]
    wins = ranks.sum() - len(known) * (len(known) + 1) / 2
    return float(wins / (len(known) * len(unknown)))


def fpr_at(known: FloatArray, unknown: FloatArray, share: float = 0.95) -> float:
    """The share of unknown samples that pass the highest threshold that this share of known do.

    A sample passes where its score is the threshold or more.

    Raises:
        InputError: one side is empty, or the share is not in (0, 1].

    Example:
        >>> fpr_at(np.array([0.9, 0.8, 0.5]), np.array([0.6, 0.1]), share=0.6)
        0.0
    """
    _check_both(known, unknown)
    if not 0 < share <= 1:
        raise InputError(f"a share of known samples is above 0 and at most 1; got {share!r:.80}.")
    # As many as it takes; a product such as 0.95 · 20 may come out a hair above the whole number.
    count = int(np.ceil(share * len(known) - 1e-9))
    threshold = np.sort(known)[len(known) - count]
    return float((unknown >= threshold).mean())


def _check_both(known: FloatArray, unknown: FloatArray) -> None:
    if not len(known) or not len(unknown):
        raise InputError(
            f"known and unknown samples are needed; got {len(known)} and {len(unknown)}."
        )


def outlier_scores(model: NBDT, data: Data, *, batch_size: int = 64) -> FloatArray:
    """The scores of each sample, a column each in the order of `SCORES`; shape (samples, 3).

    Raises:
        InputError: the network's answer to a sample is NaN or infinite.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> outlier_scores(model, [torch.zeros(1, 3)]).round(3)
        array([[ 0.333, -1.33 ,  0.5  ]])
    """
    blocks = answers(model, data, batch_size=batch_size, labels="none", rows=1)
    scores = (_scores_of(model.predictions(block.logits)) for block in blocks)
    return np.concatenate([np.empty((0, len(SCORES))), *scores])


def _scores_of(predictions: Predictions) -> FloatArray:
    path, batch = predictions.answer_path, len(predictions)
    logits = predictions.logits.cpu().double()
    likeliest = logits.log_softmax(-1).amax(-1).exp().numpy()
    entropies = path.totals(path.entropies, batch)
    # The probability of each node reached on the way down.
    own = path.own[path.root_first]
    reached = np.cumsum(own)
    lengths = predictions.hierarchy.depths[predictions.answers]
    starts = np.cumsum(lengths) - lengths
    before = np.repeat(reached[starts] - own[starts], lengths)
    passed = (np.exp(reached - before) > THRESHOLD).astype(np.float64)
    depth = np.add.reduceat(passed, starts) / lengths
    return np.stack([likeliest, -entropies, depth], axis=1)
