"""The labelled images that a command is given, and what it calls each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import typer
from torch import Tensor

from nbdt.data import ImageFolder, LabelledImages, describe_datasets, load_dataset
from nbdt.data.classes import bundled_wnids
from nbdt.data.samples import Inputs, labelled_batches
from nbdt.data.sources import ImageFiles
from nbdt.errors import InputError
from nbdt.preprocessing import Preprocessing

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


def load_images(
    data: str, classes: Sequence[str], preprocessing: Preprocessing, *, partial: bool = False
) -> LabelledImages:
    """The images to judge a model by: of a folder, or the test images of a data set.

    Args:
        data: the folder, or the data set's name.
        classes: those of the model, in its order.
        preprocessing: how the model takes an image.
        partial: whether classes of a folder may have no subfolder.
    """
    if not partial:
        return load_dataset(data, classes=classes).with_preprocessing(preprocessing)
    if data in describe_datasets():
        raise InputError(f"{data}: --partial goes with a folder; a data set has all its classes.")
    wnids = bundled_wnids(classes)
    return ImageFolder(data, preprocessing, classes=classes, wnids=wnids, partial=True)


def batches(images: LabelledImages, advance: Callable[[], None]) -> Iterator[tuple[Inputs, Tensor]]:
    """The images in batches; `advance` is called for each image that was dealt with."""
    for inputs, labels in labelled_batches(images, BATCH):
        yield inputs, labels
        for _ in labels:
            advance()


def image_names(images: LabelledImages) -> list[str]:
    """What each image is called: the path of its file, or else its place, as "sample 7"."""
    if isinstance(images.source, ImageFiles):
        return [str(images.source.paths[place]) for place in images.indices]
    return [f"sample {place}" for place in range(len(images))]
