"""What has to be the same for a training to go on: the settings, the classes and the data.

Data are told by what they say of themselves, without loading a sample: that would take long, and
could open files in this process that belong to the workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset, TensorDataset

from nbdt.data import Augmentation, ImageFiles, LabelledImages, PixelArray
from nbdt.errors import FormatError
from nbdt.training.checkpoint import digest
from nbdt.training.config import TrainingConfig

MOST_TOLD = 4


def data_identity(dataset: Dataset[Any]) -> dict[str, Any]:
    """Values that differ where data sets do, as far as that is cheaply told; JSON can hold them.

    - Images of `nbdt.data`: the preprocessing, the random changes, the class of each image, and
      the pixels in memory or the names and sizes of the files.
    - A `TensorDataset`: all of it.
    - Of any other: the class of each sample, if it has them as ``targets``.
    - A `Subset` of these: likewise, and which samples it has.

    Example:
        >>> from nbdt.data import load_dataset
        >>> digits = load_dataset("digits", "train")
        >>> one, other = (data_identity(digits.split(0.1, seed=seed)[0]) for seed in (0, 1))
        >>> sorted(name for name in one if one[name] != other[name])
        ['images', 'targets']
    """
    chosen = np.arange(len(dataset))  # type: ignore[arg-type]
    is_part = isinstance(dataset, Subset)
    while isinstance(dataset, Subset):
        chosen = np.asarray(dataset.indices)[chosen]
        dataset = dataset.dataset
    found: dict[str, Any] = {"part": _digest(chosen)} if is_part else {}
    if isinstance(dataset, LabelledImages):
        return found | _of_images(dataset)
    if isinstance(dataset, TensorDataset):
        tensors = {str(index): tensor for index, tensor in enumerate(dataset.tensors)}
        return found | {"tensors": digest(tensors)}
    targets = _as_numbers(getattr(dataset, "targets", None))
    return found if targets is None else found | {"targets": _digest(targets)}


def check_same(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Checks that a checkpoint is one of this training.

    Args:
        there: what the checkpoint says of its own: ``config``, ``classes``, ``samples``; where
            it knows them ``data``, as `data_identity` gives them; and ``backbone``, the digest of
            what is not trained, where only the head is.
        here: the same of this training, complete.

    Raises:
        FormatError: it is that of another; the message names what differs.

    Example:
        >>> here = {"config": TrainingConfig().to_dict(), "classes": ["cat", "dog"], "samples": 3}
        >>> check_same({**here, "samples": 2}, {**here, "data": {}})
        Traceback (most recent call last):
        nbdt.errors.FormatError: it is the checkpoint of another training: samples is 2 there, ...
    """
    # A setting that an older version did not have was what it is by default; what data it had
    # an older version did not tell.
    defaults, data = TrainingConfig().to_dict(), there.get("data", here["data"])
    then, now = (
        {
            **defaults,
            **side["config"],
            **said_of_data,
            **{name: side.get(name) for name in ("classes", "samples", "backbone")},
        }
        for side, said_of_data in ((there, data), (here, here["data"]))
    )
    if not now["retree_every"]:
        # Of no account then, and older versions gave them other values.
        then |= {name: now[name] for name in ("linkage", "normalize", "branching")}
    changed = [name for name in {**now, **then} if then.get(name) != now.get(name)]
    if changed:
        told = [
            f"{name} is {then.get(name)!r:.60} there, {now.get(name)!r:.60} here"
            for name in changed[:MOST_TOLD]
        ]
        if len(changed) > MOST_TOLD:
            told.append(f"and {len(changed) - MOST_TOLD} more")
        raise FormatError(f"it is the checkpoint of another training: {'; '.join(told)}.")


def _of_images(images: LabelledImages) -> dict[str, Any]:
    found: dict[str, Any] = {"targets": _digest(images.targets)}
    changes = asdict(images.augmentation or Augmentation())
    for kind, values in (
        ("preprocessing", images.preprocessing.to_dict()),
        ("augmentation", changes),
    ):
        found |= {f"{kind}.{name}": value for name, value in values.items()}
    if isinstance(images.source, PixelArray):
        pixels = torch.from_numpy(images.source.pixels)
        found["images"] = digest({"pixels": pixels, "indices": torch.from_numpy(images.indices)})
    elif isinstance(images.source, ImageFiles):
        paths = [images.source.paths[place] for place in images.indices]
        # The name of a file and of its folder, so that all of it can be moved.
        found["images"] = digest({}, repr([(*path.parts[-2:], _size(path)) for path in paths]))
    return found


def _size(path: Any) -> int | None:
    try:
        size: int = path.stat().st_size
    except OSError:
        return None  # it is told which one that is when it is read
    return size


def _as_numbers(targets: Any) -> np.ndarray[Any, Any] | None:
    """Targets as an array, where they are numbers."""
    if targets is None:
        return None
    try:
        array = np.asarray(targets)
    except (TypeError, ValueError, RuntimeError):
        return None
    return array if array.dtype.kind in "iuf" else None


def _digest(array: np.ndarray[Any, Any]) -> str:
    # Numbers up to 2⁵³ are themselves in float64, whatever type they come in.
    return digest({"numbers": torch.from_numpy(array.astype(np.float64))})
