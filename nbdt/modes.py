"""The mode of a module: training or evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards every submodule is in the mode it was in.

    A module in eval mode is not touched, so that threads can share it.

    Example:
        >>> layer = nn.Dropout()
        >>> with eval_mode(layer):
        ...     print(layer.training)
        False
        >>> layer.training
        True
    """
    training = [part for part in module.modules() if part.training]
    with torch.no_grad():
        if not training:
            yield
            return
        own, kept = module.training, {part: part.training for part in module.modules()}
        module.eval()
        try:
            yield
        finally:
            # `train` first, as some modules do more in it than to set the flag.
            module.train(own)
            for part, flag in kept.items():
                part.training = flag
