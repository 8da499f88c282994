"""The steps of a demo, from the data to a saved model that explains itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from torch import Tensor

from nbdt.classifiers import induce
from nbdt.data.digits import PREPROCESSING, Digits, load_digits
from nbdt.demo.result import DemoResult, ExplainedDigit, drawn
from nbdt.demo.training import EPOCHS, NETWORK, OnEpoch, one_thread, train
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation import accuracy_by_rule
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.naming import BY_LEAVES
from nbdt.model import NBDT
from nbdt.pretrained import read_model

DEFAULT_OUTPUT = "nbdt-demo"
IMAGES = "digits"
MADE_BY = "nbdt demo"
ROOT_NAME = "any digit"
EXPLAINED = 3


def run(
    output: str | os.PathLike[str] = DEFAULT_OUTPUT,
    *,
    seed: int = 0,
    progress: OnEpoch | None = None,
) -> DemoResult:
    """Trains a network, turns it into a tree, measures, explains, saves and reloads it.

    Everything runs on the CPU in one thread, so that a seed, 0 … 2³² − 1, gives the same result on
    any number of cores. Nothing is printed; torch's random numbers and settings stay as they were.
    The folder `output` must be new, empty, or an earlier demo's, which is replaced. `progress` is
    called after each epoch with its number, the number of epochs, and its loss.
    """
    start = time.perf_counter()
    folder = Path(output)
    _check_replaceable(folder)
    training, held_out = load_digits().split(seed=seed)
    # Building a network to load weights into draws random numbers.
    with torch.random.fork_rng(devices=[]), one_thread():
        trained_from = time.perf_counter()
        network = train(training, seed, progress or (lambda *_: None))
        training_seconds = time.perf_counter() - trained_from

        tree = _named(induce(network, held_out.classes))
        model = NBDT(network, tree, preprocessing=PREPROCESSING).eval()
        with torch.no_grad():
            logits, log_probs = model.logits(held_out.images), model(held_out.images)
        accuracy = accuracy_by_rule([(logits, held_out.labels)], tree)
        chosen = choose(log_probs, held_out.labels)
        explanations = model.explain(held_out.images[list(chosen)])

        model.provenance = {
            "made_by": MADE_BY,
            "data": "the handwritten digits of scikit-learn",
            "seed": seed,
            "training_samples": len(training),
            "accuracy_on_held_out": accuracy.to_dict(),
        }
        model.save_pretrained(folder)
        files = _save_images(held_out, list(chosen), folder / IMAGES)
        _check_same(NBDT.from_pretrained(folder), model, held_out.images)

    explained = []
    for (place, remark), explanation in zip(chosen.items(), explanations, strict=True):
        label = int(held_out.labels[place])
        name, picture = held_out.classes[label], drawn(held_out.images[place, 0])
        explained.append(ExplainedDigit(label, name, remark, picture, files[label], explanation))
    return DemoResult(
        folder=folder,
        images=folder / IMAGES,
        seed=seed,
        network=NETWORK,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        training_samples=len(training),
        epochs=EPOCHS,
        training_seconds=training_seconds,
        seconds=time.perf_counter() - start,
        hierarchy=tree,
        accuracy=accuracy,
        explained=tuple(explained),
    )


def choose(log_probs: Tensor, labels: Tensor) -> dict[int, str]:
    """Three samples of different classes to explain, each with a remark.

    The first correct one, the least confident correct one, and the first error; if there is no
    error, another unsure one. `log_probs` has the shape (samples, C), `labels` (samples,).
    """
    highest, answers = log_probs.max(dim=1)
    right = (answers == labels).nonzero()[:, 0].tolist()
    wrong = (answers != labels).nonzero()[:, 0].tolist()
    unsure = sorted(right, key=highest.tolist().__getitem__)
    wishes = [
        ("classified incorrectly", wrong),
        ("correct, with the least confidence", unsure),
        ("correct", right),
        ("correct, with little confidence", unsure),
    ]
    chosen: dict[int, str] = {}
    seen: set[int] = set()
    for remark, places in wishes:
        place = next((one for one in places if int(labels[one]) not in seen), None)
        if place is not None and len(chosen) < EXPLAINED:
            chosen[place] = remark
            seen.add(int(labels[place]))
    return dict(reversed(chosen.items()))


def _named(tree: Hierarchy) -> Hierarchy:
    """The tree with each inner node named after all of its classes."""
    groups = [
        "/".join(map(tree.name, tree.leaves(node))) for node in tree.inner if node != tree.root
    ]
    return Hierarchy(
        tree.parents,
        [*tree.classes, *groups, ROOT_NAME],
        merge_heights=tree.merge_heights,
        # An edit that changes the classes of a group then drops its name.
        attributes=dict.fromkeys(tree.inner[:-1], BY_LEAVES),
    )


def _check_replaceable(folder: Path) -> None:
    """Refuses a folder that holds anything except an earlier demo."""
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        if read_model(folder).config.provenance.get("made_by") == MADE_BY:
            return
    except NBDTError:
        pass
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read: {error.strerror}.") from None
    raise InputError(
        f"{folder}: this already exists and is not a complete demo folder; choose another name "
        "or remove it."
    )


def _save_images(digits: Digits, chosen: list[int], folder: Path) -> dict[int, Path]:
    """Writes one digit of each class, the chosen ones included; returns the files by label."""
    places = {label: place for place, label in reversed([*enumerate(digits.labels.tolist())])}
    places |= {int(digits.labels[place]): place for place in chosen}
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be made: {error.strerror}.") from None
    files = {label: folder / f"{name}.png" for label, name in enumerate(digits.classes)}
    for label, file in files.items():
        digits.save_image(places[label], file)
    return files


def _check_same(loaded: NBDT, saved: NBDT, images: Tensor) -> None:
    with torch.no_grad():
        same = torch.equal(loaded(images), saved(images))
    if not same or loaded.hierarchy != saved.hierarchy:
        raise NBDTError(
            "the reloaded model gives other answers than the saved one; this is a bug in nbdt, "
            "please report it."
        )
