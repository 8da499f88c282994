"""All that a report says is measured here: one pass over the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from nbdt.data import LabelledImages, check_classes
from nbdt.data.batches import answer_in_batches
from nbdt.data.fingerprint import Fingerprint
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation import Evaluation, Evaluator
from nbdt.evaluation.answers import BLOCK, logits_of
from nbdt.model import NBDT
from nbdt.report.stopping import Stopping, StoppingCounter
from nbdt.rules import Rule
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
    rule: Rule | None = None,
    calibration: Calibration | None = None,
    guarantee: float = 0.95,
    batch_size: int = 32,
    advance: Callable[[], None] = lambda: None,
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
        advance: is called after each image.

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
    if calibration is not None and rule == "soft":
        stopping = StoppingCounter(model, calibration, guarantee)

    fingerprint, left_out = Fingerprint(), dict[int, str]()

    def prepared(index: int) -> Tensor:
        x, _ = data[index]
        return x

    def answered(batch: Tensor) -> list[tuple[Tensor, Tensor]]:
        logits = logits_of(model, batch).cpu()
        if not logits.amax(dim=-1).isfinite().all():
            raise InputError("the network's answer to it holds NaN or infinity.")
        return list(zip(batch, logits, strict=True))

    answers = answer_in_batches(range(len(data)), prepared, answered, batch_size=batch_size)
    while block := list(islice(answers, BLOCK)):
        kept: list[tuple[int, Tensor]] = []
        for index, answer in block:
            if isinstance(answer, NBDTError):
                left_out[index] = str(answer)
            else:
                image, logits_of_it = answer
                fingerprint.add(image[None], torch.from_numpy(data.targets[[index]]))
                kept.append((index, logits_of_it))
            advance()
        if kept:
            indices, logits = zip(*kept, strict=True)
            labels = torch.from_numpy(data.targets[list(indices)])
            evaluator.update(torch.stack(logits), labels, torch.tensor(indices))
            if stopping is not None:
                stopping.update(torch.stack(logits), labels)
    if len(left_out) == len(data):
        raise InputError(f"none of the {len(data)} images could be used.")
    return Measurement(
        model=model,
        data=data,
        evaluation=evaluator.result(),
        left_out=left_out,
        fingerprint=fingerprint.digest(),
        stopping=None if stopping is None else stopping.result(),
    )
