"""A network's state dict to and from a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nbdt.errors import FormatError, InputError

_NAMES_SHOWN = 3


def save_tensors(network: nn.Module, path: Path) -> None:
    """Writes the network's state dict; tensors with several names (tied weights) once.

    Raises:
        InputError: the state dict holds something that is not an ordinary tensor with values, or
            the file cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "weights.safetensors"
        >>> save_tensors(nn.Linear(2, 3), file)
        >>> load_tensors(nn.Linear(2, 3), file)
    """
    state = network.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or is_lazy(tensor) or tensor.is_meta:
            raise InputError(
                f"{name} of the network holds no tensor with values, so the network cannot be "
                "saved; if it is lazy or on the meta device, run or load it first."
            )
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise InputError(
                f"{name} of the network is a sparse or quantised tensor, which safetensors cannot "
                "hold."
            )
    first = _first_names(state)
    for name, tensor in state.items():
        if first[name] == name:
            # The file format wants every tensor to own its memory, row by row.
            own = tensor.untyped_storage().nbytes() == tensor.nbytes and tensor.is_contiguous()
            dense = tensor if own else tensor.clone(memory_format=torch.contiguous_format)
            tensors[name] = dense.detach().cpu()
    # safetensors makes files that only their owner can read; this one is to be like any other.
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise InputError(f"{path.name} cannot be written: {error}.") from None
    path.chmod(mode)


def load_tensors(network: nn.Module, path: Path, *, as_stored: bool = True) -> None:
    """Fills the network with the tensors of a file, all of them or none.

    Args:
        network: of the making that the file was written from.
        path: a safetensors file.
        as_stored: whether the network takes over the file's floating-point types; otherwise the
            values are converted to the network's.

    Raises:
        FormatError: the file is no safetensors file, or its tensors are not the network's; the
            message names the first that are missing, unknown or of another shape. Counters of
            batch norm (``num_batches_tracked``) may be missing, as in torch.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "weights.safetensors"
        >>> save_tensors(nn.Linear(2, 3), file)
        >>> load_tensors(nn.Linear(2, 4), file)
        Traceback (most recent call last):
        nbdt.errors.FormatError: weights.safetensors does not fit the network: 2 of another shape
        (weight is (3, 2), expected (4, 2); bias is (3,), expected (4,)).
    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"{path.name} is not a whole safetensors file: {error}.") from None
    live = network.state_dict(keep_vars=True)
    first = _first_names(live)
    _check_fit(path.name, stored, {name: live[name] for name in set(first.values())}, live)

    full = {name: stored.get(first[name], live[name].detach()) for name in live}
    if as_stored:
        for name, tensor in live.items():
            # In place of the data, so that tied and shared parameters remain one.
            tensor.data = tensor.data.to(full[name].dtype)
    try:
        network.load_state_dict(full)
    except RuntimeError as error:
        raise FormatError(f"{path.name} does not fit the network: {error}") from None


def _first_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """For every name, the first name of the same tensor: its own, unless weights are tied."""
    first: dict[object, str] = {}
    return {
        name: first.setdefault(
            (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            if tensor.numel() and not tensor.is_meta
            else name,
            name,
        )
        for name, tensor in state.items()
    }


def _check_fit(
    file: str,
    stored: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    live: Mapping[str, Tensor],
) -> None:
    missing = [
        name
        for name in live
        if name in wanted and name not in stored and not name.endswith("num_batches_tracked")
    ]
    unknown = [name for name in stored if name not in wanted]
    shapes, kinds = [], []
    for name in (name for name in live if name in wanted and name in stored):
        one, other = stored[name], wanted[name]
        if one.shape != other.shape:
            shapes.append(f"{name} is {tuple(one.shape)}, expected {tuple(other.shape)}")
        elif one.is_floating_point() != other.is_floating_point() or (
            one.is_complex() != other.is_complex()
        ):
            kinds.append(f"{name} is {one.dtype}, expected {other.dtype}")
    problems = [
        f"{len(names)} {what} ({'; '.join(names[:_NAMES_SHOWN])}"
        + ("; …)" if len(names) > _NAMES_SHOWN else ")")
        for names, what in (
            (missing, "tensors missing"),
            (unknown, "unknown to the network"),
            (shapes, "of another shape"),
            (kinds, "of another type"),
        )
        if names
    ]
    if problems:
        raise FormatError(f"{file} does not fit the network: {', '.join(problems)}.")
