"""What became of a guarantee: answers that stop when unsure, counted on labelled samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nbdt.errors import InputError
from nbdt.evaluation import Measure, Predictions, wilson_interval
from nbdt.model import NBDT
from nbdt.selective import (
    Calibration,
    above_rounding,
    information_kept,
    is_valid,
    stop,
    threshold,
)


@dataclass(frozen=True)
class Stopping:
    """How answers did that may stop at an inner node.

    Attributes:
        calibration: what the model was calibrated with.
        guarantee: the share of answers that are to hold the true class.
        threshold: the probability that an answer has to exceed; −∞ where any will do.
        samples: how many samples were answered.
        valid: how many answers hold the true class.
        classes: how many answers are a class.
        information: the mean information kept, 1 for a class and 0 for the root.

    Example:
        >>> from nbdt.selective.calibration import Superclass
        >>> parts = Calibration(
        ...     score="mean",
        ...     fingerprint="0" * 64,
        ...     superclasses=(Superclass(node=2, samples=99, wrong=()),),
        ... )
        >>> found = Stopping(parts, 0.9, 0.7, samples=100, valid=93, classes=80, information=0.9)
        >>> found.validity
        0.93
    """

    calibration: Calibration
    guarantee: float
    threshold: float
    samples: int
    valid: int
    classes: int
    information: float

    @property
    def validity(self) -> float:
        """The share of answers that hold the true class."""
        return self.valid / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the validity, by `wilson_interval`."""
        return wilson_interval(self.valid, self.samples)


class StoppingCounter(Measure[Stopping]):
    """Lets answers stop when unsure, batch by batch.

    Args:
        model: the model.
        calibration: its calibration.
        guarantee: between 0 and 1.

    Raises:
        InputError: the calibration is of another model, or has too few samples for the guarantee.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> from nbdt.selective import SelectiveNBDT
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> held_out = [(torch.tensor([1.0, 0.9 - i / 9, -2]), i % 2) for i in range(9)]
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> found = SelectiveNBDT(model, guarantee=0.9).calibrate(held_out).calibration
        >>> counter = StoppingCounter(model, found, 0.9)
        >>> logits, labels = torch.tensor([[1.0, 0.9, -2], [3.0, 0, 0]]), torch.tensor([1, 2])
        >>> counter.update(model.predictions(logits, labels=labels))
        >>> counter.compute().valid, counter.compute().classes  # animal is valid, cat is not
        (1, 1)
    """

    def __init__(self, model: NBDT, calibration: Calibration, guarantee: float) -> None:
        tree = model.hierarchy
        nodes = tuple(part.node for part in calibration.superclasses)
        if nodes != tree.children(tree.root) or calibration.score != model.score:
            raise InputError("the calibration is of a model with another tree or score.")
        self.calibration, self.guarantee = calibration, guarantee
        self.threshold = above_rounding(threshold(calibration.scores, guarantee))
        super().__init__(tree)

    def start(self) -> None:
        """Sets all counts to zero."""
        self._samples = self._valid = self._classes = 0
        self._information = 0.0

    def update(self, batch: Predictions) -> None:
        """Counts a batch of the model's predictions."""
        layout = batch.layout
        answers = stop(batch.log_probs, layout, self.threshold)
        labels = torch.from_numpy(batch.labels).to(answers.device)
        self._samples += len(batch)
        self._valid += int(is_valid(answers, labels, layout).sum())
        self._classes += int((answers < layout.num_classes).sum())
        self._information += float(information_kept(answers, layout).sum())

    def merge(self, other: StoppingCounter) -> None:
        """Adds the counts of another one."""
        self._samples += other._samples
        self._valid += other._valid
        self._classes += other._classes
        self._information += other._information

    def compute(self) -> Stopping:
        """What was counted so far; at least one sample is needed."""
        return Stopping(
            calibration=self.calibration,
            guarantee=self.guarantee,
            threshold=self.threshold,
            samples=self._samples,
            valid=self._valid,
            classes=self._classes,
            information=self._information / self._samples,
        )
