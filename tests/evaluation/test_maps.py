"""Intersection over union against a walk over every site in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.utils.data import TensorDataset

from nbdt import NBDT
from nbdt.errors import InputError
from nbdt.evaluation import IoUCounter, NodeAccuracyCounter, evaluate_maps
from nbdt.hierarchy import Hierarchy
from nbdt.rules import RULE_SCORES
from tests.evaluation.oracle import batches, cases, counted, samples, walks

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])


def naive(tree, labels, answers):
    """The IoU of every node, with sets of sites."""
    found = []
    for node in range(len(tree)):
        under = set(tree.leaves(node))
        true = {site for site, label in enumerate(labels) if label in under}
        answered = {site for site, answer in enumerate(answers) if answer in under}
        union = true | answered
        found.append(len(true & answered) / len(union) if union else None)
    return found


@settings(max_examples=15)
@given(case=cases())
def test_equals_the_oracle(case):
    tree, seed, score, rule = case
    logits, labels = samples(tree, 30, seed)
    table = counted(IoUCounter(tree), logits, labels, score, rule)
    assert table.network.nodes == pytest.approx(
        naive(tree, labels.tolist(), logits.argmax(1).tolist())
    )
    for rule, score in RULE_SCORES:
        answers = [walk.answer for walk in walks(logits, tree, score, rule)]
        row = table.row(rule, score)
        assert row.nodes == pytest.approx(naive(tree, labels.tolist(), answers))
        assert row.accuracy == pytest.approx(np.mean(np.equal(answers, labels.numpy())))
        known = [share for share in row.classes if share is not None]
        assert row.mean_iou == pytest.approx(np.mean(known))


def test_two_halves_merge_to_the_whole():
    logits, labels = samples(TREE, 60)
    first, second, whole = (IoUCounter(TREE) for _ in range(3))
    for part, counter in ((slice(30), first), (slice(30, None), second), (slice(None), whole)):
        for batch in batches(TREE, logits[part], labels[part]):
            counter.update(batch)
    first.merge(second)
    assert first.compute() == whole.compute()


def maps(seed=0, count=3, height=6, width=5):
    logits, labels = samples(TREE, count * height * width, seed)
    logits = logits.view(count, height, width, 3).movedim(-1, 1)
    return logits, labels.view(count, height, width)


def test_maps_are_measured_site_by_site():
    logits, labels = maps()
    labels[0, :2] = 255
    model = NBDT(torch.nn.Identity(), TREE)
    nodes = NodeAccuracyCounter(TREE)
    table = evaluate_maps(model, TensorDataset(logits, labels), batch_size=2, extra=[nodes])
    kept = labels != 255
    expected = counted(IoUCounter(TREE), logits.movedim(1, -1)[kept], labels[kept])
    assert table == expected
    assert nodes.compute().nodes[-1].samples == int(kept.sum())


def test_logits_are_resized_to_the_labels():
    logits, labels = maps()
    small = torch.nn.functional.interpolate(logits, scale_factor=0.5, mode="bilinear")
    larger = torch.nn.functional.interpolate(small.float(), labels.shape[1:], mode="bilinear")
    model = NBDT(torch.nn.Identity(), TREE)
    found = evaluate_maps(model, [(small, labels)])
    assert found == evaluate_maps(model, [(larger, labels)])


def test_samples_that_fail_are_left_out_where_asked():
    logits, labels = maps()
    logits[1, 0, 2, 3] = math.nan
    model = NBDT(torch.nn.Identity(), TREE)
    kept = evaluate_maps(model, TensorDataset(logits, labels), on_failure="keep")
    assert kept == evaluate_maps(model, [(logits[::2], labels[::2])])
    with pytest.raises(InputError, match="NaN"):
        evaluate_maps(model, TensorDataset(logits, labels))


@pytest.mark.parametrize(
    ("shape", "labels", "options", "said"),
    [
        ((1, 3), [0], {}, "one answer a sample, not a map; call evaluate"),
        ((1, 3, 2, 2), [0], {}, "a class for each site, 2 axes without the batch's"),
        ((1, 3, 2), [[0, 1, 2]], {}, r"the shape \(3,\), the network's map \(2,\)"),
        ((1, 3, 1, 1), [[[7]]], {}, "a label is 7; with 3 classes labels go from 0 to 2"),
        ((1, 3, 1, 1), [[[255]]], {}, "needs at least one site with a label"),
        ((1, 3, 1, 1), [[[0]]], {"ignore_index": 2}, "ignore_index 2 is one of the model's 3"),
    ],
)
def test_what_cannot_be_measured_is_refused(shape, labels, options, said):
    model = NBDT(torch.nn.Identity(), TREE)
    with pytest.raises(InputError, match=said):
        evaluate_maps(model, [(torch.zeros(shape), torch.tensor(labels))], **options)


def test_the_text_has_rules_groups_and_classes():
    text = evaluate_maps(NBDT(torch.nn.Identity(), TREE), [maps()]).to_text(full=True)
    assert text.splitlines()[0].split() == ["rule", "score", "mean", "IoU", "sites", "correct"]
    for line in (
        "90 sites, 3 classes",
        "IoU by group, the worst first",
        "IoU by class, the worst first",
    ):
        assert line in text.splitlines()
