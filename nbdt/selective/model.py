"""`SelectiveNBDT`: a tree that answers "animal" rather than a wrong "cat"."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from nbdt.data.samples import Data, Inputs, raw_bytes
from nbdt.errors import InputError
from nbdt.evaluation.jobs import Source, Watch, unwatched
from nbdt.explain import Explanations, explain_predictions
from nbdt.files import sha256
from nbdt.hierarchy.text import one_line
from nbdt.model import NBDT
from nbdt.rules import Predictions, Temperature, get_rule
from nbdt.run import answers, forward
from nbdt.selective.calibration import Calibration, Calibrator, read_calibration, write_calibration
from nbdt.selective.conformal import above_rounding, checked_guarantee, stop, superclass, threshold


class SelectiveNBDT:
    """A model that stops at an inner node where it is unsure, with a guarantee.

    Once calibrated, an answer is the deepest node, among the likeliest class and the nodes above
    it, with a probability above a threshold. Then **at least a share `guarantee` of answers hold
    the true class, on average over calibration samples and samples to predict**, for any network
    and tree; `nbdt.selective.conformal` has the proof. It assumes two things:

    - the samples to predict are drawn like the calibration samples (they are exchangeable): from
      the same source, with the same preprocessing, independent of each other;
    - the calibration samples had no part in training the network, nor in choosing its tree or its
      temperature.

    It says nothing about a single class or sample. Other calibration samples give another share;
    with n of them it varies by about √(α(1 − α)/n). Calibrate again after any change of the
    weights, and run the model in the precision that it was calibrated in.

    Args:
        model: the model, whose rule has to be "soft".
        guarantee: 1 − α, the least share of answers that hold the true class, between 0 and 1.
            Thresholds depend on it, so it cannot be changed later: give the calibration to another
            ``SelectiveNBDT(model, 0.99, calibration=…)``.
        per_superclass: whether each child of the root has its own threshold; the guarantee then
            holds among the samples that are predicted under each, and each needs enough samples.
        calibration: what `calibrate` found, or `read_calibration` read, for this model.

    Attributes:
        thresholds: the threshold for predictions under each of these nodes: the root, or its
            children. −∞ where every likeliest class is sure enough. Each is raised by what
            rounding may add; see `nbdt.selective.above_rounding`.
        sizes: how many calibration samples each threshold comes from.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> held_out = [(torch.tensor([1.0, 0.9 - i / 9, -2]), i % 2) for i in range(9)]
        >>> model = SelectiveNBDT(NBDT(nn.Identity(), tree), guarantee=0.9).calibrate(held_out)
        >>> model.predict(torch.tensor([[1.0, 0.9, -2], [3.0, 0, 0]]))  # animal, cat
        tensor([3, 0])
        >>> print(model)
        At least 90 % of answers hold the true class: on average, if samples are drawn like the
        9 of calibration, and those had no part in training.
        Answers are the deepest nodes with a probability above 0.6824.
        >>> print(model.explain(torch.tensor([[1.0, 0.9, -2]]))[0].answer_name)
        animal
    """

    def __init__(
        self,
        model: NBDT,
        guarantee: float = 0.95,
        *,
        per_superclass: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        if not isinstance(model, NBDT):
            raise InputError(f"model must be an NBDT, got {type(model).__name__}.")
        self.model = model
        self._guarantee = checked_guarantee(guarantee)
        self._per_superclass = per_superclass
        self.calibration: Calibration | None = None
        self.thresholds: Mapping[int, float] = MappingProxyType({})
        self.sizes: Mapping[int, int] = MappingProxyType({})
        self._check_rule()
        if calibration is not None:
            self._use(calibration)

    @property
    def guarantee(self) -> float:
        """The share of answers that hold the true class; it cannot be set."""
        return self._guarantee

    @property
    def per_superclass(self) -> bool:
        """Whether each child of the root has its own threshold; it cannot be set either."""
        return self._per_superclass

    def calibrate(
        self,
        data: Data,
        *,
        batch_size: int = 64,
        source: Source | None = None,
        on_failure: Literal["raise", "keep"] = "raise",
        watch: Watch = unwatched,
    ) -> SelectiveNBDT:
        """Finds the thresholds, in place of earlier ones, and returns itself.

        Args:
            data: labelled samples that had no part in training, one by one or in batches, as for
                `nbdt.evaluation.evaluate`.
            batch_size: how many single samples are answered at a time.
            source: where they come from; samples that the model was trained on, or that its
                temperature was fitted to, are refused.
            on_failure: "keep" leaves out samples that cannot be read or answered.
            watch: iterates over the run, to show progress and failures.

        The guarantee needs at least 1/α − 1 samples, under each child of the root if it has to
        hold there; the model's temperature must not be fitted to the same samples.
        """
        self._check_rule()
        if source is not None:
            source.check_untrained(self.model)
            source.check_unfitted(self.model)
        calibrator = Calibrator(self.model)
        run = answers(
            self.model, data, batch_size=batch_size, rows=1, on_failure=on_failure, fingerprint=True
        )
        for block in watch("data", run):
            calibrator.update(block.logits, block.labels)
        self._use(calibrator.result(run.fingerprint))
        return self

    def predict(self, x: Inputs) -> Int[Tensor, " batch"]:
        """The node answered for each sample: its likeliest class, or a node above it."""
        self._check_rule()
        return self._answers(self.model.predictions(forward(self.model, x)).log_probs)

    def explain(self, x: Inputs) -> Explanations:
        """Each sample's answer, with the decisions on the path to the likeliest class.

        Each explanation's `stopped_at` is the node answered, None where that is the class; its
        `guarantee` is this model's.
        """
        return self.explain_predictions(self.model.predictions(forward(self.model, x)))

    def explain_predictions(self, predictions: Predictions) -> Explanations:
        """The same for a batch that `NBDT.predictions` gave."""
        self._check_rule()
        explanations = explain_predictions(predictions, self.model.geometry())
        answers = self._answers(predictions.log_probs).tolist()
        return Explanations(
            replace(
                explanation,
                stopped_at=None if answer == explanation.prediction else answer,
                guarantee=self.guarantee,
            )
            for explanation, answer in zip(explanations, answers, strict=True)
        )

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model and its calibration to a folder, as `NBDT.save_pretrained` does."""
        calibration = self._valid_calibration()
        if _digest(self.model) != self._weights:
            raise InputError("the model's weights changed; calibrate it again.")
        self.model.save_pretrained(folder)
        write_calibration(folder, calibration)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        guarantee: float = 0.95,
        *,
        per_superclass: bool = False,
        network: nn.Module | None = None,
    ) -> SelectiveNBDT:
        """Loads a model and its calibration, for any guarantee that has enough samples."""
        model = NBDT.from_pretrained(folder, network)
        calibration = read_calibration(folder)
        return cls(model, guarantee, per_superclass=per_superclass, calibration=calibration)

    def __str__(self) -> str:
        if self.calibration is None:
            return f"Not calibrated yet for a guarantee of {self.guarantee}."
        lines = [
            f"At least {100 * self.guarantee:.10g} % of answers hold the true class: on average, "
            f"if samples are drawn like the {self.calibration.samples:,} of calibration, and those "
            "had no part in training."
        ]
        if self._temperature != Temperature():
            lines.append(f"Probabilities are at {self._temperature}.")
        for node, t in self.thresholds.items():
            under = f" under {self._name(node)}" if self.per_superclass else ""
            lines.append(f"Answers{under} are {_in_words(t)}.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        samples = self.calibration.samples if self.calibration else "no"
        return f"SelectiveNBDT(guarantee={self.guarantee}, {samples} calibration samples)"

    def _use(self, calibration: Calibration) -> None:
        """Takes a calibration, if it belongs to this model and is enough for the guarantee."""
        calibration.check_model(self.model)
        tree = self.model.hierarchy
        scores = {tree.root: calibration.scores}
        if self.per_superclass:
            scores = {part.node: part.scores for part in calibration.superclasses}
        thresholds = {}
        for node, own in scores.items():
            try:
                thresholds[node] = above_rounding(threshold(own, self.guarantee))
            except InputError as error:
                under = f"under {self._name(node)}: " if self.per_superclass else ""
                raise InputError(f"{under}{error}") from None
        self.calibration, self._tree, self._weights = calibration, tree, _digest(self.model)
        self._temperature = self.model.temperature
        self.thresholds = MappingProxyType(thresholds)
        self.sizes = MappingProxyType({node: len(own) for node, own in scores.items()})

    def _valid_calibration(self) -> Calibration:
        """The calibration, if there is one and the model did not change since."""
        if self.calibration is None:
            raise InputError(
                "this model was not calibrated; call calibrate(data) with labeled samples that "
                "had no part in its training."
            )
        now = self.model.hierarchy, self.model.score, self.model.temperature
        if now != (self._tree, self.calibration.score, self._temperature):
            raise InputError("the model's tree, score or temperature changed; calibrate it again.")
        return self.calibration

    def _answers(self, log_probs: Tensor) -> Tensor:
        self._valid_calibration()
        layout = self.model.layout
        if not self.per_superclass:
            return stop(log_probs, layout, self.thresholds[layout.hierarchy.root])
        by_node = torch.full((layout.num_nodes,), math.inf, dtype=torch.float64)
        for node, t in self.thresholds.items():
            by_node[node] = t
        return stop(log_probs, layout, by_node[superclass(log_probs, layout).cpu()])

    def _check_rule(self) -> None:
        if not get_rule(self.model.rule).ranks_classes:
            raise InputError(
                "stopping when unsure climbs from the likeliest class, as the soft rule finds it, "
                f"but the model's rule is {self.model.rule!r}; set model.rule = 'soft'."
            )

    def _name(self, node: int) -> str:
        return one_line(self.model.hierarchy.name(node))


def _digest(model: NBDT) -> str:
    tensors = (value for value in model.state_dict().values() if isinstance(value, Tensor))
    return sha256(*(sha256(raw_bytes(tensor)) for tensor in tensors))


def _in_words(t: float) -> str:
    if t < 0:
        return "the likeliest classes, all sure enough"
    if t >= 1:
        return "always the root, as the model is certain of wrong classes"
    return f"the deepest nodes with a probability above {t:.{4 if t < 0.999 else 10}f}"
