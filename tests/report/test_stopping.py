import pytest
import torch

from nbdt.classifiers import induce
from nbdt.data import LabelledImages
from nbdt.errors import InputError
from nbdt.evaluation import wilson_interval
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.report import measure
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT


def test_it_counts_the_answers_of_the_selective_model(model: NBDT, digits: LabelledImages) -> None:
    fitting, judging = digits.split(0.5, seed=0)
    model = NBDT(model.network, model.hierarchy, temperature=Temperature(0.7))
    selective = SelectiveNBDT(model, 0.97).calibrate(fitting)
    found = measure(model, judging, calibration=selective.calibration, guarantee=0.97).stopping
    assert found is not None

    tree: Hierarchy = model.hierarchy
    answers = selective.predict(torch.stack([x for x, _ in judging])).tolist()  # type: ignore[attr-defined]
    valid = [answer in tree.path(label) for answer, label in zip(answers, judging.targets)]  # noqa: B905
    assert (found.samples, found.valid) == (len(judging), sum(valid))
    assert found.classes == sum(answer < 10 for answer in answers)
    assert 0 < found.classes < found.samples
    kept = [1 - torch.tensor(len(tree.leaves(a))).log() / torch.tensor(10).log() for a in answers]
    assert found.information == pytest.approx(float(torch.stack(kept).mean()), abs=1e-6)
    assert found.threshold == selective.thresholds[tree.root]
    assert found.interval == wilson_interval(found.valid, found.samples)


def test_the_hard_rule_does_not_stop(model: NBDT, digits: LabelledImages) -> None:
    calibration = SelectiveNBDT(model).calibrate(digits).calibration
    assert measure(model, digits, rule="hard", calibration=calibration).stopping is None


def test_a_calibration_of_another_model_is_refused(model: NBDT, digits: LabelledImages) -> None:
    calibration = SelectiveNBDT(model).calibrate(digits).calibration
    other = NBDT(model.network, model.hierarchy, score="mean")
    with pytest.raises(InputError, match="another tree or score"):
        measure(other, digits, calibration=calibration)
    flat = induce(model.network, digits.classes, branching=10)
    with pytest.raises(InputError, match="another tree or score"):
        measure(NBDT(model.network, flat), digits, calibration=calibration)


def test_too_few_samples_for_a_guarantee_are_refused(model: NBDT, digits: LabelledImages) -> None:
    calibration = SelectiveNBDT(model).calibrate(digits).calibration
    with pytest.raises(InputError, match="needs at least 999 calibration samples"):
        measure(model, digits, calibration=calibration, guarantee=0.999)
