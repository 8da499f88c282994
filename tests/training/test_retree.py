"""How far a new tree moved, against a count of groups by hand."""

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from nbdt.heads import induce
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.training import TrainingConfig
from nbdt.training.retree import retree, set_tree
from tests.strategies import hierarchies


def layer(rows):
    found = nn.Linear(rows.shape[1], rows.shape[0])
    found.weight.data = rows
    return found


def groups(tree):
    """The classes under each inner node but the root, by following parents."""
    found = {}
    for leaf in range(tree.num_classes):
        node = int(tree.parents[leaf])
        while node != tree.root:
            found.setdefault(node, set()).add(leaf)
            node = int(tree.parents[node])
    return {frozenset(group) for group in found.values()}


@settings(max_examples=20)
@given(hierarchies(min_classes=2, max_classes=8))
def test_it_is_the_share_of_groups_that_are_gone(tree):
    rows = torch.randn(tree.num_classes, 3, generator=torch.Generator().manual_seed(len(tree)))
    model = NBDT(layer(rows), tree)
    moved = retree(model, TrainingConfig())
    assert model.hierarchy == induce(model.network, tree.classes)
    before, after = groups(tree), groups(model.hierarchy)
    assert moved == (len(before - after) / len(before) if before else 0.0)
    assert retree(model, TrainingConfig()) == 0.0


ROWS = torch.tensor([[1, 0], [9, 1], [0, 1], [0, 8], [1, 1.1], [7, 7]])
FLAT = Hierarchy([6] * 6 + [-1], list("abcdef"))


@pytest.mark.parametrize("options", [
    {"linkage": "average"}, {"normalize": False}, {"branching": 3}, {},
], ids=str)  # fmt: skip
def test_the_settings_are_those_of_induce(options):
    model = NBDT(layer(ROWS), FLAT)
    retree(model, TrainingConfig(**options))
    assert model.hierarchy == induce(model.network, FLAT.classes, **options)
    others = [{"normalize": False}, {"branching": 3}]
    for other in others:
        if other != options:
            assert model.hierarchy != induce(model.network, FLAT.classes, **other)


def test_the_tree_lies_where_the_network_does():
    model = NBDT(nn.Linear(2, 6, device="meta"), FLAT)
    set_tree(model, FLAT)
    assert {buffer.device.type for buffer in model.layout.buffers()} == {"meta"}
    identity = NBDT(nn.Identity(), FLAT)
    tree = Hierarchy([6, 6, 7, 7, 7, 7, 7, -1], list("abcdef"))
    set_tree(identity, tree)
    assert identity.hierarchy == tree
