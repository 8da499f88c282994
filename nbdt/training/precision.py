"""What layers compute in, and the scaling of gradients that float16 needs."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from nbdt.training.config import Precision


def chosen_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type that layers compute in on this device.

    Example:
        >>> chosen_dtype("auto", torch.device("cpu"))
        torch.float32
    """
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type != "cuda":
        return torch.float32
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_it else torch.float16


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to this type; nothing changes for float32.

    Example:
        >>> with autocast(torch.bfloat16, torch.device("cpu")):
        ...     torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype
        torch.bfloat16
    """
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def make_scaler(dtype: torch.dtype, device: torch.device) -> torch.amp.GradScaler:
    """What keeps small gradients of float16 from becoming 0; it does nothing for other types.

    Example:
        >>> make_scaler(torch.float32, torch.device("cpu")).is_enabled()
        False
    """
    return torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
