"""Which samples make up each batch, and what is random about a sample.

Both are pure functions of the seed, the epoch and the sample's index. So a training doesn't depend
on the number of worker processes, parts of a batch or GPUs, and an interrupted one resumes at any
step without a saved generator state.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

Key = tuple[int, int]
"""An epoch, and the index of a sample."""


def derived_seed(*numbers: int) -> int:
    """A seed of 63 bits that looks random and depends on all of these numbers."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


class SeededSamples(Dataset[Any]):
    """A data set whose random changes of a sample depend on (seed, epoch, index) alone.

    The generators of torch (CPU), numpy and Python are seeded for each sample and restored
    afterwards.
    """

    def __init__(self, dataset: Dataset[Any], seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, key: Key) -> Any:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[Any]:
        """The samples of a batch; `DataLoader` calls this method by its name."""
        samples = []
        with _unchanged_generators():
            for epoch, index in keys:
                seed = derived_seed(self.seed, epoch, index)
                # torch.manual_seed would seed the GPUs too, and start CUDA in every worker.
                torch.default_generator.manual_seed(seed)
                np.random.seed(seed % 2**32)
                random.seed(seed)
                samples.append(self.dataset[index])
        return samples


class Batches(Sampler[list[Key]]):
    """The batches of one epoch, or one process's share of each.

    `batch_size` is over all processes; the last batch may have less, or one more, rather than that
    one sample is left. Each batch is split into `parts`, one after the other, and these among the
    `world` processes, of which this one is number `rank`. `epoch` says whose batches are given
    next, and `start` how many of them are left out.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        seed: int,
        *,
        parts: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.parts, self.rank, self.world = parts, rank, world
        self.epoch = self.start = 0

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch of an epoch has, over all processes and parts."""
        whole, rest = divmod(self.samples, self.batch_size)
        sizes = [self.batch_size] * whole + [rest] * bool(rest)
        if rest == 1 and whole:
            # A batch norm can make nothing of one sample, so it joins the batch before.
            sizes[-2:] = [self.batch_size + 1]
        return sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        order: Tensor = torch.randperm(self.samples, generator=generator)
        for batch in torch.split(order, self.sizes)[self.start :]:
            for part in range(self.parts):
                yield [(self.epoch, index) for index in self._share(batch, part).tolist()]

    def share(self, batch_size: int, part: int) -> int:
        """How many samples of a batch of this size count in this process's share of a part."""
        return len(range(part + self.parts * self.rank, batch_size, self.parts * self.world))

    def _share(self, batch: Tensor, part: int) -> Tensor:
        share = batch[part + self.parts * self.rank :: self.parts * self.world]
        # Nothing cannot be stacked; a sample that does not count stands in for it.
        return share if len(share) else batch[:1]


@contextmanager
def _unchanged_generators() -> Iterator[None]:
    states = torch.default_generator.get_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.default_generator.set_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
