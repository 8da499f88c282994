"""What explanations cost on top of the rules: ``python benchmarks/explain.py``.

Times the rules alone and `explain_logits` on the same 256 random samples, turn about, on two
threads, and prints the best of each in milliseconds. The mark: explanations cost at most twice
the rules plus 100 µs a sample.
"""

import time
from collections.abc import Callable
from itertools import product

import torch

from nbdt.explain import FeatureGeometry, explain_logits
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import TreeLayout, hard_predict, soft_log_probs

BATCH = 256
FEATURES = 1280
ROUNDS = 30
MARK = 100e-6


def best_times(*calls: Callable[[], object]) -> list[float]:
    """The shortest time of each call in seconds; they take turns, so that all see one machine."""
    times = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call()
            times[index] = min(times[index], time.perf_counter() - start)
    return times


def measure(title: str, tree: Hierarchy) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(BATCH, tree.num_classes, generator=generator)
    rows = torch.randn(tree.num_classes, FEATURES, generator=generator)
    layout, geometry = TreeLayout(tree), FeatureGeometry(tree, rows)
    rules = {"soft": soft_log_probs, "hard": hard_predict}
    for score, rule, head in product(("mean", "logsumexp"), rules, (None, geometry)):
        if head is not None and score != "mean":
            continue
        alone, explained = best_times(
            lambda rule=rule, score=score: rules[rule](logits, layout, score),
            lambda rule=rule, score=score, head=head: explain_logits(
                logits, layout, score=score, rule=rule, geometry=head
            ),
        )
        above = (explained - 2 * alone) / BATCH
        print(
            f"{title:22} {score:9} {rule:4} {'yes' if head else 'no':>8} {1e3 * alone:9.2f} "
            f"{1e3 * explained:9.2f} {1e6 * above:9.1f}   {'met' if above <= MARK else 'MISSED'}"
        )


def main() -> None:
    torch.set_num_threads(2)
    print(
        f"batch {BATCH}, float32, {torch.get_num_threads()} threads, best of {ROUNDS}; ms a batch"
    )
    print(
        f"{'tree':22} {'score':9} {'rule':4} {'distance':>8} {'rules':>9} {'explain':>9} "
        f"{'µs above':>9}   mark"
    )
    for classes in (10, 100, 1000):
        measure(f"random, {classes} classes", shapes.random(classes))
    measure("flat, 1000 classes", shapes.flat(1000))
    print("µs above: (explain − 2 × rules) a sample, at most 100 to meet the mark.")


if __name__ == "__main__":
    main()
