"""Pictures in memory, in files, and in folders with one subfolder per class."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image

from nbdt.data.labelled import LabelledImages
from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy.text import join_names
from nbdt.inputs.image import SUFFIXES, Preprocessing, open_image

_WNID = re.compile(r"n\d{8}")
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
        top = Path(folder)
        folders = list_subfolders(top)
        if not folders:
            raise InputError(f"{top}: expected one subfolder for every class, found none.")
        names = tuple(folders if classes is None else classes)
        if not wnids:
            wnids = [name if _WNID.fullmatch(name) else "" for name in names]
        label_of = {wnid: label for label, wnid in enumerate(wnids) if wnid}
        label_of |= {name.replace("/", "_"): label for label, name in enumerate(names)}
        _check_same(top, {name: label_of.get(name) for name in folders}, names, partial)
        paths, targets = [], []
        for name in folders:
            found = list_images(top / name)
            paths += found
            targets += [label_of[name]] * len(found)
        super().__init__(ImageFiles(paths), targets, names, preprocessing, wnids=wnids)

    @property
    def samples(self) -> tuple[tuple[Path, int], ...]:
        """(path, label) of every image."""
        paths = (self.source.paths[place] for place in self.indices)
        return tuple(zip(paths, self.targets.tolist(), strict=True))


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files in a folder and the folders in it, sorted by path; at least one.

    Files are recognized by their suffix; hidden files and folders are left out, and links to
    folders are not followed.
    """
    top = _checked_folder(folder)
    found = []
    for place, subfolders, names in os.walk(top, onerror=_raise_unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    found = [path for path in found if path.suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f"{top}: no image is in this folder (looked for {', '.join(SUFFIXES)}).")
    return sorted(found, key=lambda path: path.relative_to(top).parts)


def list_subfolders(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are left out."""
    top = _checked_folder(folder)
    _, subfolders, _ = next(os.walk(top, onerror=_raise_unreadable))
    return sorted(name for name in subfolders if not name.startswith("."))


def _check_same(
    top: Path, labels: Mapping[str, int | None], classes: Sequence[str], partial: bool
) -> None:
    if len(set(classes)) < len(classes):
        raise InputError("the class names of the model are not unique.")
    unknown = [folder for folder, label in labels.items() if label is None]
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


def _checked_folder(folder: str | os.PathLike[str]) -> Path:
    top = Path(folder)
    if not top.exists():
        raise NotFoundError(f"{top}: no such folder.")
    if not top.is_dir():
        raise InputError(f"{top}: this is a file, expected a folder.")
    return top


def _raise_unreadable(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: the folder cannot be read: {error.strerror}.") from None
