"""Separating out-of-distribution (OOD) samples from known ones, by how sure tree or network are.

Each score is high for samples like those of the known classes:

- ``max probability``: the largest softmax probability of the network (Hendrycks and Gimpel, "A
  baseline for detecting misclassified and out-of-distribution examples", ICLR 2017);
- ``path entropy``: the path entropy of the tree's answer (see `nbdt.evaluation.uncertainty`),
  negated;
- ``stop depth``: how far down the path to the answer the probability of the node reached stays
  above a half, as a share of the path's decisions. A tree that stops when it is less than half
  sure stops there.

A score is judged by the area under its ROC curve, which is the probability that a known sample
scores higher than an unknown one (ties count half), and by the share of unknown samples that pass
when 95 % of the known ones do (FPR95; lower is better).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.measure import Measure
from nbdt.evaluation.tables import Record, aligned, percent
from nbdt.hierarchy.validation import FloatArray
from nbdt.model import NBDT
from nbdt.rules import Predictions
from nbdt.run import answers

THRESHOLD = 0.5
SCORES = ("max probability", "path entropy", "stop depth")


@dataclass(frozen=True)
class OodRow(Record):
    """How well one score separates known from unknown samples.

    Attributes:
        auroc: the area under the ROC curve; 0.5 is chance, 1 is perfect.
        fpr95: the share of unknown samples that pass when 95 % of the known ones do.
    """

    score: str
    auroc: float
    fpr95: float


@dataclass(frozen=True)
class OodTable(Record):
    """How well each score separates known from unknown samples; `str` draws it.

    Attributes:
        rows: one a score, in the order of `SCORES`.
        known: how many samples of known classes there were.
        unknown: how many others.

    Example:
        >>> scores = np.array([[0.9], [0.5]]), np.array([[0.5], [0.1]])
        >>> OodTable.of(*scores).rows
        (OodRow(score='max probability', auroc=0.875, fpr95=0.5),)
    """

    rows: tuple[OodRow, ...]
    known: int
    unknown: int

    @classmethod
    def of(cls, known: FloatArray, unknown: FloatArray) -> OodTable:
        """The table for the scores of both sides, one column a score; see `OodScorer`."""
        from sklearn.metrics import roc_auc_score, roc_curve

        if not len(known) or not len(unknown):
            raise InputError(
                f"known and unknown samples are needed; got {len(known)} and {len(unknown)}."
            )
        is_known = np.repeat([True, False], [len(known), len(unknown)])
        rows = []
        for name, scores in zip(SCORES, np.concatenate([known, unknown]).T, strict=False):
            fpr, tpr, _ = roc_curve(is_known, scores, drop_intermediate=False)
            # Rounding may leave a share of exactly 95 % a hair below it.
            fpr95 = float(fpr[np.searchsorted(tpr, 0.95 - 1e-9)])
            rows.append(OodRow(name, float(roc_auc_score(is_known, scores)), fpr95))
        return cls(tuple(rows), len(known), len(unknown))

    def row(self, score: str) -> OodRow:
        """The row of one of `SCORES`."""
        return self.rows[SCORES.index(score)]

    def __str__(self) -> str:
        cells = [(row.score, f"{row.auroc:.4f}", percent(row.fpr95)) for row in self.rows]
        lines = aligned(("score", "AUROC", "FPR at 95 %"), cells)
        return "\n".join([*lines, f"{self.known:,} known samples, {self.unknown:,} unknown"])


class OodScorer(Measure[FloatArray]):
    """Scores samples, labelled or not. Memory: 24 bytes a sample, as all are ranked together.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> from nbdt.rules import TreeLayout
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> scorer = OodScorer(tree)
        >>> scorer.update(Predictions(torch.zeros(1, 3), TreeLayout(tree), score="logsumexp"))
        >>> scorer.compute().round(3)
        array([[ 0.333, -1.33 ,  0.5  ]])
    """

    def start(self) -> None:
        """Forgets all samples."""
        self._scores = [np.empty((0, len(SCORES)))]

    def update(self, batch: Predictions) -> None:
        """Scores a batch."""
        path, size = batch.answer_path, len(batch)
        likeliest = batch.logits.cpu().double().log_softmax(-1).amax(-1).exp().numpy()
        entropies = path.totals(path.entropies, size)
        # From the root down, the log-probability of the node reached.
        own = path.own[path.root_first]
        reached = np.cumsum(own)
        lengths = self.hierarchy.depths[batch.answers]
        starts = np.cumsum(lengths) - lengths
        before = np.repeat(reached[starts] - own[starts], lengths)
        passed = (np.exp(reached - before) > THRESHOLD).astype(np.float64)
        depth = np.add.reduceat(passed, starts) / lengths if size else np.empty(0)
        self._scores.append(np.stack([likeliest, -entropies, depth], axis=1))

    def merge(self, other: OodScorer) -> None:
        """Adds the scores of another one after the own ones."""
        self._scores += other._scores

    def compute(self) -> FloatArray:
        """The scores of each sample, one column each in the order of `SCORES`."""
        return np.concatenate(self._scores)


def ood_scores(model: NBDT, data: Data, *, batch_size: int = 64) -> FloatArray:
    """The OOD scores of each sample, one column each in the order of `SCORES`; (samples, 3).

    Args:
        data: samples; labels, if there are any, are ignored.
    """
    scorer = OodScorer(model.hierarchy)
    for block in answers(model, data, batch_size=batch_size, labels="none"):
        scorer.update(model.predictions(block.logits))
    return scorer.compute()


def evaluate_ood(model: NBDT, known: Data, unknown: Data, *, batch_size: int = 64) -> OodTable:
    """How well a model separates samples of its classes from samples of none of them.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> known, unknown = torch.tensor([[9.0, 1, 0], [0, 1, 8]]), torch.tensor([[1.0, 1, 1]])
        >>> print(evaluate_ood(model, [known], [unknown]))
        score             AUROC  FPR at 95 %
        ───────────────  ──────  ───────────
        max probability  1.0000        0.0 %
        path entropy     1.0000        0.0 %
        stop depth       1.0000        0.0 %
        2 known samples, 1 unknown
    """
    sides = (ood_scores(model, data, batch_size=batch_size) for data in (known, unknown))
    return OodTable.of(*sides)
