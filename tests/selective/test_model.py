import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nbdt.classifiers import build
from nbdt.data import load_dataset
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.evaluation import evaluate, fit_temperature
from nbdt.explain import Explanation, Explanations
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.shapes import balanced
from nbdt.model import NBDT
from nbdt.rules import Temperature, TreeLayout
from nbdt.selective import SelectiveNBDT, above_rounding, is_valid, superclass
from tests.selective import oracle
from tests.selective.test_conformal import drawn_samples

TREE = balanced(8)
LOG_PROBS, LABELS = drawn_samples(600, TREE, seed=7)
ROWS = LOG_PROBS.float()
HELD_OUT = TensorDataset(ROWS[:300], LABELS[:300])
NEW, TRUE = ROWS[300:], LABELS[300:]


def on_logits(**options):
    return NBDT(nn.Identity(), TREE, **options)


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
@pytest.mark.parametrize("guarantee", [0.8, 0.95])
def test_answers_are_those_of_the_definition(score, guarantee):
    model = on_logits(score=score)
    selective = SelectiveNBDT(model, guarantee)
    assert selective.calibrate(HELD_OUT) is selective
    wide = NBDT(nn.Identity(), TREE, score=score)(ROWS.double()).tolist()
    scores = [oracle.score(TREE, r, y) for r, y in zip(wide[:300], LABELS.tolist(), strict=False)]
    t = oracle.threshold(scores, str(guarantee))
    expected = [oracle.answer(TREE, row, t) for row in wide[300:]]
    found = selective.predict(NEW)
    assert found.dtype == torch.int64
    assert found.tolist() == expected
    assert len(set(expected)) > 8
    assert selective.thresholds == {TREE.root: pytest.approx(above_rounding(t), abs=1e-6)}
    assert selective.sizes == {TREE.root: 300}
    valid = int(is_valid(found, TRUE, model.layout).sum())
    assert valid >= binom.ppf(1e-4, 300, guarantee - 0.05)


def test_explanations_end_at_the_answers():
    selective = SelectiveNBDT(on_logits(), 0.9).calibrate(HELD_OUT)
    explanations = selective.explain(NEW)
    assert isinstance(explanations, Explanations), "a notebook draws them"
    answers = selective.predict(NEW).tolist()
    assert [explanation.answer for explanation in explanations] == answers
    assert {explanation.guarantee for explanation in explanations} == {0.9}
    stopped = [e.stopped_at for e in explanations]
    assert None in stopped
    assert TREE.root in stopped
    assert [s is None for s in stopped] == [TREE.is_leaf(answer) for answer in answers]
    plain = on_logits().explain(NEW)
    assert [e.path for e in explanations] == [e.path for e in plain]
    for explanation in explanations[:20]:
        assert Explanation.from_dict(explanation.to_dict()) == explanation


def test_a_linear_head_keeps_its_feature_distances():
    torch.manual_seed(0)
    selective = SelectiveNBDT(NBDT(nn.Linear(8, 8), TREE, score="mean"), 0.5).calibrate(HELD_OUT)
    assert selective.explain(NEW[:1])[0].path[0].feature_distance is not None


def test_where_all_is_sure_enough_every_answer_is_a_class():
    right = TensorDataset(ROWS[:300], ROWS[:300].argmax(-1))
    selective = SelectiveNBDT(on_logits()).calibrate(right)
    assert selective.thresholds == {TREE.root: -math.inf}
    assert torch.equal(selective.predict(NEW), NEW.argmax(-1))
    assert str(selective).endswith("Answers are the likeliest classes, all sure enough.")


def test_where_wrong_classes_are_certain_every_answer_is_the_root():
    wrong = TensorDataset(1e4 * torch.eye(8)[LABELS[:300]], (LABELS[:300] + 4) % 8)
    selective = SelectiveNBDT(on_logits()).calibrate(wrong)
    assert selective.predict(1e4 * torch.eye(8)).tolist() == [TREE.root] * 8
    assert str(selective).endswith("always the root, as the model is certain of wrong classes.")


def test_the_same_samples_give_the_same_however_they_come():
    reference = SelectiveNBDT(on_logits()).calibrate(HELD_OUT).calibration
    for data in (
        DataLoader(HELD_OUT, 7),
        list(HELD_OUT),
        ((x[None], y[None]) for x, y in HELD_OUT),
    ):
        assert SelectiveNBDT(on_logits()).calibrate(data).calibration == reference
    again = SelectiveNBDT(on_logits()).calibrate(HELD_OUT, batch_size=1)
    assert again.calibration == reference


