"""A tree rebuilt from the weights as they are in the middle of a training."""

from __future__ import annotations

from nbdt.heads import induce
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.rules import TreeLayout
from nbdt.training.config import TrainingConfig


def retree(model: NBDT, config: TrainingConfig) -> float:
    """Gives the model the tree that its weights now make; how far that moved it.

    The 2020 release called this updating the tree.

    Returns:
        The share of the old tree's groups of classes (its inner nodes but for the root) that the
        new one does not have: 0 where nothing changed, 1 where nothing is left.

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
        branching=config.branching,
    )
    set_tree(model, new)
    before = _groups(old)
    return len(before - _groups(new)) / len(before) if before else 0.0


def set_tree(model: NBDT, tree: Hierarchy) -> None:
    """Puts another tree into a model, in place."""
    model.layout = TreeLayout(tree)
    parameter = next(model.network.parameters(), None)
    if parameter is not None:
        model.layout.to(parameter.device)


def _groups(tree: Hierarchy) -> set[frozenset[int]]:
    inner = range(tree.num_classes, tree.root)
    return {frozenset(map(int, tree.leaves(node))) for node in inner}
