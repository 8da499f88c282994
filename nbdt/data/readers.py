"""Data sets from the files that their authors publish, each from the folder it lies in.

Each reader takes that folder and whether the training part is wanted, and gives the images with
the classes that are bundled for the data set, in the order of the data set.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbdt.data.archive import read_archive
from nbdt.data.digits import load_digits
from nbdt.data.folder import ImageFolder
from nbdt.data.images import list_images
from nbdt.data.labelled import LabelledImages
from nbdt.data.sources import ImageFiles, ImageSource, PixelArray
from nbdt.errors import FormatError, InputError, reason_of
from nbdt.files import read_text
from nbdt.hierarchy.library import load_classes
from nbdt.inputs.image import Preprocessing

Reader = Callable[[Path, bool], LabelledImages]

# The mean and standard deviation of the training pixels, as published.
FASHION_MNIST = Preprocessing(mode="L", mean=0.2860, std=0.3530)
CIFAR10 = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
CIFAR100 = Preprocessing(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762))
# Tiny ImageNet is cut from ImageNet, so its networks too begin with ImageNet's numbers.
TINY_IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
IMAGENET = Preprocessing(
    resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)

CIFAR_SIDE = 32
# The digits have no official split; this one holds out a quarter.
_DIGITS_SEED = 0


def cache_folder() -> Path:
    """Where downloads and decoded pixels are kept: beside torch's own downloads.

    Example:
        >>> cache_folder().name
        'nbdt'
    """
    return Path(torch.hub.get_dir()) / "nbdt"


def read_digits(place: Path, train: bool) -> LabelledImages:
    """The digits of scikit-learn, which need no files: 1,347 for training, 450 for test."""
    training, held_out = load_digits().split(seed=_DIGITS_SEED)
    return training if train else held_out


def torchvision_reader(kind: Any, name: str, preprocessing: Preprocessing) -> Reader:
    """What reads a data set that torchvision knows, with its class: Fashion-MNIST or CIFAR.

    Torchvision reads CIFAR's files, which are pickles, after it has checked their MD5 sums.
    """

    def read(place: Path, train: bool) -> LabelledImages:
        try:
            found = kind(place, train=train, download=False)
        # torchvision raises nearly anything on files that are cut short or of another kind.
        except Exception as error:
            raise FormatError(
                f"{place}: torchvision cannot read {name} there: {reason_of(error)}; remove it "
                "and load it again with download=True."
            ) from None
        return _labelled(name, PixelArray(np.asarray(found.data)), found.targets, preprocessing)

    return read


def read_cifar10_jpeg(place: Path, train: bool) -> LabelledImages:
    """CIFAR-10 as JPEG files in two archives, ``train.tar.xz`` and ``test.tar.xz``."""
    split = "train" if train else "test"
    classes = [row.name for row in load_classes("cifar10")]
    pixels, targets = read_archive(
        place / f"{split}.tar.xz", split, classes, CIFAR_SIDE, cache=cache_folder() / "cifar10_jpeg"
    )
    return _labelled("cifar10", PixelArray(pixels), targets, CIFAR10)


def read_tiny_imagenet(place: Path, train: bool) -> LabelledImages:
    """Tiny ImageNet: a folder a class for training, and a list of the validation images."""
    top = place / "tiny-imagenet-200"
    if train:
        return _class_folders(top / "train", "tiny_imagenet", TINY_IMAGENET)
    annotations = top / "val" / "val_annotations.txt"
    label_of = {row.wnid: row.index for row in load_classes("tiny_imagenet")}
    paths, targets = [], []
    for number, line in enumerate(read_text(annotations).splitlines(), start=1):
        name, wnid, *_ = [*line.split("\t"), ""]
        if wnid not in label_of or Path(name).name != name:
            raise FormatError(
                f"{annotations}: line {number} has to begin with a file's name and the wnid of "
                f"its class, with tabs between; got {line!r:.80}."
            )
        paths.append(annotations.parent / "images" / name)
        targets.append(label_of[wnid])
    return _labelled("tiny_imagenet", ImageFiles(paths), targets, TINY_IMAGENET)


def read_imagenet(place: Path, train: bool) -> LabelledImages:
    """ImageNet's 1,000 classes, a folder each, called by their wnids."""
    return _class_folders(place / ("train" if train else "val"), "imagenet1k", IMAGENET)


def read_imagenet_samples(place: Path, train: bool) -> LabelledImages:
    """Sample images of ImageNet's classes in one folder; their names begin with the wnid."""
    label_of = {row.wnid: row.index for row in load_classes("imagenet1k")}
    paths = list_images(place)
    wnids = [path.stem.partition("_")[0] for path in paths]
    for path, wnid in zip(paths, wnids, strict=True):
        if wnid not in label_of:
            raise InputError(f"{path}: the name has to begin with the wnid of an ImageNet class.")
    return _labelled("imagenet1k", ImageFiles(paths), [label_of[wnid] for wnid in wnids], IMAGENET)


def _class_folders(place: Path, name: str, preprocessing: Preprocessing) -> LabelledImages:
    rows = load_classes(name)
    return ImageFolder(
        place,
        preprocessing,
        classes=[row.name for row in rows],
        wnids=[row.wnid for row in rows],
    )


def _labelled(
    name: str, source: ImageSource, targets: Any, preprocessing: Preprocessing
) -> LabelledImages:
    rows = load_classes(name)
    return LabelledImages(
        source,
        targets,
        [row.name for row in rows],
        preprocessing,
        wnids=[row.wnid for row in rows],
    )
