"""Trying edits: against evaluating both trees alone, and what is accepted, undone and saved."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from nbdt.errors import InputError, NotFoundError
from nbdt.evaluation.accuracy import NodeAccuracyCounter, accuracy_by_rule
from nbdt.evaluation.editing import EditSession
from nbdt.evaluation.edits import Edit
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.edit import regraft
from nbdt.model import NBDT
from nbdt.rules import RULE_SCORES, Temperature, hard_predict, soft_log_probs
from nbdt.rules.layout import TreeLayout
from tests.evaluation.oracle import counted
from tests.strategies import random_hierarchy

CLASSES, SAMPLES = 9, 1200  # more than one block


def example(seed: int = 0, score: str = "mean", **options) -> tuple[NBDT, TensorDataset]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (SAMPLES,), generator=generator)
    logits = torch.randn(SAMPLES, CLASSES, generator=generator)
    logits[torch.arange(SAMPLES), labels] += 1.5
    model = NBDT(nn.Identity(), random_hierarchy(CLASSES, seed), score=score, **options)
    return model, TensorDataset(logits, labels)


EDITS = [
    Edit.of(regraft, 0, 1),
    Edit.of(edit.move, 2, random_hierarchy(CLASSES, 0).root),
    Edit.of(edit.collapse, 1),
    Edit.of(edit.rename, {0: "renamed"}),
]


@pytest.mark.parametrize("score", ["mean", "logsumexp"])
@pytest.mark.parametrize("made", EDITS, ids=str)
def test_a_trial_is_what_evaluating_both_trees_gives(made: Edit, score: str) -> None:
    model, data = example(score=score)
    session = EditSession(model, data, batch_size=100)
    trial = session.try_edit(made)
    logits, labels = data.tensors
    before, after = model.hierarchy, made(model.hierarchy)
    assert (trial.before, trial.after) == (before, after)
    tables = [accuracy_by_rule([(logits, labels)], tree) for tree in (before, after)]
    for change in trial.accuracy:
        rows = [table.row(change.rule, change.score) for table in tables]
        assert [change.counts.before, change.counts.after] == [row.correct for row in rows]
        assert trial.change(change.rule, change.score) is change.counts
    shares = []
    for tree in (before, after):
        found = counted(NodeAccuracyCounter(tree), logits, labels, score, size=SAMPLES)
        shares.append({share.node: share for share in found.nodes})
    for change in trial.nodes:
        assert change.before is None or change.before == shares[0][change.before.node]
        assert change.after is None or change.after == shares[1][change.after.node]
    assert bool(trial.nodes) == (made.name != "rename")


def test_gains_and_losses_are_counted_sample_by_sample() -> None:
    model, data = example()
    made = EDITS[0]
    trial = EditSession(model, data).try_edit(made)
    logits, labels = data.tensors
    for (rule, score), change in zip(RULE_SCORES, trial.accuracy, strict=True):
        right = []
        for tree in (trial.before, trial.after):
            layout = TreeLayout(tree)
            answer = (
                hard_predict(logits, layout, score)
                if rule == "hard"
                else soft_log_probs(logits, layout, score).argmax(1)
            )
            right.append((answer == labels).numpy())
        assert change.counts.gained == (right[1] & ~right[0]).sum()
        assert change.counts.lost == (right[0] & ~right[1]).sum()
    assert trial.change("soft", "logsumexp").gained == trial.change("soft", "logsumexp").lost == 0
    assert trial.change("hard", "mean").gained > 0


def test_a_node_is_compared_on_the_samples_that_it_has_both_times() -> None:
    names = ["cat", "dog", "car", "bus", "pet", "vehicle", "thing"]
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], names)
    data = [(torch.randn(60, 4), torch.arange(60) % 4)]
    trial = EditSession(NBDT(nn.Identity(), tree), data).try_edit(edit.move, "car", "pet")
    by_name = {change.name: change for change in trial.nodes}
    assert set(by_name) == {"pet", "vehicle", "thing"}
    pet, vehicle, thing = (by_name[name] for name in ("pet", "vehicle", "thing"))
    assert pet.before
    assert pet.after
    assert pet.same_samples
    assert (pet.before.samples, pet.after.samples, pet.same_samples.samples) == (30, 45, 30)
    assert pet.same_samples.before == pet.before.correct
    assert vehicle.after is None
    assert vehicle.same_samples is None
    assert vehicle.before is not None
    assert thing.same_samples is not None
    assert thing.same_samples.samples == 60


def test_nothing_changes_until_it_is_accepted_and_committed() -> None:
    model, data = example()
    session = EditSession(model, data)
    old = model.hierarchy
    trial = session.try_edit(EDITS[0])
    assert session.tree is old
    assert session.accept(trial) == trial.after == session.tree
    assert model.hierarchy is old
    second = session.try_edit(edit.collapse, 2)
    assert second.before == trial.after
    assert second.change("hard", "mean").before == trial.change("hard", "mean").after
    session.accept(second)
    assert session.undo() == trial.after
    assert session.undo() == old
    assert session.redo() == trial.after
    assert session.accepted == (trial,)
    committed = session.commit()
    assert committed is model
    assert model.hierarchy == trial.after
    assert len(model.provenance["edits"]) == 1


def test_accepting_forgets_what_was_undone() -> None:
    session = EditSession(*example())
    session.accept(session.try_edit(EDITS[0]))
    session.undo()
    session.accept(session.try_edit(EDITS[2]))
    with pytest.raises(InputError, match="nothing to redo"):
        session.redo()


def test_edits_are_saved_with_the_model_and_give_the_tree_again(tmp_path) -> None:
    model = NBDT(nn.Linear(4, CLASSES), random_hierarchy(CLASSES))
    first = model.hierarchy
    model.provenance = {"data": "made up"}
    data = TensorDataset(torch.randn(50, 4), torch.randint(CLASSES, (50,)))
    session = EditSession(model, data)
    session.accept(session.try_edit(EDITS[0]))
    session.accept(session.try_edit(edit.collapse, 3))
    session.commit().save_pretrained(tmp_path / "model")
    again = NBDT.from_pretrained(tmp_path / "model", network=nn.Linear(4, CLASSES))
    assert again.provenance["data"] == "made up"
    tree = first
    for entry in again.provenance["edits"]:
        tree = Edit.from_dict(entry)(tree)
        assert entry["accuracy"][0]["samples"] == 50
    assert tree == again.hierarchy

    later = EditSession(again, data)
    later.accept(later.try_edit(edit.collapse, 1))
    later.commit()
    later.commit()
    assert [entry["edit"] for entry in again.provenance["edits"]] == [
        "regraft",
        "collapse",
        "collapse",
    ]
    later.undo()
    assert len(later.commit().provenance["edits"]) == 2


def test_without_edits_a_commit_leaves_the_provenance_alone() -> None:
    model, data = example()
    EditSession(model, data).commit()
    assert model.provenance == {}


def test_a_temperature_counts_and_those_of_nodes_are_refused() -> None:
    model, data = example(temperature=Temperature(4.0))
    plain = EditSession(example()[0], data)
    session = EditSession(model, data)
    torch.testing.assert_close(session.logits * 4, plain.logits)
    with pytest.raises(InputError, match="temperatures of their own"):
        EditSession(example(temperature=Temperature(nodes={CLASSES: 2.0}))[0], data)


def test_it_says_all_in_text_and_json() -> None:
    session = EditSession(*example())
    assert str(session) == "No edits accepted; 1,200 samples to try them on."
    trial = session.try_edit(EDITS[0])
    lines = str(trial).splitlines()
    assert lines[0] == "regraft(node=0, beside=1)"
    assert [line.split()[:2] for line in lines[3:7]] == [list(way) for way in RULE_SCORES]
    assert any(line.rstrip().endswith("new") or " new " in line for line in lines)
    document = json.loads(json.dumps(trial.to_dict()))
    assert document["edit"] == "regraft"
    assert len(document["nodes"]) == len(trial.nodes)
    session.accept(trial)
    assert "regraft(node=0, beside=1)" in str(session)


def test_what_cannot_be_is_refused() -> None:
    model, data = example()
    session = EditSession(model, data)
    for act in (session.undo, session.redo):
        with pytest.raises(InputError, match="there is nothing to"):
            act()
    trial = session.try_edit(EDITS[0])
    session.accept(trial)
    with pytest.raises(InputError, match="another tree"):
        session.accept(trial)
    with pytest.raises(InputError, match="has its arguments"):
        session.try_edit(EDITS[0], "more")
    with pytest.raises(NotFoundError, match="no node"):
        session.try_edit(edit.dissolve, "unheard of")
    with pytest.raises(InputError, match="at least one sample"):
        EditSession(model, [])
    with pytest.raises(InputError, match="labels go from 0 to 8"):
        EditSession(model, [(torch.zeros(1, CLASSES), torch.tensor([CLASSES]))])


def test_logits_are_kept_on_the_processor_in_order() -> None:
    model, data = example()
    session = EditSession(model, data, batch_size=7)
    assert torch.equal(session.logits, data.tensors[0])
    assert np.array_equal(session.labels.numpy(), data.tensors[1].numpy())
    assert session.samples == SAMPLES
