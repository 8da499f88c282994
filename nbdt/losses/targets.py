"""Logits and targets of every shape a loss takes, in the layout of torch's cross_entropy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nbdt.errors import InputError


class Samples(NamedTuple):
    """Logits (float32 or float64) and targets with the classes in dimension 1 (0 for one sample).

    Targets are int64 class indices, or probabilities in the logits' type. `shape` is the samples'
    original shape; `some_ignored` says whether class indices may be `ignore_index`.
    """

    logits: Tensor
    target: Tensor
    shape: tuple[int, ...]
    some_ignored: bool


def as_torch_has_them(
    logits: Tensor, target: Tensor, num_classes: int, ignore_index: int
) -> Samples:
    """Checked logits and targets, with the classes where torch's cross_entropy wants them.

    Dimension 1 (0 for a single sample) holds the classes if sizes allow it, else the last does.
    """
    for name, value in (("logits", logits), ("targets", target)):
        if not isinstance(value, Tensor):
            raise InputError(f"{name} must be a tensor; got {type(value).__name__}.")
    if not logits.is_floating_point():
        raise InputError(f"logits must be floating point numbers; got {logits.dtype}.")
    if target.dtype == torch.bool or target.is_complex():
        raise InputError(
            f"targets must be class indices (integers) or probabilities; got {target.dtype}."
        )
    dimension = _class_dimension(logits, target, num_classes)
    shape = tuple(logits.shape[:dimension] + logits.shape[dimension + 1 :])
    if dimension > 1:
        logits = logits.reshape(-1, num_classes)
        target = target.reshape((-1, num_classes) if target.is_floating_point() else (-1,))
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    if target.is_floating_point():
        return Samples(logits, target.to(logits.dtype), shape, some_ignored=False)
    target = target.long()
    some_ignored = not _all_classes(target, num_classes, ignore_index)
    return Samples(logits, target, shape, some_ignored or 0 <= ignore_index < num_classes)


def _class_dimension(logits: Tensor, target: Tensor, num_classes: int) -> int:
    shape, wanted = logits.shape, target.shape
    for dimension in sorted({min(1, logits.ndim - 1), logits.ndim - 1}):
        if dimension < 0 or shape[dimension] != num_classes:
            continue
        samples = shape[:dimension] + shape[dimension + 1 :]
        if wanted == (shape if target.is_floating_point() else samples):
            return dimension
    kind = "probabilities" if target.is_floating_point() else "class indices"
    raise InputError(
        f"the tree has {num_classes} classes, so logits must be of shape "
        f"(batch, {num_classes}), (batch, {num_classes}, …) or (…, {num_classes}); class indices "
        "have that shape without the classes, probabilities all of it. "
        f"Got logits of shape {tuple(shape)} and {kind} of shape {tuple(wanted)}."
    )


def _all_classes(target: Tensor, num_classes: int, ignore_index: int) -> bool:
    """Whether all targets are known to be class indices; an error if one can't be a target."""
    if torch.compiler.is_compiling() or target.is_meta or not target.numel():
        return False
    lowest, highest = (bound.item() for bound in target.aminmax())
    if lowest >= 0 and highest < num_classes:
        return True
    wrong = ((target < 0) | (target >= num_classes)) & (target != ignore_index)
    if wrong.any():
        raise InputError(
            f"class indices go from 0 to {num_classes - 1}, or are ignore_index={ignore_index}; "
            f"got {target[wrong][0].item()} (and {int(wrong.sum()) - 1} more out of range)."
        )
    return False
