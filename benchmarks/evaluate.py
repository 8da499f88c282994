"""What evaluating costs beside the rules that it runs, without the network.

python benchmarks/evaluate.py [--batch 512] [--threads 2]
"""

from __future__ import annotations

import argparse

import torch
from rules import tree_of
from timing import compare, machine

from nbdt.evaluation import AccuracyByRule, Evaluator
from nbdt.rules import RULE_SCORES, Predictions, TreeLayout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--classes", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{machine()}, batch {options.batch}, float32; × = multiples of the rules: soft and hard "
        "under both scores\n"
    )
    print("| classes | rules | accuracy only | all of `nbdt evaluate` | µs a sample |")
    print("| ---: " * 5 + "|")
    for num_classes in options.classes:
        row(num_classes, options.batch, options.rounds)


@torch.inference_mode()
def row(num_classes: int, batch: int, rounds: int) -> None:
    tree = tree_of(num_classes)
    layout = TreeLayout(tree)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(num_classes, (batch,), generator=generator)
    logits = 3 * torch.randn(batch, num_classes, generator=generator)
    logits[torch.arange(batch), labels] += 9  # most are right, as those of a trained network
    accuracy = AccuracyByRule(tree)
    evaluator = Evaluator(tree, score="logsumexp")
    base, *times = compare(
        lambda: [Predictions(logits, layout, score="mean").answers_by(*way) for way in RULE_SCORES],
        lambda: accuracy.update(Predictions(logits, layout, score="mean", labels=labels)),
        lambda: evaluator.update(logits, labels),
        rounds=rounds,
    )
    multiples = " | ".join(f"{time / base:.1f} ×" for time in times)
    print(
        f"| {num_classes:,} | {base * 1e6:,.0f} µs | {multiples} | {times[-1] / batch * 1e6:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
