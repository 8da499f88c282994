"""Maps are answered as their sites would be one by one, in bounded memory."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import Temperature, TreeLayout, node_scores, sites
from nbdt.rules.sites import (
    check_sites,
    children_taken,
    logits_at,
    map_answers,
    map_log_probs,
    nodes_at_depth,
    region_logits,
)
from tests.rules.oracle import answer
from tests.strategies import caterpillar, hierarchies, random_hierarchy

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])


def sample(seed, *shape, scale=3.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(sites, "CHUNK", 1)  # 256 sites


@pytest.mark.parametrize("score", ["mean", "logsumexp"])
@settings(max_examples=30)
@given(
    tree=hierarchies(max_classes=12),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    scale=st.sampled_from([0.1, 3, 1e4]),
    masked=st.booleans(),
    shape=st.sampled_from([(4,), (2, 3), (1, 2, 2)]),
)
def test_every_site_is_answered_as_the_oracle_does(tree, seed, dtype, scale, masked, shape, score):
    logits = sample(seed, 2, tree.num_classes, *shape, scale=scale, dtype=dtype)
    if masked:
        holes = sample(seed + 1, *logits.shape) < 0
        holes[:, seed % tree.num_classes] = False
        logits = logits.masked_fill(holes, -math.inf)
    layout = TreeLayout(tree)
    finite = logits[logits.isfinite()].double()
    tolerance = 1e-5 * max(1, finite.abs().max().item())
    log_probs = map_log_probs(logits, layout, score)
    assert log_probs.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    answers = {rule: map_answers(logits, layout, score, rule) for rule in ("soft", "hard")}
    for place in np.ndindex(2, *shape):
        row = (place[0], slice(None), *place[1:])
        expected = answer(tree, logits[row].double().numpy(), score)
        found = log_probs[row].double().numpy()
        assert np.allclose(found, expected.soft, rtol=0, atol=tolerance)
        assert np.allclose(np.exp(found), np.exp(expected.soft), rtol=0, atol=1e-6)
        assert expected.soft[answers["soft"][place]] >= expected.soft.max() - tolerance
        if expected.margin > tolerance:
            assert answers["hard"][place] == expected.hard


@pytest.mark.parametrize("tree", [random_hierarchy(9, branching=4), caterpillar(80)])
@pytest.mark.parametrize("temperature", [Temperature(2.0), Temperature(0.5, {-1: 3.0})])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("score", ["mean", "logsumexp"])
def test_chunks_and_memory_formats_change_nothing(small_chunks, tree, temperature, memory, score):
    root = len(tree) - 1
    temperature = Temperature(temperature.value, dict.fromkeys(temperature.nodes and [root], 3.0))
    logits = sample(0, 2, tree.num_classes, 21, 30).to(memory_format=memory)
    layout = TreeLayout(tree)
    rows = logits.movedim(1, -1)
    log_probs = map_log_probs(logits, layout, score, temperature)
    expected = temperature.log_probs(rows.contiguous(), layout, score)
    torch.testing.assert_close(log_probs.movedim(1, -1), expected, rtol=1e-6, atol=1e-6)
    hard = map_answers(logits, layout, score, "hard", temperature)
    assert hard.equal(temperature.hard_predict(rows, layout, score))
    soft = map_answers(logits, layout, score, "soft", temperature)
    top = expected.gather(-1, soft[..., None])[..., 0]
    torch.testing.assert_close(top, expected.amax(-1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("score", ["mean", "logsumexp"])
def test_gradients_flow_through_chunks(small_chunks, score):
    tree = random_hierarchy(6)
    layout, logits = TreeLayout(tree), sample(0, 2, 6, 20, 20, dtype=torch.float64)
    weights = sample(1, *logits.shape, dtype=torch.float64)
    grads = []
    for of_map in (True, False):
        leaf = logits.clone().requires_grad_()
        if of_map:
            found = map_log_probs(leaf, layout, score)
        else:
            found = Temperature().log_probs(leaf.movedim(1, -1), layout, score).movedim(-1, 1)
        (found * weights).sum().backward()
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("score", ["mean", "logsumexp"])
def test_a_map_can_be_exported(score):
    class Rules(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layout = TreeLayout(TREE)

        def forward(self, logits):
            return map_log_probs(logits, self.layout, score)

    logits = sample(0, 2, 3, 4, 5)
    exported = torch.export.export(Rules(), (logits,)).module()
    torch.testing.assert_close(exported(logits), map_log_probs(logits, TreeLayout(TREE), score))


@settings(max_examples=30)
@given(tree=hierarchies(max_classes=9), seed=st.integers(0, 2**32 - 1))
def test_linear_upsampling_commutes_with_mean_scores_alone(tree, seed):
    """Under ``mean`` it does not matter whether logits or scores are enlarged."""
    logits = sample(seed, 1, tree.num_classes, 3, 4, dtype=torch.float64)
    layout = TreeLayout(tree)

    def scores(of, score):
        return node_scores(of.movedim(1, -1), layout, score).movedim(-1, 1)

    def larger(of):
        return interpolate(of, scale_factor=3, mode="bilinear")

    torch.testing.assert_close(scores(larger(logits), "mean"), larger(scores(logits, "mean")))
    before = scores(larger(logits), "logsumexp")[:, tree.root]
    after = larger(scores(logits, "logsumexp"))[:, tree.root]
    # log-sum-exp is convex, and so its values between sites are below the mean of the sites'.
    assert (before <= after + 1e-9).all()
    assert not torch.allclose(before, after)
    for score in ("mean", "logsumexp"):
        before = map_log_probs(larger(logits), layout, score).exp()
        after = larger(map_log_probs(logits, layout, score).exp())
        assert not torch.allclose(before, after)


@pytest.mark.parametrize(
    ("logits", "said"),
    [
        (torch.zeros(1, 3, 0, 5), r"a map needs sites; the logits have the shape \(1, 3, 0, 5\)\."),
        (torch.full((2, 3, 2, 2), -math.inf), r"are all -inf at site \(0, 0\) of sample 0 \(8 of"),
        (torch.full((2, 3, 4), math.inf), r"hold \+inf at site \(0\) of sample 0"),
    ],
)
def test_maps_without_answers_are_refused(logits, said):
    with pytest.raises(InputError, match=said):
        map_answers(logits, TreeLayout(TREE))


def test_nan_is_named_by_its_site():
    logits = torch.zeros(2, 3, 4, 5)
    logits[1, 0, 2, 3] = torch.nan
    with pytest.raises(InputError, match=r"NaN at site \(2, 3\) of sample 1 \(1 of 40 sites\)"):
        check_sites(logits)


def test_a_site_is_chosen_by_its_place():
    logits = sample(0, 2, 3, 4, 5)
    chosen, site = logits_at(logits, (1, np.int64(2)))
    assert chosen.equal(logits[:, :, 1, 2])
    assert site == (1, 2)
    assert logits_at(logits[..., 0], 3)[0].equal(logits[:, :, 3, 0])


@pytest.mark.parametrize(
    "at", [(4, 0), (0, -1), (0,), (0, 0, 0), 3, (0.5, 1), "ab", None, ("1", 2)]
)
def test_places_off_the_map_are_refused(at):
    with pytest.raises(InputError, match=r"at must be \(row, column\) on a map of 4 × 5 sites"):
        logits_at(torch.zeros(1, 3, 4, 5), at)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_region_has_the_mean_of_its_logits(seed):
    logits = sample(seed, 2, 3, 20, 30, scale=1e3)
    mask = (sample(seed + 1, 2, 20, 30) > 0).numpy()
    found, masks = region_logits(logits, mask)
    expected = [one.double().numpy()[:, m].mean(1) for one, m in zip(logits, mask, strict=True)]
    assert np.allclose(found, expected, rtol=1e-6)
    assert np.array_equal(masks, mask)
    # Numbers added to all classes of a site, such as log-probabilities lack, change no probability.
    normed, _ = region_logits(logits.log_softmax(1), torch.from_numpy(mask))
    torch.testing.assert_close(found.softmax(1), normed.softmax(1), rtol=1e-4, atol=1e-4)


def test_a_class_masked_at_one_site_is_masked_in_the_region():
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 1, 0, 0] = -math.inf
    everywhere = np.ones((2, 2), dtype=bool)
    assert region_logits(logits, everywhere)[0].tolist() == [[0, -math.inf, 0]]
    logits[0, 0, 1, 1] = logits[0, 2, 1, 1] = -math.inf
    with pytest.raises(InputError, match=r"every class is masked \(-inf\) at some site"):
        region_logits(logits, everywhere)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (np.zeros((4, 5), dtype=bool), "region has no sites in sample 0"),
        (np.ones((5, 4), dtype=bool), r"must have the shape of the map, \(4, 5\), or one mask a"),
        (torch.ones(4, 5, dtype=torch.uint8), "a mask of True and False; got torch.uint8 of shape"),
        ([[1, 2]], "values of type int64; a comparison makes one"),
        (None, "values of type object"),
    ],
)
def test_wrong_regions_are_refused(region, said):
    with pytest.raises(InputError, match=said):
        region_logits(torch.zeros(1, 3, 4, 5), region)


def test_classifiers_have_no_sites():
    for choose, name in ((logits_at, "at"), (region_logits, "region")):
        with pytest.raises(InputError, match=f"one answer a sample; leave {name} out"):
            choose(torch.zeros(1, 3), (0, 0))


@settings(max_examples=30)
@given(tree=hierarchies(max_classes=12))
def test_depths_and_decisions_look_up_the_path(tree):
    for leaf in range(tree.num_classes):
        path = tree.path(leaf)
        for depth in range(len(path) + 2):
            assert nodes_at_depth(tree, depth)[leaf] == path[min(depth, len(path) - 1)]
        for node in tree.inner:
            after = path[path.index(node) + 1] if node in path else -1
            assert children_taken(tree, node)[leaf] == after


def test_only_groups_decide_and_depths_count_from_the_root():
    with pytest.raises(InputError, match="is a class and decides nothing"):
        children_taken(TREE, 0)
    with pytest.raises(InputError, match="whole number from 0"):
        nodes_at_depth(TREE, -1)
