"""Stopping when unsure: does the guarantee hold, and what do answers still say?

    NBDT_DATA=FOLDER python benchmarks/selective.py

NBDT_DATA names the folder with `weights/`, `imagenet_samples/`, `cifar10_jpeg/` and
`fashion_mnist/` (default: ../shared/data). Prints the tables of benchmarks/README.md, writes
benchmarks/images/selective.svg, and ends with an error where a guarantee is broken.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from convert import data_folder, mobilenet, resnet20
from selective_figure import Panel, figure
from timing import machine
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.datasets import FashionMNIST

import nbdt
from nbdt.classifiers import build
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import TreeLayout
from nbdt.selective import (
    Curve,
    above_rounding,
    calibration_scores,
    curve,
    information_kept,
    is_valid,
    stop,
    superclass,
    threshold,
)
from nbdt.selective.conformal import common_ancestor, set_scores

SPLITS = 100
GUARANTEES = (0.9, 0.95, 0.99)
ERRORS = (0.01, 0.05)
STOP, CUT, PLAIN = "stop when unsure", "conformal set, cut", "class or nothing"
INDUCED = "induced"
FIGURE = Path(__file__).parent / "images" / "selective.svg"

Samples = Dataset[tuple[Tensor, int]]


# ── networks and data ─────────────────────────────────────────────────────────────────────────


def fashion(folder: Path) -> tuple[nn.Module, Samples, str]:
    """A small CNN, trained for one epoch on the training images."""
    train, test = (
        FashionMNIST(str(folder / "fashion_mnist"), train=part) for part in (True, False)
    )
    torch.manual_seed(0)
    network = build("nbdt:lenet", num_classes=10)
    batches = DataLoader(TensorDataset(*_tensors(train)), 128, shuffle=True, drop_last=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, len(batches))
    for images, labels in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        schedule.step()
    return network.eval(), TensorDataset(*_tensors(test)), "fashion_mnist"


def _tensors(images: FashionMNIST) -> tuple[Tensor, Tensor]:
    return (images.data[:, None].float() / 255 - 0.286) / 0.353, images.targets


@torch.inference_mode()
def answered(network: nn.Module, samples: Samples) -> tuple[Tensor, Tensor]:
    """The log-probabilities of all samples, and their labels."""
    pairs = [(network(images), labels) for images, labels in DataLoader(samples, 50)]
    logits, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    return logits.log_softmax(-1), labels


@torch.inference_mode()
def rounding(network: nn.Module, samples: Samples, log_probs: Tensor) -> float:
    """How far the log-probabilities of 50 samples are from those of each one alone."""
    images = torch.stack([samples[place][0] for place in range(50)])
    alone = torch.cat([network(image[None]) for image in images]).log_softmax(-1)
    return float((alone - log_probs[:50]).abs().max())


def trees_of(network: nn.Module, dataset: str) -> Iterator[tuple[str, Hierarchy]]:
    tree = nbdt.induce(network)
    yield INDUCED, tree
    if f"{dataset}/wordnet" in nbdt.list_hierarchies():
        yield "WordNet", nbdt.load_hierarchy(f"{dataset}/wordnet")
    yield "random", shapes.random(tree.num_classes, seed=0)


# ── splits ────────────────────────────────────────────────────────────────────────────────────


def splits(samples: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A random half for calibration and the other half for the test, again and again."""
    for seed in range(SPLITS):
        order = torch.from_numpy(np.random.default_rng(seed).permutation(samples))
        yield order[: samples // 2], order[samples // 2 :]


class Way(NamedTuple):
    """A way to answer: the tree, the calibration scores, and answers by log-probs and threshold."""

    layout: TreeLayout
    scores: Tensor
    answer: Callable[[Tensor, float], Tensor]


class Found(NamedTuple):
    """One number a split."""

    validity: list[float]
    information: list[float]

    @property
    def error(self) -> float:
        """The standard error of the mean validity."""
        return float(np.std(self.validity, ddof=1)) / math.sqrt(len(self.validity))

    def keeps(self, guarantee: float) -> bool:
        """Whether the mean validity is what was promised, within three standard errors."""
        return bool(np.mean(self.validity) >= guarantee - 3 * self.error)


def ways(log_probs: Tensor, labels: Tensor, tree: Hierarchy) -> dict[str, Way]:
    def stopping(layout: TreeLayout) -> Way:
        scores = calibration_scores(log_probs, labels, layout)
        return Way(layout, scores, lambda rows, t: stop(rows, layout, above_rounding(t)))

    def cut(layout: TreeLayout) -> Way:
        scores = set_scores(log_probs, labels, layout)
        return Way(layout, scores, lambda rows, t: common_ancestor(rows, layout, t))

    layout, flat = TreeLayout(tree), TreeLayout(shapes.flat(tree.classes))
    return {STOP: stopping(layout), CUT: cut(layout), PLAIN: stopping(flat)}


def over_splits(log_probs: Tensor, labels: Tensor, way: Way, guarantee: float) -> Found:
    """Thresholds from one half of the samples, answers for the other."""
    found = Found([], [])
    for calibration, test in splits(len(labels)):
        t = threshold(way.scores[calibration], guarantee)
        answers = way.answer(log_probs[test], t)
        valid = is_valid(answers, labels[test], way.layout)
        found.validity.append(float(valid.double().mean()))
        found.information.append(float(information_kept(answers, way.layout).mean()))
    return found


def under_superclasses(
    log_probs: Tensor, labels: Tensor, way: Way, guarantee: float
) -> tuple[dict[int, Found], dict[int, Found]]:
    """Among the predictions under each child of the root: one threshold for all, one for each."""
    under = superclass(log_probs, way.layout)
    nodes = under.unique().tolist()
    together, apart = ({node: Found([], []) for node in nodes} for _ in range(2))
    for calibration, test in splits(len(labels)):
        for node in nodes:
            new = test[under[test] == node]
            own = calibration[under[calibration] == node]
            for used, found in ((calibration, together), (own, apart)):
                answers = way.answer(log_probs[new], threshold(way.scores[used], guarantee))
                valid = is_valid(answers, labels[new], way.layout)
                found[node].validity.append(float(valid.double().mean()))
    return together, apart


# ── tables ────────────────────────────────────────────────────────────────────────────────────


def run(title: str, network: nn.Module, samples: Samples, dataset: str) -> tuple[Panel, bool]:
    """Prints the tables of one network; gives its part of the figure, and whether all is kept."""
    log_probs, labels = answered(network, samples)
    accuracy = float((log_probs.argmax(-1) == labels).double().mean())
    apart = rounding(network, samples, log_probs)
    print(f"\n### {title}, {len(labels):,} images\n")
    print(
        f"Accuracy {percent(accuracy)} %. {len(labels) // 2:,} images calibrate, the others test."
    )
    print(f"Alone and in a batch, log-probabilities of an image differ by up to {apart:.0e} nats.")
    names = " | ".join([STOP, CUT, PLAIN])
    print(f"\n| tree | promised | valid: {names} | information kept: {names} |")
    print("| --- " + "| ---: " * 7 + "|")
    trees = list(trees_of(network, dataset))
    panel, kept = Panel(title, GUARANTEES), True
    for label, tree in trees:
        all_ways = ways(log_probs, labels, tree)
        for guarantee in GUARANTEES:
            found = {
                name: over_splits(log_probs, labels, way, guarantee)
                for name, way in all_ways.items()
            }
            kept &= all(one.keeps(guarantee) for one in found.values())
            cells = [f"{percent(one.validity)} ± {100 * one.error:.2f}" for one in found.values()]
            cells += [percent(one.information) for one in found.values()]
            print(f"| {label} | {100 * guarantee:g} | " + " | ".join(cells) + " |", flush=True)
            if label == INDUCED:
                panel.validity.append(found[STOP].validity)
                panel.cut.append((found[CUT].information, found[CUT].validity))
    kept &= superclasses(log_probs, labels, trees[0][1])
    panel.curves = curves(log_probs, labels, trees)
    return panel, kept


def superclasses(log_probs: Tensor, labels: Tensor, tree: Hierarchy) -> bool:
    print("\n| promised | valid under each child of the root, one threshold | one for each |")
    print("| ---: | ---: | ---: |")
    way = ways(log_probs, labels, tree)[STOP]
    kept = True
    for guarantee in GUARANTEES:
        try:
            together, apart = under_superclasses(log_probs, labels, way, guarantee)
        except nbdt.NBDTError as error:
            print(f"| {100 * guarantee:g} | | {error} |")
            continue
        kept &= all(one.keeps(guarantee) for one in apart.values())
        cells = [" / ".join(percent(one.validity) for one in f.values()) for f in (together, apart)]
        print(f"| {100 * guarantee:g} | " + " | ".join(cells) + " |", flush=True)
    return kept


def curves(
    log_probs: Tensor, labels: Tensor, trees: list[tuple[str, Hierarchy]]
) -> dict[str, Curve]:
    flat = shapes.flat(log_probs.shape[1])
    found = {
        label: curve(log_probs, labels, TreeLayout(tree))
        for label, tree in [*trees, ("class or nothing", flat)]
    }
    headings = [f"information kept at {100 * error:g} % error" for error in ERRORS]
    print("\n| tree | hAURC | " + " | ".join(headings) + " |")
    print("| --- " + "| ---: " * (1 + len(ERRORS)) + "|")
    for label, one in found.items():
        kept = [percent(one.information_at(1 - error)) for error in ERRORS]
        print(f"| {label} | {one.area:.4f} | " + " | ".join(kept) + " |")
    return {STOP: found[INDUCED], PLAIN: found["class or nothing"]}


def percent(shares: float | list[float]) -> str:
    return f"{100 * np.mean(shares):.2f}"


def main() -> None:
    folder = data_folder()
    print(f"{machine()}. Means over {SPLITS} random splits, in %; ± is their standard error.")
    with tempfile.TemporaryDirectory() as scratch:
        found = [
            run("ResNet-20, CIFAR-10 test as JPEG", *resnet20(folder, scratch)),
            run("LeNet, Fashion-MNIST test", *fashion(folder)),
            run("MobileNetV2, ImageNet samples", *mobilenet(folder)),
        ]
    FIGURE.parent.mkdir(exist_ok=True)
    FIGURE.write_text(figure([panel for panel, _ in found]), encoding="utf-8")
    if not all(kept for _, kept in found):
        sys.exit("A mean validity is more than three standard errors below what was promised.")
    print("\nEvery mean validity is at least what was promised, less three standard errors.")


if __name__ == "__main__":
    main()
