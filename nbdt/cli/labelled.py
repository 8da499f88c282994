"""The labeled images that a command is given, what it calls them, and a model's answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from nbdt.cli.options import argument, option
from nbdt.cli.output import complain, progress
from nbdt.data import (
    ImageFolder,
    LabelledImages,
    describe_datasets,
    list_images,
    load_dataset,
)
from nbdt.data.classes import bundled_wnids
from nbdt.data.folder import ImageFiles
from nbdt.data.stratify import Part
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing
from nbdt.run import Block, Run

BATCH = 32

DataArgument = Annotated[
    str,
    argument(
        "DATA",
        "A folder with one subfolder of images per class, or the name of a data set, whose "
        "test images are taken.",
    ),
]
PartialOption = Annotated[
    bool,
    option("--partial", "Classes of a folder may have no subfolder."),
]
PartOption = Annotated[
    str | None,
    option(
        "--part K/N",
        "Only the Kth of N parts of the images, such as 1/3: drawn at random, each class "
        "evenly, and the same each time.",
    ),
]


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
    """Images of no class: all in a folder, or the test images of a data set; labeled 0.

    Args:
        data: the folder, or the data set's name.
        preprocessing: how the model takes an image.
    """
    if data in describe_datasets() or not Path(data).is_dir():
        return load_others(data, preprocessing)
    paths = list_images(data)
    return LabelledImages(ImageFiles(paths), [0] * len(paths), ["unknown"], preprocessing)


def image_names(images: LabelledImages) -> list[str]:
    """What each image is called: its file's path, or else as "sample 7" of the whole data set."""
    if isinstance(images.source, ImageFiles):
        return [str(images.source.paths[place]) for place in images.indices]
    return [f"sample {place}" for place in images.indices]


class Watcher:
    """Iterates over runs with a progress bar, and names the images that cannot be used.

    Args:
        runs: for each run by its name, what the progress bar says and what the data is called.

    Attributes:
        failed: the images that could not be used, by name, each with the reason.
    """

    def __init__(self, **runs: tuple[str, str]) -> None:
        self._runs = runs
        self.failed: dict[str, str] = {}

    def __call__(self, what: str, run: Run) -> Iterator[Block]:
        """The blocks of one run; refuses data of which no image can be used."""
        doing, data = self._runs[what]
        names = image_names(run.work.data)
        with progress(doing, len(names)) as run.progress:
            for block in run:
                for index, reason in block.failures.items():
                    name = names[index]
                    if name not in self.failed:
                        self.failed[name] = reason.removeprefix(f"{name}: ")
                        complain(f"{name}: {self.failed[name]}")
                yield block
        if not run.answered:
            raise InputError(f"{data}: none of its {len(names)} images could be used.")
