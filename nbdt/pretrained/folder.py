"""Writing a model folder whole or not at all, and reading an untrusted one."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nbdt.classifiers import difference, libraries_of, library_named, unwrap
from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.files import error_context, file_sha256, read_json, write_json
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.inputs import Input
from nbdt.pretrained.config import SCHEMA, FileRecord, LibraryRecord, ModelConfig
from nbdt.pretrained.weights import load_tensors, save_tensors

CONFIG, HIERARCHY, WEIGHTS = "config.json", "hierarchy.json", "model.safetensors"

# The temporary name of a folder that is being replaced.
_OLD = ".old"

# In the folder or in a folder of it: no "..", no hidden files, nothing absolute.
_FILE_NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,2}")

_SCHEMA_NAME = SCHEMA.partition("/")[0]


@dataclass(frozen=True)
class SavedModel:
    """A config and a tree that agree, and the folder, whose other files' hashes were checked."""

    config: ModelConfig
    hierarchy: Hierarchy
    folder: Path

    @property
    def weights(self) -> Path:
        """The file with the network's state dict; there is none if its library saved it."""
        return self.folder / WEIGHTS

    def network(self, given: Any = None) -> Any:
        """The network, which `fill` gives its weights; or the one that a caller gave instead."""
        record = self.config.library
        if record is not None and given is not None:
            raise InputError(
                f"{self.folder} holds its network, saved by {record.name}; leave out the one given."
            )
        if record is not None:
            return self._loaded(record)
        return self._built() if given is None else given

    def fill(self, network: nn.Module) -> None:
        """Loads the weights into a network, unless its library has done so."""
        if self.config.library is None:
            load_tensors(unwrap(network)[0], self.weights)

    def input(self) -> Input | None:
        """How samples become the network's input, with the files that belong to it."""
        found = self.config.preprocessing
        with error_context(self.folder):
            return None if found is None else found.load(self.folder)

    def _loaded(self, record: LibraryRecord) -> nn.Module:
        with error_context(self.folder / CONFIG):
            try:
                library = library_named(record.name)
            except NotFoundError as error:
                raise FormatError(str(error)) from None
        with error_context(self.folder):
            return library.load(record.options, self.folder)

    def _built(self) -> nn.Module:
        """A new network, with random weights; an InputError if the config has no builder."""
        if self.config.builder is None:
            raise InputError(
                f"{self.folder} does not say how its network is built; build it yourself "
                "and pass it, by network=… or, to a command, --network FILE.py:FUNCTION."
            )
        # Random weights, soon replaced, must not advance the caller's random state.
        with torch.random.fork_rng(devices=[]):
            return self.config.builder.build()


def write_model(
    folder: str | os.PathLike[str], config: ModelConfig, hierarchy: Hierarchy, network: nn.Module
) -> None:
    """Writes a model folder; an existing one is replaced only once the new one is complete.

    Other files in a model folder (a README, a model card) are kept. `library`, `files` and
    `versions` of the config are filled in.

    Raises:
        InputError: the folder contains something other than a model or cannot be written, the
            network cannot be stored, or the config's builder does not build it.
        FormatError: the provenance or an attribute of the tree is not JSON.
    """
    library = next((one for one in libraries_of(network) if one.saves(network)), None)
    if library is None and config.builder is not None:
        different = difference(network, config.builder.blueprint())
        if different:
            raise InputError(
                f"{config.builder.name} does not build this network: {different}. Correct the "
                "model's builder, or set it to None: from_pretrained then asks for the network."
            )
    versions = {"nbdt": _version(), "torch": str(torch.__version__)}

    def write(new: Path) -> ModelConfig:
        record = None
        if library is None:
            save_tensors(network, new / WEIGHTS)
        else:
            record = LibraryRecord(name=library.name, options=library.save(network, new))
        if config.preprocessing is not None:
            config.preprocessing.save(new)
        builder = config.builder if library is None else None
        return config.replace(versions=versions, library=record, builder=builder)

    write_folder(Path(folder), hierarchy, write)


def read_model(folder: str | os.PathLike[str]) -> SavedModel:
    """Reads a model folder and checks that it is complete and unchanged; other files are hashed.

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
    needed = {HIERARCHY} if config.library is not None else {HIERARCHY, WEIGHTS}
    names = config.files.keys()
    if not needed <= names or CONFIG in names or not all(map(_FILE_NAME.fullmatch, names)):
        raise FormatError(
            f"{top / CONFIG}: files must list {' and '.join(sorted(needed))}, and else only files "
            "that a library wrote into this folder."
        )
    for name, record in config.files.items():
        _check_file(top / name, record)
    hierarchy = load_hierarchy(top / HIERARCHY)
    if hierarchy.classes != config.classes:
        raise FormatError(f"{top / CONFIG}: its class names differ from those in {HIERARCHY}.")
    return SavedModel(config, hierarchy, top)


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

    def write(new: Path) -> ModelConfig:
        for name in saved.config.files:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(saved.folder / name, new / name)
        return saved.config.replace(classes=hierarchy.classes)

    write_folder(Path(folder), hierarchy, write)


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


def write_folder(folder: Path, hierarchy: Hierarchy, write: Callable[[Path], ModelConfig]) -> None:
    """Writes a folder: a function writes all files but the tree and the config, and gives this."""
    target = folder.resolve()
    try:
        _check_replaceable(target)
        with _replacing(target) as new:
            config = write(new)
            save_hierarchy(hierarchy, new / HIERARCHY)
            paths = sorted(path for path in new.rglob("*") if path.is_file())
            files = {path.relative_to(new).as_posix(): _record(path) for path in paths}
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
        for path in new.rglob("*"):
            if path.is_file():
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
        own = _own_files(old)
        for path in old.iterdir():
            if path.name not in own and not (target / path.name).exists():
                path.rename(target / path.name)
        shutil.rmtree(old)


def _own_files(folder: Path) -> set[str]:
    """The files and folders at the top of a model folder that belong to the model."""
    own = {CONFIG, HIERARCHY, WEIGHTS}
    try:
        files = read_json(folder / CONFIG)["files"]
        return own | {str(name).partition("/")[0] for name in files}
    except (NBDTError, KeyError, TypeError):
        return own


def _flush(path: Path) -> None:
    """Makes sure that the file is on disk before it replaces another."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
