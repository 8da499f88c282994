"""One batch through a model: in eval mode, without gradients, on the model's device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nbdt.classifiers import eval_mode
from nbdt.model import NBDT


def forward(model: NBDT, inputs: Any) -> Tensor:
    """The network's logits for one batch, whatever mode the model is in."""
    with eval_mode(model):
        return model.logits(moved(inputs, weights_device(model)))


def forward_with_inputs_of(
    layer: nn.Module, model: NBDT, inputs: Any
) -> tuple[Tensor, list[Tensor]]:
    """The logits for one batch, and what a layer of the network was given, once for each call."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        return forward(model, inputs), seen
    finally:
        hook.remove()


def moved(inputs: Any, device: torch.device | None, *, channels_last: bool = False) -> Any:
    """A batch on a device: a tensor, or a mapping whose tensors are moved; anything else stays.

    `channels_last` stores images, of shape (batch, channels, height, width), pixel by pixel.
    """
    if isinstance(inputs, Mapping):
        return {
            key: moved(value, device, channels_last=channels_last) for key, value in inputs.items()
        }
    if not isinstance(inputs, Tensor) or device is None:
        return inputs
    layout = torch.channels_last if channels_last and inputs.ndim == 4 else torch.preserve_format
    # Towards the CPU, values could be read before they have arrived.
    return inputs.to(device, non_blocking=device.type != "cpu", memory_format=layout)


def weights_device(network: nn.Module) -> torch.device | None:
    """Where a network's weights are; None for one without weights, which is anywhere."""
    return next((parameter.device for parameter in network.parameters()), None)
