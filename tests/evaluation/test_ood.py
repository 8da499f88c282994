"""Out-of-distribution scores: AUROC and FPR95 by definition, path scores by naive walks."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

from nbdt.errors import InputError
from nbdt.evaluation import OodTable, evaluate_ood, ood_scores
from nbdt.hierarchy import shapes
from nbdt.model import NBDT
from tests.evaluation.oracle import cases, samples, walks

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
