"""Labelled samples from whatever holds them: put together to batches, and fingerprinted."""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from nbdt.errors import InputError, reason_of

Inputs = Tensor | Mapping[str, Any] | list[Any]
"""What a network takes, a tensor or a mapping of them by name; or a list of raw samples."""


class Indexed(Protocol):
    """Samples by their index, as a `Dataset` has them."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> Any:
        """One sample."""


Data = Dataset[Any] | Indexed | Iterable[Any]
"""Samples (input, label), or batches of them."""


def is_indexed(data: Any) -> bool:
    """Whether single samples can be read by their index, as from a `Dataset` or a list of them."""
    if isinstance(data, Dataset):
        return not isinstance(data, IterableDataset)
    if not isinstance(data, Sized) or not hasattr(data, "__getitem__"):
        return False
    if isinstance(data, Sequence):
        return len(data) > 0 and _is_sample(data[0])
    return not isinstance(data, Iterable)


def batches_of(data: Data, batch_size: int) -> Iterator[Any]:
    """The batches of an iterable as they are; samples are put together to batches."""
    if not isinstance(data, Iterable):
        raise InputError(
            "data must be a data set of samples (input, label) or an iterable of batches "
            f"(inputs, labels); got {type(data).__name__}."
        )
    parts = iter(data)
    first = list(islice(parts, 1))
    whole = chain(first, parts)
    if not isinstance(data, IterableDataset) and not any(map(_is_sample, first)):
        return whole
    return map(collated, iter(lambda: list(islice(whole, batch_size)), []))


def check_batch_size(batch_size: Any) -> None:
    """Refuses anything but a positive integer."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size must be a whole number above 0; got {batch_size!r:.80}.")


def labelled(batch: Any) -> tuple[Any, Tensor]:
    """The inputs and the labels of one batch, which has to be a pair of them."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InputError(
            f"data must give pairs (inputs, labels); got {type(batch).__name__}"
            f"{f' of {len(batch)}' if isinstance(batch, tuple | list) else ''}."
        )
    inputs, labels = batch
    try:
        return inputs, torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"labels must be numbers; got {labels!r:.80}.") from None


def collated(samples: list[Any]) -> Any:
    """Samples as one batch: tensors are stacked, and need one shape; other kinds are listed.

    Arrays of several shapes, such as sounds, are listed too: the model's input makes a batch of
    them.
    """
    is_labelled = all(map(_is_sample, samples))
    inputs = [sample[0] for sample in samples] if is_labelled else samples
    arrays = {one.shape for one in inputs if isinstance(one, np.ndarray)}
    try:
        fits = len(arrays) < 2 and all(map(_is_tensor, inputs))
        batch = default_collate(inputs) if fits else inputs
        return [batch, default_collate([sample[1] for sample in samples])] if is_labelled else batch
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"the samples cannot be made a batch: {reason_of(error)} Give them one shape, or set "
            "batch_size=1."
        ) from None


def _is_tensor(inputs: Any) -> bool:
    """Whether this is what networks take, an array or a mapping of them; else a raw sample."""
    if isinstance(inputs, Mapping | tuple | list):
        parts = inputs.values() if isinstance(inputs, Mapping) else inputs
        return bool(inputs) and all(isinstance(part, Tensor) for part in parts)
    return isinstance(inputs, Tensor | np.ndarray | np.number | numbers.Number)


class Fingerprint:
    """The SHA-256 of the bytes of all inputs, in their order, and then of the labels.

    It does not depend on how samples are put together in batches.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._labels = bytearray()

    def add(self, inputs: Inputs, labels: Tensor) -> None:
        """Adds a batch; the tensors of a mapping by sample, in the order of their names."""
        if isinstance(inputs, Tensor):
            self._hash.update(raw_bytes(inputs))
        elif isinstance(inputs, list):
            for sample in inputs:
                self._hash.update(_sample_bytes(sample))
        else:
            columns = [inputs[name] for name in sorted(inputs) if isinstance(inputs[name], Tensor)]
            for tensor in chain.from_iterable(zip(*columns, strict=True)):
                self._hash.update(raw_bytes(tensor))
        self._labels += labels.cpu().numpy().astype("<i8").tobytes()

    def digest(self) -> str:
        """The fingerprint in hexadecimal."""
        whole = self._hash.copy()
        whole.update(self._labels)
        return whole.hexdigest()


def raw_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, row by row."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _sample_bytes(sample: Any) -> bytes:
    """A raw sample as bytes: of an array its numbers, of a text or a row its JSON."""
    if hasattr(sample, "toarray"):
        sample = sample.toarray()
    if hasattr(sample, "__array_interface__"):
        array = np.ascontiguousarray(sample)
        return repr((array.dtype.str, array.shape)).encode() + array.tobytes()
    return json.dumps(sample, default=repr, sort_keys=True).encode() + b"\n"


def _is_sample(part: Any) -> bool:
    """Whether this is one labelled sample; a batch has a label for each of its rows."""
    is_pair = isinstance(part, tuple | list) and len(part) == 2
    return is_pair and np.ndim(part[1]) == 0 and not all(isinstance(one, str) for one in part)
