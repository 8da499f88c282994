"""`TreeSupervisionLoss`: the network's cross-entropy plus that of its tree's decisions."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.losses.functional import (
    Compat,
    LossLayout,
    check_kind,
    class_losses,
    sample_losses,
)
from nbdt.losses.schedules import Constant, Schedule, checked_progress, checked_weight
from nbdt.losses.targets import Samples, as_torch_has_them
from nbdt.rules import RuleName, ScoreName, get_rule, get_score

Reduction = Literal["mean", "sum", "none"]


class TreeSupervisionLoss(nn.Module):
    """Cross-entropy that also supervises the tree's decisions; used like torch's CrossEntropyLoss.

    L = network_weight · CE(z, y) + tree_weight · ℓ(y) of each sample, then torch's reduction, with
    ℓ(y) = −log p(leaf y): the sum over y's path of the cross-entropy of each decision
    (``rule="soft"``), or their mean (``rule="hard"``). Wan et al. (ICLR 2021), section 3.4. Losses
    are in nats, computed in at least float32, also under autocast.

    With soft targets q, such as mixup's, ℓ(q) = Σ_y q_y · ℓ(y); label smoothing ε uses the targets
    (1 − ε) · onehot + ε / C. Class weights, ignored targets and the mean's divisor are torch's, so
    with ``tree_weight=0`` this *is* `torch.nn.functional.cross_entropy`.

    Under ``score="logsumexp"``, ℓ is the network's own cross-entropy (soft), or that divided by the
    class's depth (hard), and teaches the tree nothing new: a `UserWarning` says so. Adding the soft
    one to a network term, which would count the same loss twice, is refused.

    Args:
        hierarchy: the tree.
        rule: ``"soft"`` or ``"hard"``.
        score: ``"mean"`` or ``"logsumexp"``; see `nbdt.rules.functional`.
        tree_weight: ω ≥ 0, a number or a schedule: `Constant`, `Ramp`, or any function of progress
            in [0, 1].
        network_weight: β ≥ 0, likewise.
        weight: the weight of each class; shape (C,).
        label_smoothing: ε in [0, 1].
        ignore_index: a target that doesn't count in the loss.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        compat: ``"2020"`` for the losses of the 2020 release, for comparison only; see
            `class_losses`. Its soft loss leaves log(1 + (C − 1)/e) at perfect logits; its hard loss
            is multiplied twice by the tree's weight, once at its initial value.

    Shape:
        logits (batch, C) or (C,), or (batch, C, …) as in segmentation, or (…, C). Targets are class
        indices in the same shape without the classes, or probabilities in the same shape. Where
        both readings fit, such as (batch, C, C), the classes are dimension 1, as in torch. The
        result is a scalar; with ``reduction="none"`` it has the shape of class indices.

    Example:
        >>> from nbdt.losses import Ramp
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> logits, target = torch.tensor([[4.0, 1.0, 0.0], [0.0, 0.0, 3.0]]), torch.tensor([0, 2])
        >>> loss = TreeSupervisionLoss(tree, tree_weight=Ramp(0, 0.5))  # introduced slowly
        >>> loss(logits, target, progress=1.0)
        tensor(0.1244)
    """

    weight: Tensor | None

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        rule: RuleName = "soft",
        score: ScoreName = "mean",
        tree_weight: float | Schedule = 1.0,
        network_weight: float | Schedule = 1.0,
        weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        compat: Compat | None = None,
    ) -> None:
        super().__init__()
        check_kind(rule, score, compat)
        if reduction not in get_args(Reduction):
            allowed = ", ".join(map(repr, get_args(Reduction)))
            raise InputError(f"reduction is one of {allowed}; got {reduction!r:.80}.")
        self.rule, self.score, self.compat = rule, score, compat
        self.tree_weight = _schedule(tree_weight, "tree_weight")
        self.network_weight = _schedule(network_weight, "network_weight")
        self.label_smoothing = checked_weight(label_smoothing, "label_smoothing")
        if self.label_smoothing > 1:
            raise InputError(f"label_smoothing is a number from 0 to 1; got {label_smoothing!r}.")
        self.ignore_index, self.reduction = _checked_ignore_index(ignore_index), reduction
        if said := checked_score(rule, score, compat, (self.tree_weight, self.network_weight)):
            warnings.warn(said, UserWarning, stacklevel=2)
        self.layout = LossLayout(hierarchy)
        self.register_buffer("weight", _checked_class_weight(weight, hierarchy.num_classes))
        self.progress = None

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree."""
        return self.layout.rules.hierarchy

    @property
    def progress(self) -> float | None:
        """The completed part of training, from 0 to 1; None until set. A call may pass its own."""
        return self._progress

    @progress.setter
    def progress(self, value: float | None) -> None:
        self._progress = None if value is None else checked_progress(value)

    def forward(
        self,
        logits: Float[Tensor, "*shape"],
        target: Tensor,
        progress: float | None = None,
    ) -> Float[Tensor, "*samples"]:
        """The loss of these logits; see the class for shapes and `progress`."""
        progress = self.progress if progress is None else checked_progress(progress)
        network_weight = self._at(progress, "network_weight")
        tree_weight = self._at(progress, "tree_weight")
        if self.compat and get_rule(self.rule).averages_decisions:
            tree_weight *= self._at(0.0, "tree_weight")
        samples = as_torch_has_them(logits, target, self.hierarchy.num_classes, self.ignore_index)
        device = samples.logits.device
        if self.layout.depths.device != device:
            self.to(device)
        # For class indices both losses are computed together, which saves passes over the logits.
        at_once = not (samples.target.is_floating_point() or self.label_smoothing)
        # A weight of 0 skips its term, so an infinite loss does no harm.
        terms = []
        if not tree_weight or (network_weight and not at_once):
            terms.append(_scaled(self._network_loss(samples), network_weight))
        if tree_weight:
            own = network_weight if at_once else 0.0
            terms.append(self._tree_loss(samples, tree_weight, own))
        if self.reduction == "none":
            terms = [term.view(samples.shape) for term in terms]
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def _at(self, progress: float | None, name: str) -> float:
        schedule: Schedule = getattr(self, name)
        if isinstance(schedule, Constant):
            return schedule.value
        if progress is None:
            raise InputError(
                f"{name} is a schedule, {schedule!r}, so the loss must know how far training is: "
                "call loss(logits, target, progress=epoch / epochs), or set loss.progress."
            )
        return checked_weight(schedule(progress), f"{name} at progress {progress:g}")

    def _class_weight(self, dtype: torch.dtype) -> Tensor | None:
        return None if self.weight is None else self.weight.to(dtype)

    def _network_loss(self, samples: Samples) -> Tensor:
        return F.cross_entropy(
            samples.logits,
            samples.target,
            weight=self._class_weight(samples.logits.dtype),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def _tree_loss(self, samples: Samples, tree_weight: float, network_weight: float) -> Tensor:
        """tree_weight · torch's cross_entropy with the tree's ℓ in place of −log softmax.

        For class indices it includes network_weight · cross_entropy itself.
        """
        logits = _by_sample(samples.logits)
        if samples.target.is_floating_point():
            loss = self._soft_target_loss(logits, _by_sample(samples.target))
            return _scaled(loss, tree_weight)
        target = samples.target.reshape(-1)
        kept = target != self.ignore_index if samples.some_ignored else None
        classes = target if kept is None else target.where(kept, 0)
        weight = self._class_weight(logits.dtype)
        factors = None if weight is None else weight.index_select(0, classes)
        if self.label_smoothing:
            losses = _scaled(self._smoothed_losses(logits, classes, weight), tree_weight)
        else:
            kind = self.rule, self.score, self.compat
            losses = sample_losses(logits, classes, self.layout, kind, tree_weight, network_weight)
            losses = losses if factors is None else losses * factors
        if kept is not None:
            losses = losses.where(kept, 0)
        if self.reduction != "mean":
            return self._reduced(losses)
        if factors is None:
            return losses.mean() if kept is None else losses.sum() / kept.sum()
        return losses.sum() / (factors if kept is None else factors.where(kept, 0)).sum()

    def _soft_target_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        losses = class_losses(logits, self.layout, self.rule, self.score, self.compat)
        if self.label_smoothing:
            smooth = self.label_smoothing
            target = target * (1 - smooth) + smooth / logits.shape[1]
        weight = self._class_weight(losses.dtype)
        losses = losses * target if weight is None else losses * target * weight
        losses = losses.sum(1)
        return losses.mean() if self.reduction == "mean" else self._reduced(losses)

    def _smoothed_losses(self, logits: Tensor, classes: Tensor, weight: Tensor | None) -> Tensor:
        every = class_losses(logits, self.layout, self.rule, self.score, self.compat)
        every = every if weight is None else every * weight
        own = every.gather(1, classes.unsqueeze(1)).squeeze(1)
        return (1 - self.label_smoothing) * own + self.label_smoothing * every.mean(1)

    def _reduced(self, losses: Tensor) -> Tensor:
        return losses.sum() if self.reduction == "sum" else losses

    def extra_repr(self) -> str:
        """What printing the module shows."""
        weights = f"tree_weight={_shown(self.tree_weight)}"
        weights += f", network_weight={_shown(self.network_weight)}"
        compat = f", compat={self.compat!r}" if self.compat else ""
        return f"rule={self.rule!r}, score={self.score!r}, {weights}{compat}"


def checked_score(
    rule: RuleName,
    score: ScoreName,
    compat: Compat | None,
    weights: tuple[float | Schedule, float | Schedule],
) -> str | None:
    """The warning about a loss under this score, None under ``"mean"``; an error if they don't fit.

    Example:
        >>> checked_score("hard", "logsumexp", None, (1.0, 1.0))[:40]
        "under score='logsumexp' the hard loss of"
    """
    if not get_score(score).keeps_softmax:
        return None
    averages = get_rule(rule).averages_decisions
    if compat:
        raise InputError(
            "the 2020 release knew the score 'mean' only; drop score='logsumexp', or compat."
        )
    if not averages and not any(weight in (0, Constant(0)) for weight in weights):
        raise InputError(
            "under score={score!r} the soft loss of a tree is the network's own cross-entropy, "
            "whatever the tree, and adding the two would train on it twice. Use score='mean' to "
            "train the tree, or set one of the two weights to 0."
        )
    what = "cross-entropy over the class's depth" if averages else "cross-entropy"
    return (
        f"under score='logsumexp' the {rule} loss of a tree is the network's own {what}; "
        "score='mean' trains the tree's decisions."
    )


def _checked_ignore_index(value: object) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    raise InputError(
        f"ignore_index is a whole number; got {value!r:.80}. Leave it out to ignore none but -100."
    )


def _checked_class_weight(weight: object, num_classes: int) -> Tensor | None:
    if weight is None:
        return None
    got = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight).__name__
    if not isinstance(weight, Tensor) or got != (num_classes,):
        raise InputError(
            f"the tree has {num_classes} classes, so weight must be a tensor of shape "
            f"({num_classes},); got {got}."
        )
    return weight


def _schedule(weight: float | Schedule, name: str) -> Schedule:
    return weight if callable(weight) else Constant(checked_weight(weight, name))


def _scaled(loss: Tensor, weight: float) -> Tensor:
    return loss if weight == 1 else weight * loss


def _by_sample(values: Tensor) -> Tensor:
    """(batch, C, …) or (C,) → (samples, C)."""
    if values.ndim == 2:
        return values
    by_class = min(1, values.ndim - 1)
    return values.movedim(by_class, -1).reshape(-1, values.shape[by_class])


def _shown(schedule: Schedule) -> str:
    return f"{schedule.value:g}" if isinstance(schedule, Constant) else repr(schedule)