def test_one_answer_a_sample_whatever_the_batch():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(8, 300), nn.Tanh(), nn.Linear(300, 8))
    selective = SelectiveNBDT(NBDT(network, TREE), 0.9).calibrate(HELD_OUT)
    # The very samples of calibration, the one at the threshold among them.
    together = selective.predict(ROWS[:300])
    alone = torch.cat([selective.predict(row[None]) for row in ROWS[:300]])
    assert torch.equal(together, alone)
    valid = int(is_valid(alone, LABELS[:300], selective.model.layout).sum())
    assert valid >= math.ceil(301 * 0.9)


def test_training_mode_is_put_aside_and_restored():
    network = nn.Sequential(nn.Dropout(0.9), nn.Linear(8, 8))
    model = NBDT(network, TREE).train()
    selective = SelectiveNBDT(model).calibrate(HELD_OUT)
    assert torch.equal(selective.predict(NEW), selective.predict(NEW))
    assert network[0].training
    assert not selective.predict(NEW).requires_grad


def test_inputs_may_be_mappings():
    class Reader(nn.Module):
        def forward(self, x, scale):
            return {"logits": x * scale[:, None]}

    model = NBDT(Reader(), TREE)
    data = [({"x": x, "scale": torch.tensor(1.0)}, y) for x, y in HELD_OUT]
    selective = SelectiveNBDT(model).calibrate(data)
    plain = SelectiveNBDT(on_logits()).calibrate(HELD_OUT)
    assert selective.thresholds == plain.thresholds
    answers = selective.predict({"x": NEW, "scale": torch.ones(len(NEW))})
    assert torch.equal(answers, plain.predict(NEW))


# ── one threshold a superclass ────────────────────────────────────────────────────────────────


def test_each_superclass_has_its_own_threshold():
    model = on_logits()
    selective = SelectiveNBDT(model, 0.8, per_superclass=True).calibrate(HELD_OUT)
    rows = model(ROWS.double()).tolist()
    under = [TREE.path(oracle.likeliest(row))[1] for row in rows]
    children = TREE.children(TREE.root)
    assert tuple(selective.thresholds) == children
    for node in children:
        own = [oracle.score(TREE, rows[i], int(LABELS[i])) for i in range(300) if under[i] == node]
        t = oracle.threshold(own, "0.8")
        assert selective.thresholds[node] == pytest.approx(above_rounding(t), abs=1e-6)
        assert selective.sizes[node] == len(own)
    assert len(set(selective.thresholds.values())) == 2
    expected = [
        oracle.answer(TREE, row, selective.thresholds[node])
        for row, node in zip(rows[300:], under[300:], strict=True)
    ]
    assert selective.predict(NEW).tolist() == expected
    assert f"Answers under {TREE.name(children[0])} are the deepest nodes" in str(selective)


def test_the_guarantee_holds_under_each_superclass():
    """Also under the one where the network is too sure of itself, unlike with one threshold."""
    guarantee, n = 0.9, 20_000
    rows, labels = drawn_samples(2 * n, TREE, seed=11)
    under = superclass(rows, TreeLayout(TREE))
    rows[under == TREE.children(TREE.root)[0]] *= 4
    data, new, true = TensorDataset(rows[:n], labels[:n]), rows[n:], labels[n:]

    def validity(**options):
        selective = SelectiveNBDT(on_logits(), guarantee, **options).calibrate(data, batch_size=n)
        valid = is_valid(selective.predict(new), true, selective.model.layout).double()
        return [float(valid[under[n:] == node].mean()) for node in TREE.children(TREE.root)]

    # Of n/2 samples on either side the share differs by 0.004, so often as 2 of 3 times.
    assert min(validity(per_superclass=True)) > guarantee - 0.016
    assert min(validity()) < guarantee - 0.03


