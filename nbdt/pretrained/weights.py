"""Weights: a network's state dict as a safetensors file, and checkpoints from other tools."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nbdt.errors import FormatError, InputError, NotFoundError, reason_of

_NAMES_SHOWN = 3
# The keys under which training scripts save the state dict.
STATE_KEYS = ("net", "state_dict", "model")
# The prefix that DataParallel and DDP add to every name.
WRAPPER = "module."

# safetensors' names of types.
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "C64": torch.complex64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}

# How a torch.save file begins: a zip archive, or, before torch 1.6, a plain pickle.
_PICKLES = (b"PK\x03\x04", b"\x80")


def save_tensors(network: nn.Module, path: Path) -> None:
    """Writes the network's state dict; tensors with several names (tied weights) once."""
    state = network.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or is_lazy(tensor) or tensor.is_meta:
            raise InputError(
                f"{name} of the network is not a tensor with values, so the network cannot be "
                "saved; if it is lazy or on the meta device, run or load it first."
            )
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise InputError(
                f"{name} of the network is a sparse or quantized tensor, which safetensors cannot "
                "hold."
            )
    first = _first_names(state)
    for name, tensor in state.items():
        if first[name] == name:
            # The file format wants every tensor to own its memory, row by row.
            own = tensor.untyped_storage().nbytes() == tensor.nbytes and tensor.is_contiguous()
            dense = tensor if own else tensor.clone(memory_format=torch.contiguous_format)
            tensors[name] = dense.detach().cpu()
    # safetensors makes files that only their owner can read; this one gets the usual mode.
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise InputError(f"{path.name} cannot be written: {error}.") from None
    path.chmod(mode)


def load_tensors(network: nn.Module, path: Path, *, as_stored: bool = True) -> None:
    """Fills the network with the tensors of a safetensors file, all of them or none.

    With `as_stored` the network takes over the file's floating-point types; otherwise the values
    are converted to its own. A FormatError lists the first tensors that are missing, unknown or of
    another shape. Counters of batch norm (``num_batches_tracked``) may be missing, as in torch.
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
            # Replacing the data in place keeps tied and shared parameters together.
            tensor.data = tensor.data.to(full[name].dtype)
    try:
        network.load_state_dict(full)
    except RuntimeError as error:
        raise FormatError(f"{path.name} does not fit the network: {error}") from None


def check_shapes(network: nn.Module, path: Path) -> None:
    """Refuses a file whose tensors do not fit a network, by its header alone.

    The network may be on the meta device, so that nothing is allocated.
    """
    try:
        with safe_open(path, framework="pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            stored = {
                name: torch.empty(part.get_shape(), dtype=_DTYPES[part.get_dtype()], device="meta")
                for name, part in parts.items()
            }
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"{path.name} is not a whole safetensors file: {error}.") from None
    live = network.state_dict(keep_vars=True)
    _check_fit(path.name, stored, {n: live[n] for n in set(_first_names(live).values())}, live)


def load_checkpoint(network: nn.Module, path: Path, *, trust_pickle: bool = False) -> None:
    """Fills a network with the weights of a checkpoint, all of them or none.

    A checkpoint is a safetensors file, or a file written by ``torch.save``: a state dict, a dict
    that holds one as ``net``, ``state_dict`` or ``model``, or the network itself. The prefix
    ``module.`` common to all names is removed. Values are converted to the network's types.

    A ``torch.save`` file is a pickle, which **can run any code**, so it is read only with
    `trust_pickle`: by torch's restricted reader first, and if that refuses, unpickled as it is.

    Raises:
        InputError: the file is a pickle and not trusted.
        FormatError: it contains no weights, or another network's; the message says which.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read: {error.strerror}.") from None
    # A safetensors file starts with an eight-byte length, which may look like anything.
    if start[8:] == b"{" or not start.startswith(_PICKLES):
        load_tensors(network, path, as_stored=False)
        return
    if not trust_pickle:
        raise InputError(
            f"{path.name} is a pickle, which can run any code when it is read; if you trust where "
            "it comes from, say so (--trust-pickle, or trust_pickle=True), or give a safetensors "
            "file."
        )
    state = _state_dict(_unpickled(path), path.name)
    with TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        # The file format wants every tensor to own its memory, row by row.
        own = {k: t.detach().clone(memory_format=torch.contiguous_format) for k, t in state.items()}
        save_file(own, copy)
        load_tensors(network, copy, as_stored=False)


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # It contains more than tensors and plain values, and the caller trusts it.
        pass
    except Exception as error:
        raise _unreadable(path, error) from None
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # code in the file may raise anything
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> FormatError:
    reason = reason_of(error)
    return FormatError(f"{path.name} cannot be unpickled: {reason:.200}.")


def _state_dict(saved: Any, name: str) -> dict[str, Tensor]:
    if isinstance(saved, Mapping):
        inside = (saved.get(key) for key in STATE_KEYS)
        saved = next((one for one in inside if isinstance(one, Mapping | nn.Module)), saved)
    if isinstance(saved, nn.Module):
        saved = saved.state_dict()
    entries = saved.items() if isinstance(saved, Mapping) else ()
    tensors = {str(key): value for key, value in entries if isinstance(value, Tensor)}
    if not tensors:
        raise FormatError(
            f"{name} holds no state dict, neither by itself nor as {', '.join(STATE_KEYS)}."
        )
    if all(key.startswith(WRAPPER) for key in tensors):
        return {key.removeprefix(WRAPPER): value for key, value in tensors.items()}
    return tensors


def _first_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """For every name, the first name of the same tensor: its own, unless weights are tied."""
    first: dict[object, str] = {}
    return {
        name: first.setdefault(
            (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            if tensor.numel() and not tensor.is_meta
            else (id(tensor) if tensor.is_meta else name),
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
