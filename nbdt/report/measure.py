"""All that a report says is measured here: one pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nbdt.data import LabelledImages
from nbdt.errors import InputError
from nbdt.evaluation import Evaluation, evaluate
from nbdt.model import NBDT
from nbdt.report.stopping import Stopping, StoppingCounter
from nbdt.rules import RuleName, get_rule
from nbdt.selective import Calibration

FEW = 30
"""Of fewer samples than these a share says little: its 95 % interval is up to 34 points wide."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured of a model on labelled images.

    Attributes:
        data: the images, with the model's preprocessing.
        evaluation: all measures, and the images that could not be read or answered.
        stopping: how answers did that may stop when unsure; None where that was not measured.

    Example:
        >>> import torch
        >>> from nbdt.data import load_dataset
        >>> from nbdt.hierarchy import load_hierarchy
        >>> digits = load_dataset("digits").select(range(20))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> found = measure(NBDT(network, load_hierarchy("digits/shape")), digits)
        >>> found.evaluation.samples, found.left_out
        (20, {})
    """

    model: NBDT
    data: LabelledImages
    evaluation: Evaluation
    stopping: Stopping | None = None

    @property
    def left_out(self) -> Mapping[int, str]:
        """The images that could not be read or answered, by index, each with the reason."""
        return self.evaluation.failures

    @property
    def fingerprint(self) -> str:
        """The fingerprint of all other images, which a `Calibration` has of its own ones."""
        return str(self.evaluation.fingerprint)


def measure(
    model: NBDT,
    data: LabelledImages,
    *,
    rule: RuleName | None = None,
    calibration: Calibration | None = None,
    guarantee: float = 0.95,
    batch_size: int = 32,
    progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Measures a model on labelled images, in one pass and bounded memory.

    Images that cannot be read, or that the network cannot take, are left out.

    Args:
        model: where it has a preprocessing, the images are prepared by it.
        data: images of the model's classes.
        rule: which answers are judged; by default the model's.
        calibration: the model's calibration, if it has one; used by the soft rule only.
        guarantee: the share of answers that are then to hold the true class.
        batch_size: how many images share a batch.
        progress: called with the number of images of each batch when it is done.
    """
    if not isinstance(data, LabelledImages):
        raise InputError(
            f"a report shows its samples, so data must be LabelledImages, as load_dataset gives "
            f"them; got {type(data).__name__}."
        )
    data = data.with_augmentation(None)
    if model.preprocessing is not None:
        data = data.with_preprocessing(model.preprocessing)
    rule = model.rule if rule is None else rule
    stopping = None
    if calibration is not None and get_rule(rule).ranks_classes:
        stopping = StoppingCounter(model, calibration, guarantee)
    evaluation = evaluate(
        model,
        data,
        batch_size=batch_size,
        rule=rule,
        on_failure="keep",
        fingerprint=True,
        progress=progress,
        extra=[stopping] if stopping else [],
    )
    return Measurement(model, data, evaluation, stopping.compute() if stopping else None)
