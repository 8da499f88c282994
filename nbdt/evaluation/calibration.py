"""Whether probabilities are calibrated: expected calibration error and reliability.

Samples are sorted by confidence into B bins of equal width, ((b − 1)/B, b/B]. Over the bins,

    ECE = Σ (samples in bin / samples) · |accuracy in bin − mean confidence in bin|

(Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities", AAAI 2015; Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). It is measured

- for the answer: its soft probability, and whether it is correct;
- for each inner node, on the samples whose class lies under it: the probability of the child
  taken, and whether that child leads to the class;
- for each class, on all samples: its soft probability, and whether it is the true class (the
  class-wise error of Kull et al., "Beyond temperature scaling", NeurIPS 2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nbdt.errors import InputError
from nbdt.evaluation.measure import Measure, Result, Section, TextOptions, measure
from nbdt.evaluation.tables import aligned, percent, percent_range
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import Predictions


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence beside accuracy, bin by bin: the data of a reliability diagram.

    Each array has shape (bins,): how many samples a bin has, their mean confidence, and the share
    of them that is correct; the last two are NaN in an empty bin.
    """

    samples: IntArray
    confidences: FloatArray
    accuracies: FloatArray

    @property
    def edges(self) -> FloatArray:
        """Where the bins begin and end; shape (bins + 1,)."""
        return np.linspace(0, 1, len(self.samples) + 1)

    @property
    def error(self) -> float:
        """The expected calibration error, in [0, 1]."""
        gaps = np.nan_to_num(np.abs(self.accuracies - self.confidences))
        return float((gaps * self.samples).sum() / self.samples.sum())

    def to_dict(self) -> dict[str, Any]:
        """The error and the bins that are not empty, as values that JSON can hold."""
        edges = self.edges
        return {
            "error": self.error,
            "samples": int(self.samples.sum()),
            "bins": [
                {
                    "from": float(edges[place]),
                    "to": float(edges[place + 1]),
                    "samples": int(self.samples[place]),
                    "confidence": float(self.confidences[place]),
                    "accuracy": float(self.accuracies[place]),
                }
                for place in np.flatnonzero(self.samples).tolist()
            ],
        }


@dataclass(frozen=True, eq=False)
class CalibrationErrors(Result):
    """How well the probabilities of answers, decisions and classes are calibrated.

    `nodes` has the inner nodes that samples passed, `classes` every class.
    """

    hierarchy: Hierarchy
    bins: int
    answer: Reliability
    nodes: dict[int, Reliability]
    classes: tuple[Reliability, ...]

    @property
    def node_error(self) -> float:
        """The mean error of the nodes, weighted by the samples that they decided on."""
        sizes = [int(one.samples.sum()) for one in self.nodes.values()]
        return float(np.average([one.error for one in self.nodes.values()], weights=sizes))

    @property
    def class_error(self) -> float:
        """The mean error of the classes: Kull et al.'s class-wise error."""
        return float(np.mean([one.error for one in self.classes]))

    def to_dict(self) -> dict[str, Any]:
        """The errors as values that JSON can hold."""
        name = self.hierarchy.name
        return {
            "bins": self.bins,
            "answer": self.answer.to_dict(),
            "node_error": self.node_error,
            "class_error": self.class_error,
            "nodes": [
                {"node": node, "name": name(node), **found.to_dict()}
                for node, found in self.nodes.items()
            ],
            "classes": [
                {"node": leaf, "name": name(leaf), **found.to_dict()}
                for leaf, found in enumerate(self.classes)
            ],
        }

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The bins of the answers' probabilities."""
        found = self.answer
        cells = [
            (
                percent_range((found.edges[place], found.edges[place + 1])),
                str(found.samples[place]),
                percent(found.confidences[place]),
                percent(found.accuracies[place]),
            )
            for place in np.flatnonzero(found.samples).tolist()
        ]
        table = aligned(("probability of the answer", "samples", "mean", "correct"), cells)
        yield Section(50, ["Reliability of the answers", *table], full=True)

    def summary(self) -> Iterable[str]:
        """The three errors."""
        yield (
            f"Calibration  error of the answers {percent(self.answer.error)}, of decisions "
            f"{percent(self.node_error)}, of classes {percent(self.class_error)} "
            f"({self.bins} bins)"
        )


