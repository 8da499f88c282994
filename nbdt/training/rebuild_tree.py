"""A tree rebuilt from the weights as they are in the middle of a training."""

from __future__ import annotations

import numpy as np

from nbdt.classifiers import induce
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.compare import shared_clades
from nbdt.model import NBDT
from nbdt.training.config import TrainingConfig


def retree(model: NBDT, config: TrainingConfig) -> float:
    """Gives the model the tree that its weights now make; how far that moved it.

    The 2020 release called this updating the tree.

    Returns:
        The share of the groups of classes in both trees (their inner nodes but for the roots)
        that only one of them has, which is the normalized Robinson–Foulds distance: 0 where
        nothing changed, 1 where nothing is left.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> layer = torch.nn.Linear(2, 3)
        >>> layer.weight.data = torch.tensor([[1, 0], [1, 0.1], [0, 1]])
        >>> model = NBDT(layer, Hierarchy([4, 3, 3, 4, -1], ["a", "b", "c"]))
        >>> retree(model, TrainingConfig())
        1.0
        >>> model.hierarchy.leaves(3)
        (0, 1)
    """
    old = model.hierarchy
    new = induce(
        model.network,
        old.classes,
        head=model.head,
        linkage=config.linkage,
        normalize=config.normalize,
        branching=branching_of(config, old),
    )
    model.hierarchy = new
    groups = len(old.inner) + len(new.inner) - 2
    return (groups - 2 * len(shared_clades(old, new))) / groups if groups else 0.0


def branching_of(config: TrainingConfig, tree: Hierarchy) -> int:
    """How many children a node of the tree that follows this one may have.

    Example:
        >>> tree = Hierarchy([3, 3, 3, -1], ["a", "b", "c"], merge_heights=[0, 0, 0, 1])
        >>> branching_of(TrainingConfig(), tree), branching_of(TrainingConfig(branching=2), tree)
        (3, 2)
    """
    if config.branching is not None:
        return config.branching
    # Of a tree that people made, the widest node says nothing of how wide others should be.
    return 2 if tree.merge_heights is None else int(np.bincount(tree.parents[:-1]).max())
