import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.classifiers import induce
from nbdt.data import LabelledImages
from nbdt.errors import InputError
from nbdt.evaluation import evaluate, wilson_interval
from nbdt.hierarchy import Hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.report import Measurement, measure
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT


class Broken:
    """Pictures some of which cannot be read."""

    def __init__(self, digits: LabelledImages, bad: set[int]) -> None:
        self.digits, self.bad = digits, bad

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, place: int) -> Image.Image:
        if place in self.bad:
            raise InputError(f"{place}.png: the image is broken.")
        return self.digits.image(place)


def broken(digits: LabelledImages, bad: set[int]) -> LabelledImages:
    return LabelledImages(Broken(digits, bad), digits.targets, digits.classes, digits.preprocessing)


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_it_finds_what_evaluate_finds(model: NBDT, digits: LabelledImages, rule: str) -> None:
    model = NBDT(model.network, model.hierarchy, temperature=Temperature(3.0, {18: 2.0}))
    seen = 0

    def progress(samples: int) -> None:
        nonlocal seen
        seen += samples

    found = measure(model, digits, rule=rule, progress=progress)  # type: ignore[arg-type]
    assert found.evaluation.to_dict() == evaluate(model, digits, rule=rule).to_dict()  # type: ignore[arg-type]
    assert (seen, found.left_out, found.stopping) == (len(digits), {}, None)


def test_the_fingerprint_is_that_of_a_calibration(
    model: NBDT, digits: LabelledImages, found: Measurement
) -> None:
    calibration = SelectiveNBDT(model).calibrate(digits).calibration
    assert calibration is not None
    assert found.fingerprint == calibration.fingerprint
    assert measure(model, digits.select(range(20))).fingerprint != found.fingerprint


def test_what_cannot_be_read_is_left_out(model: NBDT, digits: LabelledImages) -> None:
    found = measure(model, broken(digits, {3, 40}))
    assert list(found.left_out) == [3, 40]
    assert "3.png: the image is broken." in found.left_out[3]
    kept = np.setdiff1d(np.arange(len(digits)), [3, 40])
    alone = measure(model, digits.select(kept))
    assert found.evaluation.accuracy == alone.evaluation.accuracy
    # Samples keep their places in the data.
    examples = found.evaluation.examples()
    assert not {3, 40} & set(examples)
    assert examples == kept[alone.evaluation.examples()].tolist()


def test_an_answer_of_nan_is_left_out(model: NBDT, digits: LabelledImages) -> None:
    class Poisoned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(x)
            return logits.masked_fill(x.flatten(1).sum(1, keepdim=True) > most - 1e-4, torch.nan)

    most = max(float(digits[index][0].sum()) for index in range(100))
    found = measure(NBDT(Poisoned(), model.hierarchy), digits.select(range(100)))
    assert len(found.left_out) == 1
    assert "NaN" in next(iter(found.left_out.values()))


def test_the_images_are_prepared_as_the_model_says(model: NBDT, digits: LabelledImages) -> None:
    preprocessing = Preprocessing(mode="L", resize=8, crop=8, scale=1 / 256, rotate=180)
    turned = NBDT(model.network, model.hierarchy, preprocessing=preprocessing)
    found = measure(turned, digits.select(range(50)))
    assert found.data.preprocessing == preprocessing
    assert found.evaluation.accuracy.network.accuracy < 0.5


def test_bad_input_is_refused(model: NBDT, digits: LabelledImages) -> None:
    with pytest.raises(InputError, match="LabelledSamples, as load_dataset"):
        measure(model, [1, 2])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="classes of the data set"):
        measure(model, digits.filter_classes(["one", "two"]))
    with pytest.raises(InputError, match="none of the 450 samples"):
        measure(model, broken(digits, set(range(450))))


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
