"""A module in eval mode, while others may be using or training the very same module."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)

_METHOD = nn.Module().forward


@contextmanager
def eval_mode(module: M) -> Iterator[M]:
    """A module in eval mode, without gradients inside the block: the one to use there.

    A module in eval mode is given as it is, so threads share it. Of one that is training, a *view*
    is given: the same parameters, buffers and hooks in other objects, which are in eval mode. So
    the module never changes, and any number of threads are right while another one trains it.

    A view is not possible where a forward pass is bound to the very objects (scripted and compiled
    modules, FSDP), or where `train` does more than set the flags. Such a module is switched and
    switched back when the last block ends: right in any number of threads, but not while another
    one trains it.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> with eval_mode(network) as still:
        ...     still[1].training, still[0].weight is network[0].weight, network[1].training
        (False, True, True)
    """
    with torch.no_grad():
        if not _switched.count and not any(part.training for part in module.modules()):
            yield module
        elif (view := _view(module, {})) is not None:
            yield view
        else:
            _switched.enter(module)
            try:
                yield module
            finally:
                _switched.leave()


def _view(module: Any, known: dict[int, nn.Module]) -> Any:
    """A module of other objects and the same tensors, in eval mode; None if there cannot be one."""
    if (found := known.get(id(module))) is not None:
        return found
    kind: Any = type(module)
    own = vars(module)
    if not _can_be_viewed(kind) or not isinstance(own.get("forward", _METHOD), MethodType):
        return None
    view = known[id(module)] = object.__new__(kind)  # graph modules make a class for each object
    values = vars(view)
    values.update(own)
    values["training"] = False
    if not own["_modules"] and kind.__module__.startswith("torch.nn.modules."):
        return view
    # Children first: what else the module holds may refer to them.
    parts = {
        name: None if part is None else _view(part, known) for name, part in own["_modules"].items()
    }
    if any(parts[name] is None and part is not None for name, part in own["_modules"].items()):
        return None
    values["_modules"] = parts
    for name, value in own.items():
        if name[0] != "_" and isinstance(value, nn.Module | list | tuple | dict | MethodType):
            values[name] = _translated(value, known)
    return view


@cache
def _can_be_viewed(kind: type[nn.Module]) -> bool:
    return (
        not issubclass(kind, torch.jit.ScriptModule)
        and kind.train is nn.Module.train
        and kind.eval is nn.Module.eval
        and not kind.__name__.startswith(("FSDP", "FullySharded", "Optimized"))
    )


def _translated(value: Any, known: dict[int, nn.Module]) -> Any:
    """An attribute that may refer to modules, with their views in their place."""
    if isinstance(value, nn.Module):
        return known.get(id(value), value)
    if isinstance(value, MethodType):
        return MethodType(value.__func__, known.get(id(value.__self__), value.__self__))
    if type(value) in (list, tuple) and any(id(part) in known for part in value):
        return type(value)(_translated(part, known) for part in value)
    if type(value) is dict and any(id(part) in known for part in value.values()):
        return {key: _translated(part, known) for key, part in value.items()}
    return value


class _Switched:
    """The modules that blocks have switched to eval mode, and what to restore after the last."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._modes: dict[nn.Module, bool] = {}
        self._trained: list[nn.Module] = []

    def enter(self, module: nn.Module) -> None:
        with self._lock:
            self.count += 1
            training = [part for part in module.modules() if part.training]
            if training:
                self._modes |= {part: part.training for part in module.modules()} | self._modes
                self._trained += [module] * module.training
                module.eval()

    def leave(self) -> None:
        with self._lock:
            self.count -= 1
            if not self.count:
                # `train` first: some modules do more in it than set the flag.
                for module in self._trained:
                    module.train()
                for part, mode in self._modes.items():
                    part.training = mode
                self._modes, self._trained = {}, []


_switched = _Switched()
