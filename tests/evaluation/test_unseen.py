"""Unseen classes: against naive walks, by taxonomy, and on Fashion-MNIST."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset

import nbdt
from nbdt.data import load_dataset
from nbdt.errors import InputError, NotFoundError
from nbdt.evaluation import OodTable, evaluate_ood, ood_scores
from nbdt.evaluation.unseen import (
    UnseenCounter,
    evaluate_unseen,
    nodes_of_unseen,
)
from nbdt.hierarchy import Hierarchy, edit, load_hierarchy, shapes
from nbdt.model import NBDT
from nbdt.rules import Predictions, TreeLayout
from tests.evaluation.oracle import cases, samples, walks

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])


@given(case=cases(), data=st.data())
def test_counts_are_those_of_naive_walks(case, data) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, _ = case
    logits, _ = samples(tree, 20, seed)
    below_root = st.integers(0, len(tree) - 2)
    nodes = [data.draw(below_root), *data.draw(st.lists(st.none() | below_root, max_size=3))]
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, len(nodes), 20))
    labels[0] = 0
    counters = [UnseenCounter(tree, nodes) for _ in range(3)]
    layout = TreeLayout(tree)
    for counter, part, truth in zip(counters, logits.split(8), labels.split(8), strict=True):
        counter.update(Predictions(part, layout, score=score), truth)
    for other in counters[1:]:
        counters[0].merge(other)

    expected: dict[tuple[int, int, int], list[bool]] = {}
    for walk, label in zip(walks(logits, tree, score, "soft"), labels.tolist(), strict=True):
        for step in walk.way(nodes[label]) if nodes[label] is not None else ():
            expected.setdefault((label, step.node, step.towards), []).append(step.right)
    rows = counters[0].compute().rows
    assert {(row.label, row.node, row.child): (row.correct, row.samples) for row in rows} == {
        key: (sum(rights), len(rights)) for key, rights in expected.items()
    }
    assert [(row.label, tree.depth(row.node)) for row in rows] == sorted(
        (row.label, tree.depth(row.node)) for row in rows
    )


def test_a_model_is_asked_and_the_table_can_be_read_and_stored() -> None:
    model = NBDT(nn.Identity(), TREE)
    logits = torch.tensor([[2.0, 0, 0], [0, 0, 2.0], [0, 1.0, 2.0], [0, 0, 2.0]])
    data = [(logits, torch.tensor([0, 0, 1, 2]))]
    table = evaluate_unseen(model, data, ["animal", "car", None], ["lion", "lorry", "tree"])
    assert table.at(TREE.root) == (2, 3)
    assert [row.name for row in table.rows] == ["lion", "lorry"]
    assert "lion          thing    animal          1/2    50.0 %" in str(table)
    document = json.loads(json.dumps(table.to_dict()))
    assert document["rows"][0]["accuracy"] == 0.5
    assert table.rows[0].interval == tuple(document["rows"][0]["interval"])


def test_a_taxonomy_says_where_classes_belong() -> None:
    names = ["cat", "dog", "car", "lion", "bus", "oak", "pug"]
    taxonomy = Hierarchy(
        [7, 8, 9, 7, 9, 11, 8, 10, 10, 11, 11, -1],
        [*names, "feline", "canine", "vehicle", "animal", "thing"],
    )
    found = nodes_of_unseen(TREE, taxonomy, ["lion", "bus", "pug", "oak"])
    assert found == (0, 2, 1, None)
    assert nodes_of_unseen(TREE, taxonomy, []) == ()
    other = Hierarchy([3, 4, 3, 4, -1], ["cat", "dog", "car"])  # cat and car together
    wide = Hierarchy([4, 4, 5, 4, 5, -1], ["cat", "dog", "car", "lion", "animal", "thing"])
    assert nodes_of_unseen(other, wide, ["lion"]) == (None,)
    with pytest.raises(InputError, match="'cat' is a class of the tree"):
        nodes_of_unseen(TREE, taxonomy, ["cat"])
    with pytest.raises(NotFoundError, match="no node is called 'emu'"):
        nodes_of_unseen(TREE, taxonomy, ["emu"])
    with pytest.raises(InputError, match="none of the tree's classes"):
        nodes_of_unseen(TREE, shapes.flat(3), ["0"])


@pytest.mark.parametrize(
    ("nodes", "classes", "said"),
    [
        (["animal"], ["a", "b"], "each of 2 classes needs a node or None; got 1"),
        (["thing", None], None, "no class belongs under a node below the root"),
        ([], None, "no class belongs under a node below the root"),
    ],
)
def test_nodes_that_judge_nothing_are_refused(nodes, classes, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=said):
        UnseenCounter(TREE, nodes, classes)


def test_unknown_nodes_labels_and_empty_data_are_refused() -> None:
    with pytest.raises(NotFoundError, match="no node is called 'plant'"):
        UnseenCounter(TREE, ["plant"])
    counted = UnseenCounter(TREE, ["animal"])
    with pytest.raises(
        InputError, match="a label is 1; with 1 unseen classes labels go from 0 to 0"
    ):
        counted.update(
            Predictions(torch.zeros(1, 3), TreeLayout(TREE), score="mean"), torch.tensor([1])
        )
    with pytest.raises(InputError, match="no sample"):
        counted.compute()


def test_held_out_clothes_go_where_the_taxonomy_puts_them(nbdt_data: Path) -> None:
    """A small network learns seven of Fashion-MNIST's classes; three it never saw."""
    taxonomy = load_hierarchy("fashion_mnist/taxonomy")
    unseen = ["Coat", "Sandal", "Shirt"]
    seen = [name for name in taxonomy.classes if name not in unseen]
    tree = edit.restrict(taxonomy, seen)

    def pixels(split: str, names: list[str], samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        data = load_dataset("fashion_mnist", split, root=nbdt_data).filter_classes(names)
        data = data.subset(samples, seed=0)
        assert list(data.classes) == names
        images, labels = zip(*data, strict=True)  # type: ignore[call-overload]
        return torch.stack(images), torch.tensor(labels)

    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 7))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    images, labels = pixels("train", seen, 2100)
    for _ in range(8):
        for batch in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()

    model = NBDT(network.eval(), tree)
    nodes = nodes_of_unseen(tree, taxonomy, unseen)
    table = evaluate_unseen(model, [pixels("test", unseen, 300)], nodes, unseen)
    right, total = table.at(tree.root)
    assert total == 300
    assert right / total > 0.85  # by chance it would be about a half
    assert {row.name for row in table.rows} == set(unseen)
    assert nbdt.Hierarchy is type(tree)


