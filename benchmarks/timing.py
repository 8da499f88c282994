"""How the benchmarks measure: two things in turn, in one run, so that a drift hits both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

BLOCK_SECONDS = 0.02
ROUNDS = 25


def _block(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def compare(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """The median seconds a call of each function, measured in turn, block by block.

    The median of the blocks stands for what a call takes on a machine shared with others; the
    ratio of two such medians is what a table shows.
    """
    calls = []
    for function in functions:
        once = min(_block(function, 1) for _ in range(3))
        calls.append(max(1, round(BLOCK_SECONDS / max(once, 1e-7))))
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for taken, function, count in zip(times, functions, calls, strict=True):
            taken.append(_block(function, count))
    return [statistics.median(taken) for taken in times]


def machine() -> str:
    """What a table has to say of where it was measured."""
    return f"torch {torch.__version__.split('+')[0]}, {torch.get_num_threads()} threads"
