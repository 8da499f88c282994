"""Small networks that several tests of heads share."""

from typing import Any

import torch
from torch import Tensor, nn


class Hidden(nn.Module):
    """Two linear layers, the one that makes the output registered first."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(6, 3)
        self.body = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Any:
        return self.out(torch.relu(self.body(x)))


class Unreadable(Hidden):
    """The same, with a forward that depends on the values of its input."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            x = 2 * x
        return super().forward(x)


def mlp(*last: nn.Module, outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, outputs), *last)
