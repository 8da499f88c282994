"""A model's logits on labelled data, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from nbdt.classifiers import eval_mode
from nbdt.data.batches import moved, weights_device
from nbdt.data.classes import check_own_classes
from nbdt.data.samples import Data, labelled_batches
from nbdt.model import NBDT

# How many rows of logits are counted at a time.
BLOCK = 512


def labelled_logits(
    model: NBDT, data: Data, *, batch_size: int = 64
) -> Iterator[tuple[Tensor, Tensor]]:
    """The network's logits and the labels of each batch, in the order of the data.

    The network works in eval mode, without gradients, on the device that it is on; memory is that
    of one batch.

    Args:
        model: the model.
        data: samples (input, label), as of a torch `Dataset` or in a list, of which batches are
            made; or batches (inputs, labels), as from a `DataLoader` with workers of its own.
        batch_size: how many samples given one by one share a batch.

    Raises:
        InputError: as in `nbdt.data.samples.labelled_batches`, or the data say that their classes
            are not the model's.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> data = TensorDataset(torch.zeros(5, 3), torch.tensor([0, 1, 2, 0, 1]))
        >>> [len(labels) for logits, labels in labelled_logits(model, data, batch_size=2)]
        [2, 2, 1]
    """
    check_own_classes(data, model.classes)
    for inputs, labels in labelled_batches(data, batch_size):
        yield logits_of(model, inputs), labels


def in_blocks(
    batches: Iterable[tuple[Tensor, Tensor]], rows: int = BLOCK
) -> Iterator[tuple[Tensor, Tensor]]:
    """The same samples, small batches joined until they have so many rows or more.

    What every batch costs, whatever its size, is then paid less often.

    Example:
        >>> batches = [(torch.zeros(2, 3), torch.zeros(2))] * 5
        >>> [len(labels) for logits, labels in in_blocks(batches, rows=4)]
        [4, 4, 2]
    """
    pending: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        pending.append(batch)
        if sum(len(labels) for _, labels in pending) >= rows:
            yield _joined(pending)
            pending = []
    if pending:
        yield _joined(pending)


def _joined(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    logits, labels = zip(*batches, strict=True)
    return torch.cat(logits), torch.cat(labels)


def logits_of(model: NBDT, inputs: Any) -> Tensor:
    """The network's logits of one batch, in eval mode and without gradients."""
    with eval_mode(model):
        return model.logits(moved(inputs, weights_device(model)))
