"""`evaluate` and `Evaluator`: one pass that gives what each measure gives alone."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from nbdt.errors import InputError
from nbdt.evaluation import (
    CalibrationCounter,
    Evaluator,
    MistakeCounter,
    PrototypeFinder,
    ShareCounter,
    Temperature,
    UncertaintyCounter,
    accuracy_by_rule,
    evaluate,
    fit_temperature_to_logits,
)
from nbdt.hierarchy import load_hierarchy, shapes
from nbdt.model import NBDT
from nbdt.rules import TreeLayout, decision_log_probs
from nbdt.run import BLOCK
from tests.evaluation.oracle import Predictor, samples
from tests.timing import cpu_seconds

TREE = shapes.random(9, branching=3, seed=4)


@pytest.mark.parametrize(("score", "rule"), [("logsumexp", "soft"), ("mean", "hard")])
def test_it_is_what_the_measures_give_alone(score, rule) -> None:  # type: ignore[no-untyped-def]
    logits, labels = samples(TREE, BLOCK + 100)
    model = NBDT(torch.nn.Identity(), TREE, score, rule)
    found = evaluate(model, TensorDataset(logits, labels), batch_size=30, bins=7, examples=3)

    decided = Predictor(TREE, score=score, rule=rule)(logits, labels)
    shares, mistakes = ShareCounter(TREE), MistakeCounter(TREE, examples=3)
    calibration, uncertainty = (
        CalibrationCounter(TREE, bins=7),
        UncertaintyCounter(TREE, examples=3),
    )
    prototypes = PrototypeFinder(TREE, k=3)
    for measure in (shares, mistakes, calibration, uncertainty, prototypes):
        measure.update(decided)
    document = found.to_dict()
    assert (document["score"], document["rule"]) == (score, rule)
    assert found.accuracy == accuracy_by_rule([(logits, labels)], TREE)
    assert found.classes == shares.classes()
    assert found.nodes == shares.nodes()
    assert found.mistakes == mistakes.result()
    assert document["prototypes"] == prototypes.result().to_dict()
    assert found.samples == BLOCK + 100
    ours, alone = document["calibration"], calibration.result().to_dict()
    assert ours["answer"]["error"] == pytest.approx(alone["answer"]["error"])
    assert document["uncertainty"]["mean_entropy"] == pytest.approx(
        uncertainty.result().mean_entropy
    )
    assert document["schema"] == "nbdt.evaluation/1"
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_rule_can_be_another_than_the_models() -> None:
    logits, labels = samples(TREE, 300)
    model = NBDT(torch.nn.Identity(), TREE, "mean", "soft")
    wrong = {rule: evaluate(model, [(logits, labels)], rule=rule).mistakes.count
             for rule in ("soft", "hard")}  # type: ignore[arg-type]  # fmt: skip
    table = accuracy_by_rule([(logits, labels)], TREE)
    assert wrong == {rule: 300 - table.row(rule, "mean").correct for rule in ("soft", "hard")}
    assert wrong["soft"] != wrong["hard"]


def test_a_fitted_temperature_calibrates() -> None:
    logits, labels = samples(TREE, 4000)
    logits *= 4  # far too sure
    fitted = fit_temperature_to_logits([(logits[:2000], labels[:2000])], TREE, score="logsumexp")
    model, held_out = NBDT(torch.nn.Identity(), TREE), [(logits[2000:], labels[2000:])]
    before = evaluate(model, held_out)
    after = evaluate(model, held_out, temperature=fitted.temperature)
    assert after.calibration.answer.error < before.calibration.answer.error / 3
    assert after.accuracy.network == before.accuracy.network
    assert after.to_dict()["temperature"] == fitted.temperature.to_dict()
    per_node = fit_temperature_to_logits(
        [(logits[:2000], labels[:2000])], TREE, score="logsumexp", per_node=True
    ).temperature
    tempered = evaluate(model, held_out, temperature=per_node)
    assert tempered.calibration.node_error < before.calibration.node_error / 2
    assert f"and {len(per_node.nodes)} of nodes" in str(tempered)


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_the_models_own_temperature_is_used(score, rule) -> None:  # type: ignore[no-untyped-def]
    logits, labels = samples(TREE, 200)
    own = Temperature(0.5, {TREE.root: 4.0, 10: 0.3})
    model = NBDT(torch.nn.Identity(), TREE, score, rule, temperature=own)
    found = evaluate(model, [(logits, labels)])
    assert found.temperature == own
    # Two ways to count the same answers.
    wrong = int((model.predict(logits) != labels).sum())
    assert found.mistakes.count == 200 - found.accuracy.row(rule, score).correct == wrong
    plain = NBDT(torch.nn.Identity(), TREE, score, rule)
    asked = evaluate(plain, [(logits, labels)], temperature=own)
    assert asked.to_dict() == found.to_dict()
    assert evaluate(model, [(logits, labels)], temperature=Temperature()).to_dict() == (
        evaluate(plain, [(logits, labels)]).to_dict()
    )


def test_indices_name_the_examples() -> None:
    evaluator = Evaluator(TREE, score="logsumexp", examples=2)
    logits, labels = samples(TREE, 40)
    evaluator.update(logits[:20], labels[:20], torch.arange(100, 120))
    evaluator.update(logits[:0], labels[:0])
    evaluator.update(logits[20:], labels[20:], torch.arange(120, 140))
    found = evaluator.result()
    named = found.examples()
    assert named == sorted(set(named))
    assert set(named) <= set(range(100, 140))
    mentioned = json.dumps(found.to_dict()["prototypes"])
    assert all(f'"index": {index}' in mentioned or index in named for index in named)
    assert set(np.unique(found.prototypes.samples["surest"]).tolist()) - {-1} <= set(named)
    assert {one.index for end in found.uncertainty.ends() for one in end} <= set(named)
    assert {i for one in found.mistakes.confusions for i in one.examples} <= set(named)


def test_a_bad_batch_is_not_counted() -> None:
    evaluator = Evaluator(TREE, score="logsumexp")
    logits, labels = samples(TREE, 10)
    evaluator.update(logits, labels)
    before = evaluator.result().to_dict()
    with pytest.raises(InputError, match="a label is 9"):
        evaluator.update(logits, labels * 0 + 9)
    with pytest.raises(InputError, match="hold NaN"):
        evaluator.update(logits * torch.nan, labels)
    assert evaluator.result().to_dict() == before


def test_temperatures_of_what_are_no_nodes_are_refused() -> None:
    evaluator = Evaluator(TREE, score="logsumexp", temperature=Temperature(nodes={0: 2.0}))
    with pytest.raises(InputError, match="node 0 has a temperature"):
        evaluator.update(*samples(TREE, 3))


@pytest.mark.parametrize("data", [[], [(torch.zeros(0, 9), torch.zeros(0, dtype=torch.int64))]])
def test_without_a_sample_there_is_nothing_to_say(data) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="without a sample"):
        evaluate(NBDT(torch.nn.Identity(), TREE), data)


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