@measure("calibration", order=3)
class CalibrationCounter(Measure[CalibrationErrors]):
    """Sorts confidence into bins. Memory: 24 bytes × bins × nodes."""

    def start(self) -> None:
        """Sets all counts to zero."""
        # One row for each class and inner node by id, and the last one for the answer.
        shape = len(self.hierarchy) + 1, self.bins
        self._samples = np.zeros(shape, dtype=np.int64)
        self._confidence = np.zeros(shape)
        self._right = np.zeros(shape, dtype=np.int64)

    def update(self, batch: Predictions) -> None:
        """Counts a batch."""
        labels, path = batch.labels, batch.true_path
        answer = np.full_like(labels, len(self.hierarchy))
        self._add(answer, batch.answer_probabilities, labels == batch.answers)
        self._add(path.nodes, np.minimum(path.confidences, 1), path.right)
        self._add_classes(batch.log_probs, labels)

    def _add(self, rows: IntArray, confidences: FloatArray, right: npt.NDArray[np.bool_]) -> None:
        shape, size = self._samples.shape, self._samples.size
        bins = np.ceil(confidences * self.bins).astype(np.int64) - 1
        places = rows * self.bins + np.maximum(bins, 0)
        self._samples += np.bincount(places, minlength=size).reshape(shape)
        self._confidence += np.bincount(places, confidences, size).reshape(shape)
        self._right += np.bincount(places[right], minlength=size).reshape(shape)

    def _add_classes(self, log_probs: torch.Tensor, labels: IntArray) -> None:
        # All but a few probabilities of a sample belong to the first bin: only B − 1 of them can
        # exceed 1/B, since they sum to 1. So only these are sorted; the sums do for the others.
        probabilities = log_probs.cpu().exp()  # not every device has float64 for the sums
        rows, leaves = (probabilities > 1 / self.bins).nonzero(as_tuple=True)
        high = probabilities[rows, leaves].double().clamp_max(1).numpy()
        sums = probabilities.sum(0, dtype=torch.float64).numpy()
        samples, classes = rows.numpy(), leaves.numpy()
        rest = np.full(len(sums), len(labels)) - np.bincount(classes, minlength=len(sums))
        hits = np.bincount(labels, minlength=len(sums))
        is_hit = labels[samples] == classes
        hits -= np.bincount(classes[is_hit], minlength=len(sums))
        sums -= np.bincount(classes, weights=high, minlength=len(sums))
        self._add(classes, high, is_hit)
        first_bins = np.s_[: len(sums), 0]
        self._samples[first_bins] += rest
        self._confidence[first_bins] += np.maximum(sums, 0)
        self._right[first_bins] += hits

    def merge(self, other: CalibrationCounter) -> None:
        """Adds the bins of another one."""
        self._samples += other._samples
        self._confidence += other._confidence
        self._right += other._right

    def compute(self) -> CalibrationErrors:
        """The errors so far."""
        tree = self.hierarchy
        if not self._samples.any():
            raise InputError("calibration needs at least one sample.")
        passed = [node for node in tree.inner if self._samples[node].any()]
        return CalibrationErrors(
            hierarchy=tree,
            bins=self.bins,
            answer=self._reliability(len(tree)),
            nodes={node: self._reliability(node) for node in passed},
            classes=tuple(map(self._reliability, range(tree.num_classes))),
        )

    def _reliability(self, row: int) -> Reliability:
        # A copy, so that counting on does not change it.
        samples = self._samples[row].copy()
        divisor = np.where(samples > 0, samples, np.nan)
        return Reliability(samples, self._confidence[row] / divisor, self._right[row] / divisor)
