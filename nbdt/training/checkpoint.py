"""All that a training needs to resume: one file, written whole or not at all, and whose it is.

The file is safetensors: named tensors, and JSON in its header for the rest. It holds no pickle
and runs no code when it is read. A checkpoint names the settings, the classes and the data that it
belongs to. Data are identified by what they say about themselves, without loading a sample: that
would take long, and could open files in this process that belong to the workers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import Dataset, Subset, TensorDataset

from nbdt.data import Augmentation, ImageFiles, LabelledImages, PixelArray
from nbdt.documents import parsed_json
from nbdt.errors import FormatError, InputError
from nbdt.files import error_context, replacing_path
from nbdt.training.config import TrainingConfig

SCHEMA = "nbdt.training/2"
_MOST_NAMED = 4


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, on the CPU, and values that JSON can hold."""

    tensors: Mapping[str, Tensor]
    document: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Writes the file, replacing an older one when the new one is on the disk."""
        # Every tensor owns its memory in the file, so tied weights are stored once for each name.
        dense = {
            name: tensor.detach().to("cpu", copy=True).contiguous()
            for name, tensor in self.tensors.items()
        }
        document = json.dumps(dict(self.document), allow_nan=False)
        metadata = {"schema": SCHEMA, "document": document, "sha256": digest(dense, document)}
        with replacing_path(path) as aside:
            # safetensors makes files that only their owner can read; give it the usual mode.
            aside.touch()
            mode = aside.stat().st_mode
            try:
                save_file(dense, aside, metadata=metadata)
            except SafetensorError as error:
                raise InputError(f"{path}: cannot be written: {error}.") from None
            aside.chmod(mode)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Reads the file that `save` wrote; a FormatError if it is cut short or was changed."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
            raise FormatError(f"{path}: is not a whole safetensors file: {error}.") from None
        if metadata.get("schema") != SCHEMA:
            raise FormatError(
                f"{path}: this version of nbdt reads checkpoints of the schema {SCHEMA}; this "
                f"one has {metadata.get('schema')!r:.80}."
            )
        text = metadata.get("document", "")
        if metadata.get("sha256") != digest(tensors, text):
            raise FormatError(f"{path}: was changed or damaged after it was written.")
        with error_context(path):
            document = parsed_json(text)
            if not isinstance(document, dict):
                raise FormatError("its document must be a JSON object.")
        return cls(tensors, document)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by name, such as ``"0.momentum_buffer"`` for the first parameter."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave; the optimizer keeps its hyperparameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters) or not name:
            raise FormatError(f"the optimizer lacks a parameter for {key!r:.80}.")
        if value.ndim and value.shape != parameters[int(index)].shape:
            raise FormatError(f"the optimizer's {key} has the shape {tuple(value.shape)}.")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def digest(tensors: Mapping[str, Tensor], document: str = "") -> str:
    """The SHA-256 of a document and of the names, types, shapes and bytes of tensors."""
    found = hashlib.sha256(document.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def data_identity(dataset: Dataset[Any]) -> dict[str, Any]:
    """Values for JSON that differ where data sets do, as far as that is cheap to find out.

    - Images of `nbdt.data`: the preprocessing, the random changes, the class of each image, and
      the pixels in memory or the names and sizes of the files.
    - A `TensorDataset`: all of it.
    - Any other data set: the class of each sample, if it has them as ``targets``.
    - A `Subset` of these: likewise, and which samples it has.
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
    try:
        targets = np.asarray(getattr(dataset, "targets", None))
    except (TypeError, ValueError, RuntimeError):
        return found
    return found | {"targets": _digest(targets)} if targets.dtype.kind in "iuf" else found


def check_same(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Checks that a checkpoint belongs to this training; a FormatError names what differs.

    `there` is what the checkpoint says: ``config``, ``classes``, ``samples``; where it knows it,
    ``data``, as `data_identity` gives it; and ``backbone``, the digest of the frozen part, where
    only the head is trained. `here` is the same for this training, complete.
    """
    # Older checkpoints lack some fields. Missing settings are read as defaults; missing data
    # identity is assumed to match.
    defaults, data = TrainingConfig().to_dict(), there.get("data", here["data"])
    then, now = (
        {
            **defaults,
            **side["config"],
            **identity,
            **{name: side.get(name) for name in ("classes", "samples", "backbone")},
        }
        for side, identity in ((there, data), (here, here["data"]))
    )
    if not now["retree_every"]:
        # They don't matter then, and older versions stored other values.
        then |= {name: now[name] for name in ("linkage", "normalize", "branching")}
    changed = [name for name in {**now, **then} if then.get(name) != now.get(name)]
    if changed:
        differences = [
            f"{name} is {then.get(name)!r:.60} there, {now.get(name)!r:.60} here"
            for name in changed[:_MOST_NAMED]
        ]
        if len(changed) > _MOST_NAMED:
            differences.append(f"and {len(changed) - _MOST_NAMED} more")
        raise FormatError(f"it is the checkpoint of another training: {'; '.join(differences)}.")


def _of_images(images: LabelledImages) -> dict[str, Any]:
    found: dict[str, Any] = {"targets": _digest(images.targets)}
    steps, changes = images.preprocessing.to_dict(), images.augmentation or Augmentation()
    found |= {f"preprocessing.{name}": value for name, value in steps.items()}
    found |= {f"augmentation.{name}": value for name, value in changes.to_dict().items()}
    if isinstance(images.source, PixelArray):
        pixels = torch.from_numpy(images.source.pixels)
        found["images"] = digest({"pixels": pixels, "indices": torch.from_numpy(images.indices)})
    elif isinstance(images.source, ImageFiles):
        paths = [images.source.paths[place] for place in images.indices]
        # The names of a file and its folder only, so that everything can be moved.
        found["images"] = digest({}, repr([(*path.parts[-2:], _size(path)) for path in paths]))
    return found


def _size(path: Any) -> int | None:
    try:
        return int(path.stat().st_size)
    except OSError:
        return None  # reading the file will report it


def _digest(array: np.ndarray[Any, Any]) -> str:
    # Numbers up to 2⁵³ are themselves in float64, whatever type they come in.
    return digest({"numbers": torch.from_numpy(array.astype(np.float64))})
