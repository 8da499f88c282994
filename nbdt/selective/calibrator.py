"""`Calibrator`: a calibration, batch by batch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.errors import InputError
from nbdt.model import NBDT
from nbdt.selective.calibration import Calibration
from nbdt.selective.fitted import fitted_to
from nbdt.selective.functional import calibration_scores, superclass


class Calibrator:
    """Collects what labelled samples say, for whoever has their logits already.

    Args:
        model: the model that the logits are of.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> calibrator = Calibrator(model)
        >>> calibrator.update(torch.tensor([[1.0, 0.9, -2], [3, 0, 0]]), torch.tensor([1, 0]))
        >>> found = calibrator.result("0" * 64)
        >>> found.samples, found.wrong
        (2, 1)
    """

    def __init__(self, model: NBDT) -> None:
        self._model = model
        self._scores = [torch.empty(0, dtype=torch.float64)]
        self._predicted = [torch.empty(0, dtype=torch.long)]

    def update(self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> None:
        """Takes a batch in.

        Args:
            logits: what `NBDT.logits` gave; shape (batch, classes).
            labels: the true classes.

        Raises:
            InputError: these are no logits, or no labels, of the tree's classes.
        """
        predictions = self._model.predictions(logits, labels=labels)
        log_probs, layout = predictions.log_probs, predictions.layout
        true = torch.from_numpy(predictions.labels)
        self._scores.append(calibration_scores(log_probs, true, layout).cpu())
        self._predicted.append(superclass(log_probs, layout).cpu())

    def result(self, fingerprint: str) -> Calibration:
        """What was found so far.

        Args:
            fingerprint: of the samples; see `nbdt.data.samples.Fingerprint`.

        Raises:
            InputError: the model's temperature was fitted to these very samples, in this order.
        """
        _refuse_those_fitted_to(self._model, fingerprint)
        tree = self._model.hierarchy
        return Calibration.of(
            torch.cat(self._scores),
            torch.cat(self._predicted),
            tree.children(tree.root),
            self._model.score,
            fingerprint,
        )


def _refuse_those_fitted_to(model: NBDT, fingerprint: str) -> None:
    if fitted_to(model).get("fingerprint") == fingerprint:
        raise InputError(
            "the model's temperature was fitted to these very samples, so they cannot say how "
            "sure it is of others; calibrate with samples that had no part in that."
        )
