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
    """Trains a network, makes it a tree, measures and explains it, saves it and loads it again.

    All is computed on the CPU by one thread, so that a seed gives the same result however many
    cores there are. Nothing is printed; torch's random numbers and settings are left as they were.

    Args:
        output: the folder to write to: a new or empty one, or that of a demo, which is replaced.
        seed: of the split and the training, 0 … 2³² − 1.
        progress: is called after each epoch with its number, how many there are, and its loss;
            `training_progress` gives one.

    Raises:
        InputError: the folder holds something else or cannot be written, or the seed is out of
            range.
        NBDTError: the model that was loaded again answers otherwise than the one saved.

    Example:
        >>> import tempfile
        >>> result = run(tempfile.mkdtemp())
        >>> result.accuracy.samples, result.accuracy.network.accuracy > 0.95
        (450, True)
    """
    start = time.perf_counter()
    folder = Path(output)
    _check_replaceable(folder)
    training, held_out = load_digits().split(seed=seed)
    # The random weights of a network that is built to be loaded into are no business of others.
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
    """Three samples of different classes to be explained, and what is remarkable about each.

    The first that is right, the right one with the least probability, and the first that is
    wrong; where none is wrong, another unsure one.

    Args:
        log_probs: the log-probabilities of the classes; shape (samples, C).
        labels: the true classes; shape (samples,).

    Returns:
        The places of the samples, with a remark each.

    Example:
        >>> probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> choose(probabilities.log(), torch.tensor([0, 1, 0]))
        {1: 'answered right, though least surely', 2: 'answered wrong'}
    """
    highest, answers = log_probs.max(dim=1)
    right = (answers == labels).nonzero()[:, 0].tolist()
    wrong = (answers != labels).nonzero()[:, 0].tolist()
    unsure = sorted(right, key=highest.tolist().__getitem__)
    wishes = [
        ("answered wrong", wrong),
        ("answered right, though least surely", unsure),
        ("answered right", right),
        ("answered right, though not surely", unsure),
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
    """The tree with its inner nodes called by all of their classes: ten are few enough."""
    groups = [
        "/".join(map(tree.name, tree.leaves(node))) for node in tree.inner if node != tree.root
    ]
    return Hierarchy(
        tree.parents,
        [*tree.classes, *groups, ROOT_NAME],
        merge_heights=tree.merge_heights,
        # So that an edit which gives a group other classes does not leave it its name.
        attributes=dict.fromkeys(tree.inner[:-1], BY_LEAVES),
    )


def _check_replaceable(folder: Path) -> None:
    """Refuses a folder that holds anything, unless a demo wrote it."""
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
        f"{folder}: this is there already, and it is not a whole folder of a demo, so it is left "
        "alone; choose another name, or remove it."
    )


def _save_images(digits: Digits, chosen: list[int], folder: Path) -> dict[int, Path]:
    """Writes one digit of each class, the chosen ones among them; gives the files by label."""
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
    """Refuses a model that does not decide as the one that was saved, to the bit."""
    with torch.no_grad():
        same = torch.equal(loaded(images), saved(images))
    if not same or loaded.hierarchy != saved.hierarchy:
        raise NBDTError(
            "the model that was loaded answers otherwise than the one that was saved; this is a "
            "defect of nbdt, please report it."
        )
