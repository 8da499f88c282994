"""What a process holds for all: no test, and nothing that one calls, may leave it changed.

`conftest.py` registers this module as a plugin, so that doctests are watched too.
"""

import _signal  # signal.getsignal makes an enum of each, at ten times the cost
import gc
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.logging import LogCaptureHandler

# SIGCHLD is torch's: the workers of its DataLoader are watched by a handler that stays.
SIGNALS = {
    name: int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
}
_seen: dict[str, Any] = {}
LOGGERS = ("nbdt",)  # uvicorn sets up its own when a server is made
# pytest's own, and what other libraries set when they are first imported.
NOT_OURS = (
    "PYTEST_",
    "KMP_",
    "TORCHINDUCTOR_",
    "_TORCHINDUCTOR_",
    "TRITON_",
    "HF_",
    "TOKENIZERS_",
    "ACCELERATE_",
    "_RJEM_MALLOC_CONF",  # polars
)


def process_state() -> dict[str, Any]:
    """All of it that is cheap to ask for, in some 30 µs."""
    return {
        "the number of torch's threads": torch.get_num_threads(),
        "torch's default type": torch.get_default_dtype(),
        "whether torch records gradients": torch.is_grad_enabled(),
        "whether torch is deterministic": torch.get_deterministic_debug_mode(),
        "numpy's handling of errors": np.geterr(),
        "signal handlers": {name: _signal.getsignal(one) for name, one in SIGNALS.items()},
        "the environment": _environment(),
        "the working directory": os.getcwd(),  # noqa: PTH109 - ten times as fast
        "the garbage collector": (gc.isenabled(), gc.get_freeze_count()),
        "the limit of recursion": sys.getrecursionlimit(),
        "logging": _logging(),
    }


def _environment() -> dict[str, str]:
    # As bytes first: to decode all of it takes longer than everything else.
    raw = dict(os.environ._data)  # type: ignore[attr-defined]
    raw.pop(b"PYTEST_CURRENT_TEST", None)
    if raw != _seen.get("raw"):
        _seen["raw"] = raw
        _seen["decoded"] = {
            name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)
        }
    return _seen["decoded"]


def _logging() -> dict[str, Any]:
    root = logging.getLogger()
    found: dict[str, Any] = {"": (root.level, _handlers(root), root.manager.disable)}
    for name, one in root.manager.loggerDict.items():
        if name.startswith(LOGGERS) and isinstance(one, logging.Logger):
            settings = (one.level, _handlers(one), one.propagate, one.disabled)
            if settings != (logging.NOTSET, [], True, False):  # else as when it was made
                found[name] = settings
    return found


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    return [one for one in logger.handlers if not isinstance(one, LogCaptureHandler)]


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is not as it was, a sentence each."""
    said = []
    for what, was in before.items():
        now = after[what]
        if was != now and isinstance(was, dict):
            said += [
                f"{what}: {key or 'root'} was {was.get(key)!r}, is {now.get(key)!r}"
                for key in was.keys() | now.keys()
                if was.get(key) != now.get(key)
            ]
        elif was != now:
            said.append(f"{what} was {was!r}, is {now!r}")
    return said


def random_states() -> tuple[Any, ...]:
    """The states of all generators that belong to the process."""
    state = np.random.get_state()
    return (
        random.getstate(),
        (state[0], state[1].tobytes(), *state[2:]),
        torch.get_rng_state().numpy().tobytes(),
    )


_known: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _process_stays_as_it_was() -> Iterator[None]:
    """Compares with what the last test left, so that fixtures of modules are watched as well."""
    if not _known:
        _known.update(process_state())
    yield
    now = process_state()
    if now != _known:
        found = changes(_known, now)
        _known.update(now)
        pytest.fail("left behind in the process: " + "; ".join(found), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Filters of warnings are pytest's around a test, so they are compared right around it."""
    before, modules = [*warnings.filters], len(sys.modules)
    result = yield
    # Some libraries add filters when they are first imported; that is theirs.
    if warnings.filters != before and len(sys.modules) == modules:
        new = [one for one in warnings.filters if one not in before]
        pytest.fail(f"left behind in the process: filters of warnings, new: {new}", pytrace=False)
    return result
