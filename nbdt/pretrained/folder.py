"""Writing a model folder whole or not at all, and reading an untrusted one."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

from nbdt.classifiers import difference
from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.files import error_context, file_sha256, read_json, write_json
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.pretrained.config import SCHEMA, FileRecord, ModelConfig
from nbdt.pretrained.weights import save_tensors

CONFIG, HIERARCHY, WEIGHTS = "config.json", "hierarchy.json", "model.safetensors"

# The temporary name of a folder that is being replaced.
_OLD = ".old"

_SCHEMA_NAME = SCHEMA.partition("/")[0]


@dataclass(frozen=True)
class SavedModel:
    """A config and a tree that agree, and the path of the weights, whose hash was checked."""

    config: ModelConfig
    hierarchy: Hierarchy
    weights: Path

    def built_network(self) -> nn.Module:
        """A new network, with random weights; an InputError if the config has no builder."""
        if self.config.builder is None:
            raise InputError(
                f"{self.weights.parent} does not say how its network is built; build it yourself "
                "and pass it, by network=… or, to a command, --network FILE.py:FUNCTION."
            )
        # Random weights, soon replaced, must not advance the caller's random state.
        with torch.random.fork_rng(devices=[]):
            return self.config.builder.build()


def write_model(
    folder: str | os.PathLike[str], config: ModelConfig, hierarchy: Hierarchy, network: nn.Module
) -> None:
    """Writes a model folder; an existing one is replaced only once the new one is complete.

    Other files in a model folder (a README, a model card) are kept. `files` and `versions` of the
    config are filled in.

    Raises:
        InputError: the folder contains something other than a model or cannot be written, the
            network's tensors cannot be stored, or the config's builder does not build it.
        FormatError: the provenance or an attribute of the tree is not JSON.
    """
    if config.builder is not None:
        different = difference(network, config.builder.blueprint())
        if different:
            raise InputError(
                f"{config.builder.name} does not build this network: {different}. Correct the "
                "model's builder, or set it to None: from_pretrained then asks for the network."
            )
    versions = {"nbdt": _version(), "torch": str(torch.__version__)}
    write_folder(
        Path(folder),
        config.replace(versions=versions),
        hierarchy,
        lambda path: save_tensors(network, path),
    )


def read_model(folder: str | os.PathLike[str]) -> SavedModel:
    """Reads a model folder and checks that it is complete and unchanged; weights are only hashed.

    Raises:
        NotFoundError: no such folder, or it contains no model.
        FormatError: a file is missing, changed or invalid; the message names it.
        HierarchyError: hierarchy.json does not hold a tree of classes.
    """
    top = Path(folder)
    if not top.is_dir():
        raise NotFoundError(f"{top}: no such folder; a saved model is a folder.")
    if not (top / CONFIG).is_file():
        raise NotFoundError(f"{top}: this folder holds no model: it has no {CONFIG}.")
    document = read_json(top / CONFIG)
    with error_context(top / CONFIG):
        config = ModelConfig.from_dict(document)
    if set(config.files) != {HIERARCHY, WEIGHTS}:
        raise FormatError(f"{top / CONFIG}: files must list {HIERARCHY} and {WEIGHTS}, only.")
    for name, record in config.files.items():
        _check_file(top / name, record)
    hierarchy = load_hierarchy(top / HIERARCHY)
    if hierarchy.classes != config.classes:
        raise FormatError(f"{top / CONFIG}: its class names differ from those in {HIERARCHY}.")
    return SavedModel(config, hierarchy, top / WEIGHTS)


def replace_hierarchy(folder: str | os.PathLike[str], hierarchy: Hierarchy) -> None:
    """Replaces the tree of a saved model; its weights and the rest of its config stay.

    The network is not built, so this works for any model. The tree has the same number of classes
    in the same order; the model takes over its names for them.
    """
    saved = read_model(folder)
    if hierarchy.num_classes != saved.hierarchy.num_classes:
        raise InputError(
            f"the model has {saved.hierarchy.num_classes} classes, but the tree has "
            f"{hierarchy.num_classes}."
        )
    if saved.config.temperature.nodes and (
        hierarchy.parents.tolist() != saved.hierarchy.parents.tolist()
    ):
        raise InputError(
            "the model has temperatures for single nodes of its tree, which mean nothing in "
            "another tree; set them to none, and fit them again."
        )
    write_folder(
        Path(folder),
        saved.config.replace(classes=hierarchy.classes),
        hierarchy,
        lambda path: shutil.copyfile(saved.weights, path),
    )


# ── reading ───────────────────────────────────────────────────────────────────────────────────


def _check_file(path: Path, expected: FileRecord) -> None:
    if not path.is_file():
        raise FormatError(f"{path}: the file is missing.")
    # A file of another length is refused before a slow hash.
    if path.stat().st_size != expected.bytes or file_sha256(path) != expected.sha256:
        raise FormatError(
            f"{path}: the file is not the one that was saved (its length or SHA-256 differs from "
            f"{CONFIG}); get the whole folder again."
        )


def _record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=file_sha256(path))


# ── writing ───────────────────────────────────────────────────────────────────────────────────


def write_folder(
    folder: Path, config: ModelConfig, hierarchy: Hierarchy, write_weights: Callable[[Path], object]
) -> None:
    """Writes the three files; a function of their path writes the weights."""
    target = folder.resolve()
    try:
        _check_replaceable(target)
        with _replacing(target) as new:
            write_weights(new / WEIGHTS)
            save_hierarchy(hierarchy, new / HIERARCHY)
            files = {name: _record(new / name) for name in (HIERARCHY, WEIGHTS)}
            write_json(new / CONFIG, config.replace(files=files).to_dict())
    except OSError as error:
        raise InputError(f"{target}: the model cannot be saved: {error.strerror}.") from error


def _version() -> str:
    try:
        return metadata.version("nbdt-toolkit")
    except metadata.PackageNotFoundError:
        return "unknown"


def _check_replaceable(target: Path) -> None:
    """Refuses a target that exists and is neither empty nor a model folder."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{target}: this is a file; a model is saved as a folder.")
    if not any(target.iterdir()) or _is_model_folder(target):
        return
    raise InputError(
        f"{target}: this folder holds something other than a model, so it is left alone; choose a "
        "new or empty folder."
    )


def _is_model_folder(folder: Path) -> bool:
    try:
        document = read_json(folder / CONFIG)
    except NBDTError:
        return False
    schema = document.get("schema") if isinstance(document, dict) else None
    return isinstance(schema, str) and schema.partition("/")[0] == _SCHEMA_NAME


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which takes its place when the block ends without error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = f".{target.name}.{secrets.token_hex(4)}"
    new, old = target.with_name(f"{aside}.new"), target.with_name(f"{aside}{_OLD}")
    new.mkdir()
    try:
        yield new
        for path in new.iterdir():
            _flush(path)
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        _settle(target)


def _settle(target: Path) -> None:
    """Finishes an interrupted replacement, even by a writer that was killed.

    The old folder is restored, or its other files move to the new one.
    """
    for old in target.parent.glob(f".{glob.escape(target.name)}.*{_OLD}"):
        if not target.exists():
            old.rename(target)
            continue
        for path in old.iterdir():
            if path.name not in (CONFIG, HIERARCHY, WEIGHTS):
                path.rename(target / path.name)
        shutil.rmtree(old)


def _flush(path: Path) -> None:
    """Makes sure that the file is on disk before it replaces another."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
