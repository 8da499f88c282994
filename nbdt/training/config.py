"""`TrainingConfig`: everything that decides how a training goes, except the model and the data."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from nbdt.documents import Document, validated
from nbdt.errors import InputError
from nbdt.hierarchy.induce import induce
from nbdt.losses import Constant, Ramp
from nbdt.losses.module import checked_score
from nbdt.losses.schedules import checked_weight
from nbdt.rules import ScoreName

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def _whole(value: Any) -> Any:
    """Whole numbers of numpy as Python's; everything else as it is, for pydantic to judge."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value


def _weight(value: Any) -> Any:
    """A weight as a float, a ramp as it is; equal numbers of any type give equal configs."""
    if isinstance(value, Ramp):
        return value
    if isinstance(value, dict):
        return validated(Ramp, value)
    return _number(value.value if isinstance(value, Constant) else value)


def _number(value: Any) -> float:
    return checked_weight(value, "")


Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(lt=1)]
Weight = Annotated[
    float | Constant | Ramp,
    BeforeValidator(_weight),
    PlainSerializer(lambda value: vars(value) if isinstance(value, Ramp) else value),
]


class TrainingConfig(Document):
    """Everything that decides how a training goes, except the model and the data.

    Equal configs, models and data give equal weights, whether or not training was interrupted: to
    the bit on one machine with the same versions and number of threads. On NVIDIA devices that
    needs `deterministic`, since they may add numbers in another order each time.

    Args:
        epochs: how often each sample is seen.
        batch_size: samples a step, over all processes and accumulated parts together.
        loss: "soft" or "hard", the rule of `nbdt.TreeSupervisionLoss`; or "cross_entropy", the
            network's loss alone, as a control.
        score: what the tree's nodes are worth in the loss. It becomes the model's score, unless
            the loss is the network's alone.
        tree_weight: ω, the weight of the tree's loss: a number, `Constant` or `Ramp`.
        network_weight: β, the weight of the network's cross-entropy beside the tree's: likewise.
        compat: "2020" for the losses of the 2020 release, for comparison.
        learning_rate: its largest value.
        head_multiplier: the last linear layer's learning rate over everyone else's. Above 1, such
            as 10, that layer learns faster than the pretrained rest.
        momentum: of SGD; β₁ of AdamW.
        weight_decay: for the weight matrices and kernels of linear, convolution, attention and
            recurrent layers, not for biases, norms, embeddings and a network's own parameters.
        schedule: how the learning rate falls, step by step: "cosine" to 0, "one_cycle" (up over
            the first 30 % of the steps, then down to nearly 0; Smith and Topin 2017), "step" (a
            tenth after half of the steps, and again after three quarters), or "constant".
        warmup: epochs, or part of one, in which the learning rate first rises from 0; not with
            "one_cycle", which has its own.
        clip_norm: the largest norm of the gradient, which is scaled down to it.
        accumulate: into how many parts a batch is split to save memory.
        average: the decay of an exponential moving average of the weights, such as 0.999; the
            average is what is measured and kept. After t steps the decay is at most
            (1 + t) / (10 + t), so that a short training's first weights don't dominate it.
        head_only: train the last linear layer alone, on features computed once. Random changes of
            `nbdt.data`'s images are left out; those of your own data set are made once.
        frozen_norms: keep batch norms in eval mode, for networks whose statistics were folded into
            their weights.
        retree_every: rebuild the tree from the current weights after this many epochs: for the
            following epochs or, where no epoch trains with the tree, before the epoch is measured.
        linkage, normalize: of the rebuilt trees; see `nbdt.induce`.
        branching: the most children of a node in rebuilt trees. None: as many as the widest node
            of the first tree has, if that tree was induced too (it has merge heights), else 2.
        patience: stop after this many epochs without a better validation accuracy.
        checkpoint_every: steps between checkpoints within an epoch.
        precision: what layers compute in: "float32"; "bfloat16" or "float16" through torch's
            autocast; or "auto", the better of these two on CUDA and float32 elsewhere.
        channels_last: store images and convolution weights pixel by pixel.
        deterministic: use only deterministic algorithms of torch, on GPUs too.
        seed: of the order of samples, their random changes, and dropout.
    """

    epochs: Count = 3
    batch_size: Count = 128
    loss: Literal["soft", "hard", "cross_entropy"] = "soft"
    score: ScoreName = "mean"
    tree_weight: Weight = 3.0
    network_weight: Weight = 1.0
    label_smoothing: Share = 0.0
    compat: Literal["2020"] | None = None
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.01
    head_multiplier: Positive = 1.0
    momentum: Share = 0.9
    weight_decay: Number = 5e-4
    schedule: Literal["cosine", "one_cycle", "step", "constant"] = "cosine"
    warmup: Number = 0.0
    clip_norm: Positive | None = None
    accumulate: Count = 1
    average: Share | None = None
    head_only: bool = False
    frozen_norms: bool = False
    retree_every: Count | None = None
    linkage: str = "ward"
    normalize: bool = True
    branching: Annotated[int, BeforeValidator(_whole), Field(ge=2)] | None = None
    patience: Count | None = None
    checkpoint_every: Count | None = None
    precision: Precision = "auto"
    channels_last: bool = False
    deterministic: bool = False
    seed: Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**63)] = 0

    @property
    def supervises_tree(self) -> bool:
        """Whether the loss includes the tree's, not the network's alone."""
        return self.loss != "cross_entropy"

    def caveat(self) -> str | None:
        """What to know about the loss before it is used; None where there is nothing."""
        if self.loss == "cross_entropy":
            return None
        weights = (self.tree_weight, self.network_weight)
        return checked_score(self.loss, self.score, self.compat, weights)

    @model_validator(mode="after")
    def _check_together(self) -> TrainingConfig:
        if self.accumulate > self.batch_size:
            raise InputError(
                f"a batch of {self.batch_size} cannot be split into {self.accumulate} parts."
            )
        if self.schedule == "one_cycle" and self.warmup:
            raise InputError("one_cycle has its own warm-up; leave warmup out.")
        if self.warmup >= self.epochs:
            raise InputError(
                f"a warm-up of {self.warmup:g} epochs leaves nothing of {self.epochs}; shorten it."
            )
        # Tried on two classes, so that a wrong option is reported now and not after hours.
        branching = self.branching or 2
        induce([[0.0], [1.0]], linkage=self.linkage, normalize=False, branching=branching)
        self.caveat()
        if not self.supervises_tree and self.compat:
            raise InputError("compat changes the tree's loss, which this config lacks; drop it.")
        if not self.supervises_tree and self.network_weight != 1:
            raise InputError(
                "network_weight weighs the network's loss against the tree's, which this config "
                "lacks; drop it."
            )
        if self.head_only and (self.frozen_norms or self.channels_last):
            raise InputError("head_only trains one linear layer, which has no norms or channels.")
        if self.head_only and self.head_multiplier != 1:
            raise InputError("head_only trains only the head; set learning_rate itself.")
        return self