FEW = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=30)


@given(known=FEW, unknown=FEW)
def test_areas_and_rates_are_those_of_their_definition(known: list, unknown: list) -> None:  # type: ignore[type-arg]
    (row,) = OodTable.of(np.array(known)[:, None], np.array(unknown)[:, None]).rows
    wins = [(a > b) + (a == b) / 2 for a in known for b in unknown]
    assert row.auroc == pytest.approx(np.mean(wins))
    # The highest threshold that 95 % of the known samples reach.
    passing = [t for t in known if sum(a >= t for a in known) * 20 >= len(known) * 19]
    assert row.fpr95 == pytest.approx(np.mean(np.array(unknown) >= max(passing)))


@given(case=cases())
def test_scores_are_those_of_naive_walks(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, _ = samples(tree, 12, seed)
    model = NBDT(torch.nn.Identity(), tree, score, rule)
    found = ood_scores(model, [logits[:5], (logits[5:], None)])
    for place, walk in enumerate(walks(logits, tree, score, rule)):
        way = walk.way(walk.answer)
        reached = np.cumprod([step.probabilities[step.towards] for step in way])
        assert found[place, 0] == pytest.approx(logits[place].softmax(0).max().item())
        assert found[place, 1] == pytest.approx(-sum(step.entropy for step in way), abs=1e-9)
        if np.abs(reached - 0.5).min() > 1e-9:
            assert found[place, 2] == pytest.approx((reached > 0.5).mean())
    same = ood_scores(model, TensorDataset(logits), batch_size=7)
    np.testing.assert_allclose(same, found)


def test_it_can_be_read_and_stored() -> None:
    tree = shapes.balanced(8)
    logits, labels = samples(tree, 200)
    model = NBDT(torch.nn.Identity(), tree)
    table = evaluate_ood(model, [(4 * logits, labels)], [logits])
    assert all(row.auroc > 0.7 for row in table.rows)
    document = json.loads(json.dumps(table.to_dict()))
    assert [row["score"] for row in document["rows"]] == [
        "max probability", "path entropy", "stop depth"
    ]  # fmt: skip
    assert str(table).splitlines()[-1] == "200 known samples, 200 unknown"
    assert f"{table.rows[1].auroc:.4f}" in str(table).splitlines()[3]


def test_both_sides_are_needed() -> None:
    model = NBDT(torch.nn.Identity(), shapes.flat(3))
    with pytest.raises(InputError, match="known and unknown samples are needed; got 1 and 0"):
        evaluate_ood(model, [torch.zeros(1, 3)], [])
    with pytest.raises(InputError, match="hold NaN"):
        evaluate_ood(model, [torch.full((1, 3), torch.nan)], [torch.zeros(1, 3)])
