import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from nbdt.data import ImageFolder, load_dataset
from nbdt.model import NBDT
from nbdt.preprocessing import Preprocessing
from nbdt.selective import SelectiveNBDT, read_calibration
from tests.cli.conftest import Run, is_one_sentence, make_model


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model's folder that may be changed."""
    make_model(tmp_path / "own", Preprocessing(mode="L", resize=(8, 8)))
    return tmp_path / "own"


def calibrated(folder: Path, images: Path, guarantee: float) -> SelectiveNBDT:
    model = NBDT.from_pretrained(folder)
    assert model.preprocessing is not None
    model.rule = "soft"
    data = ImageFolder(images, model.preprocessing, classes=model.classes)
    return SelectiveNBDT(model, guarantee).calibrate(data)


def test_what_is_found_is_saved_and_told(run: Run, own: Path, images: Path) -> None:
    result = run("calibrate", "own", images, "--guarantee", "0.9")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = calibrated(own, images, 0.9)
    assert read_calibration(own) == expected.calibration
    first, *told, last = result.stdout.splitlines()
    assert expected.calibration is not None
    assert first == (
        f"Wrote own/calibration.json: {expected.calibration.wrong} of 20 predictions are wrong."
    )
    assert told == str(expected).splitlines()
    assert last == "Go on with: nbdt explain own IMAGE … --guarantee 0.9"


def test_json_holds_the_threshold(run: Run, own: Path, images: Path) -> None:
    document = json.loads(run("calibrate", own, images, "--json").stdout)
    expected = calibrated(own, images, 0.95)
    assert expected.calibration is not None
    assert document == {
        "model": str(own),
        "data": str(images),
        "output": str(own / "calibration.json"),
        "samples": 20,
        "wrong": expected.calibration.wrong,
        "fingerprint": expected.calibration.fingerprint,
        "guarantee": 0.95,
        "threshold": expected.thresholds[expected.model.hierarchy.root],
    }


def test_classes_may_have_no_subfolder_if_that_is_said(
    run: Run, own: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(images, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "nine")
    refused = run("calibrate", own, "data", "--guarantee", "0.9")
    assert refused.exit_code == 2
    assert "1 without a subfolder (nine)" in refused.stderr
    result = run("calibrate", own, "data", "--guarantee", "0.9", "--partial", "--json")
    assert (result.exit_code, json.loads(result.stdout)["samples"]) == (0, 18)


def test_a_data_set_may_be_named(run: Run, own: Path) -> None:
    document = json.loads(run("calibrate", own, "digits", "--json").stdout)
    assert document["samples"] == len(load_dataset("digits", "test"))


def test_where_all_is_sure_enough_the_threshold_is_zero(run: Run, own: Path) -> None:
    """As of a model that is right in at least one of 20 cases, if no more is asked."""
    document = json.loads(run("calibrate", own, "digits", "--guarantee", "0.01", "--json").stdout)
    assert document["wrong"] < 0.95 * document["samples"]
    assert document["threshold"] == 0


def test_a_model_of_the_hard_rule_can_be_calibrated(run: Run, own: Path, images: Path) -> None:
    model = NBDT.from_pretrained(own)
    model.rule = "hard"
    model.save_pretrained(own)
    assert run("calibrate", own, images).exit_code == 0
    assert read_calibration(own) == calibrated(own, images, 0.9).calibration


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--guarantee", "0.99"), "needs at least 99 calibration samples, got 20"),
        (("--guarantee", "95"), "a guarantee has to be a share between 0 and 1"),
    ],
)
def test_a_guarantee_that_cannot_be_given_is_refused(
    arguments: tuple[str, ...], said: str, run: Run, own: Path, images: Path
) -> None:
    result = run("calibrate", own, images, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
    assert not (own / "calibration.json").exists()


def test_an_image_that_cannot_be_read_ends_it(run: Run, own: Path, tmp_path: Path) -> None:
    for name in NBDT.from_pretrained(own).classes:
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "data" / name / "0.png")
    (tmp_path / "data" / "five" / "1.png").write_bytes(b"no image")
    result = run("calibrate", own, "data", "--guarantee", "0.5")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1.png: this is not an image" in result.stderr
    assert is_one_sentence(result.stderr)


def test_images_of_several_sizes_end_it(run: Run, tmp_path: Path) -> None:
    model = make_model(tmp_path / "own", Preprocessing(mode="L"))
    for place, name in enumerate(model.classes):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("L", (8, 8 + place)).save(tmp_path / "data" / name / "0.png")
    result = run("calibrate", "own", "data", "--guarantee", "0.5")
    assert result.exit_code == 2
    assert "the samples cannot be made a batch" in result.stderr
    assert is_one_sentence(result.stderr)
