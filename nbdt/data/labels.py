"""Labels and other ids in tensors, checked before anything is counted by them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from nbdt.documents import described
from nbdt.errors import InputError


def checked_ids(
    ids: Any, count: int, limit: int, *, one: str = "label", of: str = "classes"
) -> Int[Tensor, " count"]:
    """The ids in int64, on the device that they are on.

    Args:
        ids: what should be a tensor of whole numbers, 0 … limit − 1; shape (count,).
        count: how many there have to be.
        limit: how many things they may stand for.
        one: what an error calls one of them.
        of: what an error calls the things they stand for.

    Raises:
        InputError: they are something else; the message says what was got.

    Example:
        >>> checked_ids(torch.tensor([2, 0], dtype=torch.uint8), 2, 3)
        tensor([2, 0])
        >>> checked_ids(torch.tensor([2, 3]), 2, 3)
        Traceback (most recent call last):
        nbdt.errors.InputError: a label is 3; with 3 classes labels go from 0 to 2.
    """
    whole = isinstance(ids, Tensor) and not (ids.is_floating_point() or ids.is_complex())
    if not whole or ids.dtype == torch.bool or ids.shape != (count,):
        raise InputError(
            f"{one}s have to be a tensor of whole numbers of shape ({count},), one a sample; got "
            f"{told(ids)}."
        )
    checked: Tensor = ids.to(torch.int64)
    if count:
        lowest, highest = torch.stack(checked.aminmax()).tolist()
        if lowest < 0 or highest >= limit:
            wrong = lowest if lowest < 0 else highest
            article = "an" if one[0] in "aeiou" else "a"
            raise InputError(
                f"{article} {one} is {wrong}; with {limit} {of} {one}s go from 0 to {limit - 1}."
            )
    return checked


def told(value: object) -> str:
    """What an error says of a value that should have been a tensor, or another tensor.

    Example:
        >>> told(torch.zeros(2, 3)), told([0, 1])
        ('torch.float32 of shape (2, 3)', 'a list')
    """
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return described(value)
