"""Saliency of decisions: exact where it can be known, faithful where it cannot."""

import builtins
import copy
import dataclasses
from math import sqrt

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nbdt
from nbdt.attribution import Saliency, decision_saliency, path_saliency
from nbdt.errors import InputError, MissingDependencyError, NotFoundError
from nbdt.rules import Temperature, decision_log_probs, node_scores
from tests.attribution.conftest import made

captum = pytest.importorskip("captum.attr", reason="saliency is the extra [attribution], on Captum")


def difference(model, x, saliency):
    """The explained function, written down once more: from the leaves' logits."""
    with torch.no_grad():
        logits = model.network(x)[0].double()
    worth = {"mean": torch.mean, "logsumexp": lambda z: z.logsumexp(0)}[model.score]
    child, rival = (
        worth(logits[list(model.hierarchy.leaves(node))])
        for node in (saliency.child, saliency.rival)
    )
    return (child - rival).item()


# ── oracles ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")  # DeepLift
@pytest.mark.parametrize("method", ["integrated_gradients", captum.DeepLift])
@pytest.mark.parametrize("baseline", [None, 0.5, torch.tensor([[[0.25]], [[-1.0]]])])
def test_on_a_linear_network_a_pixel_contributes_its_weight_times_its_rise(
    linear, method, baseline
):
    x = torch.randn(1, 2, 3, 4)
    for decision in linear.explain(x)[0].path:
        found = decision_saliency(linear, x, decision, method=method, baseline=baseline)
        weight = linear.network[1].weight.detach()
        mean = [
            weight[list(linear.hierarchy.leaves(node))].mean(0)
            for node in (decision.child, decision.nearest_sibling)
        ]
        rise = x - (0 if baseline is None else baseline)
        expected = (mean[0] - mean[1]).view(2, 3, 4) * rise[0]
        torch.testing.assert_close(found.attribution, expected.sum(0), atol=1e-5, rtol=1e-5)
        assert found.convergence_delta == pytest.approx(0, abs=1e-4)
        assert found.difference == pytest.approx(difference(linear, x, found), abs=1e-5)
        at_baseline = difference(linear, x - rise, found)
        assert found.baseline_difference == pytest.approx(at_baseline, abs=1e-5)


@pytest.mark.parametrize("score", ["mean", "logsumexp"])
def test_integrated_gradients_share_out_the_whole_rise(digits, score):
    model = nbdt.NBDT(digits.model.network, digits.model.hierarchy, score=score)
    for place in (0, 7):
        x = digits.held_out.images[place : place + 1]
        for found in path_saliency(
            model, x, model.explain(x)[0], method="integrated_gradients", n_steps=300
        ):
            here = difference(model, x, found)
            rise = here - difference(model, torch.zeros_like(x), found)
            assert found.attribution.sum().item() == pytest.approx(rise, abs=0.1)
            assert found.difference == pytest.approx(here, abs=1e-4)
            missed = found.attribution.double().sum().item() - rise
            assert found.convergence_delta == pytest.approx(missed, abs=1e-4)


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam", "occlusion"])
@pytest.mark.parametrize("score", ["mean", "logsumexp"])
@pytest.mark.parametrize(
    "temperature", [Temperature(4.0), Temperature(0.3), Temperature(1.5, {4: 8.0, 6: 0.25})]
)
def test_what_is_explained_is_the_decision_at_the_models_temperature(
    conv, method, score, temperature
):
    model = nbdt.NBDT(conv.network, conv.hierarchy, score=score, temperature=temperature).eval()
    x = 3 * torch.randn(1, 2, 8, 8)
    explanation = model.explain(x)[0]
    for found, decision in zip(
        path_saliency(model, x, explanation, method=method), explanation.path, strict=True
    ):
        assert found.probability == pytest.approx(decision.probability, abs=1e-6)
        assert found.difference == pytest.approx(decision.margin, abs=1e-5)
        by_node = decision_saliency(model, x, decision.node, method=method)
        likeliest = max(decision.probabilities)
        assert by_node.probability == pytest.approx(likeliest, abs=1e-6)


