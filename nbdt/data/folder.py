"""Samples in memory, in files, and in folders with one subfolder per class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nbdt.data.labelled import LabelledImages, LabelledSamples
from nbdt.errors import InputError, Note
from nbdt.files import checked_folder, list_subfolders, raise_unreadable
from nbdt.hierarchy.classes import WNID, ambiguity, canonical, checked_distinct
from nbdt.hierarchy.text import join_names
from nbdt.inputs import Input
from nbdt.inputs.image import SUFFIXES, Preprocessing, open_image

# Usual beside images, and never taken for one.
_TEXTS = (".csv", ".html", ".json", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
_NAMES_SHOWN = 6


class PixelArray:
    """Pictures of one size in memory: uint8 of shape (images, height, width) or (…, width, 3)."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        is_array = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
        if not is_array or not (pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] == 3)):
            got = f"{pixels.dtype} of shape {pixels.shape}" if hasattr(pixels, "dtype") else pixels
            raise InputError(
                "pixels must be a uint8 array of shape (images, height, width), or "
                f"(images, height, width, 3) for color; got {got!s:.80}."
            )
        # Images that are not contiguous would be copied at each access.
        self.pixels = np.ascontiguousarray(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, place: int) -> Image.Image:
        return Image.fromarray(self.pixels[place])


class ImageFiles:
    """Pictures in files, each read by `open_image` when it is asked for."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = tuple(map(Path, paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Image.Image:
        return open_image(self.paths[place])

    def name(self, place: int) -> str:
        """The path of a file."""
        return str(self.paths[place])


class SampleFiles:
    """Samples in files, each opened by an input when it is asked for."""

    def __init__(self, paths: Iterable[str | Path], reader: Input) -> None:
        self.paths, self.reader = tuple(map(Path, paths)), reader

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Any:
        return self.reader.open(self.paths[place])

    def name(self, place: int) -> str:
        """The path of a file."""
        return str(self.paths[place])

    def read_by(self, reader: Input) -> SampleFiles:
        """The same files, opened by another input."""
        return SampleFiles(self.paths, reader)


def sample_folder(
    folder: str | os.PathLike[str],
    reader: Input,
    *,
    classes: Sequence[str] | None = None,
    partial: bool = False,
) -> LabelledSamples:
    """Labeled samples of any kind: a folder with one subfolder of files per class.

    As `ImageFolder`, for the files that an input opens, such as texts.
    """
    if not reader.suffixes:
        raise InputError(
            f"{folder}: this model reads {reader.reads}, which is not read from files."
        )
    paths, targets, names, wnids = _labelled_files(
        Path(folder), reader.suffixes, classes, (), partial
    )
    return LabelledSamples(SampleFiles(paths, reader), targets, names, reader, wnids=wnids)


class ImageFolder(LabelledImages):
    """Labelled images: a folder with one subfolder per class, named after it.

    Args:
        classes: the model's classes, in its order, as the subfolders are called (with ``_`` for a
            ``/``); by default the sorted names of the subfolders.
        wnids: other names that the classes' subfolders may have, as ImageNet's do; ``""`` for none.
        partial: whether classes may lack a subfolder, as when only some of them are evaluated.
    """

    source: ImageFiles

    def __init__(
        self,
        folder: str | os.PathLike[str],
        preprocessing: Preprocessing,
        *,
        classes: Sequence[str] | None = None,
        wnids: Sequence[str] = (),
        partial: bool = False,
    ) -> None:
        paths, targets, names, wnids = _labelled_files(
            Path(folder), SUFFIXES, classes, wnids, partial
        )
        super().__init__(ImageFiles(paths), targets, names, preprocessing, wnids=wnids)

    @property
    def samples(self) -> tuple[tuple[Path, int], ...]:
        """(path, label) of every image."""
        paths = (self.source.paths[place] for place in self.indices)
        return tuple(zip(paths, self.targets.tolist(), strict=True))


def _labelled_files(
    top: Path,
    suffixes: Sequence[str],
    classes: Sequence[str] | None,
    wnids: Sequence[str],
    partial: bool,
) -> tuple[list[Path], list[int], tuple[str, ...], Sequence[str]]:
    """The files in class folders, the class of each, and the names and wnids of the classes."""
    folders = list_subfolders(top)
    if not folders:
        raise InputError(f"{top}: expected one subfolder for every class, found none.")
    names = tuple(folders if classes is None else checked_distinct(classes, wnids))
    if not wnids:
        wnids = [name if WNID.fullmatch(name) else "" for name in names]
    label_of = {wnid: label for label, wnid in enumerate(wnids) if wnid}
    label_of |= {canonical(n).replace("/", "_"): label for label, n in enumerate(names)}
    key_of = {name: canonical(name) for name in folders}
    _check_same(top, {name: label_of.get(key_of[name]) for name in folders}, names, partial)
    paths, targets, left_out = [], [], []
    for path in sorted(top.iterdir()):
        if path.name not in key_of and path.suffix.lower() in suffixes:
            left_out.append(path)
    for name in folders:
        found, others = _found_files(top / name, suffixes)
        paths += found
        left_out += others
        targets += [label_of[key_of[name]]] * len(found)
    _tell_of(top, left_out, suffixes)
    return paths, targets, names, wnids


def list_images(folder: str | os.PathLike[str], suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The image files in a folder and the folders in it, sorted by path; at least one.

    Other `suffixes` find other files. Files are recognized by their suffix. Hidden files and
    folders are left out, and links to folders are not followed. A `Note` counts and names what is
    left out, apart from text files.
    """
    top = checked_folder(folder)
    images, left_out = _found_files(top, suffixes)
    _tell_of(top, left_out, suffixes)
    return images


