"""What a data set that has a name is, and which there are.

To add one, write a `DataSet` at the top of a module of this package, or of another package, which
declares it as an entry point in the group ``nbdt.datasets``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nbdt.data.labelled import Augmentation, ImageSource, LabelledImages
from nbdt.hierarchy.library import load_classes
from nbdt.inputs.image import Preprocessing
from nbdt.registry import registered


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What is known of a data set by its name.

    `files` has for each split a file or folder that has to be there, relative to the set's folder,
    "" where none is needed. `read` gives the images from that folder, those for training or those
    for tests. `torchvision` is the class that can download the set; `obtain` says how one gets it
    otherwise.
    """

    name: str
    about: str
    files: Mapping[str, str]
    read: Callable[[Path, bool], LabelledImages]
    augmentation: Augmentation | None = None
    torchvision: Any = None
    obtain: str = ""


@cache
def data_sets() -> Mapping[str, DataSet]:
    """All data sets by name."""
    return {one.name: one for one in registered("nbdt.data", DataSet, group="nbdt.datasets")}


def describe_datasets() -> dict[str, str]:
    """The names that `load_dataset` takes, with a sentence each."""
    return {name: known.about for name, known in data_sets().items()}


def cache_folder() -> Path:
    """Where downloads and decoded pixels are kept: beside torch's own downloads."""
    return Path(torch.hub.get_dir()) / "nbdt"


def with_bundled_classes(
    name: str, source: ImageSource, targets: Any, preprocessing: Preprocessing
) -> LabelledImages:
    """Images whose classes are those that are bundled for a data set."""
    rows = load_classes(name)
    classes, wnids = [row.name for row in rows], [row.wnid for row in rows]
    return LabelledImages(source, targets, classes, preprocessing, wnids=wnids)
