"""The labelled images that a command is given, and what it calls each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from torch import Tensor

from nbdt.data import (
    ImageFolder,
    LabelledImages,
    describe_datasets,
    list_images,
    load_dataset,
)
from nbdt.data.classes import bundled_wnids
from nbdt.data.samples import Inputs, labelled_batches
from nbdt.data.sources import ImageFiles
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing

BATCH = 32

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder with a subfolder of images a class, or a data set's name, of which the "
        "test images are taken.",
    ),
]
PartialOption = Annotated[
    bool,
    typer.Option("--partial", metavar="", help="Classes of a folder may have no subfolder."),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="K/N",
        help="Only the Kth of N parts of the images, such as 1/3: drawn at random, each class "
        "evenly, and the same ones each time.",
    ),
]


class Part(NamedTuple):
    """One of several disjoint parts of some images.

    Attributes:
        place: which one, from 1 on.
        number: how many there are.
    """

    place: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that ``K/N`` stands for.

        Raises:
            InputError: the text is none, or K is not from 1 to N.
        """
        numbers = text.split("/")
        # int() takes more than digits, and of very long texts nothing.
        if len(numbers) == 2 and all(n.isascii() and n.isdigit() and len(n) < 7 for n in numbers):
            part = cls(*map(int, numbers))
            if 1 <= part.place <= part.number:
                return part
        raise InputError(f"--part takes K/N, such as 1/3 for the first of three; got {text!r:.80}.")

    def is_apart(self, other: Part) -> bool:
        """Whether the two share no image."""
        return self.number == other.number and self.place != other.place


def load_images(
    data: str,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    *,
    partial: bool = False,
    part: str | None = None,
) -> LabelledImages:
    """The images to judge a model by: of a folder, or the test images of a data set.

    Args:
        data: the folder, or the data set's name.
        classes: those of the model, in its order.
        preprocessing: how the model takes an image.
        partial: whether classes of a folder may have no subfolder.
        part: one of several disjoint parts of them, as ``K/N``; None for all.
    """
    chosen = Part(1, 1) if part is None else Part.parse(part)
    if partial and data in describe_datasets():
        raise InputError(f"{data}: --partial goes with a folder; a data set has all its classes.")
    if partial:
        wnids = bundled_wnids(classes)
        images: LabelledImages = ImageFolder(
            data, preprocessing, classes=classes, wnids=wnids, partial=True
        )
    else:
        images = load_dataset(data, classes=classes).with_preprocessing(preprocessing)
    return images if part is None else images.parts(chosen.number)[chosen.place - 1]


def load_others(data: str, preprocessing: Preprocessing) -> LabelledImages:
    """Images of other classes than a model's: of a folder, or the test images of a data set.

    Args:
        data: the folder, or the data set's name.
        preprocessing: how the model takes an image.
    """
    return load_dataset(data).with_preprocessing(preprocessing)


def load_unlabelled(data: str, preprocessing: Preprocessing) -> LabelledImages:
    """Images of no class: all in a folder, or the test images of a data set; labelled 0.

    Args:
        data: the folder, or the data set's name.
        preprocessing: how the model takes an image.
    """
    if data in describe_datasets() or not Path(data).is_dir():
        return load_others(data, preprocessing)
    paths = list_images(data)
    return LabelledImages(ImageFiles(paths), [0] * len(paths), ["unknown"], preprocessing)


def batches(images: LabelledImages, advance: Callable[[], None]) -> Iterator[tuple[Inputs, Tensor]]:
    """The images in batches; `advance` is called for each image that was dealt with."""
    for inputs, labels in labelled_batches(images, BATCH):
        yield inputs, labels
        for _ in labels:
            advance()


def image_names(images: LabelledImages) -> list[str]:
    """What each image is called: its file's path, or else as "sample 7" of the whole data set."""
    if isinstance(images.source, ImageFiles):
        return [str(images.source.paths[place]) for place in images.indices]
    return [f"sample {place}" for place in images.indices]
