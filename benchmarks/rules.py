"""What the rules cost, as multiples of `torch.log_softmax` on the same logits.

python benchmarks/rules.py [--batch 256] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from timing import compare, machine

import nbdt
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import HardRules, SoftRules, TreeLayout, bags, node_scores


def tree_of(num_classes: int) -> Hierarchy:
    if num_classes == 10:
        return nbdt.load_hierarchy("cifar10/resnet20")
    if num_classes == 1000:
        return nbdt.load_hierarchy("imagenet1k/mobilenet_v2")
    return shapes.random(num_classes, seed=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--classes", type=int, nargs="*", default=[10, 100, 1000, 21_841])
    parser.add_argument("--profile", action="store_true", help="the steps of soft, mean, alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{machine()}, batch {options.batch}, float32; × = multiples of log_softmax\n")
    if options.profile:
        for num_classes in options.classes:
            profile(num_classes, options.batch)
        return
    print(
        "| classes | log_softmax | soft, mean | soft, logsumexp | hard, mean | hard, logsumexp "
        "| scores, mean | scores, logsumexp | hard: lse / mean | scores: lse / mean |"
    )
    print("| ---: " * 10 + "|")
    for num_classes in options.classes:
        row(num_classes, options.batch)


@torch.inference_mode()
def row(num_classes: int, batch: int) -> None:
    tree = tree_of(num_classes)
    layout = TreeLayout(tree)
    logits = torch.randn(batch, num_classes, generator=torch.Generator().manual_seed(0)) * 3
    soft = {score: SoftRules(tree, score) for score in ("mean", "logsumexp")}
    hard = {score: HardRules(tree, score) for score in ("mean", "logsumexp")}
    base, *times = compare(
        lambda: torch.log_softmax(logits, -1),
        lambda: soft["mean"](logits),
        lambda: soft["logsumexp"](logits),
        lambda: hard["mean"](logits),
        lambda: hard["logsumexp"](logits),
        lambda: node_scores(logits, layout, "mean"),
        lambda: node_scores(logits, layout, "logsumexp"),
        rounds=9 if num_classes > 1000 else 25,
    )
    multiples = " | ".join(f"{time / base:.1f} ×" for time in times)
    print(
        f"| {num_classes:,} | {base * 1e6:.0f} µs | {multiples} "
        f"| {times[3] / times[2]:.1f} | {times[5] / times[4]:.1f} |",
        flush=True,
    )


@torch.inference_mode()
def profile(num_classes: int, batch: int) -> None:
    """The steps of soft, mean, timed one after the other as they run, medians of 500 runs."""
    layout = TreeLayout(tree_of(num_classes))
    logits = torch.randn(batch, num_classes, generator=torch.Generator().manual_seed(0)) * 3
    soft = SoftRules(layout.hierarchy, "mean")
    base, whole = compare(lambda: torch.log_softmax(logits, -1), lambda: soft(logits))
    steps = {
        "are all logits ordinary?": lambda _: logits.aminmax()[1].item(),
        "transpose to rows": lambda _: bags.to_rows(logits, pad=True),
        "means of the leaves under each node": lambda rows: bags.mean_scores(rows, layout),
        "log-softmax of each family": lambda rows: bags.decide_(rows, layout),
        "sums over the paths": lambda rows: bags.path_sums(rows, layout),
        "transpose back": lambda rows: bags.to_samples(rows, batch),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(500):
        value = None
        for name, step in steps.items():
            start = time.perf_counter()
            value = step(value)
            taken[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    medians["Python between the steps"] = whole - sum(medians.values())
    print(f"{num_classes:,} classes: {whole / base:.1f} × log_softmax ({base * 1e6:.0f} µs)\n")
    print("| step | × log_softmax |\n| --- | ---: |")
    for name, median in medians.items():
        print(f"| {name} | {median / base:.1f} |")
    print(flush=True)


if __name__ == "__main__":
    main()