def test_a_superclass_with_too_few_samples_is_refused_by_name():
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
    rows = torch.tensor([[5.0, 0, 0]] * 30 + [[0.0, 0, 5]] * 8)
    data = TensorDataset(rows, torch.zeros(38).long())
    model = NBDT(nn.Identity(), tree)
    assert SelectiveNBDT(model, 0.9).calibrate(data).sizes == {4: 38}
    with pytest.raises(InputError, match=r"under car: .* needs at least 9 .* got 8"):
        SelectiveNBDT(model, 0.9, per_superclass=True).calibrate(data)


# ── saving ────────────────────────────────────────────────────────────────────────────────────


def saved(folder):
    torch.manual_seed(0)
    network = build("nbdt:digits-cnn", num_classes=8)
    model = NBDT(network, TREE).eval()
    inputs = torch.rand(120, 1, 8, 8)
    with torch.no_grad():
        sharp = 30 * model.logits(inputs)
    labels = torch.distributions.Categorical(logits=sharp).sample()
    selective = SelectiveNBDT(model, 0.9).calibrate(TensorDataset(inputs, labels))
    selective.save_pretrained(folder)
    return selective, inputs


def test_saving_and_loading_is_the_identity(tmp_path):
    selective, inputs = saved(tmp_path)
    again = SelectiveNBDT.from_pretrained(tmp_path, 0.9)
    assert again.calibration == selective.calibration
    assert again.thresholds == selective.thresholds
    assert torch.equal(again.predict(inputs), selective.predict(inputs))
    assert again.explain(inputs[:3]) == selective.explain(inputs[:3])


def test_one_calibration_serves_every_guarantee_it_is_enough_for(tmp_path):
    saved(tmp_path)
    low, high = (SelectiveNBDT.from_pretrained(tmp_path, g) for g in (0.5, 0.99))
    assert low.thresholds[TREE.root] < high.thresholds[TREE.root]
    with pytest.raises(InputError, match="needs at least 999 calibration samples, got 120"):
        SelectiveNBDT.from_pretrained(tmp_path, 0.999)


def test_a_model_whose_weights_changed_is_neither_saved_nor_loaded(tmp_path):
    selective, _ = saved(tmp_path)
    with torch.no_grad():
        selective.model.network.linear.weight[0] += 1
    with pytest.raises(InputError, match="weights changed; calibrate it again"):
        selective.save_pretrained(tmp_path)
    selective.model.save_pretrained(tmp_path)
    with pytest.raises(FormatError, match="the weights changed since"):
        SelectiveNBDT.from_pretrained(tmp_path)


def test_what_is_not_calibrated_is_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(InputError, match="not calibrated; call calibrate"):
        SelectiveNBDT(on_logits()).save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []
    on_logits().save_pretrained(tmp_path)
    with pytest.raises(NotFoundError, match="not calibrated"):
        SelectiveNBDT.from_pretrained(tmp_path, network=nn.Identity())


# ── what is said and refused ──────────────────────────────────────────────────────────────────


def test_what_it_says_of_itself():
    selective = SelectiveNBDT(on_logits(), 0.995)
    assert str(selective) == "Not calibrated yet for a guarantee of 0.995."
    assert repr(selective) == "SelectiveNBDT(guarantee=0.995, no calibration samples)"
    said = str(selective.calibrate(HELD_OUT)).splitlines()
    assert said[0] == (
        "At least 99.5 % of answers hold the true class: on average, if samples are drawn like "
        "the 300 of calibration, and those had no part in training."
    )
    assert said[1:] == [
        f"Answers are the deepest nodes with a probability above "
        f"{selective.thresholds[TREE.root]:.4f}."
    ]
    assert repr(selective) == "SelectiveNBDT(guarantee=0.995, 300 calibration samples)"


@pytest.mark.parametrize("call", ["predict", "explain"])
def test_nothing_is_answered_before_calibration(call):
    with pytest.raises(InputError, match="not calibrated; call calibrate"):
        getattr(SelectiveNBDT(on_logits()), call)(NEW)


def test_the_hard_rule_is_refused():
    with pytest.raises(InputError, match=r"rule is 'hard'; set model.rule = 'soft'"):
        SelectiveNBDT(on_logits(rule="hard"))
    selective = SelectiveNBDT(on_logits()).calibrate(HELD_OUT)
    selective.model.rule = "hard"
    for call in (selective.predict, selective.explain):
        with pytest.raises(InputError, match="rule is 'hard'"):
            call(NEW)
    with pytest.raises(InputError, match="rule is 'hard'"):
        selective.calibrate(HELD_OUT)


