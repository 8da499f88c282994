"""What a classifier returns, as logits: the one place where that is decided.

Adding a number to all logits of a sample changes no probability, so log-probabilities serve as
logits; that is how classifiers that only give probabilities become trees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.errors import InputError

OutputKind = Literal["logits", "log_probs", "probabilities"]
OUTPUTS: tuple[OutputKind, ...] = get_args(OutputKind)
"""What a classifier may return."""

TOLERANCE = 0.01
"""How far probabilities may sum from 1: half types and rounded figures do by this much."""


def check_outputs(outputs: object) -> OutputKind:
    """One of `OUTPUTS`; an InputError if it is something else."""
    for known in OUTPUTS:
        if outputs == known:
            return known
    raise InputError(f"outputs must be one of {', '.join(OUTPUTS)}; got {outputs!r:.80}.")


def as_logits(
    values: Any, outputs: OutputKind = "logits", num_classes: int | None = None
) -> Float[Tensor, "batch classes *sites"]:
    """What a classifier returned for a batch as logits of shape (batch, C, …).

    Args:
        values: a tensor, an array or nested lists, or an object or mapping that holds one as
            ``logits`` (or ``out``); of shape (batch, C), or (batch, C, *sites) for maps of classes.
            With two classes one column is enough, or shape (batch,): z means (0, z), and p means
            (1 − p, p).
        outputs: what the values are. Probabilities become their logs, −inf where they are 0.
        num_classes: C; by default as many as there are columns.

    Raises:
        InputError: the values are no numbers, have another shape, or are no probabilities; it names
            the sample. Logits are not looked at here: the rules do.

    Example:
        >>> as_logits([[0.25], [1.0]], "probabilities", 2).exp()
        tensor([[0.7500, 0.2500],
                [0.0000, 1.0000]], dtype=torch.float64)
    """
    check_outputs(outputs)
    array = _columns(as_tensor(values), num_classes, outputs)
    if outputs == "logits":
        single = array.shape[1] == 1
        return torch.cat([torch.zeros_like(array), array], dim=1) if single else array
    if not (array.is_meta or torch.compiler.is_compiling()):
        _check_probabilities(array, outputs)
    if array.shape[1] > 1:
        return array.log() if outputs == "probabilities" else array
    if outputs == "probabilities":
        return torch.cat([torch.log1p(-array.clamp(max=1)), array.log()], dim=1)
    array = array.clamp(max=0)
    # log(1 − exp(x)), each form where it is exact.
    rest = torch.where(array > -math.log(2), (-torch.expm1(array)).log(), (-array.exp()).log1p())
    return torch.cat([rest, array], dim=1)


def as_tensor(values: Any) -> Tensor:
    """What a classifier returned, as a tensor of floating-point numbers."""
    # torchvision's segmentation networks call it "out".
    if isinstance(values, Mapping):
        held = values.get("logits", values.get("out"))
    else:
        held = getattr(values, "logits", None)
    found = values if held is None else held
    if isinstance(held, Tensor) and held.ndim == 3 and held.shape[1] == held.shape[2]:
        raise InputError(
            f"the network's logits are of shape {tuple(held.shape)}, so either axis may be the "
            "classes; return a tensor of shape (batch, classes, sites)."
        )
    if not isinstance(found, Tensor):
        try:
            array = np.asarray(found)
        except (TypeError, ValueError, RuntimeError):  # ragged lists, tensors with gradients
            array = np.asarray(None)
        if array.dtype.kind not in "iuf":
            raise InputError(
                f"the classifier returned {type(values).__name__}; expected numbers, one row per "
                "sample and one column per class, as a tensor, an array or lists, or an object "
                "that holds them as .logits."
            )
        # torch has none of the other byte orders and wider floats.
        wide = array.dtype.itemsize > 8 or not array.dtype.isnative
        found = torch.tensor(array.astype(np.float64) if wide else array)
    if found.is_complex() or found.dtype == torch.bool:
        raise InputError(f"the classifier returned {found.dtype}; expected real numbers.")
    return found if found.is_floating_point() else found.float()


def _columns(array: Tensor, num_classes: int | None, outputs: OutputKind) -> Tensor:
    """The values with their classes on axis 1; a single column stays one."""
    if array.ndim == 1 and num_classes in (None, 2):
        return array[:, None]
    single = array.ndim > 1 and array.shape[1] == 1 and num_classes in (None, 2)
    if array.ndim < 2 or not (single or array.shape[1] == (num_classes or array.shape[1]) > 0):
        expected = "classes" if num_classes is None else num_classes
        last = array.ndim > 2 and array.shape[-1] == num_classes
        raise InputError(
            ("" if num_classes is None else f"the tree has {num_classes} classes, so ")
            + f"the network must return {outputs.replace('_', '-')} of shape (batch, {expected}"
            f"{', *sites' if array.ndim > 2 else ''}); got {tuple(array.shape)}"
            + ("; movedim(-1, 1) puts its last axis there." if last else ".")
        )
    return array


def _check_probabilities(array: Tensor, outputs: OutputKind) -> None:
    values = array.detach().double()
    probabilities = values if outputs == "probabilities" else values.exp()
    total = probabilities.sum(dim=1)
    near_one = (total - 1).abs() <= TOLERANCE if array.shape[1] > 1 else total <= 1 + TOLERANCE
    wrong = ~((probabilities >= 0).all(dim=1) & near_one)  # NaN is neither
    if not bool(wrong.any()):
        return
    sample, *site = wrong.nonzero()[0].tolist()
    got, share = (part[(sample, slice(None), *site)] for part in (values, probabilities))
    advice = "say outputs='logits' if they are logits"
    if bool(got.isnan().any()):
        what, advice = "hold NaN", "look for NaN in the input"
    elif bool((share < 0).any()):
        what = f"hold {got.min():.4g}"
    elif array.shape[1] == 1:
        what = f"are {got.item():.4g}"
    else:
        what = f"sum to {share.sum():.4g}" + (" after exp" if outputs == "log_probs" else "")
    where = f"sample {sample}" + (f" at {tuple(site)}" if site else "")
    name = "probabilities" if outputs == "probabilities" else "log-probabilities"
    raise InputError(f"the classifier's values for {where} are not {name}: they {what}; {advice}.")
