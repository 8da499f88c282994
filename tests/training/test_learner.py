"""How far a new tree moved, against a count of groups by hand."""

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from nbdt.classifiers import induce
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.compare import compare
from nbdt.model import NBDT
from nbdt.training import TrainingConfig
from nbdt.training.learner import rebuild_tree
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
def test_it_is_the_share_of_groups_that_only_one_tree_has(tree):
    rows = torch.randn(tree.num_classes, 3, generator=torch.Generator().manual_seed(len(tree)))
    model = NBDT(layer(rows), tree)
    moved = rebuild_tree(model, TrainingConfig(branching=2))
    assert model.hierarchy == induce(model.network, tree.classes)
    before, after = groups(tree), groups(model.hierarchy)
    assert moved == (len(before ^ after) / (len(before) + len(after)) if before else bool(after))
    assert moved == compare(tree, model.hierarchy).normalized_robinson_foulds
    assert rebuild_tree(model, TrainingConfig()) == 0.0


def test_a_tree_with_more_groups_has_moved():
    """All groups of the wider tree are in the narrower one, which has another besides."""
    model = NBDT(layer(ROWS), induce(layer(ROWS), FLAT.classes, branching=3))
    wide = groups(model.hierarchy)
    moved = rebuild_tree(model, TrainingConfig(branching=2))
    narrow = groups(model.hierarchy)
    assert wide < narrow
    assert moved == (len(narrow) - len(wide)) / (len(narrow) + len(wide))


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_new_tree_is_as_wide_as_the_induced_one_before_it(width):
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    model = NBDT(layer(rows), induce(layer(rows), branching=width))
    model.network.weight.data = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    rebuild_tree(model, TrainingConfig())
    assert model.hierarchy == induce(model.network, branching=width)
    rebuild_tree(model, TrainingConfig(branching=2))
    assert model.hierarchy == induce(model.network, branching=2)


def test_the_width_of_a_tree_that_was_not_induced_does_not_count():
    model = NBDT(layer(ROWS), FLAT)
    rebuild_tree(model, TrainingConfig())
    assert model.hierarchy == induce(model.network, FLAT.classes)


ROWS = torch.tensor([[1, 0], [9, 1], [0, 1], [0, 8], [1, 1.1], [7, 7]])
FLAT = Hierarchy([6] * 6 + [-1], list("abcdef"))


@pytest.mark.parametrize("options", [
    {"linkage": "average"}, {"normalize": False}, {"branching": 3}, {},
], ids=str)  # fmt: skip
def test_the_settings_are_those_of_induce(options):
    model = NBDT(layer(ROWS), FLAT)
    rebuild_tree(model, TrainingConfig(**options))
    assert model.hierarchy == induce(model.network, FLAT.classes, **options)
    others = [{"normalize": False}, {"branching": 3}]
    for other in others:
        if other != options:
            assert model.hierarchy != induce(model.network, FLAT.classes, **other)
