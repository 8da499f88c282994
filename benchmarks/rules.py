"""What the rules cost, as multiples of `torch.log_softmax` on the same logits.

python benchmarks/rules.py [--batch 256] [--threads 2]
"""

from __future__ import annotations

import argparse

import torch
from timing import compare, machine

import nbdt
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import HardRules, SoftRules, TreeLayout, node_scores


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
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{machine()}, batch {options.batch}, float32; × = multiples of log_softmax\n")
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


if __name__ == "__main__":
    main()
