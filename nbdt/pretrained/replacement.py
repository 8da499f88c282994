"""Another tree, or other names for its nodes, in a saved model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.pretrained.folder import read_model, write_folder


def replace_hierarchy(folder: str | os.PathLike[str], hierarchy: Hierarchy) -> None:
    """Puts another tree into a saved model; its weights and the rest of its config stay.

    The network is not built, so this works for any model.

    Args:
        folder: the folder of the model, which is replaced whole or not at all.
        hierarchy: a tree over as many classes, in the same order. Names that it gives them are
            those of the model from then on.

    Raises:
        NotFoundError: there is no such folder, or it holds no model.
        FormatError: the folder is not as it was saved.
        InputError: the tree has another number of classes, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> from nbdt.pretrained import ModelConfig, write_model
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog"])
        >>> config = ModelConfig(classes=tree.classes, score="mean", rule="soft")
        >>> folder = tempfile.mkdtemp()
        >>> write_model(folder, config, tree, nn.Linear(4, 2))
        >>> replace_hierarchy(folder, Hierarchy([2, 2, -1], ["cat", "dog", "pet"]))
        >>> read_model(folder).hierarchy.names
        ('cat', 'dog', 'pet')
    """
    saved = read_model(folder)
    if hierarchy.num_classes != saved.hierarchy.num_classes:
        raise InputError(
            f"the model has {saved.hierarchy.num_classes} classes, but the tree has "
            f"{hierarchy.num_classes}."
        )
    if saved.config.temperature.nodes and (
        hierarchy.parents.tolist() != saved.hierarchy.parents.tolist()
    ):
        raise InputError(
            "the model has temperatures for single nodes of its tree, which mean nothing in "
            "another one; set them to none, and fit them again."
        )
    write_folder(
        Path(folder),
        saved.config.replace(classes=hierarchy.classes),
        hierarchy,
        lambda path: shutil.copyfile(saved.weights, path),
    )