@pytest.mark.parametrize(
    "temperature", [Temperature(4.0), Temperature(1.0, {4: 3.0, 5: 0.5, 6: 2.0})]
)
def test_maps_share_out_the_rise_at_the_models_temperature(linear, temperature):
    cold = path_saliency(linear, torch.ones(1, 2, 3, 4), [6, 5, 4], method="integrated_gradients")
    linear.temperature = temperature
    for before, found in zip(
        cold,
        path_saliency(linear, torch.ones(1, 2, 3, 4), [6, 5, 4], method="integrated_gradients"),
        strict=True,
    ):
        divisor = temperature.of(found.node)
        torch.testing.assert_close(
            found.attribution, before.attribution / divisor, atol=1e-5, rtol=1e-4
        )
        assert found.difference == pytest.approx(before.difference / divisor, abs=1e-5)
        assert found.convergence_delta == pytest.approx(0, abs=1e-5)
        rise = found.difference - found.baseline_difference
        assert found.attribution.sum().item() == pytest.approx(rise, abs=1e-4)


def test_the_likeliest_child_of_a_node_is_that_at_the_models_temperature(tree):
    # Under logsumexp a group of classes is worth the more the hotter it is.
    model = nbdt.NBDT(nn.Flatten(), tree)
    x = torch.tensor([[[[1.0, 1.0], [1.9, -9.0]]]])
    assert decision_saliency(model, x, 6, method="occlusion").child_name == "thing"
    model.temperature = Temperature(4.0)
    assert model.explain(x, rule="hard")[0].path[0].child_name == "animal"
    assert decision_saliency(model, x, 6, method="occlusion").child_name == "animal"


def test_grad_cam_is_the_map_weighted_by_its_mean_gradient(conv):
    x = torch.randn(1, 2, 8, 12)
    decision = conv.explain(x)[0].path[0]
    found = decision_saliency(conv, x, decision, method="grad_cam")

    features = conv.network[:5](x).detach().requires_grad_()
    scores = node_scores(conv.network[5:](features), conv.layout, conv.score)[0]
    (gradient,) = torch.autograd.grad(
        scores[decision.child] - scores[decision.nearest_sibling], features
    )
    weighted = (gradient.mean((2, 3), keepdim=True) * features.detach()).sum(1, keepdim=True)
    expected = F.interpolate(weighted, (8, 12), mode="bilinear", align_corners=False)[0, 0]
    torch.testing.assert_close(found.attribution, expected)
    assert found.attribution.min() < 0, "what speaks for the rival must stay"
    assert found.convergence_delta is None


@pytest.mark.parametrize("baseline", [None, 0.7])
def test_occlusion_is_the_mean_fall_over_the_windows_that_hold_a_pixel(conv, baseline):
    x = torch.randn(1, 2, 6, 9)
    path = conv.explain(x)[0].path
    found = path_saliency(
        conv, x, path, method="occlusion", baseline=baseline,
        sliding_window_shapes=(2, 2, 3), strides=(2, 2, 2),
    )  # fmt: skip
    for one, decision in zip(found, path, strict=True):
        total, times = torch.zeros(6, 9), torch.zeros(6, 9)
        for top in (0, 2, 4):
            for left in (0, 2, 4, 6):
                hidden = x.clone()
                hidden[:, :, top : top + 2, left : left + 3] = baseline or 0.0
                fall = difference(conv, x, one) - difference(conv, hidden, one)
                total[top : top + 2, left : left + 3] += fall
                times[top : top + 2, left : left + 3] += 1
        torch.testing.assert_close(one.attribution, total / times, atol=1e-5, rtol=1e-4)
        assert (one.node, one.child, one.rival) == (
            decision.node, decision.child, decision.nearest_sibling,
        )  # fmt: skip


def test_occlusion_hides_an_eighth_of_each_side_unless_told_otherwise(conv):
    x = torch.randn(1, 2, 17, 8)
    found = decision_saliency(conv, x, 6, method="occlusion")
    told = decision_saliency(
        conv, x, 6, method="occlusion", sliding_window_shapes=(2, 3, 1), strides=(2, 2, 1)
    )
    assert torch.equal(found.attribution, told.attribution)
    by_channel = decision_saliency(
        conv, x, 6, method="occlusion", sliding_window_shapes=(1, 3, 1), strides=(1, 2, 1)
    )
    assert not torch.allclose(found.attribution, by_channel.attribution, atol=1e-3)


