"""Weights: a network's state dict as a safetensors file, and checkpoints from other tools."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nbdt.classifiers.head import plain_tensor
from nbdt.errors import FormatError, InputError, NotFoundError, reason_of

_NAMES_SHOWN = 3
# The keys under which training scripts save the state dict; of averages last.
STATE_KEYS = (
    *("net", "state_dict", "model", "model_state_dict", "network", "module", "weights", "params"),
    *("model_ema", "state_dict_ema", "ema_state_dict", "ema"),
)
# What wrappers add to names: DataParallel and DDP, torch.compile, FSDP, activation checkpointing.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

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
    state = dict(network.state_dict())
    tensors: dict[str, Tensor] = {}
    for name, tensor in list(state.items()):
        if not isinstance(tensor, Tensor) or is_lazy(tensor) or tensor.is_meta:
            raise InputError(
                f"{name} of the network is not a tensor with values, so the network cannot be "
                "saved; if it is lazy or on the meta device, run or load it first."
            )
        if hasattr(tensor, "full_tensor"):  # sharded
            state[name] = tensor.full_tensor()
        elif type(tensor) not in (Tensor, nn.Parameter):
            raise InputError(
                f"{name} of the network is a {type(tensor).__name__}, such as quantization makes, "
                "which safetensors cannot hold; save the network as it was before."
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
    _fill(network, _read_tensors(path), path.name, as_stored=as_stored)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"{path.name} is not a whole safetensors file: {error}.") from None


def _fill(network: nn.Module, stored: Mapping[str, Tensor], file: str, *, as_stored: bool) -> None:
    live = network.state_dict(keep_vars=True)
    first = _first_names(live)
    _check_fit(file, stored, {name: live[name] for name in set(first.values())}, live)

    full = {name: stored.get(first[name], live[name].detach()) for name in live}
    if as_stored:
        for name, tensor in live.items():
            # Replacing the data in place keeps tied and shared parameters together.
            tensor.data = tensor.data.to(full[name].dtype)
    try:
        network.load_state_dict(full)
    except RuntimeError as error:
        raise FormatError(f"{file} does not fit the network: {error}") from None


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
    that holds one (as ``state_dict``, ``model``, ``model_state_dict``, …), the network itself, or
    its TorchScript. What wrappers add to names (``module.``, ``_orig_mod.``) makes no difference,
    nor does a prefix of all the network's tensors, such as Lightning's ``model.``; what lies beside
    them is then left out. Values are converted to the network's types.

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
        state = _read_tensors(path)
        _fill(network, _fitting(network, state, path.name), path.name, as_stored=False)
        return
    if not trust_pickle:
        raise InputError(
            f"{path.name} is a pickle, which can run any code when it is read; if you trust where "
            "it comes from, say so (--trust-pickle, or trust_pickle=True), or give a safetensors "
            "file."
        )
    state = _state_dict(_unpickled(path), path.name)
    _fill(network, _fitting(network, state, path.name), path.name, as_stored=False)


def _fitting(network: nn.Module, state: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
    """A checkpoint's tensors by the names that they have in the network."""
    wanted = {_bare(name): name for name in network.state_dict()}
    found = {_bare(name): tensor for name, tensor in state.items()}
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    if not needed or len(found) < len(state) or len(wanted) < len(network.state_dict()):
        return dict(state)
    if needed[0] in found:
        return {wanted.get(name, name): tensor for name, tensor in found.items()}
    prefixes = [name.removesuffix(needed[0]) for name in found if name.endswith(f".{needed[0]}")]
    whole = [prefix for prefix in prefixes if all(prefix + name in found for name in needed)]
    chosen = [prefix for prefix in whole if "ema" not in prefix] or whole
    if len(chosen) > 1:
        raise FormatError(
            f"{file} holds several networks of this architecture ({', '.join(chosen)}); give the "
            "weights of one."
        )
    if not chosen:
        return dict(state)
    return {wanted[k]: found[chosen[0] + k] for k in wanted if chosen[0] + k in found}


def _bare(name: str) -> str:
    """A tensor's name without what wrappers added."""
    return ".".join(step for step in name.split(".") if step not in WRAPPERS)


def _unpickled(path: Path) -> Any:
    try:
        if _is_script(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # it is deprecated
                return torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
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


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _unreadable(path: Path, error: Exception) -> FormatError:
    reason = reason_of(error)
    return FormatError(f"{path.name} cannot be unpickled: {reason:.200}.")


def _state_dict(saved: Any, name: str) -> dict[str, Tensor]:
    keys: list[str] = []
    for _ in range(3):  # such as {"state_dict": {"model": …}}
        if isinstance(saved, nn.Module):
            saved = saved.state_dict()
        entries = saved if isinstance(saved, Mapping) else {}
        keys = keys or [str(key) for key in entries]
        inside = (entries.get(key) for key in STATE_KEYS)
        deeper = next((one for one in inside if isinstance(one, Mapping | nn.Module)), None)
        if deeper is None:
            break
        saved = deeper
    tensors = {str(k): plain_tensor(v) for k, v in entries.items() if isinstance(v, Tensor)}
    tensors.pop("n_averaged", None)  # torch's AveragedModel counts
    if not tensors:
        has = f"; its keys are {', '.join(keys[:8])}" if keys else ""
        raise FormatError(
            f"{name} holds no state dict, neither by itself nor as {', '.join(STATE_KEYS)}{has}."
        )
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
