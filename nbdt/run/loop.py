"""The one loop over samples: read, put together to batches, answered, joined to blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from nbdt.data.classes import check_own_classes
from nbdt.data.samples import Data, Fingerprint, batches_of, check_batch_size, is_indexed
from nbdt.model import NBDT
from nbdt.rules import is_map
from nbdt.rules.checks import check_logits
from nbdt.run.batch import Forward, Part, Work, forward, local

BLOCK = 512
"""How many samples are counted at a time, unless batches are larger: what every block costs,
whatever its size, is then paid less often."""

Engine = Callable[[Work, Iterable[Any]], Iterator[Part]]
"""Calls the work with every batch, and gives the results in the order of the batches."""


class Block(NamedTuple):
    """Consecutive samples that were answered, in their order; there may be none.

    Attributes:
        logits: the network's; shape (samples, classes), on the model's device.
        labels: as the data gives them; -1 where it has none. Shape (samples,).
        indices: the places of the samples in the data. Shape (samples,).
        failures: the samples in between that have no answer: their places, and why.
        others: what the forward function gave beside the logits.
    """

    logits: Tensor
    labels: Tensor
    indices: Tensor
    failures: dict[int, str]
    others: tuple[Tensor, ...]


@dataclass(eq=False, kw_only=True)
class Run:
    """A pass over data, made while one iterates; what it holds is about the samples so far.

    `total` is None where the data does not say how many samples there are; `failures` has the
    places of those without an answer, and why they have none.
    """

    work: Work
    batches: Iterable[Any]
    engine: Engine
    rows: int
    total: int | None
    progress: Callable[[int], None] | None

    def __post_init__(self) -> None:
        self.answered = 0
        self.failures: dict[int, str] = {}
        self._seen = 0
        self._fingerprint = Fingerprint()

    @property
    def fingerprint(self) -> str:
        """The `Fingerprint` of the samples that were answered, where it was asked for."""
        return self._fingerprint.digest()

    def pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The logits and labels of each block."""
        return ((block.logits, block.labels) for block in self)

    def __iter__(self) -> Iterator[Block]:
        """The blocks. Ctrl-C gives a last block of what is done, and then stops the loop."""
        pending: list[tuple[int, Part]] = []
        parts = iter(self.engine(self.work, self.batches))
        stopped: KeyboardInterrupt | None = None
        while True:
            try:
                part = next(parts, None)
            except KeyboardInterrupt as interrupt:
                part, stopped = None, interrupt
            if part is not None:
                if self.rows > 1 and part.outputs and is_map(part.outputs[0][0]):
                    # Before many maps are joined to a block.
                    check_logits(part.outputs[0][0], self.work.model.hierarchy.num_classes)
                pending.append((self._seen, part))
                self._note(part)
            rows = sum(part.size for _, part in pending)
            if rows and (part is None or rows >= self.rows):
                yield self._joined(pending)
                pending = []
            if stopped is not None:
                raise stopped
            if part is None:
                return

    def _note(self, part: Part) -> None:
        self.failures |= {self._seen + row: why for row, why in sorted(part.failures.items())}
        self._seen += part.size
        self.answered += len(part.rows)
        for inputs, labels in zip(part.inputs, part.labels, strict=False):
            self._fingerprint.add(inputs, labels)
        if self.progress is not None:
            self.progress(part.size)

    def _joined(self, parts: list[tuple[int, Part]]) -> Block:
        outputs = [one for _, part in parts for one in part.outputs]
        labels = [one for _, part in parts for one in part.labels]
        if not outputs:
            outputs = [(torch.empty(0, self.work.model.hierarchy.num_classes),)]
            labels = [torch.empty(0, dtype=torch.int64)]
        logits, *others = (
            column[0] if len(column) == 1 else torch.cat(column)
            for column in zip(*outputs, strict=True)
        )
        return Block(
            logits,
            labels[0] if len(labels) == 1 else torch.cat(labels),
            torch.tensor(
                [start + row for start, part in parts for row in part.rows], dtype=torch.int64
            ),
            {
                start + row: part.failures[row]
                for start, part in parts
                for row in sorted(part.failures)
            },
            tuple(others),
        )


def answers(
    model: NBDT,
    data: Data,
    *,
    batch_size: int = 64,
    labels: Literal["own", "other", "none"] = "own",
    on_failure: Literal["raise", "keep"] = "raise",
    rows: int = BLOCK,
    forward: Forward = forward,
    fingerprint: bool = False,
    progress: Callable[[int], None] | None = None,
    engine: Engine = local,
) -> Run:
    """A model's logits for all samples of some data, in their order; memory is bounded.

    The network works in eval mode, without gradients, on the device that it is on.

    Args:
        data: samples (input, label), as of a torch `Dataset` or in a list; or batches (inputs,
            labels), as from a `DataLoader`, which stay as they are.
        batch_size: how many single samples share a batch.
        labels: whether samples are labelled with the model's own classes (data that says
            otherwise is refused), with other ones, or not at all.
        on_failure: "keep" makes failures results: a sample that cannot be read, that the network
            cannot take, or whose answer is not finite. Only single samples of indexed data can
            fail to be read. Samples may then differ in shape.
        rows: how many samples a block has at least; 1 for a block a batch.
        forward: what answers a batch.
        progress: called with the number of samples of each batch when it is done.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> logits = torch.tensor([[2.0, 1, 0], [torch.nan, 0, 0], [0, 1, 2]])
        >>> run = answers(model, TensorDataset(logits, torch.tensor([0, 1, 2])), on_failure="keep")
        >>> [block.indices for block in run], run.failures
        ([tensor([0, 2])], {1: "the network's answer to it holds NaN or infinity."})
    """
    check_batch_size(batch_size)
    if labels == "own":
        check_own_classes(data, model.classes)
    total: int | None = None
    batches: Iterable[Any]
    if is_indexed(data):
        total = len(data)  # type: ignore[arg-type]
        batches = [range(at, min(at + batch_size, total)) for at in range(0, total, batch_size)]
    else:
        batches = batches_of(data, batch_size)
    work = Work(
        model=model,
        data=data if total is not None else None,
        forward=forward,
        is_labelled=labels != "none",
        keeps_failures=on_failure == "keep",
        keeps_inputs=fingerprint,
    )
    return Run(work=work, batches=batches, engine=engine, rows=rows, total=total, progress=progress)
