"""Batches on their way to the network: mappings or tensors, moved to its device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def moved(x: Any, device: torch.device, *, channels_last: bool = False) -> Any:
    """A tensor, or a mapping of tensors, on the device.

    Args:
        x: what a network takes.
        device: where it is.
        channels_last: whether images are to be stored pixel by pixel.

    Example:
        >>> moved({"input_ids": torch.zeros(2, 3)}, torch.device("cpu"))["input_ids"].shape
        torch.Size([2, 3])
    """
    if isinstance(x, Mapping):
        return {key: moved(value, device) for key, value in x.items()}
    if not isinstance(x, Tensor):
        return x
    if channels_last and x.ndim == 4:
        return x.to(device, non_blocking=True, memory_format=torch.channels_last)
    return x.to(device, non_blocking=True)
