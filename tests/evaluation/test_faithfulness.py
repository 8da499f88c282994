"""All checks of a model: its features, its sample of rows, and what the result says."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from nbdt.classifiers import build
from nbdt.errors import InputError
from nbdt.evaluation import Temperature, evaluate, evaluate_faithfulness, faithfulness
from nbdt.evaluation.controls import ControlCounter
from nbdt.evaluation.deletion import delete_features
from nbdt.evaluation.faithfulness import check_locality
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.model import NBDT
from nbdt.rules import decision_log_probs
from tests.evaluation.oracle import batches, cases, counted, samples, walks

TREE = shapes.random(6, branching=3, seed=1)
GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(40, 5, generator=GENERATOR)
LABELS = torch.randint(6, (40,), generator=GENERATOR)
DATA = TensorDataset(INPUTS, LABELS)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 6))


@pytest.mark.parametrize("temperature", [None, Temperature(2.0)], ids=["1", "2"])
@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_it_is_made_of_its_parts(score, temperature) -> None:  # type: ignore[no-untyped-def]
    net = network()
    model = NBDT(net, TREE, score, "soft", temperature=temperature).eval()
    found = evaluate_faithfulness(model, DATA, batch_size=16, explained=40, trees=3, seed=4)
    with torch.no_grad():
        logits, features = net(INPUTS), net[:2](INPUTS)
    hot = 1 if temperature is None else temperature.value
    controls = counted(ControlCounter(TREE, trees=3, seed=4), logits / hot, LABELS, score)
    assert found.controls == controls
    assert found.locality.decisions == check_locality(model.predictions(logits)).decisions
    assert found.locality.holds
    head = net[2]
    expected = delete_features(
        features.numpy(),
        head.weight.detach().numpy() / hot,
        head.bias.detach().numpy() / hot,
        TREE,
        score=score,
    )
    assert found.deletion is not None
    np.testing.assert_allclose(found.deletion.largest, expected.largest, atol=1e-9)
    assert found.deletion.decisions == expected.decisions == found.locality.decisions
    row = evaluate(model, DATA, rule="hard").accuracy.row("hard", score)
    assert (found.samples, found.agreeing) == (40, row.agreeing)
    assert found.controls[0].correct == row.correct
    assert found.agreement_interval[0] < found.agreement <= found.agreement_interval[1]


def test_decisions_of_some_samples_are_looked_at_whatever_the_order() -> None:
    model = NBDT(network(), TREE).eval()
    found = [evaluate_faithfulness(model, DATA, explained=7, seed=seed) for seed in (0, 0, 1)]
    assert [one.deletion.samples for one in found if one.deletion] == [7, 7, 7]
    assert str(found[0]) == str(found[1])
    assert found[0].deletion.to_dict() != found[2].deletion.to_dict()  # type: ignore[union-attr]


class Odd(nn.Module):
    """A network whose head is known, but is not all there is to its logits."""

    def __init__(self, change) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.fc = nn.Linear(5, 6)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.fc, x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda fc, x: fc(x).relu(), "the logits are not the output of 'fc'"),
        (lambda fc, x: fc(x) + fc(-x), "'fc' is called 2 times for one answer"),
        (lambda fc, x: fc(torch.stack([x, -x], 1)).amax(1), "nor its mean over places"),
    ],
    ids=["altered", "twice", "highest"],
)
def test_where_the_head_is_not_all_nothing_is_deleted(change, said: str) -> None:  # type: ignore[no-untyped-def]
    model = NBDT(Odd(change), TREE, head="fc").eval()
    found = evaluate_faithfulness(model, DATA, trees=2)
    assert found.deletion is None
    assert said in found.why_no_deletion
    assert not model.network.fc._forward_pre_hooks
    assert f"not measured: {found.why_no_deletion}" in str(found)
    document = json.loads(json.dumps(found.to_dict()))
    assert (document["deletion"], document["why_no_deletion"]) == (None, found.why_no_deletion)


def test_no_linear_layer_nothing_to_delete() -> None:
    model = NBDT(nn.Identity(), shapes.balanced(5))
    found = evaluate_faithfulness(model, [(INPUTS, LABELS % 5)], trees=2)
    assert found.deletion is None
    assert "no linear layer of the network is known" in str(found)


class Convolved(nn.Module):
    """A network of maps, with a 1×1 convolution as its head and the mean as its end."""

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU())
        self.classifier = nn.Sequential(nn.Conv2d(16, 6, 1), end, nn.AdaptiveAvgPool2d(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.body(x)).flatten(1)  # type: ignore[no-any-return]


IMAGES = torch.randn(20, 3, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_of_a_convolution_channels_are_deleted_at_all_places(score) -> None:  # type: ignore[no-untyped-def]
    net = Convolved(nn.Identity())
    found = evaluate_faithfulness(
        NBDT(net, TREE, score, head="classifier.0").eval(), [(IMAGES, LABELS[:20])], trees=2
    )
    assert found.deletion is not None
    assert found.why_no_deletion == ""
    assert "why_no_deletion" not in found.to_dict()
    # The same network with the mean taken first and a Linear as its head.
    head = nn.Linear(16, 6)
    head.load_state_dict({"weight": net.classifier[0].weight[:, :, 0, 0],
                          "bias": net.classifier[0].bias})  # fmt: skip
    other = nn.Sequential(net.body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    model = NBDT(other, TREE, score, head="3").eval()
    expected = evaluate_faithfulness(model, [(IMAGES, LABELS[:20])], trees=2).deletion
    assert expected is not None
    np.testing.assert_allclose(found.deletion.largest, expected.largest, atol=0.02)
    np.testing.assert_allclose(found.deletion.random, expected.random, atol=0.02)


def test_the_mean_over_a_sequence_is_as_one_place() -> None:
    def change(fc, x):
        return fc(torch.stack([x, 3 * x], 1)).mean(1)

    model = NBDT(Odd(change), TREE, head="fc").eval()
    found = evaluate_faithfulness(model, DATA, trees=2).deletion
    linear = nn.Sequential(Twice(), model.network.fc)
    expected = evaluate_faithfulness(NBDT(linear, TREE, head="1").eval(), DATA, trees=2).deletion
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found.largest, expected.largest, atol=0.02)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_a_relu_behind_the_convolution_as_in_squeezenet_is_refused() -> None:
    model = NBDT(Convolved(nn.ReLU()), TREE, head="classifier.0").eval()
    found = evaluate_faithfulness(model, [(IMAGES, LABELS[:20])], trees=2)
    assert found.deletion is None
    assert "'classifier.0', nor its mean over places; something such as a relu" in str(found)
    squeezed = NBDT(build("torchvision:squeezenet1_1", num_classes=6), TREE).eval()
    images = [(torch.rand(2, 3, 32, 32), LABELS[:2])]
    found = evaluate_faithfulness(squeezed, images, trees=2)
    assert found.deletion is None
    assert "something such as a relu comes after it" in found.why_no_deletion


def test_one_output_stands_for_two_classes() -> None:
    model = NBDT(nn.Linear(5, 1), Hierarchy([2, 2, -1], ["no", "yes"])).eval()
    found = evaluate_faithfulness(model, [(INPUTS, LABELS % 2)], trees=2)
    assert found.deletion is not None
    assert found.deletion.largest_area < found.deletion.random_area


def test_half_types_are_near_enough() -> None:
    model = NBDT(network().to(torch.bfloat16), TREE).eval()
    data = [(INPUTS.to(torch.bfloat16), LABELS)]
    assert evaluate_faithfulness(model, data, trees=2).deletion is not None


def test_it_says_of_each_whether_it_holds() -> None:
    tree = shapes.balanced(4)
    torch.manual_seed(0)
    net = nn.Linear(40, 4)
    labels = torch.arange(4).repeat(30)
    # The two of a pair have most in common.
    pairs = torch.randn(2, 40)[labels // 2] * 2
    inputs = pairs + torch.randn(4, 40)[labels] * 0.5 + 0.3 * torch.randn(120, 40)
    with torch.no_grad():
        for one in range(4):
            net.weight[one] = inputs[labels == one].mean(0) / 10
        net.bias.zero_()
    found = evaluate_faithfulness(NBDT(net, tree, "mean").eval(), [(inputs, labels)])
    text = str(found)
    assert "decisions turn sooner: area" in text
    assert f"{found.locality.decisions} of {found.locality.decisions} decisions" in text
    assert f"{100 * found.agreement:.1f} % of answers are the network's" in text
    flat = str(evaluate_faithfulness(NBDT(net, shapes.flat(4)).eval(), [(inputs, labels)]))
    assert flat.count("NOT better beyond chance, by 0.0 points (0.0 … 0.0); ahead of 0 of 10") == 2


@pytest.mark.parametrize("explained", [1, 2.0, True])
def test_too_few_samples_are_refused(explained) -> None:  # type: ignore[no-untyped-def]
    model = NBDT(nn.Identity(), shapes.balanced(5))
    with pytest.raises(InputError, match="explained must be an integer ≥ 2"):
        evaluate_faithfulness(model, [(INPUTS, LABELS % 5)], explained=explained)
    with pytest.raises(InputError, match="at least two samples"):
        evaluate_faithfulness(model, [(INPUTS[:1], LABELS[:1] % 5)])


# ── locality ────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=30)
@given(case=cases())
def test_every_decision_on_the_hard_paths_is_turned_alone(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 5, seed)
    (batch,) = batches(tree, logits, labels, score, rule)
    found = check_locality(batch)
    answers = [walk.answer for walk in walks(logits, tree, score, "hard")]
    assert found.decisions == sum(len(tree.path(answer)) - 1 for answer in answers)
    assert found.holds
    assert 0 <= found.gap < 1e-12


def test_temperatures_and_masked_classes() -> None:
    tree = shapes.random(8, branching=3, seed=1)
    logits, _ = samples(tree, 10)
    logits[::2, 3] = -torch.inf
    model = NBDT(nn.Identity(), tree, temperature=Temperature(2.0, {tree.root: 3.0}))
    found = check_locality(model.predictions(logits))
    assert found.holds
    assert found.gap < 1e-12


def test_decisions_that_hang_together_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all children of all nodes shared one softmax."""
    (batch,) = batches(shapes.balanced(8), *samples(shapes.balanced(8), 3))
    monkeypatch.setattr(faithfulness.scan, "decisions", lambda scores, _: scores.log_softmax(-1))
    found = check_locality(batch)
    assert (found.decisions, found.local, found.holds) == (9, 0, False)


def test_log_probabilities_that_are_not_the_sums_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = samples(shapes.balanced(8), 3)
    (batch,) = batches(shapes.balanced(8), logits, labels)
    monkeypatch.setattr(
        Temperature, "decisions", lambda *_: decision_log_probs(1.5 * logits, batch.layout)
    )
    gaps = ((1.5 * logits).log_softmax(1) - logits.log_softmax(1)).abs()
    assert check_locality(batch).gap == pytest.approx(gaps.max().item())


def test_no_sample_no_decision() -> None:
    model = NBDT(nn.Identity(), shapes.balanced(4))
    found = check_locality(model.predictions(torch.zeros(0, 4)))
    assert json.loads(json.dumps(found.to_dict())) == {
        "decisions": 0, "local": 0, "holds": True, "gap": 0.0
    }  # fmt: skip
