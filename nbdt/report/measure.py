"""All that a report says is measured here: one pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from nbdt.data import LabelledImages, LabelledSamples
from nbdt.errors import InputError
from nbdt.evaluation import Evaluation, Measure, Predictions, evaluate, wilson_interval
from nbdt.model import NBDT
from nbdt.rules import RuleName, get_rule
from nbdt.selective import (
    Calibration,
    above_rounding,
    information_kept,
    is_valid,
    stop,
    threshold,
)

FEW = 30
"""Of fewer samples than these a share says little: its 95 % interval is up to 34 points wide."""


@dataclass(frozen=True)
class Stopping:
    """How answers did that may stop at an inner node.

    Attributes:
        guarantee: the share of answers that are to hold the true class.
        threshold: the probability that an answer has to exceed; −∞ where any will do.
        valid: how many answers hold the true class.
        classes: how many answers are a class.
        information: the mean information kept, 1 for a class and 0 for the root.
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
    """Lets a model's answers stop when unsure, batch by batch, by the calibration's threshold."""

    def __init__(self, model: NBDT, calibration: Calibration, guarantee: float) -> None:
        calibration.check_model(model)
        self.calibration, self.guarantee = calibration, guarantee
        self.threshold = above_rounding(threshold(calibration.scores, guarantee))
        super().__init__(model.hierarchy)

    def start(self) -> None:
        """Sets all counts to zero."""
        self._totals = np.zeros(4)

    def update(self, batch: Predictions) -> None:
        """Counts a batch of the model's predictions."""
        layout = batch.layout
        answers = stop(batch.log_probs, layout, self.threshold)
        valid = is_valid(answers, torch.from_numpy(batch.labels).to(answers.device), layout)
        kept = information_kept(answers, layout)
        are_classes = answers < layout.num_classes
        self._totals += [len(batch), *(float(one.sum()) for one in (valid, are_classes, kept))]

    def merge(self, other: StoppingCounter) -> None:
        """Adds the counts of another one."""
        self._totals += other._totals

    def compute(self) -> Stopping:
        """What was counted so far; at least one sample is needed."""
        samples, valid, classes = map(int, self._totals[:3])
        kept = float(self._totals[3]) / samples
        return Stopping(
            self.calibration, self.guarantee, self.threshold, samples, valid, classes, kept
        )


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured of a model on labelled samples.

    Attributes:
        data: the samples, as the model's input reads them.
        evaluation: all measures, and the samples that could not be read or answered.
        stopping: how answers did that may stop when unsure; None where that was not measured.
    """

    model: NBDT
    data: LabelledSamples
    evaluation: Evaluation
    stopping: Stopping | None = None

    @property
    def left_out(self) -> Mapping[int, str]:
        """The samples that could not be read or answered, by index, each with the reason."""
        return self.evaluation.failures

    @property
    def fingerprint(self) -> str:
        """The fingerprint of all other samples, which a `Calibration` has of its own ones."""
        return str(self.evaluation.fingerprint)


def measure(
    model: NBDT,
    data: LabelledSamples,
    *,
    rule: RuleName | None = None,
    calibration: Calibration | None = None,
    guarantee: float = 0.95,
    batch_size: int = 32,
    progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Measures a model on labelled samples, in one pass and bounded memory.

    Samples that cannot be read, or that the network cannot take, are left out. The arguments are
    those of `nbdt.report.report`.
    """
    if not isinstance(data, LabelledSamples):
        raise InputError(
            f"a report shows its samples, so data must be LabelledSamples, as load_dataset gives "
            f"them; got {type(data).__name__}."
        )
    if isinstance(data, LabelledImages):
        data = data.with_augmentation(None)
    if model.preprocessing is not None:
        data = data.with_preprocessing(model.preprocessing)
    rule = model.rule if rule is None else rule
    extra = []
    if calibration is not None and get_rule(rule).ranks_classes:
        extra = [StoppingCounter(model, calibration, guarantee)]
    evaluation = evaluate(
        model,
        data,
        batch_size=batch_size,
        rule=rule,
        on_failure="keep",
        fingerprint=True,
        progress=progress,
        extra=extra,
    )
    return Measurement(model, data, evaluation, extra[0].compute() if extra else None)
