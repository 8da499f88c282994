"""Suggested moves: against trying every move there is."""

import json

import pytest
import torch
from torch import nn

from nbdt.errors import HierarchyError, InputError
from nbdt.evaluation.editing import EditSession
from nbdt.evaluation.edits import Edit
from nbdt.evaluation.moves import suggest_moves
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.edit import regraft
from nbdt.model import NBDT
from nbdt.rules import TreeLayout, hard_predict
from tests.strategies import random_hierarchy

CLASSES = 6


def session(seed: int = 0, samples: int = 300) -> EditSession:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (samples,), generator=generator)
    logits = torch.randn(samples, CLASSES, generator=generator)
    logits[torch.arange(samples), labels] += 1
    # Classes 0 and 5 are alike.
    alike = (labels == 0) | (labels == 5)
    logits[alike, 0] += 1.5
    logits[alike, 5] += 1.5
    return EditSession(NBDT(nn.Identity(), random_hierarchy(CLASSES, seed)), [(logits, labels)])


def correct(of: EditSession, tree: Hierarchy) -> int:
    return int((hard_predict(of.logits, TreeLayout(tree), "logsumexp") == of.labels).sum())


def all_moves(tree: Hierarchy) -> list[Hierarchy]:
    """The trees of all moves of a node beside or below another."""
    trees = []
    for node in range(len(tree)):
        for target in range(len(tree)):
            for function in (regraft, edit.move):
                try:
                    trees.append(function(tree, node, target))
                except HierarchyError:
                    continue
    return trees


@pytest.mark.parametrize("seed", range(3))
def test_the_best_is_nearly_the_best_of_all_moves_there_are(seed: int) -> None:
    given = session(seed)
    found = suggest_moves(given, tries=10_000, most=1)
    best = max(correct(given, tree) for tree in all_moves(given.tree))
    assert found.correct == correct(given, given.tree)
    # Moves of third classes are left out.
    assert best - 1 <= found.moves[0].counts.after <= best
    assert found.moves[0].counts.after > found.correct
    assert found.moves[0].counts.after == correct(given, found.moves[0].edit(given.tree))


def test_suggestions_are_the_best_of_those_tried_and_can_be_tried() -> None:
    given = session()
    found = suggest_moves(given, tries=30, most=4)
    assert found.tried == 30 < found.promising
    assert len(found.moves) == 4 <= found.raising
    after = [move.counts.after for move in found.moves]
    assert after == sorted(after, reverse=True)
    assert after[-1] > found.correct
    trial = given.try_edit(found.moves[0].edit)
    assert trial.change("hard", "logsumexp") == found.moves[0].counts
    assert len({given.try_edit(move.edit).after.parents.tobytes() for move in found.moves}) == 4


def test_the_same_session_gives_the_same() -> None:
    assert suggest_moves(session(1), tries=40) == suggest_moves(session(1), tries=40)


def test_it_looks_at_the_tree_as_it_is_now_and_greedy_steps_climb() -> None:
    given = session()
    climbed = []
    while (found := suggest_moves(given, tries=60, most=1)).moves and len(climbed) < 3:
        climbed.append(found.correct)
        given.accept(given.try_edit(found.moves[0].edit))
    assert len(climbed) > 1
    assert climbed == sorted(set(climbed))


def test_nodes_are_called_by_names_that_are_theirs_alone() -> None:
    names = ["cat", "car", "dog", "bus", "odd", "odd", "thing"]
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], names)
    logits = torch.tensor([[3.0, 0, 2.5, 2.8], [2.8, 2.5, 0, 3]])
    given = EditSession(NBDT(nn.Identity(), tree), [(logits, torch.tensor([0, 3]))])
    found = suggest_moves(given, most=50)
    arguments = [value for move in found.moves for value in move.edit.arguments.values()]
    assert set(arguments) <= {"cat", "car", "dog", "bus", "thing", 4, 5}
    assert {"cat", "bus"} <= set(arguments)


def test_it_says_what_it_cost_and_that_it_was_chosen_here() -> None:
    found = suggest_moves(session(), tries=20)
    text = str(found)
    assert f"{found.raising} of 20 moves (those that most mistakes speak for, of" in text
    assert "gain less on others" in text
    document = json.loads(json.dumps(found.to_dict()))
    assert Edit.from_dict(document["moves"][0]) == found.moves[0].edit
    assert document["tried"] == 20
    assert document["seconds"] > 0


def test_without_mistakes_there_is_nothing_to_suggest() -> None:
    model = NBDT(nn.Identity(), random_hierarchy(CLASSES))
    given = EditSession(model, [(10 * torch.eye(CLASSES), torch.arange(CLASSES))])
    found = suggest_moves(given)
    assert (found.moves, found.promising) == ((), 0)
    assert str(found).startswith("None of 0 moves raises the hard accuracy (logsumexp) of 100.0 %")


@pytest.mark.parametrize("options", [{"tries": 0}, {"most": 0}, {"tries": 1.5}, {"most": True}])
def test_numbers_below_one_are_refused(options) -> None:
    with pytest.raises(InputError, match="an integer ≥ 1"):
        suggest_moves(session(), **options)
