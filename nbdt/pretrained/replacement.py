"""Another tree, or other names for its nodes, in a saved model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.pretrained.folder import read_model, write_model


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
        >>> from nbdt.pretrained import ModelConfig
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
    config = replace(saved.config, classes=hierarchy.classes)
    write_model(folder, config, hierarchy, _Saved(load_file(saved.weights)))


class _Saved(nn.Module):
    """The tensors of a file, in the place of the network that they are of."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._tensors = dict(tensors)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self._tensors
