"""Labelled samples from whatever gives them, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from nbdt.errors import InputError, reason_of

Inputs = Tensor | Mapping[str, Any]
"""What a network takes: a tensor, or a mapping of them by name."""

Data = Dataset[Any] | Iterable[Any]
"""Samples (input, label), or batches of them."""


def labelled_batches(data: Data, batch_size: int = 64) -> Iterator[tuple[Any, Tensor]]:
    """The inputs and the labels of each batch.

    Args:
        data: samples (input, label), as of a torch `Dataset` or in a list, of which batches are
            made; or batches (inputs, labels), as from a `DataLoader`, which stay as they are.
        batch_size: how many samples make a batch.

    Raises:
        InputError: the data are none of these, the batch size is no number above 0, a label is
            no number, or the samples of a batch differ in shape.

    Example:
        >>> samples = [(torch.zeros(2), 0), (torch.ones(2), 1), (torch.ones(2), 1)]
        >>> [labels.tolist() for _, labels in labelled_batches(samples, batch_size=2)]
        [[0, 1], [1]]
        >>> batches = [(torch.zeros(3, 2), torch.tensor([0, 1, 1]))]
        >>> [labels.tolist() for _, labels in labelled_batches(batches, batch_size=2)]
        [[0, 1, 1]]
    """
    for batch in batches_of(data, batch_size):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise InputError(
                f"data has to give pairs (inputs, labels); got {type(batch).__name__}"
                f"{f' of {len(batch)}' if isinstance(batch, tuple | list) else ''}."
            )
        yield batch[0], _numbers(batch[1])


def batches_of(data: Data, batch_size: int) -> Iterable[Any]:
    """Samples put together to batches; batches as they are, labelled or not.

    Raises:
        InputError: the batch size is no number above 0, the data is nothing to go through, or
            the samples of a batch differ in shape.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size has to be a whole number above 0; got {batch_size!r:.80}.")
    iterable = isinstance(data, Iterable)
    sequence = isinstance(data, Sized) and hasattr(data, "__getitem__")
    if isinstance(data, Dataset) or (sequence and not iterable):
        # Its own generator, or it would take numbers from the caller's.
        generator = torch.Generator()
        return DataLoader(data, batch_size, collate_fn=_collated, generator=generator)  # type: ignore[arg-type]
    if not iterable:
        raise InputError(
            "data has to be a data set of samples (input, label) or an iterable of batches "
            f"(inputs, labels); got {type(data).__name__}."
        )
    parts = iter(data)
    first = list(islice(parts, 1))
    whole = chain(first, parts)
    return _in_batches(whole, batch_size) if any(map(_is_sample, first)) else whole


def _in_batches(samples: Iterator[Any], batch_size: int) -> Iterator[Any]:
    while some := list(islice(samples, batch_size)):
        yield _collated(some)


def _is_sample(part: Any) -> bool:
    """Whether this is one labelled sample; a batch has a label for each of its rows."""
    return isinstance(part, tuple | list) and len(part) == 2 and np.ndim(part[1]) == 0


def _collated(samples: list[Any]) -> Any:
    try:
        return default_collate(samples)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"the samples cannot be made a batch: {reason_of(error)} Give them one shape, or set "
            "batch_size=1."
        ) from None


def _numbers(labels: Any) -> Tensor:
    try:
        return torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"labels have to be numbers; got {labels!r:.80}.") from None
