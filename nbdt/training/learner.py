"""What a step of training changes: weights, their average, the optimizer's state, the tree."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nbdt.classifiers import induce, moved
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.compare import shared_clades
from nbdt.losses import TreeSupervisionLoss
from nbdt.model import NBDT
from nbdt.training.checkpoint import load_optimizer, optimizer_tensors
from nbdt.training.config import TrainingConfig
from nbdt.training.features import head_of
from nbdt.training.optimization import (
    autocast,
    chosen_dtype,
    make_optimizer,
    make_scaler,
    set_learning_rate,
)
from nbdt.training.processes import Processes


class Learner:
    """A network that takes steps."""

    def __init__(
        self, model: NBDT, config: TrainingConfig, device: torch.device, processes: Processes
    ) -> None:
        self.model, self.network, self.config = model, model.network, config
        self.device, self.processes = device, processes
        if config.channels_last:
            self.network.to(memory_format=torch.channels_last)
        head = None if config.head_multiplier == 1 else head_of(model)
        self.optimizer = make_optimizer(self.network, config, head)
        self.dtype = chosen_dtype(config.precision, device)
        self.scaler = make_scaler(self.dtype, device)
        self.average: AveragedModel | None = None
        if config.average is not None:
            self.average = AveragedModel(
                self.network, multi_avg_fn=self._add_to_average, use_buffers=True
            )
        self.forward = processes.joined(_Logits(model))
        self.set_tree()

    def set_tree(self) -> None:
        """Uses the model's tree, which may have changed, in the loss."""
        config = self.config
        settings: dict[str, Any] = {"tree_weight": 0.0}  # torch's cross_entropy, to the bit
        if config.supervises_tree:
            settings = {
                "rule": config.loss,
                "score": config.score,
                "tree_weight": config.tree_weight,
                "network_weight": config.network_weight,
                "compat": config.compat,
            }
        with warnings.catch_warnings():
            # `fit` has warned already, once.
            warnings.simplefilter("ignore", UserWarning)
            self.loss = TreeSupervisionLoss(
                self.model.hierarchy, label_smoothing=config.label_smoothing, **settings
            ).to(self.device)

    def _add_to_average(self, averages: Any, weights: Any, _: object) -> None:
        assert self.average is not None
        assert self.config.average is not None
        taken = int(self.average.n_averaged)
        # Otherwise the untrained first weights would dominate a short training's average.
        decay = min(self.config.average, (1 + taken) / (10 + taken))
        get_ema_multi_avg_fn(decay)(averages, weights, taken)  # type: ignore[no-untyped-call]

    def train_mode(self) -> None:
        """Puts the network into train mode, except for frozen norms."""
        self.model.train()
        if self.config.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def step(
        self, parts: Iterable[tuple[Any, Tensor, float]], *, rate: float, progress: float
    ) -> float:
        """One step of the optimizer; gives the mean loss over the batch of all processes, in nats.

        `parts` are the inputs, classes and share of the whole batch, for each part in this process.
        `rate` is the learning rate; the head's is a multiple of it. `progress` of the training, in
        [0, 1], decides the weights of the loss.

        Raises:
            InputError: a label is no class, or the loss or a gradient is NaN or infinite; the
                weights are then as they were.
        """
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        own = 0.0
        for x, y, share in parts:
            _check_labels(y, self.model.hierarchy.num_classes)
            inputs = moved(x, self.device, channels_last=self.config.channels_last)
            with autocast(self.dtype, self.device):
                loss = self.loss(self.forward(inputs), moved(y, self.device), progress)
            # Gradients are averaged over the processes, hence the factor.
            self.scaler.scale(loss * (share * self.processes.world)).backward()
            # A share of 0 is a stand-in where this process has no sample.
            own += loss.item() * share if share else 0.0
        (total,) = self.processes.totals([own], self.device)
        if not math.isfinite(total):
            raise InputError(
                f"the loss became {total}; lower the learning rate (now {rate:.3g}) or the "
                "tree's weight, or set clip_norm."
            )
        self.scaler.unscale_(self.optimizer)
        norm = clip_grad_norm_(self.network.parameters(), self.config.clip_norm or math.inf)
        # The scaler leaves such steps out, as its factor may have been too large.
        if not self.scaler.is_enabled() and not norm.isfinite():
            raise InputError(
                f"the loss is {total:.3g}, but its gradient became {norm.item()}; a layer may "
                "divide by 0 or take its root. Training with clip_norm doesn't help."
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return total

    def is_finite(self) -> bool:
        """Whether all trained weights are finite."""
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        return bool(torch.stack([p.detach().isfinite().all() for p in trained]).all())

    @contextmanager
    def measured_weights(self) -> Iterator[None]:
        """Puts the weights that are measured and kept, the averaged ones if any, in the network."""
        if self.average is None:
            yield
            return
        own = self.weights()
        self.keep()
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's state."""
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    def keep(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Puts these weights in the network; without any, the averaged ones if there are such."""
        if weights is None and self.average is not None:
            weights = self.average.module.state_dict()
        if weights is not None:
            self.network.load_state_dict(weights)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint stores of the learner, by name."""
        groups = {name: module.state_dict() for name, module in self._modules().items()}
        groups["optimizer"] = optimizer_tensors(self.optimizer)
        return {f"{group}.{key}": own[key] for group, own in groups.items() for key in own}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what `tensors` gave, all of it or nothing, ignoring other groups."""
        for group, module in self._modules().items():
            _check_fit(of_group(tensors, group), module.state_dict())
        load_optimizer(self.optimizer, of_group(tensors, "optimizer"))
        for group, module in self._modules().items():
            module.load_state_dict(of_group(tensors, group))

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"network": self.network, "average": self.average}
        return {name: module for name, module in modules.items() if module is not None}


def of_group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    """The tensors whose names start with the group's, by the rest of their names."""
    prefix = f"{group}."
    return {key[len(prefix) :]: tensors[key] for key in tensors if key.startswith(prefix)}


def _check_labels(labels: Tensor, num_classes: int) -> None:
    # Cross-entropy would ignore some, but parts are weighed by all their samples. The loss itself
    # judges labels that aren't whole numbers, such as probabilities.
    numbers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not numbers or not labels.numel():
        return
    lowest, highest = (int(bound) for bound in labels.aminmax())
    if lowest < 0 or highest >= num_classes:
        raise InputError(
            f"a label is {lowest if lowest < 0 else highest}; with {num_classes} classes labels "
            f"go from 0 to {num_classes - 1}. Leave out samples that should not count."
        )


def _check_fit(stored: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    there, here = (
        {name: f"{value.dtype} of {tuple(value.shape)}" for name, value in tensors.items()}
        for tensors in (stored, own)
    )
    for name in sorted(there.keys() | here.keys()):
        found = [side.get(name, "missing") for side in (there, here)]
        if found[0] != found[1]:
            raise FormatError(
                f"it belongs to another network: {name} is {found[0]} there, {found[1]} here."
            )


class _Logits(nn.Module):
    """The logits of a model, as a module for DistributedDataParallel to wrap."""

    def __init__(self, model: NBDT) -> None:
        super().__init__()
        self.network = model.network
        # Not a submodule: the tree's buffers are constant and need no broadcast.
        self._logits = [model.logits]

    def forward(self, x: Any) -> Tensor:
        return self._logits[0](x)


def rebuild_tree(model: NBDT, config: TrainingConfig) -> float:
    """Gives the model the tree that its weights now make, and returns how far the tree moved.

    That is the share of the groups of classes in both trees (the inner nodes except the roots)
    that only one tree has, the normalized Robinson–Foulds distance: 0 where nothing changed, 1
    where nothing is left.
    """
    old = model.hierarchy
    new = induce(
        model.network,
        old.classes,
        head=model.head,
        linkage=config.linkage,
        normalize=config.normalize,
        branching=branching_of(config, old),
    )
    model.hierarchy = new
    groups = len(old.inner) + len(new.inner) - 2
    return (groups - 2 * len(shared_clades(old, new))) / groups if groups else 0.0


def branching_of(config: TrainingConfig, tree: Hierarchy) -> int:
    """How many children a node of the next tree may have."""
    if config.branching is not None:
        return config.branching
    # The widest node of a tree that people made doesn't say how wide an induced one should be.
    return 2 if tree.merge_heights is None else int(np.bincount(tree.parents[:-1]).max())
