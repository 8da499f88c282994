"""Two pretrained networks as trees, without tuning: what each score, rule and tree costs.

    NBDT_DATA=FOLDER python benchmarks/convert.py

NBDT_DATA names the folder with `weights/`, `imagenet_samples/` and `cifar10_jpeg/` (default:
../shared/data). Prints the tables of benchmarks/README.md.
"""

from __future__ import annotations

import csv
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from timing import compare, machine
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import nbdt
from nbdt.classifiers import build
from nbdt.data import ImageFolder, open_image
from nbdt.evaluation import AccuracyRow, accuracy_by_rule
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.hierarchy.induce import LINKAGES
from nbdt.inputs.image import Preprocessing
from nbdt.rules import HardRules, SoftRules, hard_predict

SEEDS = (0, 1, 2)

MOBILENET = Preprocessing(
    resize=256, crop=224, mean=(128 / 255,) * 3, std=(128 / 255,) * 3, rotate=180
)
RESNET20 = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


class ImageNetSamples(Dataset[tuple[Tensor, int]]):
    """The sample images: one for every second class, each called by its class's wnid."""

    def __init__(self, folder: Path) -> None:
        with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
            index = {row["wnid"]: int(row["index"]) for row in csv.DictReader(file)}
        self.samples = [(path, index[path.stem]) for path in sorted(folder.glob("n*.jpg"))]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path, label = self.samples[number]
        return MOBILENET(open_image(path)), label


def data_folder() -> Path:
    folder = Path(os.environ.get("NBDT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    needed = ["weights/imagenet_mobilenet_v2.safetensors", "weights/cifar10_resnet20.safetensors"]
    needed += ["imagenet_samples/classes.csv", "cifar10_jpeg/test.tar.xz"]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        sys.exit(
            f"{folder} does not hold {', '.join(missing)}; set NBDT_DATA to the folder with the "
            "pretrained weights and images."
        )
    return folder


def mobilenet(folder: Path) -> tuple[nn.Module, Dataset[tuple[Tensor, int]], str]:
    network = build("torchvision:mobilenet_v2", num_classes=1000)
    network.load_state_dict(load_file(folder / "weights" / "imagenet_mobilenet_v2.safetensors"))
    return network.eval(), ImageNetSamples(folder / "imagenet_samples"), "imagenet1k"


def resnet20(folder: Path, scratch: str) -> tuple[nn.Module, Dataset[tuple[Tensor, int]], str]:
    network = build("nbdt:cifar-resnet20", num_classes=10)
    weights = load_file(folder / "weights" / "cifar10_resnet20.safetensors")
    network.load_state_dict(weights)
    with tarfile.open(folder / "cifar10_jpeg" / "test.tar.xz") as archive:
        archive.extractall(scratch, filter="data")
    return network.eval(), ImageFolder(Path(scratch) / "test", RESNET20), "cifar10"


def trees_of(network: nn.Module, dataset: str) -> Iterator[tuple[str, Hierarchy]]:
    for linkage in LINKAGES:
        for normalize in (True, False):
            rows = "normalized rows" if normalize else "rows as they are"
            yield f"{linkage}, {rows}", nbdt.induce(network, linkage=linkage, normalize=normalize)
    yield "WordNet", nbdt.load_hierarchy(f"{dataset}/wordnet")
    for seed in SEEDS:
        classes = nbdt.load_hierarchy(f"{dataset}/wordnet").num_classes
        yield f"random, seed {seed}", shapes.random(classes, seed=seed)


@torch.inference_mode()
def run(title: str, network: nn.Module, dataset: Dataset[tuple[Tensor, int]], name: str) -> None:
    batches = [
        (network(images), labels) for images, labels in DataLoader(dataset, 50, num_workers=2)
    ]
    samples = sum(len(labels) for _, labels in batches)
    print(f"\n### {title}, {samples:,} images\n")
    print(
        "| tree | soft, logsumexp: top-1 / top-5 | hard, logsumexp | soft, mean | hard, mean "
        "| hard, logsumexp = network | soft, mean = network | mean path length |"
    )
    print("| --- " + "| ---: " * 7 + "|")
    for label, tree in trees_of(network, name):
        table = accuracy_by_rule(batches, tree)
        layout = SoftRules(tree).layout
        reached = torch.cat([hard_predict(logits, layout) for logits, _ in batches])
        length = tree.depths[reached.numpy()].mean()
        ways = [(rule, score) for score in ("logsumexp", "mean") for rule in ("soft", "hard")]
        numbers = [tops(table.row(*way)) for way in ways]
        numbers += [percent(table.row("hard", "logsumexp").agreement)]
        numbers += [percent(table.row("soft", "mean").agreement), f"{length:.1f}"]
        print(f"| {label} | " + " | ".join(numbers) + " |", flush=True)
    print(f"\nThe network itself: {tops(table.network)}.")
    times(network, dataset, nbdt.induce(network), batches)


def times(
    network: nn.Module,
    dataset: Dataset[tuple[Tensor, int]],
    tree: Hierarchy,
    batches: list[tuple[Tensor, Tensor]],
) -> None:
    images, _ = next(iter(DataLoader(dataset, 50)))
    logits = network(images)
    start = time.perf_counter()
    nbdt.induce(network)
    induced = time.perf_counter() - start
    rules = [SoftRules(tree, "mean"), HardRules(tree, "mean"), HardRules(tree, "logsumexp")]
    forward, *taken = compare(
        lambda: network(images), *(lambda rule=rule: rule(logits) for rule in rules), rounds=7
    )
    soft, hard, hard_lse = (seconds / len(images) * 1e6 for seconds in taken)
    print(
        f"\nTime per image, batches of {len(images)}: network {forward / len(images) * 1e3:.2f} ms;"
        f" soft mean {soft:.1f} µs, hard mean {hard:.1f} µs, hard logsumexp {hard_lse:.1f} µs. "
        f"Inducing the tree: {induced:.2f} s."
    )


def percent(share: float) -> str:
    return f"{100 * share:.2f}"


def tops(row: AccuracyRow) -> str:
    """Top-1, and top-5 where all classes are ranked."""
    top5 = row.top5_accuracy
    return percent(row.accuracy) + ("" if top5 is None else f" / {percent(top5)}")


def main() -> None:
    folder = data_folder()
    print(f"{machine()}. Accuracy and agreement in %.")
    run("MobileNetV2, 1,000 ImageNet classes", *mobilenet(folder))
    with tempfile.TemporaryDirectory() as scratch:
        run("ResNet-20, CIFAR-10 test as JPEG", *resnet20(folder, scratch))


if __name__ == "__main__":
    main()
