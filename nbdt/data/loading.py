"""Data sets found by name or path, or downloaded when that is asked for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, overload

from nbdt.data.catalogue import DataSet, cache_folder, data_sets
from nbdt.data.classes import bundled_wnids, check_classes
from nbdt.data.folder import ImageFolder, sample_folder
from nbdt.data.labelled import LabelledImages, LabelledSamples
from nbdt.data.published import IMAGENET, IMAGENET_AUGMENTATION
from nbdt.data.rows import is_rows, labelled_rows
from nbdt.documents import shortened
from nbdt.errors import InputError, NotFoundError
from nbdt.files import is_file, is_folder, list_subfolders
from nbdt.inputs.image import Preprocessing

VARIABLE = "NBDT_DATA"
"""The environment variable with the folder that data sets are looked for in."""


@overload
def load_dataset(
    name: str | os.PathLike[str],
    split: str = "test",
    *,
    root: str | os.PathLike[str] | None = None,
    augment: bool = False,
    download: bool = False,
    classes: Sequence[str] | None = None,
) -> LabelledImages: ...
@overload
def load_dataset(
    name: str | os.PathLike[str],
    split: str = "test",
    *,
    root: str | os.PathLike[str] | None = None,
    augment: bool = False,
    download: bool = False,
    classes: Sequence[str] | None = None,
    label: str | None = None,
    column: str | None = None,
    ignore: Iterable[str] = (),
    preprocessing: Any = None,
    partial: bool = False,
) -> LabelledSamples: ...
def load_dataset(
    name: str | os.PathLike[str],
    split: str = "test",
    *,
    root: str | os.PathLike[str] | None = None,
    augment: bool = False,
    download: bool = False,
    classes: Sequence[str] | None = None,
    label: str | None = None,
    column: str | None = None,
    ignore: Iterable[str] = (),
    preprocessing: Any = None,
    partial: bool = False,
) -> LabelledSamples:
    """A data set by its name, a folder with a subfolder per class, or a file of labeled rows.

    Args:
        name: one of `describe_datasets`; the path of a folder with a subfolder of images (or of
            other files that `preprocessing` opens) per class; or of a table (CSV, TSV, Parquet,
            JSON lines) or an archive of arrays (.npz). A text that is such a name is never taken
            for a path.
        split: "train" or "test". In a folder it is the subfolder of that name, if that holds a
            subfolder per class ("val" is possible too, and replaces a missing "test"); a folder
            that holds the classes itself is "test" as a whole, and so is a file.
        root: where a named data set lies, in a folder of its name or directly; by default
            the folder that the environment variable NBDT_DATA names, then the one of downloads.
        augment: whether images are changed at random each time, as is usual for the data set in
            training; see `LabelledImages.augmentation`.
        download: whether a missing data set may be downloaded: into `root`, or into the folder
            ``nbdt`` beside torch's own downloads.
        classes: a model's classes, in its order. The classes of a folder or file are put in this
            order; those of a named data set have to be these.
        label: the column of a table that has the classes, or the array of an archive.
        column: the column with the samples, where a sample is a single value, such as a text.
        ignore: columns of a table to leave out.
        preprocessing: the input that reads the samples, as a model has it.
        partial: whether classes may lack a subfolder.

    A NotFoundError says how to get a data set that is missing.

    Example:
        >>> digits = load_dataset("digits", "train", augment=True)
        >>> tensor, label = digits[0]
        >>> len(digits), tensor.shape, digits.classes[label]
        (1347, torch.Size([1, 8, 8]), 'zero')
    """
    known = data_sets().get(name) if isinstance(name, str) else None
    reads_images = preprocessing is None or isinstance(preprocessing, Preprocessing)
    if known is not None:
        if not reads_images:
            raise InputError(f"{name} has images; the model reads {preprocessing.reads}.")
        dataset = _named(known, split, root, download)
        if classes is not None:
            check_classes(dataset, classes)
        if partial:
            raise InputError(f"{name} has all its classes; partial goes with a folder.")
        dataset = dataset.with_augmentation(known.augmentation if augment else None)
        return dataset if preprocessing is None else dataset.with_preprocessing(preprocessing)
    if root is not None or download:
        raise InputError(f"root and download go with a data set's name, not with {name!s:.80}.")
    wnids = () if classes is None else bundled_wnids(classes)
    if isinstance(name, str | os.PathLike) and is_rows(name) and not is_folder(Path(name)):
        if split != "test":
            raise NotFoundError(
                f"{name}: a file has no split {split!r:.80}; load it as it is, and use split() of "
                "the data set."
            )
        return labelled_rows(
            name, label, reader=preprocessing, classes=classes, wnids=wnids, column=column,
            ignore=ignore,
        )  # fmt: skip
    if label is not None or column is not None:
        raise InputError(
            f"{name!s:.200}: label and column go with a table or an archive of arrays."
        )
    place = _split_folder(name, split)
    if not reads_images:
        return sample_folder(place, preprocessing, classes=classes, partial=partial)
    steps = preprocessing or IMAGENET
    images = ImageFolder(place, steps, classes=classes, wnids=wnids, partial=partial)
    return images.with_augmentation(IMAGENET_AUGMENTATION if augment else None)


def place_of(name: str, split: str = "test") -> str:
    """Where the samples of a split are; two names of the same samples have the same place."""
    if name in data_sets():
        return f"{name}, {split}"
    if is_file(name):
        return str(Path(name).resolve())
    return str(_split_folder(name, split).resolve())


def training_split(name: str) -> str:
    """The split to train on: "train", or "test" for a file, or a folder that is not divided."""
    top = Path(name)
    if is_file(name):
        return "test"
    undivided = name not in data_sets() and is_folder(top) and not _splits(top)
    return "test" if undivided else "train"


def _named(
    known: DataSet, split: str, root: str | os.PathLike[str] | None, download: bool
) -> LabelledImages:
    if split not in known.files:
        raise InputError(
            f"the split of {known.name} must be {' or '.join(known.files)}, got {split!r:.80}; "
            "split() of a data set cuts a validation part from it."
        )
    wanted = known.files[split]
    if not wanted:
        return known.read(Path(), split == "train")
    variable = os.environ.get(VARIABLE)
    usual = [*([Path(variable)] if variable else []), cache_folder()]
    roots = usual if root is None else [Path(root)]
    places = [place for top in roots for place in (top / known.name, top)]
    place = next((place for place in places if (place / wanted).exists()), None)
    target = places[-2]
    if download and place in (None, target):
        _download(known, target)
        place = target
    if place is None:
        raise NotFoundError(
            f"{known.name} ({split}) is not there: looked for {wanted} in "
            f"{', '.join(map(str, places))}. {_advice(known, split)}"
        )
    return known.read(place, split == "train")


def _download(known: DataSet, target: Path) -> None:
    if known.torchvision is None:
        raise InputError(f"{known.name} cannot be downloaded by nbdt. {_advice(known, 'test')}")
    try:
        target.mkdir(parents=True, exist_ok=True)
        # What is there and whole is not downloaded again.
        known.torchvision(target, download=True)
    # Networks and disks fail in many ways, and torchvision hands all of them on.
    except Exception as error:
        # Line by line they say what was tried and where it failed.
        reason = shortened(" ".join(str(error).split())) or type(error).__name__
        raise InputError(f"{known.name} could not be downloaded to {target}: {reason}") from None


def _advice(known: DataSet, split: str) -> str:
    where = f"set {VARIABLE} (or root) to the folder that holds {known.name}/{known.files[split]}"
    if known.torchvision is not None:
        return f'Run load_dataset("{known.name}", "{split}", download=True), or {where}.'
    return f"To get it, {known.obtain}; then {where}."


def _split_folder(path: str | os.PathLike[str], split: str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"a data set is given by name or path, got {path!r:.80}.")
    top = Path(path)
    if not is_folder(top):
        close = difflib.get_close_matches(str(path)[:100], data_sets(), n=3)
        raise NotFoundError(
            f"{path!s:.200}: no folder has that name, and no data set "
            f"({', '.join(data_sets())}); "
            + (f"did you mean {' or '.join(map(repr, close))}?" if close else "check the spelling.")
        )
    if split not in ("train", "val", "test"):
        raise InputError(f"the split of a folder is train, val or test; got {split!r:.80}.")
    splits = _splits(top)
    if split == "test" and "test" not in splits and "val" in splits:
        split = "val"
    if split in splits:
        return top / split
    if split == "test" and not splits:
        return top
    advice = "load the folder as it is, without a split, and use split() of the data set."
    raise NotFoundError(
        f"{top}: it has no subfolder {split} with one subfolder of images per class; "
        + (f"it has {' and '.join(splits)}." if splits else advice)
    )


def _splits(top: Path) -> list[str]:
    """Which parts a folder of images has. Where images lie in "train" itself, that is a class."""
    splits = ("train", "val", "test")
    return [name for name in splits if (top / name).is_dir() and list_subfolders(top / name)]
