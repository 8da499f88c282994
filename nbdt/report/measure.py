"""All that a report says is measured here: one pass over the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nbdt.data import LabelledImages, check_classes
from nbdt.errors import InputError
from nbdt.evaluation import Evaluation, Evaluator
from nbdt.model import NBDT
from nbdt.report.stopping import Stopping, StoppingCounter
from nbdt.rules import RuleName, get_rule
from nbdt.run import answers
from nbdt.selective import Calibration

FEW = 30
"""Of fewer samples than these a share says little: its 95 % interval is up to 34 points wide."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured of a model on labelled images.

    Attributes:
        model: the model.
        data: the images, with the model's preprocessing.
        evaluation: its accuracy, mistakes and calibration.
        left_out: the images that could not be read or answered, by their index, and why.
        fingerprint: of the samples that were; the SHA-256 that `Calibration` holds of its own.
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
    left_out: dict[int, str]
    fingerprint: str
    stopping: Stopping | None = None


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
    """Measures a model on labelled images, in one pass; memory is bounded whatever their number.

    Images that cannot be read, or that the network cannot take, are left out.

    Args:
        model: the model; where it has a preprocessing, the images are prepared by it.
        data: the images, whose classes have to be those of the model.
        rule: which answers are judged, "soft" or "hard"; by default the model's.
        calibration: what the model was calibrated with, if it was; used by the soft rule only.
        guarantee: the share of answers that are then to hold the true class.
        batch_size: how many images share a batch.
        progress: called with the number of images of each batch when it is done.

    Raises:
        InputError: `data` is no `LabelledImages` or has other classes, no image could be used,
            or the calibration is of another model or too small for the guarantee.
    """
    if not isinstance(data, LabelledImages):
        raise InputError(
            f"a report shows its samples, so data has to be LabelledImages as load_dataset gives "
            f"them; got {type(data).__name__}."
        )
    check_classes(data, model.classes)
    data = data.with_augmentation(None)
    if model.preprocessing is not None:
        data = data.with_preprocessing(model.preprocessing)
    rule = model.rule if rule is None else rule
    evaluator = Evaluator(
        model.hierarchy, score=model.score, rule=rule, temperature=model.temperature
    )
    stopping = None
    if calibration is not None and get_rule(rule).ranks_classes:
        stopping = StoppingCounter(model, calibration, guarantee)

    run = answers(
        model, data, batch_size=batch_size, on_failure="keep", fingerprint=True, progress=progress
    )
    for block in run:
        evaluator.update(block.logits, block.labels, block.indices)
        if stopping is not None:
            stopping.update(block.logits.cpu(), block.labels)
    if not run.answered:
        raise InputError(f"none of the {len(data)} images could be used.")
    return Measurement(
        model=model,
        data=data,
        evaluation=evaluator.result(),
        left_out=run.failures,
        fingerprint=run.fingerprint,
        stopping=None if stopping is None else stopping.result(),
    )
