"""What the rules cost on a map of classes: time over argmax, and peak memory over the logits.

Both sides of the time are measured in turn in one run. Peak memory is that of a child process that
does one thing, as the kernel counts it (VmHWM), less what the child needs without the logits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from timing import compare, machine

import nbdt
from nbdt.rules import TreeLayout, map_answers, map_log_probs

TASKS = ("nothing", "argmax", "soft", "hard", "log-probabilities")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, nargs="+", default=[19])
    parser.add_argument("--size", type=int, nargs=2, default=[1024, 2048])
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--score", default="logsumexp", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        once(options.task, options.score, options.classes[0], options.size)
        return
    print(f"Maps of {options.size[0]} × {options.size[1]} sites; {machine()}\n")
    print("| classes | score | argmax | soft: × argmax | hard: × argmax | hard: × max |", end="")
    print(" logits | hard: peak × logits | log-probabilities: peak × logits |")
    print("| ---: | --- |" + " ---: |" * 7)
    for num_classes in options.classes:
        for score in ("logsumexp", "mean"):
            row(num_classes, score, options.size)


def row(num_classes: int, score: str, size: list[int]) -> None:
    base, largest, soft, hard = times(num_classes, score, size)
    of_logits = num_classes * size[0] * size[1] * 4
    idle = peak("nothing", score, num_classes, size)
    hard_peak, soft_peak = (
        (peak(task, score, num_classes, size) - idle) / of_logits
        for task in ("hard", "log-probabilities")
    )
    print(
        f"| {num_classes} | {score} | {base * 1e3:.0f} ms | {soft / base:.2f} | {hard / base:.2f} "
        f"| {hard / largest:.1f} | {of_logits / 2**20:.0f} MiB | {hard_peak:.2f} "
        f"| {soft_peak:.2f} |",
        flush=True,
    )


@torch.inference_mode()
def times(num_classes: int, score: str, size: list[int]) -> list[float]:
    logits, layout = made(num_classes, size)
    return compare(
        lambda: logits.argmax(1),
        lambda: logits.max(1),
        lambda: map_answers(logits, layout, score, "soft"),
        lambda: map_answers(logits, layout, score, "hard"),
        rounds=5,
    )


def made(num_classes: int, size: list[int]) -> tuple[torch.Tensor, TreeLayout]:
    rows = np.random.default_rng(0).normal(size=(num_classes, 64))
    generator = torch.Generator().manual_seed(0)
    logits = torch.empty(1, num_classes, *size).normal_(generator=generator)
    return logits.mul_(3), TreeLayout(nbdt.induce(rows))


@torch.inference_mode()
def once(task: str, score: str, num_classes: int, size: list[int]) -> None:
    """One answer, and the most memory that this process ever held."""
    logits, layout = made(num_classes, [8, 8] if task == "nothing" else size)
    if task == "argmax":
        logits.argmax(1)
    elif task == "log-probabilities":
        map_log_probs(logits, layout, score)
    else:
        map_answers(logits, layout, score, "hard" if task == "nothing" else task)
    status = Path("/proc/self/status").read_text()
    print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def peak(task: str, score: str, num_classes: int, size: list[int]) -> int:
    """The peak of a child process that does this task, in bytes."""
    command = [sys.executable, __file__, "--task", task, "--score", score]
    command += ["--classes", str(num_classes), "--size", *map(str, size)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024


if __name__ == "__main__":
    main()
