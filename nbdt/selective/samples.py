"""Labelled samples, a batch at a time, and their fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from nbdt.errors import InputError

Inputs = Tensor | Mapping[str, Any]
Samples = Dataset[Any] | Iterable[tuple[Inputs, Tensor]]


def labelled_batches(data: Samples, batch_size: int = 64) -> Iterator[tuple[Inputs, Tensor]]:
    """The batches of a loader, or those made of a data set's samples.

    Args:
        data: a data set of (input, label), or a loader: an iterable of (inputs, labels), a batch
            each.
        batch_size: how many samples of a data set make a batch.

    Raises:
        InputError: this is neither, or what it gives is no pair of inputs and labels, or the
            samples of a batch differ in shape.

    Example:
        >>> samples = [(torch.zeros(2), 0), (torch.ones(2), 1), (torch.ones(2), 1)]
        >>> [labels.tolist() for _, labels in labelled_batches(samples, batch_size=2)]
        [[0, 1], [1]]
    """
    is_dataset = isinstance(data, Dataset) or (
        hasattr(data, "__getitem__") and isinstance(data, Sized)
    )
    if is_dataset:
        data = DataLoader(
            data,  # type: ignore[arg-type]
            batch_size,
            collate_fn=_collated,
            generator=torch.Generator(),  # or it would take numbers from the caller's
        )
    if not isinstance(data, Iterable):
        raise InputError(
            f"data has to be a data set or a loader of labelled samples, got {type(data).__name__}."
        )
    for batch in data:
        pair = batch if isinstance(batch, tuple | list) and len(batch) == 2 else ()
        if not pair or not isinstance(pair[0], Tensor | Mapping) or not isinstance(pair[1], Tensor):
            raise InputError(
                "data has to give pairs (input, label), both as numbers or tensors; got "
                f"{type(batch).__name__}."
            )
        yield pair[0], pair[1]


def _collated(samples: list[Any]) -> Any:
    try:
        return default_collate(samples)
    except (RuntimeError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the samples cannot be made a batch: {reason} Give them one shape, or set "
            "batch_size=1."
        ) from None


class Fingerprint:
    """The SHA-256 of the bytes of all inputs, in their order, and then of the labels.

    It does not depend on how samples were put together in batches.

    Example:
        >>> one, other = Fingerprint(), Fingerprint()
        >>> one.add(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]))
        >>> other.add(torch.tensor([[1.0]]), torch.tensor([0]))
        >>> other.add(torch.tensor([[2.0]]), torch.tensor([1]))
        >>> one.digest() == other.digest()
        True
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._labels: list[Tensor] = []

    def add(self, inputs: Inputs, labels: Tensor) -> None:
        """Takes a batch in; the tensors of a mapping by sample, in the order of their names."""
        columns = [inputs] if isinstance(inputs, Tensor) else _tensors(inputs)
        for sample in zip(*columns, strict=True):
            for tensor in sample:
                self._hash.update(raw_bytes(tensor))
        self._labels.append(labels.cpu().long())

    def digest(self) -> str:
        """The fingerprint in hexadecimal."""
        whole = self._hash.copy()
        for labels in self._labels:
            whole.update(labels.numpy().astype("<i8").tobytes())
        return whole.hexdigest()


def _tensors(inputs: Mapping[str, Any]) -> list[Tensor]:
    return [inputs[name] for name in sorted(inputs) if isinstance(inputs[name], Tensor)]


def raw_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, row by row."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
