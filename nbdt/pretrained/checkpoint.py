"""Weights that others saved, read into a network: safetensors, or a pickle that is trusted."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nbdt.errors import FormatError, InputError, NotFoundError, reason_of
from nbdt.pretrained.tensors import load_tensors

# Where training scripts put the state dict in what they save besides.
STATE_KEYS = ("net", "state_dict", "model")
# What DataParallel and DDP write before every name.
WRAPPER = "module."

# How a file of torch.save begins: a zip archive, or, before torch 1.6, a pickle as such.
_PICKLES = (b"PK\x03\x04", b"\x80")


def load_checkpoint(network: nn.Module, path: Path, *, trust_pickle: bool = False) -> None:
    """Fills a network with the weights of a checkpoint, all of them or none.

    A checkpoint is a safetensors file, or what ``torch.save`` wrote: a state dict, a dict that
    holds one as ``net``, ``state_dict`` or ``model``, or the network itself. ``module.`` before
    every name is taken away. Values take the types of the network's own.

    Args:
        network: of the making that the weights are of.
        path: the file.
        trust_pickle: whether a file of ``torch.save`` may be read. Such a file is a pickle, which
            **can run any code**; torch's restricted reader is tried first, and where it refuses,
            the file is unpickled as it is.

    Raises:
        NotFoundError: there is no such file.
        InputError: the file is a pickle and not trusted.
        FormatError: it holds no weights, or not those of this network; the message says which.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "epoch-9.pth")
        >>> state = {f"module.{name}": t for name, t in nn.Linear(2, 3).state_dict().items()}
        >>> torch.save({"net": state, "epoch": 9}, file)
        >>> load_checkpoint(nn.Linear(2, 3), file, trust_pickle=True)
        >>> load_checkpoint(nn.Linear(2, 3), file)
        Traceback (most recent call last):
        nbdt.errors.InputError: epoch-9.pth is a pickle, which can run any code when it is read; ...
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read: {error.strerror}.") from None
    # A safetensors file has a length in its first eight bytes, and these may be any.
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
        # Something besides tensors and plain values is in it, and the caller trusts it.
        pass
    except Exception as error:
        raise _unreadable(path, error) from None
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the code in the file raises
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> FormatError:
    reason = reason_of(error)
    return FormatError(f"{path.name} cannot be unpickled: {reason:.200}.")


def _state_dict(saved: Any, name: str) -> dict[str, Tensor]:
    """The tensors by name that something saved holds."""
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