def test_another_tree_or_score_needs_another_calibration():
    selective = SelectiveNBDT(on_logits()).calibrate(HELD_OUT)
    selective.model.score = "mean"
    with pytest.raises(InputError, match="tree, score or temperature changed"):
        selective.predict(NEW)
    with pytest.raises(InputError, match="another tree or score"):
        SelectiveNBDT(on_logits(score="mean"), calibration=selective.calibration)
    selective.model.score = "logsumexp"
    selective.model.layout = TreeLayout(balanced(8, branching=3))
    with pytest.raises(InputError, match="tree, score or temperature changed"):
        selective.predict(NEW)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "needs at least 19 calibration samples, got 0"),
        (TensorDataset(ROWS[:18], LABELS[:18]), "needs at least 19 calibration samples, got 18"),
        (TensorDataset(ROWS[:30], LABELS[:30] + 8), "labels go from 0 to 7"),
        (TensorDataset(torch.full((30, 8), math.nan), LABELS[:30]), "hold NaN"),
        (TensorDataset(ROWS[:30]), "pairs"),
    ],
)
def test_data_that_do_not_do_are_refused_and_change_nothing(data, said):
    selective = SelectiveNBDT(on_logits())
    with pytest.raises(InputError, match=said):
        selective.calibrate(data)
    assert selective.calibration is None
    assert selective.thresholds == selective.sizes == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((nn.Identity(),), "model must be an NBDT, got Identity"),
        ((on_logits(), 1.0), "share between 0 and 1"),
        ((on_logits(), 95), "share between 0 and 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        SelectiveNBDT(*arguments)


def test_nan_is_refused_when_it_comes_to_predict():
    selective = SelectiveNBDT(on_logits()).calibrate(HELD_OUT)
    with pytest.raises(InputError, match="hold NaN in row 1"):
        selective.predict(torch.stack([NEW[0], NEW[0] * math.nan]))


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_masked_classes_are_never_answered(seed):
    selective = SelectiveNBDT(on_logits(), 0.5).calibrate(HELD_OUT)
    rows = oracle.log_probs(20, 8, seed).float()
    rows[:, seed % 8] = -math.inf
    assert seed % 8 not in selective.predict(rows).tolist()


@pytest.mark.parametrize(
    "wrapped",
    [lambda data: data, lambda data: Subset(data, range(50)), DataLoader],
    ids=["itself", "a part", "batches"],
)
def test_data_whose_classes_stand_in_another_order_are_refused(wrapped):
    digits = load_dataset("digits").select(range(50))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model = NBDT(network, balanced(digits.classes[::-1]))
    with pytest.raises(InputError, match="are in another order than the classes of the model"):
        SelectiveNBDT(model, guarantee=0.5).calibrate(wrapped(digits))
    with pytest.raises(InputError, match="are in another order than the classes of the model"):
        evaluate(model, wrapped(digits))


def test_the_callers_random_numbers_stay_as_they_were():
    data = TensorDataset(torch.randn(20, 4), torch.arange(20) % 3)
    model = NBDT(nn.Linear(4, 3), balanced(["cat", "dog", "car"]))
    before = torch.random.get_rng_state()
    SelectiveNBDT(model, guarantee=0.5).calibrate(data)
    evaluate(model, data)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_samples_that_the_temperature_was_fitted_to_are_refused():
    model = on_logits()
    fitted = fit_temperature(model, HELD_OUT)
    fitted.apply_to(model)
    selective = SelectiveNBDT(model)
    with pytest.raises(InputError, match="temperature was fitted to these very samples"):
        selective.calibrate(DataLoader(HELD_OUT, batch_size=7))
    assert selective.calibration is None
    selective.calibrate(TensorDataset(NEW, TRUE))
    model.temperature = Temperature(2.0)  # which is not what they gave
    selective.calibrate(HELD_OUT)


def test_a_temperature_is_told_where_there_is_one():
    assert "temperature" not in str(SelectiveNBDT(on_logits()).calibrate(HELD_OUT))
    warm = SelectiveNBDT(on_logits(temperature=Temperature(1.5))).calibrate(HELD_OUT)
    assert str(warm).splitlines()[1] == "Probabilities are at temperature 1.5."
    assert warm.thresholds != SelectiveNBDT(on_logits()).calibrate(HELD_OUT).thresholds