def test_any_other_attribution_of_captum(linear, conv):
    x = torch.randn(1, 2, 3, 4)
    plain = decision_saliency(linear, x, 6)
    product = decision_saliency(linear, x, 6, method=captum.InputXGradient)
    torch.testing.assert_close(product.attribution, plain.attribution, atol=1e-5, rtol=1e-5)
    assert (product.method, product.layer, product.convergence_delta) == (
        "InputXGradient", None, None,
    )  # fmt: skip

    x = torch.randn(1, 2, 8, 8)
    by_name = decision_saliency(conv, x, 6, method="grad_cam", layer="2")
    made = decision_saliency(
        conv, x, 6, method=lambda explained: captum.LayerGradCam(explained, conv.network[2])
    )
    torch.testing.assert_close(made.attribution, by_name.attribution)
    noisy = decision_saliency(
        conv, x, 6, baseline=0.1, nt_samples=2, stdevs=0.0,
        method=lambda explained: captum.NoiseTunnel(captum.IntegratedGradients(explained)),
    )  # fmt: skip
    exact = decision_saliency(conv, x, 6, baseline=0.1)
    torch.testing.assert_close(noisy.attribution, exact.attribution, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("method", "samples"), [("integrated_gradients", 60), ("occlusion", 30)])
def test_the_pixels_named_matter_more_than_others(digits, method, samples):
    """Insertion and deletion (Petsiuk et al., BMVC 2018), against orders drawn at random."""
    model, held_out = digits.model, digits.held_out
    order = torch.Generator().manual_seed(0)

    def probability(x, decision):
        with torch.no_grad():
            log_probs = decision_log_probs(model.logits(x), model.layout, model.score)
        return log_probs[:, decision.child].exp()

    def on_the_way(start, end, pixels, decision):
        """The mean probability of the child, as the pixels turn from start to end in order."""
        steps = []
        for tenth in range(1, 10):
            step = start.clone()
            some = pixels[: round(tenth / 10 * len(pixels))]
            step.view(-1)[some] = end.view(-1)[some]
            steps.append(step)
        return probability(torch.cat(steps), decision).mean().item()

    inserted, deleted = [], []
    for place in range(samples):
        x = held_out.images[place : place + 1]
        decision = model.explain(x)[0].closest
        attribution = decision_saliency(model, x, decision, method=method).attribution.flatten()
        # Only pixels of the digit: to delete what is black already would be too easy to beat.
        ink = x.flatten().nonzero()[:, 0]
        best = ink[attribution[ink].argsort(descending=True)]
        others = [ink[torch.randperm(len(ink), generator=order)] for _ in range(5)]
        blank = torch.zeros_like(x)
        deletions, insertions = (
            [on_the_way(start, end, pixels, decision) for pixels in (best, *others)]
            for start, end in ((x, blank), (blank, x))
        )
        deleted.append(sum(deletions[1:]) / 5 - deletions[0])
        inserted.append(insertions[0] - sum(insertions[1:]) / 5)
    for gains in map(torch.tensor, (deleted, inserted)):
        assert gains.mean() > 3 * gains.std() / sqrt(len(gains))


# ── what is explained ─────────────────────────────────────────────────────────────────────────


def test_a_node_is_explained_by_its_likeliest_children(digits):
    x = digits.held_out.images[:1]
    explanation = digits.model.explain(x, rule="hard")[0]
    for decision in explanation.path:
        by_node = decision_saliency(digits.model, x, decision.node)
        by_decision = decision_saliency(digits.model, x, decision)
        assert torch.equal(by_node.attribution, by_decision.attribution)
        assert (by_node.child, by_node.rival) == (decision.child, decision.nearest_sibling)
        assert by_node.probability == pytest.approx(decision.probability, abs=1e-6)
        assert by_node.difference == pytest.approx(decision.margin, abs=1e-4)
        assert by_node.node_name == decision.node_name
        by_name = decision_saliency(digits.model, x, decision.node_name)
        assert torch.equal(by_name.attribution, by_node.attribution)
        assert by_node.rival_name == decision.name_of(decision.nearest_sibling)
        assert by_node.preprocessing == digits.model.preprocessing


def test_a_child_not_taken_can_be_explained_too(digits):
    x = digits.held_out.images[:1]
    (decision, *_), root = digits.model.explain(x)[0].path, digits.model.hierarchy.root
    other = copy.copy(decision)
    object.__setattr__(other, "child", decision.nearest_sibling)
    here = decision_saliency(digits.model, x, decision)
    there = decision_saliency(digits.model, x, other)
    assert here.node == root
    torch.testing.assert_close(there.attribution, -here.attribution)
    assert there.difference == pytest.approx(-here.difference)


def test_a_path_is_its_decisions_one_by_one(conv):
    x = torch.randn(1, 2, 8, 8)
    explanation = conv.explain(x)[0]
    for method in ("integrated_gradients", "grad_cam", "occlusion"):
        whole = path_saliency(conv, x, explanation, method=method)
        assert [one.node for one in whole] == [one.node for one in explanation.path]
        for one, decision in zip(whole, explanation.path, strict=True):
            alone = decision_saliency(conv, x, decision, method=method)
            torch.testing.assert_close(one.attribution, alone.attribution)
            assert one.difference == pytest.approx(alone.difference)
    assert [one.method for one in path_saliency(conv, x, explanation)] == 2 * ["grad_cam"]
    assert path_saliency(conv, x, []) == []