def _found_files(top: Path, suffixes: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files with these suffixes under a folder, and what may be samples but is not read."""
    found, left_out = [], []
    for place, subfolders, names in os.walk(top, onerror=raise_unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        left_out += [Path(place, name) for name in subfolders if Path(place, name).is_symlink()]
        for path in (Path(place, name) for name in names):
            suffix, is_hidden = path.suffix.lower(), path.name.startswith(".")
            if suffix in suffixes and not is_hidden:
                found.append(path)
            elif suffix in suffixes or not (is_hidden or suffix in _TEXTS):
                left_out.append(path)
    if not found:
        what = "image" if suffixes is SUFFIXES else "sample"
        why = f"it has {_kinds(top, left_out, suffixes)}" if left_out else "it has none"
        raise InputError(
            f"{top}: no {what} is in this folder (looked for {', '.join(suffixes)}; {why})."
        )
    return sorted(found, key=lambda path: path.relative_to(top).parts), left_out


def _tell_of(top: Path, left_out: Sequence[Path], suffixes: Sequence[str]) -> None:
    if left_out:
        advice = "images as JPEG or PNG" if suffixes is SUFFIXES else f"them as {suffixes[0]}"
        warnings.warn(
            f"{top}: {len(left_out)} file{'s are' if len(left_out) > 1 else ' is'} left out: "
            f"{_kinds(top, left_out, suffixes)}; save {advice}, one folder per class.",
            Note,
            stacklevel=3,
        )


def _kinds(top: Path, paths: Sequence[Path], suffixes: Sequence[str]) -> str:
    """Paths by what keeps them from being read: ``2 with .heic (a.heic, b.HEIC)``."""
    kinds: dict[str, list[str]] = {}
    for path in sorted(paths):
        suffix = path.suffix.lower()
        if path.is_symlink() and path.is_dir():
            kind = "linked from elsewhere"
        elif path.name.startswith("."):
            kind = "hidden"
        elif suffix in suffixes:
            kind = "outside of the class folders"
        else:
            kind = f"with {suffix}" if suffix else "without a suffix"
        kinds.setdefault(kind, []).append(str(path.relative_to(top)))
    return ", ".join(
        f"{len(names)} {kind} ({join_names(names, len(names), width=60)})"
        for kind, names in kinds.items()
    )


def _check_same(
    top: Path, labels: Mapping[str, int | None], classes: Sequence[str], partial: bool
) -> None:
    unknown = [folder for folder, label in labels.items() if label is None]
    for folder in unknown:
        if several := ambiguity(folder, classes):
            raise InputError(f"{top}: the subfolder {several}.")
    found = set(labels.values())
    missing = [] if partial else [name for i, name in enumerate(classes) if i not in found]
    if unknown or missing:
        parts = [f"{len(unknown)} unknown to the model ({_some(unknown)})"] if unknown else []
        parts += [f"{len(missing)} without a subfolder ({_some(missing)})"] * bool(missing)
        raise InputError(
            f"{top}: its subfolders are not the model's {len(classes)} classes: {', '.join(parts)}."
        )


def _some(names: Sequence[str]) -> str:
    return join_names(names, len(names), most=_NAMES_SHOWN)
