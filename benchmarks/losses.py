"""What tree supervision costs, as multiples of `torch.nn.functional.cross_entropy`.

Forward and backward of the whole loss, cross-entropy and the tree's, on the same random logits;
the mark is 6 × at 1,000 classes, for soft and for hard.

python benchmarks/losses.py [--batch 128] [--threads 2] [--profile]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from timing import compare, machine
from torch import Tensor

import nbdt
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.losses import TreeSupervisionLoss
from nbdt.losses.paths import PathTable


def trees() -> dict[str, Hierarchy]:
    bundled = ("cifar10/resnet20", "cifar100/wordnet", "imagenet1k/mobilenet_v2")
    return {name: nbdt.load_hierarchy(name) for name in (*bundled, "imagenet1k/wordnet")} | {
        "balanced": shapes.balanced(1000),
        "random": shapes.random(1000, seed=0),
        "flat": shapes.flat(1000),
        "random, 21,841": shapes.random(21_841, seed=0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="the steps of the loss")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{machine()}, batch {options.batch}, float32; × = multiples of cross_entropy\n")
    if options.profile:
        profile(nbdt.load_hierarchy("imagenet1k/mobilenet_v2"), options.batch)
        return
    print("| tree | classes | cross_entropy | soft | hard | soft, smoothing 0.1 |")
    print("| --- " + "| ---: " * 5 + "|")
    for name, tree in trees().items():
        row(name, tree, options.batch)


def inputs(num_classes: int, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, num_classes, generator=generator) * 3
    return logits.requires_grad_(), torch.randint(num_classes, (batch,), generator=generator)


def row(name: str, tree: Hierarchy, batch: int) -> None:
    logits, target = inputs(tree.num_classes, batch)
    losses: list[Callable[[Tensor, Tensor], Tensor]] = [
        torch.nn.functional.cross_entropy,
        TreeSupervisionLoss(tree, rule="soft"),
        TreeSupervisionLoss(tree, rule="hard"),
        TreeSupervisionLoss(tree, rule="soft", label_smoothing=0.1),
    ]
    steps = [lambda loss=loss: torch.autograd.grad(loss(logits, target), logits) for loss in losses]
    base, *times = compare(*steps, rounds=9 if tree.num_classes > 1000 else 25)
    multiples = " | ".join(f"{time / base:.1f} ×" for time in times)
    print(f"| {name} | {tree.num_classes:,} | {base * 1e6:.0f} µs | {multiples} |", flush=True)


def profile(tree: Hierarchy, batch: int) -> None:
    """The passes over all logits, each alone, medians of 500 runs in turn."""
    logits, target = inputs(tree.num_classes, batch)
    values, table = logits.detach(), PathTable(tree)
    groups = table.groups
    index, log_probs = groups.index(target), values.log_softmax(1)
    sums, grads = groups.sums(values, index), torch.randn(batch, 1)
    loss = TreeSupervisionLoss(tree)

    def cross_entropy() -> None:
        torch.autograd.grad(torch.nn.functional.cross_entropy(logits, target), logits)

    steps: dict[str, Callable[[], object]] = {
        "cross_entropy": cross_entropy,
        "the whole loss": lambda: torch.autograd.grad(loss(logits, target), logits),
        "forward: the groups of each class": lambda: groups.index(target),
        "forward: sums over the groups": lambda: groups.sums(values, index),
        "forward: log_softmax": lambda: values.log_softmax(1),
        "backward: values of the groups": lambda: groups.spread(sums, index, torch.float32),
        "backward: softmax": lambda: values.clone().addcmul_(log_probs.exp(), grads),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(500):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            taken[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    base, whole, *passes = medians.values()
    medians["the decisions on the paths, autograd, Python"] = whole - sum(passes)
    print("| step | µs | × cross_entropy |\n| --- | ---: | ---: |")
    for name, median in medians.items():
        print(f"| {name} | {median * 1e6:.0f} | {median / base:.1f} |")


if __name__ == "__main__":
    main()
