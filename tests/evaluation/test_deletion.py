"""Deletion curves against autograd and a loop that zeroes one feature at a time."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap

from nbdt.errors import InputError
from nbdt.evaluation.deletion import delete_features
from nbdt.hierarchy import shapes
from nbdt.rules import TreeLayout, node_scores

TREE = shapes.random(7, branching=3, seed=2)


def subject(width: int = 12, samples: int = 6, seed: int = 0) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    shapes_ = ((samples, width), (7, width), (7,))
    return tuple(generator.normal(size=shape) for shape in shapes_)


def standing(row, rows, bias, tree, score):  # type: ignore[no-untyped-def]
    """For each decision on the hard path, whether it stands without the k largest features."""
    layout = TreeLayout(tree)
    weight, offset = torch.tensor(rows), torch.tensor(bias)

    def scores(x: torch.Tensor) -> torch.Tensor:
        return node_scores(weight @ x + offset, layout, score)

    node, curves = tree.root, []
    while children := tree.children(node):
        x = torch.tensor(row, requires_grad=True)
        ranked = sorted(children, key=lambda child: -scores(x)[child].item())
        (scores(x)[ranked[0]] - scores(x)[ranked[1]]).backward()
        parts = (x.grad * x).detach()
        order = sorted(range(len(row)), key=lambda j: -parts[j].item())
        left, curve = x.detach().clone(), []
        for j in [None, *order]:
            if j is not None:
                left[j] = 0
            now = scores(left)
            curve.append(max(children, key=lambda child: now[child].item()) == ranked[0])
        curves.append(curve)
        node = ranked[0]
    return np.array(curves, dtype=float)


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_the_largest_parts_are_deleted_first(score) -> None:  # type: ignore[no-untyped-def]
    features, rows, bias = subject()
    found = delete_features(features, rows, bias, TREE, score=score)
    curves = [standing(row, rows, bias, TREE, score) for row in features]
    np.testing.assert_allclose(found.largest, np.mean([c.mean(0) for c in curves], axis=0))
    np.testing.assert_allclose(found.fractions, np.arange(13) / 12)
    assert (found.samples, found.decisions) == (6, sum(map(len, curves)))
    assert found.largest_area == pytest.approx(np.trapezoid(found.largest, found.fractions))
    assert found.random_area == pytest.approx(np.trapezoid(found.random, found.fractions))
    # The ends do not depend on the order.
    assert found.largest[0] == found.random[0] == 1
    assert found.largest[-1] == pytest.approx(found.random[-1])


def test_random_features_say_less() -> None:
    features, rows, bias = subject(width=60, samples=30)
    found = delete_features(features, rows, bias, TREE)
    assert found.is_sooner
    assert found.largest_area < found.random_area
    assert found.gain == pytest.approx(np.mean(found.interval))


def test_the_interval_is_as_the_bootstrap_has_it() -> None:
    features, rows, bias = subject(width=20, samples=80)
    whole = delete_features(features, rows, bias, TREE)
    # Decisions of one sample alone, twice, as a curve needs two samples.
    gains = [delete_features(features[[i, i]], rows, bias, TREE, seed=i).gain for i in range(80)]
    resampled = bootstrap((gains,), np.mean, n_resamples=500, random_state=0)
    width = resampled.confidence_interval.high - resampled.confidence_interval.low
    assert whole.interval[1] - whole.interval[0] == pytest.approx(width, rel=0.35)


def test_features_that_carry_nothing_are_not_sooner() -> None:
    """All parts are alike, so that any order is as good."""
    rows = np.zeros((7, 5))
    found = delete_features(np.ones((4, 5)), rows, np.arange(7.0), TREE)
    assert not found.is_sooner
    assert found.gain == 0
    assert found.largest.tolist() == [1] * 6


def test_many_features_are_deleted_in_so_many_steps() -> None:
    features, rows, bias = subject(width=30)
    found = delete_features(features, rows, bias, TREE, steps=4)
    np.testing.assert_allclose(found.fractions * 30, [0, 8, 15, 22, 30])
    fine = delete_features(features, rows, bias, TREE, steps=30)
    np.testing.assert_allclose(found.largest, fine.largest[[0, 8, 15, 22, 30]])


def test_a_seed_gives_the_same_orders() -> None:
    first, same, other = (delete_features(*subject(), TREE, seed=seed) for seed in (1, 1, 2))
    assert first.to_dict() == same.to_dict()
    assert first.random.tolist() != other.random.tolist()


def test_it_can_be_stored() -> None:
    document = json.loads(json.dumps(delete_features(*subject(), TREE).to_dict()))
    assert document["largest"][0] == 1
    assert set(document) >= {"fractions", "random", "largest_area", "interval", "is_sooner"}
    assert isinstance(document["is_sooner"], bool)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f, r, b: (f[:, :3], r, b), "need shapes"),
        (lambda f, r, b: (f[0], r, b), "need shapes"),
        (lambda f, r, b: (f[:, :0], r[:, :0], b), "need shapes"),
        (lambda f, r, b: (f, r, b[:3]), "need shapes"),
        (lambda f, r, b: (f[:1], r, b), "at least two samples; got 1"),
        (lambda f, r, b: (f * np.inf, r, b), "hold NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(change, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=said):
        delete_features(*change(*subject()), TREE)
