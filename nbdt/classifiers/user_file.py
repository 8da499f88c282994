"""A network of the user's own, built by a function in a Python file: `my_network.py:build`.

No model folder ever names one: the file is run, so that is for the user to ask for.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from nbdt.errors import InputError, NotFoundError, reason_of


def is_own(source: str) -> bool:
    """Whether this names a function in a Python file, or at least such a file."""
    return ".py:" in source or source.endswith(".py")


def own_network(source: str, **arguments: Any) -> nn.Module:
    """The network that a function in a Python file returns.

    Args:
        source: "FILE.py:FUNCTION". The file is run, as a module that can import its neighbours at
            its top; what is imported when the network is called, has to be installed.
        **arguments: what the function is given.

    Raises:
        NotFoundError: there is no such file, or no such function in it.
        InputError: the source is of another form, the code failed, or what it gives is no network.
    """
    place, _, function = source.rpartition(":")
    path = Path(place)
    if path.suffix != ".py" or not function.isidentifier():
        raise InputError(f"a network of one's own is FILE.py:FUNCTION, got {source!r:.80}.")
    if not path.is_file():
        raise NotFoundError(f"{place}: there is no such file.")
    network = _called(path, function, arguments)
    if not isinstance(network, nn.Module):
        raise InputError(
            f"{source} returned {type(network).__name__}; expected a network, a torch.nn.Module."
        )
    return network


def _called(path: Path, function: str, arguments: dict[str, Any]) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # any file called .py has one, and a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = path.parent.resolve()
    sys.path.insert(0, str(folder))
    before = dict(sys.modules)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
        build = getattr(module, function, None)
        if not callable(build):
            raise NotFoundError(f"{path}: there is no function {function!r} in it.")
        return build(**arguments)
    except NotFoundError:
        raise
    # Whatever the user's code may raise, it is to be told in one sentence.
    except Exception as error:
        kind, said = type(error).__name__, reason_of(error)
        told = kind if said == kind else f"{kind}: {said}"
        raise InputError(f"{path}: {function} failed: {told}") from error
    finally:
        sys.path.remove(str(folder))
        _forget(folder, before)


def _forget(folder: Path, before: dict[str, ModuleType]) -> None:
    """Forgets what was imported from a folder: files in others may be called alike, or change."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if before.get(name) is not module and file and Path(file).is_relative_to(folder):
            del sys.modules[name]
            if name in before:
                sys.modules[name] = before[name]
