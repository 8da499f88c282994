"""Several processes that train one model together, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """The processes that train together: which one this is, and how many there are."""

    rank: int = 0
    world: int = 1

    @classmethod
    def current(cls) -> Processes:
        """The processes of torch's process group; this one alone without a group."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and saves."""
        return self.rank == 0

    def joined(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the processes."""
        return module if self.world == 1 else DistributedDataParallel(module)

    def share(self, module: nn.Module) -> None:
        """Copies the first process's parameters and buffers to all."""
        if self.world == 1:
            return
        with torch.no_grad():
            for tensor in chain(module.parameters(), module.buffers()):
                dense = tensor.contiguous()
                distributed.broadcast(dense, src=0)
                tensor.copy_(dense)

    def from_first(self, value: Value) -> Value:
        """The first process's value, in all processes."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def totals(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """The sum of each number over all processes."""
        if self.world == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor)
        found: list[float] = tensor.tolist()
        return found


@contextmanager
def started_by_torchrun() -> Iterator[torch.device | None]:
    """Joins the process group that torchrun set up, if any, and yields this process's GPU."""
    if "LOCAL_RANK" not in os.environ or distributed.is_initialized():
        yield None
        return
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else None
    if device is not None:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()
