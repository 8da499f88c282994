"""What logits, and the ids of classes and nodes, must be before anything is computed."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbdt.documents import described
from nbdt.errors import InputError


def describe(value: object) -> str:
    """How an error describes a value that should have been a tensor, or another tensor."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return described(value)


def wide_logits(logits: Any, num_classes: int) -> Float[Tensor, "*batch classes"]:
    """Logits of shape (…, C) in float32 or float64; half types become float32."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        raise InputError(
            f"logits must be a tensor of floating-point numbers; got {describe(logits)}."
        )
    if logits.ndim == 0 or logits.shape[-1] != num_classes:
        raise InputError(
            f"the tree has {num_classes} classes, so logits must be of shape "
            f"(…, {num_classes}); got {tuple(logits.shape)}."
        )
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def usable_rows(logits: Float[Tensor, "batch classes *sites"]) -> Bool[Tensor, " batch"]:
    """Which rows have an answer: no NaN, no +inf, and at least one class is not masked (−inf).

    A map has one if every site of it does.
    """
    # All three show in a row's largest logit.
    usable = logits.amax(dim=1).isfinite()
    return usable if usable.ndim == 1 else usable.flatten(1).all(dim=1)


def check_logits(logits: Any, num_classes: int) -> None:
    """Refuses anything but logits of shape (batch, C) without NaN, +inf or rows of all −inf.

    Example:
        >>> check_logits(torch.tensor([[0.0, 1.0], [torch.nan, 0.0]]), num_classes=2)
        Traceback (most recent call last):
        nbdt.errors.InputError: the logits hold NaN in row 1 (1 of 2); look for NaN in the input ...
    """
    if isinstance(logits, Tensor) and logits.ndim > 2 and logits.shape[1] == num_classes:
        raise InputError(
            f"this model gives a map of classes, {tuple(logits.shape)}, where one answer per "
            "sample is expected; in Python, predict gives maps, explain takes at=(row, column) or "
            "region=mask, and nbdt.evaluation.evaluate_maps measures them."
        )
    wide_logits(logits, num_classes)
    if logits.ndim != 2:
        raise InputError(
            f"logits must be a batch of shape (batch, {num_classes}), one row per sample; got "
            f"{tuple(logits.shape)}."
        )
    if not len(logits) or bool(usable_rows(logits).all()):
        return
    for wrong, what, advice in (
        (logits.isnan().any(-1), "hold NaN", "look for NaN in the input or the weights"),
        ((logits == math.inf).any(-1), "hold +inf", "they must be finite, or -inf"),
        ((logits == -math.inf).all(-1), "are all -inf", "leave one class unmasked"),
    ):
        rows = wrong.nonzero()[:, 0].tolist()
        if rows:
            some = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
            where = f"row{'s' * (len(rows) > 1)} {some} ({len(rows)} of {len(logits)})"
            raise InputError(f"the logits {what} in {where}; {advice}.")


def checked_ids(
    ids: Any, count: int, limit: int, *, one: str = "label", of: str = "classes"
) -> Int[Tensor, " count"]:
    """Class or node ids as int64, on their own device: `count` integers from 0 to limit − 1.

    Errors call one of them `one` and all of them `of`.
    """
    whole = isinstance(ids, Tensor) and not (ids.is_floating_point() or ids.is_complex())
    if not whole or ids.dtype == torch.bool or ids.shape != (count,):
        raise InputError(
            f"{one}s must be a tensor of whole numbers of shape ({count},), one per sample; got "
            f"{describe(ids)}."
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
