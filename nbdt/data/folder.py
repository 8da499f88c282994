"""A folder of labelled images."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbdt.data.images import list_images, list_subfolders
from nbdt.data.labelled import LabelledImages
from nbdt.data.sources import ImageFiles
from nbdt.errors import InputError
from nbdt.hierarchy.text import join_names
from nbdt.inputs.image import Preprocessing

_WNID = re.compile(r"n\d{8}")
_NAMES_SHOWN = 6


class ImageFolder(LabelledImages):
    """Labelled images: a folder with one subfolder per class, named after it.

    Args:
        folder: the top folder.
        preprocessing: from image to tensor.
        classes: the model's classes, in its order, as the subfolders are called (with ``_`` for a
            ``/``); by default the sorted names of the subfolders.
        wnids: other names that the classes' subfolders may have, as ImageNet's do; ``""`` for none.
        partial: whether classes may lack a subfolder, as when only some of them are evaluated.

    Raises:
        NotFoundError: there is no such folder.
        InputError: it holds no subfolders or one without images, or the subfolders differ from
            `classes`; the message lists the difference.
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
