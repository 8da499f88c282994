"""What tree supervision gives: the tables of benchmarks/README.md, on real data.

    NBDT_DATA=FOLDER python benchmarks/train.py search    # settings, on a validation split
    NBDT_DATA=FOLDER python benchmarks/train.py tables    # tables 1 to 3
    python benchmarks/train.py show                       # what is there so far

NBDT_DATA names the folder with `fashion_mnist/`, `cifar10_jpeg/` and `weights/`. Runs are kept
under --folder (default: runs/), and a run that was interrupted goes on where it was; so this can
be stopped and started at will. `--data` limits it to one data set, so that two processes can
share the work. The test set is looked at once a run, when it has ended.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

import nbdt
from nbdt.classifiers import build, eval_mode
from nbdt.data import LabelledImages, load_dataset
from nbdt.files import write_json
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.inputs.image import Preprocessing
from nbdt.rules import hard_predict, soft_log_probs
from nbdt.training import TrainingConfig, fit

SEEDS = (0, 1, 2)
RULE_SCORES = ("network", "soft mean", "hard mean", "soft logsumexp", "hard logsumexp")
RESNET20 = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

CONTROL = "cross-entropy"

# What the arms set differently, as the search found it. "tree" is how it is induced.
FOUND: dict[str, Any] = {"learning_rate": 0.02, "tree": {"branching": 4}}
BINARY: dict[str, Any] = {"learning_rate": 0.03, "tree": {"branching": 2}}
ARMS: Mapping[str, dict[str, Any]] = {
    CONTROL: {"loss": "cross_entropy", "tree": {"branching": 4}},
    "soft": FOUND | {"loss": "soft", "tree_weight": 3.0},
    "hard": FOUND | {"loss": "hard", "tree_weight": 3.0},
    "cross-entropy, binary tree": {"loss": "cross_entropy"},
    "soft, binary tree": BINARY | {"loss": "soft", "tree_weight": 3.0},
    "hard, binary tree": BINARY | {"loss": "hard", "tree_weight": 10.0},
    "2020, soft, binary tree": BINARY | {"loss": "soft", "tree_weight": 3.0, "compat": "2020"},
}


@dataclass(frozen=True)
class Task:
    """A data set, the network that is tuned on it, and for how long."""

    data: str
    network: str
    tuning: TrainingConfig
    taxonomy: str
    start: TrainingConfig | None = None  # how the network is trained first; None: it is given
    augment: bool = False

    def images(self, split: str) -> LabelledImages:
        """A split, as the network takes it."""
        images = load_dataset(self.data, split, augment=self.augment and split == "train")
        return images if self.start else images.with_preprocessing(RESNET20)

    def begin(self, images: LabelledImages, folder: Path, seed: int) -> nbdt.NBDT:
        """The network that every arm of this seed starts from, and the tree induced from it."""
        network = build(self.network, num_classes=10, in_channels=images.preprocessing.channels)
        if self.start is None:
            weights = Path(os.environ["NBDT_DATA"]) / "weights" / "cifar10_resnet20.safetensors"
            network.load_state_dict(load_file(weights))
        else:
            torch.manual_seed(seed)
            network = build(self.network, num_classes=10, in_channels=images.preprocessing.channels)
            model = nbdt.NBDT(network, shapes.balanced(list(images.classes)))
            config = changed(self.start, seed=seed)
            fit(model, images, config=config, folder=folder / "start", resume=True)
        tree = nbdt.induce(network, images.classes)
        return nbdt.NBDT(network, tree, preprocessing=images.preprocessing)


TASKS = {
    "fashion_mnist": Task(
        data="fashion_mnist",
        network="nbdt:lenet",
        start=TrainingConfig(epochs=3, learning_rate=0.05, loss="cross_entropy"),
        tuning=TrainingConfig(epochs=2, learning_rate=0.01),
        taxonomy="fashion_mnist/taxonomy",
    ),
    "cifar10_jpeg": Task(
        data="cifar10_jpeg",
        network="nbdt:cifar-resnet20",
        tuning=TrainingConfig(
            epochs=3, learning_rate=0.01, precision="bfloat16", channels_last=True
        ),
        taxonomy="cifar10/wordnet",
        augment=True,
    ),
}

# What was tried on a validation split before the tables were made; the rest as in the tables.
CLIPPED = {"clip_norm": 1.0}
SEARCH: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "fashion_mnist": {
        "cross-entropy": {"loss": "cross_entropy"},
        "cross-entropy, learning rate 0.02": {"loss": "cross_entropy", "learning_rate": 0.02},
        **{f"soft, ω = {w}": {"tree_weight": float(w)} for w in (1, 3, 10, 20)},
        "soft, ω from 0 to 10": {"tree_weight": nbdt.Ramp(0, 10)},
        "soft, ω = 10, rows not normalized": {"tree_weight": 10.0, "tree": {"normalize": False}},
        "soft, ω = 10, average linkage": {"tree_weight": 10.0, "tree": {"linkage": "average"}},
        "soft, ω = 10, four children a node": {"tree_weight": 10.0, "tree": {"branching": 4}},
        "soft, ω = 5, learning rate 0.02": {"tree_weight": 5.0, "learning_rate": 0.02},
        "soft, ω = 3, learning rate 0.03": {"tree_weight": 3.0, "learning_rate": 0.03},
        **{
            f"soft, ω = {w}, learning rate 0.03, gradient clipped to 1": CLIPPED
            | {"tree_weight": float(w), "learning_rate": 0.03}
            for w in (3, 5, 10)
        },
        "soft, ω = 10, learning rate 0.02, gradient clipped to 1": CLIPPED
        | {"tree_weight": 10.0, "learning_rate": 0.02},
        **{
            f"soft, ω = {w}, learning rate {rate}, four children a node": {
                "tree_weight": float(w),
                "learning_rate": rate,
                "tree": {"branching": 4},
            }
            for w, rate in ((1, 0.01), (3, 0.01), (1, 0.02), (3, 0.02))
        },
        "hard, ω = 3, learning rate 0.02, four children a node": {
            "loss": "hard",
            "tree_weight": 3.0,
            "learning_rate": 0.02,
            "tree": {"branching": 4},
        },
        "hard, ω = 10": {"loss": "hard", "tree_weight": 10.0},
        "hard, ω = 15, learning rate 0.02": {
            "loss": "hard",
            "tree_weight": 15.0,
            "learning_rate": 0.02,
        },
        "hard, ω = 10, learning rate 0.03, gradient clipped to 1": CLIPPED
        | {"loss": "hard", "tree_weight": 10.0, "learning_rate": 0.03},
    },
    "cifar10_jpeg": {
        "cross-entropy": {"loss": "cross_entropy"},
        "cross-entropy, learning rate 0.03": {"loss": "cross_entropy", "learning_rate": 0.03},
        "soft, ω = 10, learning rate 0.002": {"tree_weight": 10.0, "learning_rate": 0.002},
        "soft, ω = 3, learning rate 0.005": {"tree_weight": 3.0, "learning_rate": 0.005},
        "soft, ω = 3": {"tree_weight": 3.0},
        "soft, ω from 0 to 20": {"tree_weight": nbdt.Ramp(0, 20)},
        **{
            f"soft, ω = {w}, learning rate 0.03": {"tree_weight": float(w), "learning_rate": 0.03}
            for w in (1, 3)
        },
        **{
            f"soft, ω = {w}, learning rate 0.03, gradient clipped to 1": CLIPPED
            | {"tree_weight": float(w), "learning_rate": 0.03}
            for w in (3, 5, 10)
        },
        **{
            f"soft, ω = {w}, learning rate {rate}, gradient clipped to 1": CLIPPED
            | {"tree_weight": float(w), "learning_rate": rate}
            for w, rate in ((3, 0.1), (10, 0.05), (10, 0.02))
        },
        "soft, ω = 10, learning rate 0.02, three times that for the head, gradient clipped to 1": (
            CLIPPED | {"tree_weight": 10.0, "learning_rate": 0.02, "head_multiplier": 3.0}
        ),
        **{
            f"hard, ω = {w}, learning rate 0.03, gradient clipped to 1": CLIPPED
            | {"loss": "hard", "tree_weight": float(w), "learning_rate": 0.03}
            for w in (10, 20)
        },
    },
}


@dataclass
class Result:
    """A finished run: which samples each way answered rightly."""

    data: str
    table: str
    arm: str
    seed: int
    seconds: float
    correct: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def accuracy(self, way: str) -> float:
        """In per cent."""
        return 100 * float(self.correct[way].mean())


def changed(config: TrainingConfig, **values: Any) -> TrainingConfig:
    return TrainingConfig.from_dict(config.to_dict() | values)


def run(
    task: Task,
    table: str,
    arm: str,
    seed: int,
    folder: Path,
    *,
    settings: Mapping[str, Any],
    train: LabelledImages,
    test: LabelledImages,
    tree: Hierarchy | None = None,
) -> None:
    """One run, if it is not there yet: tuned, then measured once."""
    place = folder / task.data / table / f"{arm} {seed}".replace(" ", "_")
    if (place / "result.npz").exists():
        return
    model = task.begin(train, folder / task.data / table / f"seed_{seed}", seed)
    settings = dict(settings)
    induction = settings.pop("tree", {})
    model.hierarchy = tree or nbdt.induce(model.network, model.classes, **induction)
    config = changed(task.tuning, seed=seed, **settings)
    records = fit(model, train, config=config, folder=place, resume=True)
    seconds = statistics.mean(record.seconds for record in records)
    correct = dict(answers(model, test))
    np.savez_compressed(
        place / "result.npz", **{k.replace(" ", "_"): v for k, v in correct.items()}
    )
    write_json(
        place / "result.json",
        {"data": task.data, "table": table, "arm": arm, "seed": seed, "seconds": seconds},
    )
    shares = ", ".join(f"{way} {100 * right.mean():.2f}" for way, right in correct.items())
    print(
        f"{task.data}, {table}, {arm}, seed {seed}: {shares}; {seconds:.0f} s an epoch", flush=True
    )


def answers(model: nbdt.NBDT, data: LabelledImages) -> Iterator[tuple[str, Any]]:
    """For each way to answer, whether each sample's answer is right."""
    with eval_mode(model) as still:
        batches = [(still.logits(x), y) for x, y in DataLoader(data, batch_size=500)]
    logits, labels = (torch.cat(column) for column in zip(*batches, strict=True))
    yield "network", (logits.argmax(1) == labels).numpy()
    for score in ("mean", "logsumexp"):
        soft = soft_log_probs(logits, model.layout, score).argmax(1)
        yield f"soft {score}", (soft == labels).numpy()
        yield f"hard {score}", (hard_predict(logits, model.layout, score) == labels).numpy()


