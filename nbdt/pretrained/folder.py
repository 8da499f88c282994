"""Writing a model folder whole or not at all, and reading an untrusted one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nbdt.classifiers import difference, libraries_of, library_named, unwrap
from nbdt.documents import parsed_json
from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.files import (
    error_context,
    file_sha256,
    is_file,
    read_json,
    read_text,
    sha256,
    write_json,
    write_text,
)
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.inputs import Input
from nbdt.pretrained.config import (
    SCHEMA,
    FileRecord,
    LibraryRecord,
    ModelConfig,
    how_to_build,
    own_function,
)
from nbdt.pretrained.swap import link_tree, replaced_folder, standing
from nbdt.pretrained.weights import check_shapes, load_tensors, save_tensors

CONFIG, HIERARCHY, WEIGHTS = "config.json", "hierarchy.json", "model.safetensors"
SEAL = "config.sha256"

BESIDE = ("calibration.json", "golden.json")
"""Files that commands and users put beside a model; they stay when the model is saved again."""

_GET_AGAIN = "get the whole folder again, or take edits by hand with nbdt verify --reseal"

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
    def root_hash(self) -> str:
        """The SHA-256 of config.json, which holds those of all other files, in hexadecimal."""
        return file_sha256(self.folder / CONFIG)

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
            raise InputError(f"{self.folder} {how_to_build(self.config)}")
        builder, classes = self.config.builder, len(self.config.classes)
        outputs = builder.arguments.get("num_classes", classes)
        if outputs != classes and (outputs, classes) != (1, 2):
            raise InputError(
                f"the network has {outputs} classes ({self.folder / CONFIG}: builder), but the "
                f"tree has {classes}."
            )
        # A folder of a few kB must not allocate gigabytes, so the shapes are compared first.
        check_shapes(builder.blueprint(), self.weights)
        # Random weights, soon replaced, must not advance the caller's random state.
        with torch.random.fork_rng(devices=[]):
            return builder.build()


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
    top = standing(Path(folder))
    if not top.is_dir():
        raise NotFoundError(f"{top}: no such folder; a saved model is a folder.")
    if not (top / CONFIG).is_file():
        raise NotFoundError(f"{top}: this folder holds no model: it has no {CONFIG}.")
    config = _sealed_config(top)
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
        _link_files(saved, new)
        (new / HIERARCHY).unlink()
        return saved.config.replace(classes=hierarchy.classes)

    write_folder(Path(folder), hierarchy, write)


def put_beside(folder: str | os.PathLike[str], name: str, document: object) -> None:
    """Adds a JSON file to a saved model, or replaces it; `name` is one of `BESIDE`."""
    assert name in BESIDE
    saved = read_model(folder)

    def write(new: Path) -> ModelConfig:
        _link_files(saved, new)
        (new / name).unlink(missing_ok=True)
        write_json(new / name, document)
        return saved.config

    write_folder(Path(folder), saved.hierarchy, write)


def reseal(folder: str | os.PathLike[str]) -> list[str]:
    """Takes a model folder as it is now, after edits by hand; gives the names of what changed.

    A FormatError if the folder is not a valid model.
    """
    top = Path(folder)
    document = read_json(top / CONFIG)
    with error_context(top / CONFIG):
        config = ModelConfig.from_dict(document)
    beside = [name for name in BESIDE if (top / name).is_file()]
    for name in config.files:
        if not (top / name).is_file():
            raise FormatError(f"{top / name}: the file is missing.")
    files = {name: _record(top / name) for name in sorted({*config.files, *beside})}
    changed = [name for name, record in files.items() if config.files.get(name) != record]
    if changed:
        write_json(top / CONFIG, config.replace(files=files).to_dict())
    seal = _seal_of(file_sha256(top / CONFIG))
    if changed or not is_file(top / SEAL) or read_text(top / SEAL) != seal:
        changed.append(CONFIG)
        write_text(top / SEAL, seal)
    read_model(top)
    return changed


def _link_files(saved: SavedModel, new: Path) -> None:
    for name in saved.config.files:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        link_tree(saved.folder / name, new / name)


def own_arguments(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments that a user's own function was called with to make this model's network.

    Numbers and flags only, as strangers may have written the folder, and a text may be a path.
    """
    try:
        known = ModelConfig.from_dict(read_json(Path(folder) / CONFIG)).provenance
    except NBDTError:
        return {}  # `read_model` says what is wrong
    arguments = known.get("arguments")
    if not isinstance(arguments, dict) or own_function(known) is None:
        return {}
    return {key: value for key, value in arguments.items() if isinstance(value, bool | int | float)}


# ── reading ───────────────────────────────────────────────────────────────────────────────────


def _sealed_config(top: Path) -> ModelConfig:
    """The config, if it is the one that was saved."""
    text = read_text(top / CONFIG)
    if not (top / SEAL).is_file():
        raise FormatError(f"{top / SEAL}: the file is missing; {_GET_AGAIN}.")
    if read_text(top / SEAL) != _seal_of(sha256(text)):
        raise FormatError(
            f"{top / CONFIG}: the file is not the one that was saved (its SHA-256 differs from "
            f"{SEAL}); {_GET_AGAIN}."
        )
    with error_context(top / CONFIG):
        return ModelConfig.from_dict(parsed_json(text))


def _check_file(path: Path, expected: FileRecord) -> None:
    if not path.is_file():
        raise FormatError(f"{path}: the file is missing.")
    # A file of another length is refused before a slow hash.
    if path.stat().st_size != expected.bytes or file_sha256(path) != expected.sha256:
        raise FormatError(
            f"{path}: the file is not the one that was saved (its length or SHA-256 differs from "
            f"{CONFIG}); {_GET_AGAIN}."
        )


def _record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=file_sha256(path))


# ── writing ───────────────────────────────────────────────────────────────────────────────────


def write_folder(folder: Path, hierarchy: Hierarchy, write: Callable[[Path], ModelConfig]) -> None:
    """Writes a folder: a function writes all files but the tree and the config, and gives this.

    Files that were put beside an older model (`BESIDE`) stay.
    """
    target = folder.resolve()
    try:
        _check_replaceable(target)
        with replaced_folder(target, _own_files) as new:
            config = write(new)
            save_hierarchy(hierarchy, new / HIERARCHY)
            for name in BESIDE:
                if (target / name).is_file() and not (new / name).exists():
                    link_tree(target / name, new / name)
            _seal(new, config)
    except OSError as error:
        raise InputError(f"{target}: the model cannot be saved: {error.strerror}.") from error


def _seal(folder: Path, config: ModelConfig) -> None:
    """Writes the config, which lists all files, and the hash of the config."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): _record(path) for path in paths}
    write_json(folder / CONFIG, config.replace(files=files).to_dict())
    write_text(folder / SEAL, _seal_of(file_sha256(folder / CONFIG)))


def _seal_of(digest: str) -> str:
    """What `SEAL` holds: a line that ``sha256sum --check`` takes."""
    return f"{digest}  {CONFIG}\n"


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


def _own_files(folder: Path) -> set[str]:
    """The files and folders at the top of a model folder that belong to the model."""
    own = {CONFIG, SEAL, HIERARCHY, WEIGHTS}
    try:
        files = read_json(folder / CONFIG)["files"]
        return own | {str(name).partition("/")[0] for name in files}
    except (NBDTError, KeyError, TypeError):
        return own