def test_half_types_give_float32(linear):
    x = torch.randn(1, 2, 3, 4)
    whole = decision_saliency(linear, x, 6)
    half = decision_saliency(linear.bfloat16(), x.bfloat16(), 6)
    assert half.attribution.dtype == torch.float32
    torch.testing.assert_close(half.attribution, whole.attribution, atol=0.1, rtol=0.1)


# ── the model is left as it was ───────────────────────────────────────────────────────────────


def hooks(module):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [len(getattr(part, kind)) for part in module.modules() for kind in kinds]


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam", "occlusion"])
@pytest.mark.parametrize("frozen", [True, False])
def test_the_model_is_left_as_it_was(conv, method, frozen):
    x = torch.randn(1, 2, 8, 8)
    expected = decision_saliency(conv, x, 6, method=method).attribution
    conv.train()
    conv.network[3].eval()
    conv.requires_grad_(not frozen)
    modes, before = [part.training for part in conv.modules()], copy.deepcopy(conv.state_dict())
    found = decision_saliency(conv, x, 6, method=method).attribution
    assert torch.equal(found, expected), "dropout must be off"
    assert not found.requires_grad
    assert [part.training for part in conv.modules()] == modes
    assert not any(hooks(conv))
    for name, parameter in conv.named_parameters():
        assert parameter.grad is None
        assert parameter.requires_grad is not frozen
        assert torch.equal(parameter, before[name])
    assert not x.requires_grad
    assert x.grad is None


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam", "occlusion"])
@pytest.mark.parametrize("error", [RuntimeError, InputError])
def test_a_network_that_fails_is_left_as_it_was(conv, method, error):
    class Failing(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 4:
                raise error("out of order")
            return x

    conv.network.append(Failing())
    conv.train()
    with pytest.raises(error, match=r"^out of order$"):
        path_saliency(conv, torch.randn(1, 2, 8, 8), [6, 5, 4], method=method)
    assert all(part.training for part in conv.modules())
    assert not any(hooks(conv))


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam", "occlusion"])
def test_it_works_where_gradients_are_off(conv, method):
    x = torch.randn(1, 2, 8, 8)
    expected = decision_saliency(conv, x, 6, method=method).attribution
    with torch.no_grad():
        assert torch.equal(decision_saliency(conv, x, 6, method=method).attribution, expected)
    with torch.inference_mode():
        found = decision_saliency(conv, x.clone(), 6, method=method).attribution
    assert torch.equal(found, expected)
    assert torch.equal(
        decision_saliency(conv, x.requires_grad_(), 6, method=method).attribution, expected
    )


# ── bad input ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (None, "floating-point numbers, got NoneType"),
        ({"pixels": 1}, "floating-point numbers, got dict"),
        (torch.zeros(1, 2, 3, 4, dtype=torch.uint8), "got dtype torch.uint8"),
        (torch.zeros(2, 2, 3, 4), r"images\[:1\]; got \(2, 2, 3, 4\)"),
        (torch.zeros(2, 3, 4), r"got \(2, 3, 4\)"),
        (torch.zeros(1, 2, 0, 4), r"got \(1, 2, 0, 4\)"),
        (torch.full((1, 2, 3, 4), torch.nan), "at the input do not differ by a finite number"),
    ],
)
def test_x_has_to_be_one_input(linear, x, said):
    with pytest.raises(InputError, match=said):
        decision_saliency(linear, x, 6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "gradcam"}, "one of integrated_gradients, grad_cam, occlusion.*'gradcam'"),
        ({"method": 3}, "got 3"),
        ({"method": lambda explained: 3}, "made a int"),
        ({"method": captum.InputXGradient, "baseline": 0}, "Gradient does not use a baseline"),
        ({"layer": "0"}, "layer is only used by method='grad_cam'"),
        ({"steps": 3}, "takes n_steps, method, internal_batch_size, not steps"),
        ({"target": 3}, "integrated_gradients takes .*, not target"),
        ({"baselines": 3}, "integrated_gradients takes .*, not baselines"),
        ({"method": captum.Saliency, "n": 3}, "Saliency takes abs, not n"),
        ({"n_steps": -1}, "refused its arguments"),
        ({"method": "occlusion", "sliding_window_shapes": (9, 9, 9)}, "refused its arguments"),
        ({"method": "occlusion", "sliding_window_shapes": 3}, "refused its arguments"),
        ({"baseline": "black"}, "a number or a tensor, got str"),
        ({"baseline": True}, "a number or a tensor, got bool"),
        ({"baseline": torch.zeros(3, 1, 1)}, r"\(3, 1, 1\) does not broadcast"),
        ({"baseline": torch.inf}, "at the baseline do not differ"),
    ],
)
def test_arguments_that_do_not_fit(linear, arguments, said):
    with pytest.raises(InputError, match=said):
        decision_saliency(linear, torch.zeros(1, 2, 3, 4), 6, **arguments)