def search(folder: Path, names: Sequence[str]) -> None:
    """Without the test set: a part of the training data is held out to judge by."""
    for name in names:
        train, val = TASKS[name].images("train").split(5_000, seed=0)
        for arm, settings in SEARCH[name].items():
            run(TASKS[name], "search", arm, 0, folder, settings=settings, train=train, test=val)


def tables(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        task = TASKS[name]
        train, test = task.images("train"), task.images("test")
        for seed in SEEDS:
            for arm, settings in ARMS.items():
                run(task, "arms", arm, seed, folder, settings=settings, train=train, test=test)
        classes = list(train.classes)
        trees = {
            "WordNet" if "wordnet" in task.taxonomy else "taxonomy": nbdt.load_hierarchy(
                task.taxonomy
            ),
            # As wide as the induced tree of the arms, and binary.
            "balanced, four children a node": shapes.balanced(classes, 4),
            "random, four children a node": shapes.random(classes, 4, seed=0),
            "balanced, binary": shapes.balanced(classes),
            "random, binary": shapes.random(classes, seed=0),
        }
        for arm, tree in trees.items():
            settings = {key: value for key, value in ARMS["soft"].items() if key != "tree"}
            run(task, "trees", arm, 0, folder, settings=settings, train=train, test=test, tree=tree)


# ── what is there so far ──────────────────────────────────────────────────────────────────────


def results(folder: Path) -> list[Result]:
    found = []
    for path in sorted(folder.glob("*/*/*/result.json")):
        with np.load(path.with_suffix(".npz")) as arrays:
            correct = {way: arrays[way.replace(" ", "_")] for way in RULE_SCORES}
        found.append(Result(**json.loads(path.read_text()), correct=correct))
    return found


def show(folder: Path) -> None:
    found = results(folder)
    for table in ("search", "arms", "trees"):
        for data in TASKS:
            rows = [one for one in found if (one.table, one.data) == (table, data)]
            if table == "trees":
                arms = [
                    one for one in found if (one.table, one.data, one.seed) == ("arms", data, 0)
                ]
                rows = [replace(one, arm="induced") for one in arms if one.arm == "soft"] + rows
            if rows:
                order = {"search": SEARCH[data], "arms": ARMS}.get(table)
                names = list(order or dict.fromkeys(one.arm for one in rows))
                print(f"\n{data}, {table}\n\n{markdown(rows, names)}")
                if table == "arms":
                    print(f"\n{differences(rows, names)}")


def markdown(rows: Sequence[Result], names: Sequence[str]) -> str:
    lines = [
        f"| | {' | '.join(RULE_SCORES)} | s an epoch |",
        f"| --- |{' ---: |' * (len(RULE_SCORES) + 1)}",
    ]
    for arm in names:
        runs = [one for one in rows if one.arm == arm]
        if runs:
            cells = [spread([one.accuracy(way) for one in runs]) for way in RULE_SCORES]
            seconds = statistics.mean(one.seconds for one in runs)
            lines.append(f"| {arm} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def differences(rows: Sequence[Result], names: Sequence[str]) -> str:
    """Each way's accuracy minus the control's network, on the same samples and seeds.

    The interval is over the test samples: ± 1.96 standard errors of the mean, over samples, of the
    difference averaged over seeds. It is for these trained networks; how much other seeds' would
    differ, the standard deviation over seeds says.
    """
    control = {one.seed: one.correct["network"].astype(float) for one in rows if one.arm == CONTROL}
    lines = [
        f"| minus {CONTROL}'s network | {' | '.join(RULE_SCORES)} |",
        f"| --- |{' ---: |' * len(RULE_SCORES)}",
    ]
    for arm in names:
        runs = [one for one in rows if one.arm == arm and one.seed in control]
        if not runs:
            continue
        cells = []
        for way in RULE_SCORES:
            found = np.array([one.correct[way] - control[one.seed] for one in runs])
            each, seeds = found.mean(axis=0), found.mean(axis=1)
            error = 1.96 * each.std(ddof=1) / math.sqrt(len(each))
            apart = f" ({100 * seeds.std(ddof=1):.2f})" if len(seeds) > 1 else ""
            cells.append(f"{100 * each.mean():+.2f} ± {100 * error:.2f}{apart}")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("search", "tables", "show"))
    parser.add_argument("--data", choices=tuple(TASKS), action="append")
    parser.add_argument("--folder", type=Path, default=Path("runs"))
    options = parser.parse_args()
    names = options.data or list(TASKS)
    if options.what == "search":
        search(options.folder, names)
    elif options.what == "tables":
        tables(options.folder, names)
    show(options.folder)


if __name__ == "__main__":
    main()
