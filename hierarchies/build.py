"""Makes all the class lists and trees in this folder again from their sources.

    python hierarchies/build.py --data FOLDER            writes them
    python hierarchies/build.py --data FOLDER --check    reports what differs

FOLDER (default: the environment variable NBDT_DATA) holds ``classes/``, ``imagenet_samples/``,
``wordnet30/`` and ``weights/``; README.md says where each of them comes from.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from nbdt.errors import NBDTError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.induce import induce
from nbdt.hierarchy.library import load_classes, load_hierarchy, save_hierarchy
from nbdt.hierarchy.naming import name_by_taxonomy
from nbdt.hierarchy.taxonomy import from_parents, from_wordnet
from nbdt.hierarchy.wordnet import WordNet

HERE = Path(__file__).parent
HEIGHT_TOLERANCE = 1e-5
HEIGHT_DIGITS = 6

ClassList = list[tuple[str, str]]  # name and wnid ("" for none) of each class

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# The shapes of the digits; the four is open at the top.
DIGIT_SHAPES = {
    "digit": ["with a loop", "without a loop"],
    "with a loop": ["zero", "eight", "loop and stem"],
    "loop and stem": ["six", "nine"],
    "without a loop": ["straight strokes", "open curves"],
    "straight strokes": ["one", "four", "seven"],
    "open curves": ["two", "three", "five"],
}
FASHION_KINDS = {
    "fashion item": ["garment", "footwear", "Bag"],
    "garment": ["top", "Dress", "Trouser"],
    "top": ["light top", "warm top"],
    "light top": ["T-shirt/top", "Shirt"],
    "warm top": ["Pullover", "Coat"],
    "footwear": ["Sandal", "closed shoe"],
    "closed shoe": ["Sneaker", "Ankle boot"],
}
# The 2020 list gives these classes of CIFAR-100 another meaning of the word than its images do.
CIFAR100_MEANINGS = {
    "dolphin": "n02068974",  # the whale; not the dolphinfish
    "skunk": "n02445715",  # the animal; not a defeat without a score
    "sweet_pepper": "n07720615",  # the vegetable; not the plant
    "television": "n04405907",  # the set; not broadcasting
    "trout": "n02537085",  # the fish; not its flesh
}
# ImageNet's first synonyms are unique except for two, which have torchvision's names.
IMAGENET_NAMES = {"n02012849": "crane bird", "n03710721": "maillot tank suit"}

# The trees induced from real weights: the file, its head, and the data set's name.
INDUCED = {
    "cifar10/resnet20": ("weights/cifar10_resnet20.safetensors", "linear.weight"),
    "imagenet1k/mobilenet_v2": (
        "weights/imagenet_mobilenet_v2.safetensors",
        "classifier.1.weight",
    ),
}
WITH_WNIDS = ("cifar10", "cifar100", "tiny_imagenet", "imagenet1k")


def class_lists(data: Path) -> dict[str, ClassList]:
    """The classes of every bundled data set, in the order of its labels."""
    lists = {"digits": [(name, "") for name in DIGITS]}
    for dataset in ("fashion_mnist", "cifar10", "cifar100", "tiny_imagenet"):
        rows = _read_csv(data / "classes" / f"{dataset}.csv")
        lists[dataset] = [(row["name"], row["wnid"]) for row in rows]
    lists["cifar100"] = [
        (name, CIFAR100_MEANINGS.get(name, wnid)) for name, wnid in lists["cifar100"]
    ]
    lists["imagenet1k"] = [
        (IMAGENET_NAMES.get(row["wnid"], row["name"].split(",")[0]), row["wnid"])
        for row in _read_csv(data / "imagenet_samples" / "classes.csv")
    ]
    return lists


def trees(data: Path) -> dict[str, Hierarchy]:
    """Every bundled tree, by the name that `nbdt.load_hierarchy` knows it by."""
    lists = class_lists(data)
    names = {dataset: [name for name, _ in rows] for dataset, rows in lists.items()}
    made = {
        "digits/shape": from_parents(_parents_of(DIGIT_SHAPES), names["digits"]),
        "fashion_mnist/taxonomy": from_parents(_parents_of(FASHION_KINDS), names["fashion_mnist"]),
    }
    wordnet = WordNet(data / "wordnet30")
    for dataset in WITH_WNIDS:
        wnids = [wnid for _, wnid in lists[dataset]]
        made[f"{dataset}/wordnet"] = from_wordnet(wnids, wordnet, names[dataset])
    for name, (file, head) in INDUCED.items():
        dataset = name.partition("/")[0]
        rows = load_file(_present(data / file))[head].astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        induced = _rounded(induce(rows, names[dataset]))
        made[name] = name_by_taxonomy(induced, made[f"{dataset}/wordnet"], rows)
    return made


def write(data: Path) -> None:
    """Writes every class list and tree into this folder."""
    for dataset, rows in class_lists(data).items():
        (HERE / dataset).mkdir(exist_ok=True)
        with (HERE / dataset / "classes.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["index", "name", "wnid"])
            writer.writerows([i, name, wnid] for i, (name, wnid) in enumerate(rows))
    for name, tree in trees(data).items():
        save_hierarchy(tree, HERE / f"{name}.json")


def differences(data: Path) -> list[str]:
    """One sentence for each file in this folder that its sources do not reproduce."""
    found = [
        f"{dataset}: its classes differ."
        for dataset, rows in class_lists(data).items()
        if [(row.name, row.wnid) for row in load_classes(dataset)] != rows
    ]
    for name, tree in trees(data).items():
        what = _difference(load_hierarchy(name), tree)
        if what:
            found.append(f"{name}: its {what} differ.")
    return found


def _difference(one: Hierarchy, other: Hierarchy) -> str | None:
    if not np.array_equal(one.parents, other.parents):
        return "parents"
    if one.names != other.names:
        return "names"
    if any(one.attributes(v) != other.attributes(v) for v in range(len(one))):
        return "attributes"
    if not _heights_agree(one, other):
        return f"merge heights, by over {HEIGHT_TOLERANCE},"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code is 1 when files differ or sources are missing."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NBDT_DATA"), metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.error("give the folder with the sources by --data or the variable NBDT_DATA")
    data = Path(options.data)
    try:
        if not options.check:
            write(data)
            return 0
        found = differences(data)
    except NBDTError as error:
        found = [str(error)]
    for sentence in found:
        print(sentence, file=sys.stderr)
    if not found:
        print("Every bundled file matches its sources.")
    return 1 if found else 0


def _parents_of(kinds: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {child: parent for parent, children in kinds.items() for child in children}


def _rounded(tree: Hierarchy) -> Hierarchy:
    # Digits beyond those of the distances would only make the files differ between machines.
    assert tree.merge_heights is not None
    heights = np.round(tree.merge_heights, HEIGHT_DIGITS)
    return Hierarchy(tree.parents, tree.names, merge_heights=heights)


def _heights_agree(one: Hierarchy, other: Hierarchy) -> bool:
    if one.merge_heights is None or other.merge_heights is None:
        return one.merge_heights is other.merge_heights
    return bool(np.allclose(one.merge_heights, other.merge_heights, rtol=0, atol=HEIGHT_TOLERANCE))


def _read_csv(path: Path) -> list[dict[str, str]]:
    with _present(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _present(path: Path) -> Path:
    if not path.is_file():
        raise NotFoundError(f"{path} is missing; README.md says where the sources come from.")
    return path


if __name__ == "__main__":
    sys.exit(main())
