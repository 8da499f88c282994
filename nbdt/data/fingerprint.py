"""Which samples something was found with, told by their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nbdt.data.samples import Inputs


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
        self._labels = bytearray()

    def add(self, inputs: Inputs, labels: Tensor) -> None:
        """Takes a batch in; the tensors of a mapping by sample, in the order of their names."""
        columns = [inputs] if isinstance(inputs, Tensor) else _tensors(inputs)
        for sample in zip(*columns, strict=True):
            for tensor in sample:
                self._hash.update(raw_bytes(tensor))
        self._labels += labels.cpu().numpy().astype("<i8").tobytes()

    def digest(self) -> str:
        """The fingerprint in hexadecimal."""
        whole = self._hash.copy()
        whole.update(self._labels)
        return whole.hexdigest()


def _tensors(inputs: Mapping[str, Any]) -> list[Tensor]:
    return [inputs[name] for name in sorted(inputs) if isinstance(inputs[name], Tensor)]


def raw_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, row by row."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