def test_an_attribution_that_was_made_already_is_refused(linear):
    made = captum.IntegratedGradients(linear.network)
    with pytest.raises(InputError, match=r"method=lambda explained: IntegratedGradients\(expl"):
        decision_saliency(linear, torch.zeros(1, 2, 3, 4), 6, method=made)


def test_an_attribution_to_anything_but_pixels_is_refused(linear):
    with pytest.raises(InputError, match=r"LayerGradientXActivation gave the shape \(1, 4\)"):
        decision_saliency(
            linear, torch.zeros(1, 2, 3, 4), 6,
            method=lambda made: captum.LayerGradientXActivation(made, linear.network[1]),
        )  # fmt: skip


def test_decisions_that_are_not_of_this_tree(linear, digits):
    x = torch.zeros(1, 2, 3, 4)
    with pytest.raises(InputError, match="node 1 is the class 'dog', which decides nothing"):
        decision_saliency(linear, x, 1)
    with pytest.raises(NotFoundError, match="no node is called 'beast'"):
        decision_saliency(linear, x, "beast")
    other = digits.model.explain(digits.held_out.images[:1])[0].path[-1]
    tree = nbdt.Hierarchy([3, 3, 3, -1], ["a", "b", "c"])
    assert other.node not in range(len(tree))
    with pytest.raises(NotFoundError, match="there is no node"):
        decision_saliency(nbdt.NBDT(nn.Flatten(), tree), torch.zeros(1, 1, 1, 3), other)
    moved = copy.copy(other)
    object.__setattr__(moved, "node", 6)
    with pytest.raises(InputError, match="node 6 is of another tree: its children are"):
        decision_saliency(linear, x, moved)


def test_masked_classes_leave_nothing_to_explain(tree):
    class Masking(nn.Module):
        def forward(self, x):
            logits = x.flatten(1)
            return logits.masked_fill(torch.tensor([False, True, False, False]), -torch.inf)

    model = nbdt.NBDT(Masking(), tree)
    x = torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]])
    assert decision_saliency(model, x, 6).attribution.isfinite().all()
    with pytest.raises(InputError, match=r"finite number \(\[inf\]\).*a class is masked out"):
        decision_saliency(model, x, 4)


def test_a_network_without_gradients_can_be_occluded_only(tree):
    class Detached(nn.Module):
        def forward(self, x):
            return x.detach().flatten(1)

    model, x = nbdt.NBDT(Detached(), tree), torch.rand(1, 1, 2, 2)
    with pytest.raises(InputError, match=r"gives no gradients .*use method='occlusion'"):
        decision_saliency(model, x, 6)
    assert decision_saliency(model, x, 6, method="occlusion").attribution.shape == (2, 2)


def test_the_model_has_to_be_one(linear):
    with pytest.raises(InputError, match="model must be an NBDT, got Sequential"):
        decision_saliency(linear.network, torch.zeros(1, 2, 3, 4), 6)


def test_without_captum_it_says_what_to_install(linear, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install captum, or .*\[attribution\]"):
        decision_saliency(linear, torch.zeros(1, 2, 3, 4), 6)


def test_a_result_tells_what_it_is(linear):
    found = decision_saliency(linear, torch.ones(1, 2, 3, 4), 6)
    assert isinstance(found, Saliency)
    names = ("animal", "thing")
    assert repr(found).startswith("Saliency('any': ")
    assert repr(found).endswith("3×4, integrated_gradients)")
    assert str(found).startswith("any: ")
    assert all(name in str(found) for name in names)


def test_what_the_map_misses_is_known_where_there_is_a_baseline():
    assert made().convergence_delta is None
    assert made(baseline_difference=1.0).convergence_delta == pytest.approx(-0.25)


def test_it_says_what_was_decided():
    assert str(made()) == "animal: cat (>99 %), not dog; the scores differ by 2.00"
    assert repr(made()) == "Saliency('animal': 'cat' over 'dog', 2×2, integrated_gradients)"


def test_it_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().node = 4
