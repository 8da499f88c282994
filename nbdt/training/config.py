"""`TrainingConfig`: everything that decides how a training goes, but for model and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral
from typing import Any, Literal, get_args

from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.induce import induce
from nbdt.losses import Constant, Ramp
from nbdt.losses.module import checked_score
from nbdt.losses.schedules import checked_weight
from nbdt.rules import SCORES, Score

Loss = Literal["soft", "hard", "cross_entropy"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "one_cycle", "step", "constant"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

_CHOICES: dict[str, tuple[Any, ...]] = {
    "loss": get_args(Loss),
    "score": SCORES,
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "precision": get_args(Precision),
    "compat": (None, "2020"),
}
_COUNTS = ("epochs", "batch_size", "accumulate")
_OPTIONAL_COUNTS = ("patience", "retree_every", "checkpoint_every", "branching")
_NUMBERS = (
    "learning_rate",
    "head_multiplier",
    "momentum",
    "weight_decay",
    "warmup",
    "label_smoothing",
)
_SWITCHES = ("head_only", "frozen_norms", "channels_last", "deterministic", "normalize")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides how a training goes, but for the model and the data.

    Equal configs, models and data give equal weights, whether or not training was interrupted:
    to the bit on one machine with the same versions and number of threads. On NVIDIA's devices
    that needs `deterministic`, as they may add up numbers in another order each time.

    Args:
        epochs: how often each sample is seen.
        batch_size: samples a step, over all processes and accumulated parts together.
        loss: "soft" or "hard", the rule of `nbdt.TreeSupervisionLoss`; or "cross_entropy" for
            that of the network alone, the control.
        score: what the tree's nodes are worth in the loss. It becomes the model's score, unless
            the loss is that of the network alone.
        tree_weight: ω, the weight of the tree's loss: a number, `Constant` or `Ramp`.
        network_weight: β, the weight of the network's own cross-entropy: likewise. Both are about
            the tree's loss.
        label_smoothing: ε in [0, 1).
        compat: "2020" for the losses of the 2020 release, for comparison.
        optimizer: "sgd", with momentum, or "adamw".
        learning_rate: its largest value.
        head_multiplier: how many times as large it is for the last linear layer, at every step.
            Above 1, such as 10, that layer learns faster than the pretrained rest.
        momentum: of SGD; β₁ of AdamW.
        weight_decay: of the weight matrices and kernels of linear, convolution, attention and
            recurrent layers. All else has none: biases, norms, embeddings, and what a network
            adds of its own, such as a vision transformer's class token or a scale of a layer.
        schedule: how the learning rate falls, step by step: "cosine" to 0, "one_cycle" (up over
            the first 30 % of the steps, then down to nearly 0; Smith and Topin 2017), "step" (a
            tenth after half of the steps, and again after three quarters), or "constant".
        warmup: epochs, or part of one, in which the learning rate first rises from 0; not with
            "one_cycle", which has its own.
        clip_norm: the largest norm of the gradient; it is scaled down to it. None: any.
        accumulate: into how many parts a batch is split, to need less memory.
        average: the decay of an exponential moving average of the weights, such as 0.999; the
            average is what is measured and kept. After t steps the decay is (1 + t) / (10 + t) at
            most, so that a short training's average is not that of its first weights. None: the
            weights as they are.
        head_only: train the last linear layer alone, on features computed once. Minutes become
            seconds. The random changes of `nbdt.data`'s images are left out; those that a data
            set of your own makes are made once.
        frozen_norms: keep batch norms in eval mode, as networks need whose statistics were folded
            into their weights.
        retree_every: after so many epochs rebuild the tree from the weights as they then are:
            for the epochs that follow or, where the loss is that of the network alone and no
            epoch needs it, before the epoch is measured.
        linkage: of the trees so built; see `nbdt.induce`.
        normalize: likewise.
        branching: how many children a node of them may have. None: as many as the widest node
            has of the tree that training begins with, if that was induced too (it has merge
            heights); otherwise 2.
        patience: end after so many epochs without a better validation accuracy. None: never.
        checkpoint_every: steps between checkpoints within an epoch. None: at its end only.
        precision: what layers compute in: "float32"; "bfloat16" or "float16" by torch's
            autocast; or "auto", the better of these two on CUDA and float32 elsewhere.
        channels_last: store images and weights of convolutions pixel by pixel.
        deterministic: use deterministic algorithms of torch only, on GPUs too.
        seed: of the order of samples, their random changes, and dropout.

    Raises:
        InputError: a value is of the wrong type or out of range, or two exclude each other.

    Example:
        >>> config = TrainingConfig(epochs=2, tree_weight=Ramp(0, 10))
        >>> TrainingConfig.from_dict(config.to_dict()) == config
        True
    """

    epochs: int = 3
    batch_size: int = 128
    loss: Loss = "soft"
    score: Score = "mean"
    tree_weight: float | Constant | Ramp = 3.0
    network_weight: float | Constant | Ramp = 1.0
    label_smoothing: float = 0.0
    compat: Literal["2020"] | None = None
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.01
    head_multiplier: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    warmup: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1
    average: float | None = None
    head_only: bool = False
    frozen_norms: bool = False
    retree_every: int | None = None
    linkage: str = "ward"
    normalize: bool = True
    branching: int | None = None
    patience: int | None = None
    checkpoint_every: int | None = None
    precision: Precision = "auto"
    channels_last: bool = False
    deterministic: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is one of {_listed(allowed)}, got {self._shown(name)}.")
        for name in (*_COUNTS, *_OPTIONAL_COUNTS):
            if name in _COUNTS or getattr(self, name) is not None:
                self._check_count(name, least=2 if name == "branching" else 1)
        for name in _NUMBERS:
            object.__setattr__(self, name, checked_weight(getattr(self, name), name))
        for name in ("tree_weight", "network_weight"):
            value = getattr(self, name)
            if not isinstance(value, Ramp):
                number = value.value if isinstance(value, Constant) else value
                object.__setattr__(self, name, checked_weight(number, name))
        for name in ("clip_norm", "average"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checked_weight(getattr(self, name), name))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is True or False, got {self._shown(name)}.")
        for name in ("learning_rate", "head_multiplier"):
            if not getattr(self, name):
                raise InputError(f"{name} has to be positive, got 0.")
        for name in ("momentum", "label_smoothing", "average"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise InputError(
                    f"{name} has to be at least 0 and below 1, got {self._shown(name)}."
                )
        if self.clip_norm == 0:
            raise InputError("clip_norm has to be positive, got 0.")
        self._check_count("seed", least=0)
        if self.seed >= 2**63:
            raise InputError(f"seed has to be below 2⁶³, got {self._shown('seed')}.")
        self._check_together()

    @property
    def supervises_tree(self) -> bool:
        """Whether the loss is that of the tree, not of the network alone."""
        return self.loss != "cross_entropy"

    def caveat(self) -> str | None:
        """What to know of the loss before it is used; None where there is nothing.

        Raises:
            InputError: there is no such loss.

        Example:
            >>> TrainingConfig(loss="hard", score="logsumexp").caveat()[:40]
            "under score='logsumexp' the hard loss of"
        """
        if self.loss == "cross_entropy":
            return None
        weights = (self.tree_weight, self.network_weight)
        return checked_score(self.loss, self.score, self.compat, weights)

    def to_dict(self) -> dict[str, Any]:
        """The config as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TrainingConfig:
        """The config that `to_dict` gave.

        Raises:
            FormatError: keys are unknown, or a value is not valid.
        """
        if not isinstance(document, Mapping):
            raise FormatError(f"a training config is an object, got {document!r:.80}.")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(map(str, document.keys() - known)):
            raise FormatError(f"a training config has no {', '.join(unknown)}.")
        try:
            values: dict[str, Any] = {
                name: Ramp(**value) if isinstance(value, Mapping) else value
                for name, value in document.items()
            }
            return cls(**values)
        except (InputError, TypeError) as error:
            raise FormatError(f"this is no training config: {error}") from None

    def _check_together(self) -> None:
        if self.accumulate > self.batch_size:
            raise InputError(
                f"a batch of {self.batch_size} cannot be split into {self.accumulate} parts."
            )
        if self.schedule == "one_cycle" and self.warmup:
            raise InputError("one_cycle has a warm-up of its own; leave warmup out.")
        if self.warmup >= self.epochs:
            raise InputError(
                f"a warm-up of {self.warmup:g} epochs leaves nothing of {self.epochs}; shorten it."
            )
        # Tried on two classes: a wrong option is to be told now, not after hours.
        branching = self.branching or 2
        induce([[0.0], [1.0]], linkage=self.linkage, normalize=False, branching=branching)
        self.caveat()
        if not self.supervises_tree and self.compat:
            raise InputError("compat is about the tree's loss, and there is none; leave it out.")
        if not self.supervises_tree and self.network_weight != 1:
            raise InputError(
                "network_weight weighs the network's loss against the tree's, and there is none of "
                "the tree; leave it out."
            )
        if self.head_only and (self.frozen_norms or self.channels_last):
            raise InputError("head_only trains one linear layer, which has no norms or channels.")
        if self.head_only and self.head_multiplier != 1:
            raise InputError("head_only trains the head alone; set learning_rate itself.")

    def _check_count(self, name: str, *, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise InputError(
                f"{name} is a whole number of at least {least}, got {self._shown(name)}."
            )
        object.__setattr__(self, name, int(value))

    def _shown(self, name: str) -> str:
        return f"{getattr(self, name)!r:.80}"


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, values))
