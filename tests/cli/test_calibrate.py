import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from nbdt.data import ImageFolder, load_dataset
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT, read_calibration
from tests.cli.conftest import Run, even_out, is_one_sentence, make_model


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
        "failed": {},
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


def test_an_image_that_cannot_be_used_is_named_and_left_out(
    run: Run, tmp_path: Path, images: Path
) -> None:
    model = make_model(tmp_path / "own", Preprocessing(mode="L"))
    for place, name in enumerate(model.classes):
        (tmp_path / "data" / name).mkdir(parents=True)
        # They differ in size, so that none shares a batch; one is too small for the network.
        Image.new("L", (8, 8 + place) if place else (1, 1)).save(tmp_path / "data" / name / "0.png")
    (tmp_path / "data" / "five" / "1.png").write_bytes(b"no image")
    result = run("calibrate", "own", "data", "--guarantee", "0.5", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert list(document["failed"]) == ["data/five/1.png", "data/zero/0.png"]
    assert document["samples"] == 9
    assert "nbdt: data/five/1.png: this is not an image" in result.stderr
    assert result.stderr.count("\n") == 2
    assert read_calibration("own").samples == 9


def test_each_superclass_may_have_a_threshold(run: Run, own: Path, images: Path) -> None:
    even_out(own, images)
    options = ("--per-superclass", "--guarantee", "0.5")
    document = json.loads(run("calibrate", own, images, *options, "--json").stdout)
    assert "threshold" not in document
    model = NBDT.from_pretrained(own)
    expected = SelectiveNBDT(
        model, 0.5, per_superclass=True, calibration=calibrated(own, images, 0.5).calibration
    )
    assert document["thresholds"] == [
        {
            "node": node,
            "name": model.hierarchy.name(node),
            "samples": expected.sizes[node],
            "threshold": max(t, 0.0),
        }
        for node, t in expected.thresholds.items()
    ]
    assert len(document["thresholds"]) > 1
    told = run("calibrate", own, images, *options).stdout
    assert str(expected) in told
    assert told.endswith("IMAGE … --guarantee 0.5 --per-superclass\n")
    # All in all there are enough samples for 95 %, but not under each.
    refused = run("calibrate", own, images, "--per-superclass", "--guarantee", "0.95")
    assert refused.exit_code == 2
    assert "nbdt: under " in refused.stderr
    assert is_one_sentence(refused.stderr)


def test_the_device_can_be_chosen(run: Run, own: Path, images: Path) -> None:
    assert run("calibrate", own, images, "--device", "cpu").exit_code == 0
    result = run("calibrate", own, images, "--device", "cuda:99")
    assert "--device cuda:99: there is no such device here" in result.stderr


# ── images that had a part in the model ───────────────────────────────────────────────────────


def said_of(run: Run, *arguments: object) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert is_one_sentence(result.stderr)
    return str(result.stderr)


def test_images_that_the_temperature_was_fitted_to_are_refused(run: Run, own: Path) -> None:
    assert run("evaluate", own, "digits", "--fit-temperature").exit_code == 0
    for part in ((), ("--part", "1/2")):
        said = said_of(run, "calibrate", own, "digits", *part)
        assert "digits: the model's temperature was fitted to these images, or to some" in said
    assert not (own / "calibration.json").exists()


def test_parts_that_share_no_image_keep_them_apart(run: Run, own: Path) -> None:
    assert run("evaluate", own, "digits", "--fit-temperature", "--part", "1/3").exit_code == 0
    for part in (("--part", "1/3"), ("--part", "1/2"), ("--part", "2/6"), ()):
        assert "was fitted to these images" in said_of(run, "calibrate", own, "digits", *part)
    result = run("calibrate", own, "digits", "--part", "2/3", "--json")
    assert (result.exit_code, json.loads(result.stdout)["samples"]) == (0, 150)
    judged = json.loads(run("evaluate", own, "digits", "--part", "3/3", "--json").stdout)
    assert judged["samples"] == 150

    # What was fitted before is no matter once the temperature is another.
    model = NBDT.from_pretrained(own)
    model.temperature = Temperature(1.25)
    model.save_pretrained(own)
    assert run("calibrate", own, "digits", "--part", "1/3").exit_code == 0


def test_the_same_images_under_another_name_are_refused(
    run: Run, own: Path, images: Path, tmp_path: Path
) -> None:
    assert run("evaluate", own, images, "--fit-temperature").exit_code == 0
    (tmp_path / "link").symlink_to(images)
    assert "was fitted to these images" in said_of(run, "calibrate", own, "link")
    shutil.copytree(images, tmp_path / "copy")
    assert "fitted to these very samples" in said_of(run, "calibrate", own, "copy")


def trained(folder: Path, data: object) -> Path:
    model = NBDT.from_pretrained(folder)
    model.provenance["data"] = data
    model.save_pretrained(folder)
    return folder


def test_images_that_the_model_was_trained_on_are_refused(
    run: Run, own: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(images, tmp_path / "photos" / "train")
    shutil.copytree(images, tmp_path / "photos" / "test")
    trained(own, "photos")
    for data in ("photos/train", tmp_path / "photos" / "train"):
        for command in (("calibrate",), ("evaluate", "--fit-temperature")):
            said = said_of(run, command[0], own, data, *command[1:])
            assert f"{data}: the model was trained on images of this place" in said
        result = run("evaluate", own, data)
        assert result.exit_code == 0
        assert "the model was trained on these images, so all of this flatters" in result.stderr
    for data in ("photos", "photos/test", images):
        result = run("calibrate", own, data, "--guarantee", "0.9")
        assert (result.exit_code, result.stderr) == (0, "")

    trained(own, str(images))  # all of a folder, which is not divided
    assert "was trained on images of this place" in said_of(run, "calibrate", own, images)
    assert run("calibrate", own, "digits").exit_code == 0


@pytest.mark.parametrize("said", ["digits", "gone", "the digits of scikit-learn", 7, None, "\0"])
def test_a_model_may_say_anything_of_its_data(said: object, run: Run, own: Path) -> None:
    """Of a data set's name the training images are meant, which the test images are not."""
    trained(own, said)
    assert run("calibrate", own, "digits").exit_code == 0
    model = NBDT.from_pretrained(own)
    model.provenance["temperature"] = {
        "temperature": model.temperature.to_dict(), "data": said, "part": said
    }  # fmt: skip
    model.save_pretrained(own)
    assert (run("calibrate", own, "digits", "--part", "1/2").exit_code == 0) == (said != "digits")


@pytest.mark.parametrize("part", ["2", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1/9999999"])
def test_what_is_no_part_is_refused(part: str, run: Run, own: Path) -> None:
    said = said_of(run, "calibrate", own, "digits", f"--part={part}")
    assert f"--part takes K/N, such as 1/3 for the first of three; got '{part}'" in said


def test_there_are_not_more_parts_than_images(run: Run, own: Path, images: Path) -> None:
    said = said_of(run, "calibrate", own, images, "--part", "1/21")
    assert "20 samples cannot be shared out to 21 parts" in said
