"""`assess`: everything that `nbdt evaluate` does, from Python; and where samples come from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from nbdt.data import LabelledImages, PixelArray
from nbdt.errors import InputError
from nbdt.evaluation import (
    Source,
    assess,
    evaluate,
    evaluate_faithfulness,
    evaluate_ood,
    evaluate_unseen,
    fit_temperature,
)
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.rules import Temperature
from tests.evaluation.oracle import samples

TREE = shapes.random(6, branching=3, seed=1)
LOGITS, LABELS = samples(TREE, 200)
DATA = TensorDataset(3 * LOGITS, LABELS)


def model() -> NBDT:
    return NBDT(torch.nn.Identity(), TREE)


def test_it_is_what_the_single_functions_give() -> None:
    noise = [torch.randn(50, 6, generator=torch.Generator().manual_seed(0))]
    found = assess(model(), DATA, rule="hard", faithfulness=True, unknown=noise)
    assert found.evaluation.to_dict() == evaluate(model(), DATA, rule="hard").to_dict()
    assert found.faithfulness == evaluate_faithfulness(model(), DATA, batch_size=32)
    assert found.ood == evaluate_ood(model(), DATA, noise)
    assert (found.fit, found.unseen, found.is_trained_on) == (None, None, False)
    document = json.loads(json.dumps(found.to_dict()))
    assert set(document) - set(found.evaluation.to_dict()) == {"faithfulness", "outliers"}
    for part in (found.evaluation, found.faithfulness, found.ood):
        assert str(part) in found.to_text()


def test_a_temperature_is_fitted_given_to_the_model_and_measured_with() -> None:
    fitted, alone = model(), fit_temperature(model(), DATA)
    found = assess(fitted, DATA, fit_temperature=True, source=Source("held-out", "1/2"))
    assert found.fit is not None
    assert found.before is not None
    assert fitted.temperature == found.fit.temperature == found.evaluation.temperature
    assert found.fit.temperature.value == pytest.approx(alone.temperature.value, rel=1e-6)
    assert fitted.provenance["temperature"] == {
        **found.fit.to_dict(), "data": "held-out", "part": "1/2"
    }  # fmt: skip
    assert found.fit.fingerprint == alone.fingerprint
    assert found.before.temperature == Temperature()
    errors = found.to_dict()["fitted"]["calibration_errors"]
    assert errors["after"]["answer"] == found.evaluation.calibration.answer.error
    assert errors["after"]["answer"] < errors["before"]["answer"]
    assert str(found.fit) in found.to_text()


def test_samples_that_fail_are_results_for_each_run() -> None:
    broken = LOGITS.clone()
    broken[7] = torch.nan
    found = assess(
        model(),
        TensorDataset(broken, LABELS),
        faithfulness=True,
        unknown=TensorDataset(broken[5:9]),
    )
    assert found.evaluation.samples == 199
    assert {run: list(failed) for run, failed in found.failures.items()} == {
        "data": [7], "unknown": [2]
    }  # fmt: skip
    assert found.faithfulness is not None
    assert found.faithfulness.samples == 199
    with pytest.raises(InputError, match="none of 3 samples could be used"):
        assess(model(), TensorDataset(broken[[7, 7, 7]], LABELS[:3]))


def test_unseen_classes_are_judged_where_a_taxonomy_puts_them() -> None:
    names = ["cat", "dog", "car", "lion/puma", "animal", "thing"]
    taxonomy = Hierarchy([4, 4, 5, 4, 5, -1], names)
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    pixels = np.random.default_rng(0).integers(0, 255, (12, 1, 3)).astype(np.uint8)
    steps = Preprocessing(mode="L", resize=(1, 3))
    animals = LabelledImages(PixelArray(pixels), [0, 1, 1] * 4, ["cat", "lion_puma"], steps)
    network = torch.nn.Flatten()
    own = TensorDataset(torch.rand(9, 1, 1, 3), torch.arange(9) % 3)
    found = assess(NBDT(network, tree), own, unseen=animals, taxonomy=taxonomy)
    lions = animals.filter_classes(["lion_puma"])
    assert found.unseen == evaluate_unseen(NBDT(network, tree), lions, [3], ["lion/puma"])
    assert found.to_dict()["superclasses"]["rows"][0]["name"] == "lion/puma"
    with pytest.raises(InputError, match="none of them is unseen"):
        assess(NBDT(network, tree), own, unseen=animals.filter_classes(["cat"]), taxonomy=taxonomy)
    with pytest.raises(InputError, match="need a taxonomy"):
        assess(NBDT(network, tree), own, unseen=animals)


def test_samples_that_had_a_part_in_the_model_are_known(tmp_path: Path) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    trained, here = model(), Source(str(tmp_path / "link"))
    trained.provenance["data"] = str(tmp_path / "photos")
    assert here.is_trained_on(trained)
    assert assess(trained, DATA, source=here).is_trained_on
    with pytest.raises(InputError, match="trained on samples of this place"):
        assess(trained, DATA, source=here, fit_temperature=True)

    fitted = model()
    assess(fitted, DATA, source=Source("digits", "1/3"), fit_temperature=True)
    Source("digits", "2/3").check_unfitted(fitted)
    for part in (None, "1/3", "2/6"):
        with pytest.raises(InputError, match="temperature was fitted to these samples"):
            Source("digits", part).check_unfitted(fitted)
