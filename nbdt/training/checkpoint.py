"""All that a training needs to go on: one file, written whole or not at all.

The file is safetensors: named tensors, and JSON in its header for the rest. It holds no pickle
and runs no code when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from nbdt.documents import parsed_json
from nbdt.errors import FormatError, InputError
from nbdt.files import error_context, replacing_path

SCHEMA = "nbdt.training/2"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and plain data.

    Attributes:
        tensors: on the CPU.
        document: values that JSON can hold.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "checkpoint.safetensors"
        >>> Checkpoint({"weight": torch.ones(2)}, {"epoch": 1}).save(path)
        >>> Checkpoint.load(path).document
        {'epoch': 1}
    """

    tensors: Mapping[str, Tensor]
    document: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Writes the file; one of that name is replaced when the new one is on the disk.

        Raises:
            InputError: the file cannot be written (the disk is full, say); it is then as it was.
        """
        # Every tensor owns its memory in the file, so tied weights are stored once for each name.
        dense = {
            name: tensor.detach().to("cpu", copy=True).contiguous()
            for name, tensor in self.tensors.items()
        }
        document = json.dumps(dict(self.document), allow_nan=False)
        metadata = {"schema": SCHEMA, "document": document, "sha256": digest(dense, document)}
        with replacing_path(path) as aside:
            # safetensors makes files that only their owner can read; this is to be like any other.
            aside.touch()
            mode = aside.stat().st_mode
            try:
                save_file(dense, aside, metadata=metadata)
            except SafetensorError as error:
                raise InputError(f"{path}: cannot be written: {error}.") from None
            aside.chmod(mode)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Reads the file that `save` wrote.

        Raises:
            FormatError: it is no checkpoint of a training, is cut short, or was changed.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
            raise FormatError(f"{path}: is not a whole safetensors file: {error}.") from None
        if metadata.get("schema") != SCHEMA:
            raise FormatError(
                f"{path}: is not a checkpoint that this version of nbdt reads ({SCHEMA}); its "
                f"schema is {metadata.get('schema')!r:.80}."
            )
        text = metadata.get("document", "")
        if metadata.get("sha256") != digest(tensors, text):
            raise FormatError(f"{path}: was changed or damaged after it was written.")
        with error_context(path):
            document = parsed_json(text)
            if not isinstance(document, dict):
                raise FormatError("its document has to be a JSON object.")
        return cls(tensors, document)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by name, such as ``"0.momentum_buffer"`` for the first parameter.

    Example:
        >>> layer = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
        >>> layer(torch.ones(1)).backward()
        >>> optimizer.step()
        >>> sorted(optimizer_tensors(optimizer))
        ['0.momentum_buffer', '1.momentum_buffer']
    """
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave; hyperparameters stay those of the optimizer.

    Raises:
        FormatError: the tensors are not those of this optimizer.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters) or not name:
            raise FormatError(f"the optimizer has no parameter for {key!r:.80}.")
        if value.ndim and value.shape != parameters[int(index)].shape:
            raise FormatError(f"{key} of the optimizer is of shape {tuple(value.shape)}.")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def digest(tensors: Mapping[str, Tensor], document: str = "") -> str:
    """The SHA-256 of a document and of the names, types, shapes and bytes of tensors.

    Example:
        >>> digest({"weight": torch.zeros(2)}) == digest({"weight": torch.zeros(2, 1)})
        False
    """
    found = hashlib.sha256(document.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
