"""`evaluate`: one pass that gives what each measure gives alone, as text and for JSON."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from nbdt.errors import InputError
from nbdt.evaluation import (
    Evaluation,
    Evaluator,
    Temperature,
    accuracy_by_rule,
    evaluate,
    fit_temperature_to_logits,
    measures,
)
from nbdt.hierarchy import Hierarchy, load_hierarchy, shapes
from nbdt.model import NBDT
from nbdt.rules import TreeLayout, decision_log_probs
from nbdt.run import BLOCK
from tests.evaluation.oracle import counted, samples
from tests.timing import cpu_seconds

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
LOGITS = torch.tensor([[3.0, 2, 0], [1.0, 0, 5], [0, 4.0, 0], [0, 0, 4.0], [1.5, 2, 0]])
LABELS = torch.tensor([0, 0, 1, 2, 0])


def evaluation(logits=LOGITS, labels=LABELS, **options) -> Evaluation:  # type: ignore[no-untyped-def]
    evaluator = Evaluator(TREE, **{"score": "logsumexp", **options})
    evaluator.update(logits, labels)
    return evaluator.compute()


def test_the_brief_text() -> None:
    found = evaluation()
    assert str(found) == found.to_text()
    assert str(found).startswith(str(found.accuracy))
    assert str(found).removeprefix(str(found.accuracy)).splitlines() == [
        "",
        "",
        "Nodes that are wrong most often",
        "node    correct  accuracy  95 % interval",
        "──────  ───────  ────────  ─────────────",
        "animal      3/4    75.0 %  30.1 – 95.4 %",
        "thing       4/5    80.0 %  37.6 – 96.4 %",
        "",
        "Where most mistakes are made",
        "at node  it is   taken for  count  of mistakes  such as",
        "───────  ──────  ─────────  ─────  ───────────  ───────",
        "animal   cat     dog            1       50.0 %        4",
        "thing    animal  car            1       50.0 %        1",
        "",
        "By soft logsumexp:",
        "Mistakes     2 of 5; mean height of the common node 1.50 of 2, mean distance 2.50",
        "Hierarchy    precision 75.0 %, recall 66.7 %, F1 70.6 %",
        "Calibration  error of the answers "
        f"{100 * found.calibration.answer.error:.1f} %, of decisions "
        f"{100 * found.calibration.node_error:.1f} %, of classes "
        f"{100 * found.calibration.class_error:.1f} % (15 bins)",
        "Uncertainty  path entropy "
        f"{found.uncertainty.mean_entropy_right:.3f} where correct, "
        f"{found.uncertainty.mean_entropy_wrong:.3f} where wrong (nats)",
    ]


def test_in_full_it_lists_more() -> None:
    text = evaluation().to_text(full=True, sample_name="picture {}".format)
    for part in (
        "Classes that are wrong most often\nclass  correct",
        "cat        1/3",
        "Most uncertain samples",
        "picture 4",
        "Reliability of the answers\nprobability of the answer  samples",
    ):
        assert part in text
    brief = evaluation().to_text()
    assert "Classes" not in brief
    assert "Reliability" not in brief


def test_rows_are_limited_and_counted() -> None:
    text = evaluation().to_text(rows=1)
    assert "Nodes that are wrong most often (1 of 2)" in text
    assert "thing       4/5" not in text
    assert "(1 of 2)" not in evaluation().to_text(rows=0)
    with pytest.raises(InputError, match="rows must be at least 0"):
        evaluation().to_text(rows=-1)


def test_where_nothing_is_wrong_no_list_is_empty() -> None:
    text = evaluation(10 * torch.eye(3), torch.arange(3)).to_text(full=True)
    assert "wrong" not in text
    assert "Mistakes" not in text
    assert "Where" not in text
    assert "precision 100.0 %" in text


def test_a_temperature_is_told() -> None:
    assert "Temperature" not in str(evaluation())
    assert "Temperature  2.000" in str(evaluation(temperature=Temperature(2.0)))


# ── one pass ────────────────────────────────────────────────────────────────────────────────────

RANDOM = shapes.random(9, branching=3, seed=4)


@pytest.mark.parametrize(("score", "rule"), [("logsumexp", "soft"), ("mean", "hard")])
def test_it_is_what_the_measures_give_alone(score, rule) -> None:  # type: ignore[no-untyped-def]
    logits, labels = samples(RANDOM, BLOCK + 100)
    model = NBDT(torch.nn.Identity(), RANDOM, score, rule)
    data = TensorDataset(logits, labels)
    found = evaluate(model, data, batch_size=BLOCK + 100, bins=7, examples=3)
    assert list(found.results) == list(measures())
    for name, kind in measures().items():
        alone = counted(kind(RANDOM, bins=7, examples=3), logits, labels, score, rule, size=1000)
        assert found.results[name].to_dict() == alone.to_dict()
    document = found.to_dict()
    assert (document["score"], document["rule"]) == (score, rule)
    assert document["schema"] == "nbdt.evaluation/1"
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert found.accuracy == accuracy_by_rule([(logits, labels)], RANDOM)
    assert found.samples == BLOCK + 100


def test_the_rule_can_be_another_than_the_models() -> None:
    logits, labels = samples(RANDOM, 300)
    model = NBDT(torch.nn.Identity(), RANDOM, "mean", "soft")
    wrong = {rule: evaluate(model, [(logits, labels)], rule=rule).mistakes.count
             for rule in ("soft", "hard")}  # type: ignore[arg-type]  # fmt: skip
    table = accuracy_by_rule([(logits, labels)], RANDOM)
    assert wrong == {rule: 300 - table.row(rule, "mean").correct for rule in ("soft", "hard")}
    assert wrong["soft"] != wrong["hard"]


def test_a_fitted_temperature_calibrates() -> None:
    logits, labels = samples(RANDOM, 4000)
    logits *= 4  # far too sure
    fitted = fit_temperature_to_logits([(logits[:2000], labels[:2000])], RANDOM, score="logsumexp")
    model, held_out = NBDT(torch.nn.Identity(), RANDOM), [(logits[2000:], labels[2000:])]
    before = evaluate(model, held_out)
    after = evaluate(model, held_out, temperature=fitted.temperature)
    assert after.calibration.answer.error < before.calibration.answer.error / 3
    assert after.accuracy.network == before.accuracy.network
    assert after.to_dict()["temperature"] == fitted.temperature.to_dict()
    per_node = fit_temperature_to_logits(
        [(logits[:2000], labels[:2000])], RANDOM, score="logsumexp", per_node=True
    ).temperature
    tempered = evaluate(model, held_out, temperature=per_node)
    assert tempered.calibration.node_error < before.calibration.node_error / 2
    assert f"and {len(per_node.nodes)} of nodes" in str(tempered)


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_the_models_own_temperature_is_used(score, rule) -> None:  # type: ignore[no-untyped-def]
    logits, labels = samples(RANDOM, 200)
    own = Temperature(0.5, {RANDOM.root: 4.0, 10: 0.3})
    model = NBDT(torch.nn.Identity(), RANDOM, score, rule, temperature=own)
    found = evaluate(model, [(logits, labels)])
    assert found.temperature == own
    # Two ways to count the same answers.
    wrong = int((model.predict(logits) != labels).sum())
    assert found.mistakes.count == 200 - found.accuracy.row(rule, score).correct == wrong
    plain = NBDT(torch.nn.Identity(), RANDOM, score, rule)
    asked = evaluate(plain, [(logits, labels)], temperature=own)
    assert asked.to_dict() == found.to_dict()
    assert evaluate(model, [(logits, labels)], temperature=Temperature()).to_dict() == (
        evaluate(plain, [(logits, labels)]).to_dict()
    )


def test_indices_name_the_examples() -> None:
    evaluator = Evaluator(RANDOM, score="logsumexp", examples=2)
    logits, labels = samples(RANDOM, 40)
    evaluator.update(logits[:20], labels[:20], torch.arange(100, 120))
    evaluator.update(logits[:0], labels[:0])
    evaluator.update(logits[20:], labels[20:], torch.arange(120, 140))
    found = evaluator.compute()
    named = found.examples()
    assert named == sorted(set(named))
    assert set(named) <= set(range(100, 140))
    mentioned = json.dumps(found.to_dict()["prototypes"])
    assert all(f'"index": {index}' in mentioned or index in named for index in named)
    assert set(np.unique(found.prototypes.samples["confident"]).tolist()) - {-1} <= set(named)
    assert {one.index for end in found.uncertainty.ends.values() for one in end} <= set(named)
    assert {i for one in found.mistakes.confusions for i in one.examples} <= set(named)


def test_a_bad_batch_is_not_counted() -> None:
    evaluator = Evaluator(RANDOM, score="logsumexp")
    logits, labels = samples(RANDOM, 10)
    evaluator.update(logits, labels)
    before = evaluator.compute().to_dict()
    with pytest.raises(InputError, match="a label is 9"):
        evaluator.update(logits, labels * 0 + 9)
    with pytest.raises(InputError, match="hold NaN"):
        evaluator.update(logits * torch.nan, labels)
    assert evaluator.compute().to_dict() == before


def test_temperatures_of_what_are_no_nodes_are_refused() -> None:
    evaluator = Evaluator(RANDOM, score="logsumexp", temperature=Temperature(nodes={0: 2.0}))
    with pytest.raises(InputError, match="node 0 has a temperature"):
        evaluator.update(*samples(RANDOM, 3))


class Some:
    """Samples of which one cannot be read and one has no finite answer."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == 1:
            raise InputError("this one is broken.")
        return torch.full((9,), torch.nan if index == 2 else 0.0), 0


