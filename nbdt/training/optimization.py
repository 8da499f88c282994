"""The optimizer, the learning rate at every step, and the precision that layers compute in."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from itertools import product

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from nbdt.errors import InputError
from nbdt.training.config import Precision, TrainingConfig

_WEIGHTED = (
    *(nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd),
    *(nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase),
)
_CYCLE_RISE = 0.3
_CYCLE_START, _CYCLE_END = 1 / 25, 1e-4 / 25
_STEPS_AT, _STEP_FACTOR = (0.5, 0.75), 0.1


def make_optimizer(
    network: nn.Module, config: TrainingConfig, head: nn.Module | None = None
) -> Optimizer:
    """The config's optimizer over the network's trainable parameters.

    Only weight matrices and kernels of layers decay, not biases and the parameters of norms (as in
    He et al. 2018, "Bag of Tricks for Image Classification", section 3.1). `head` is the part of
    the network whose learning rate is multiplied by `config.head_multiplier`.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trained:
        raise InputError("no weight of the network may change; set requires_grad on some.")
    decaying = _decaying(network)
    of_head = set() if head is None else set(head.parameters())
    groups = []
    for in_head, decays in product((False, True), (True, False)):
        own = [p for p in trained if (p in of_head, p in decaying) == (in_head, decays)]
        if own:
            decay = config.weight_decay if decays else 0.0
            scale = config.head_multiplier if in_head else 1.0
            groups.append({"params": own, "weight_decay": decay, "lr_scale": scale})
    if config.optimizer == "sgd":
        return SGD(groups, config.learning_rate, momentum=config.momentum)
    return AdamW(groups, config.learning_rate, betas=(config.momentum, 0.999))


def _decaying(network: nn.Module) -> set[nn.Parameter]:
    # The kind of layer decides, since shapes don't: scales, tokens, tables of positions and biases
    # may have several dimensions too. Attention has an ``in_proj_weight``, recurrent layers a
    # ``weight_ih_l0``.
    named: list[tuple[str, nn.Parameter]] = []
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            named += module.named_parameters(recurse=False)
            for name, made in getattr(module, "parametrizations", {}).items():
                named += [(name, parameter) for parameter in made.parameters()]
    return {parameter for name, parameter in named if parameter.ndim > 1 and "weight" in name}


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Gives every parameter this learning rate, times the ``lr_scale`` of its group, if any."""
    for group in optimizer.param_groups:
        own = rate * group.get("lr_scale", 1.0)
        # A tensor is kept one, so that a compiled step sees the change.
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


def learning_rate(config: TrainingConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, counted from 0 over all epochs.

    A function of the step's number alone, so that training can be resumed.
    """
    total = config.epochs * steps_per_epoch
    warm = round(config.warmup * steps_per_epoch)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, total - warm)
    return config.learning_rate * _factor(config.schedule, progress)


def _factor(schedule: str, progress: float) -> float:
    """The share of the largest learning rate at this progress in [0, 1)."""
    if schedule == "cosine":
        return _cosine(1.0, 0.0, progress)
    if schedule == "one_cycle":
        if progress < _CYCLE_RISE:
            return _cosine(_CYCLE_START, 1.0, progress / _CYCLE_RISE)
        return _cosine(1.0, _CYCLE_END, (progress - _CYCLE_RISE) / (1 - _CYCLE_RISE))
    if schedule == "step":
        return _STEP_FACTOR ** sum(progress >= at for at in _STEPS_AT)
    return 1.0


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def chosen_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type that layers compute in on this device."""
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type != "cuda":
        return torch.float32
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_it else torch.float16


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to this type; nothing changes for float32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def make_scaler(dtype: torch.dtype, device: torch.device) -> torch.amp.GradScaler:
    """What keeps small gradients of float16 from becoming 0; it does nothing for other types."""
    return torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
