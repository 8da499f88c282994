"""One batch through a model: in eval mode, without gradients, on the model's device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nbdt.classifiers import eval_mode
from nbdt.model import NBDT


def forward(model: NBDT, inputs: Any) -> Tensor:
    """The network's logits for one batch, whatever mode the model is in.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(nn.Linear(4, 2), Hierarchy([2, 2, -1], ["cat", "dog"])).train()
        >>> forward(model, torch.zeros(3, 4)).shape, model.training
        (torch.Size([3, 2]), True)
    """
    with eval_mode(model):
        return model.logits(moved(inputs, weights_device(model)))


def forward_with_inputs_of(
    layer: nn.Module, model: NBDT, inputs: Any
) -> tuple[Tensor, list[Tensor]]:
    """The logits for one batch, and what a layer of the network was given, once for each call.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layer = nn.Linear(4, 2)
        >>> model = NBDT(nn.Sequential(nn.ReLU(), layer), Hierarchy([2, 2, -1], ["cat", "dog"]))
        >>> logits, (features,) = forward_with_inputs_of(layer, model, -torch.ones(1, 4))
        >>> features
        tensor([[0., 0., 0., 0.]])
    """
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        return forward(model, inputs), seen
    finally:
        hook.remove()


def moved(inputs: Any, device: torch.device | None, *, channels_last: bool = False) -> Any:
    """A batch on a device: a tensor, or a mapping whose tensors are moved.

    Args:
        inputs: what a network takes; anything but a tensor stays as it is.
        device: where the network is; None for one without weights, which is anywhere.
        channels_last: whether images, of shape (batch, channels, height, width), are stored
            pixel by pixel.

    Example:
        >>> moved({"input_ids": torch.zeros(2, 3)}, torch.device("cpu"))["input_ids"].shape
        torch.Size([2, 3])
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