def test_failures_are_results_where_that_is_asked() -> None:
    model, steps = NBDT(torch.nn.Identity(), RANDOM), []
    found = evaluate(model, Some(), on_failure="keep", fingerprint=True, progress=steps.append)  # type: ignore[arg-type]
    assert found.samples == 2
    assert list(found.failures) == [1, 2]
    assert found.failures[1] == "this one is broken."
    assert len(found.fingerprint or "") == 64
    assert sum(steps) == 4
    with pytest.raises(InputError, match="broken"):
        evaluate(model, Some())  # type: ignore[arg-type]
    nothing = TensorDataset(torch.full((2, 9), torch.nan), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(InputError, match="none of the 2 samples could be used"):
        evaluate(model, nothing, on_failure="keep")


@pytest.mark.parametrize("data", [[], [(torch.zeros(0, 9), torch.zeros(0, dtype=torch.int64))]])
def test_without_a_sample_there_is_nothing_to_say(data) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="at least one sample"):
        evaluate(NBDT(torch.nn.Identity(), RANDOM), data)


def test_a_thousand_classes_are_practical() -> None:
    tree = load_hierarchy("imagenet1k/mobilenet_v2")
    logits, labels = (part.repeat(4, *[1] * (part.ndim - 1)) for part in samples(tree, BLOCK))
    logits = logits.float()
    evaluator, layout = Evaluator(tree, score="logsumexp"), TreeLayout(tree)
    parts = list(zip(logits.split(BLOCK), labels.split(BLOCK), strict=True))

    def seconds(function) -> float:  # type: ignore[no-untyped-def]
        return cpu_seconds(lambda: [function(*part) for part in parts], times=2)

    evaluator.update(*parts[0])  # what is only paid once
    every_way = seconds(lambda x, _: [decision_log_probs(x, layout) for _ in range(4)])
    # Four ways to answer are counted; all else together costs about as much again.
    assert seconds(evaluator.update) < 4 * every_way
