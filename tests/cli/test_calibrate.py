import json
import shutil

import pytest
from PIL import Image

from nbdt.data import load_dataset
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT, read_calibration
from tests.cli.conftest import changed, even_out, make_model, refused, samples_of


def calibrated(folder, images, guarantee):
    model = NBDT.from_pretrained(folder)
    model.rule = "soft"
    return SelectiveNBDT(model, guarantee).calibrate(samples_of(folder, images))


def test_what_is_found_is_saved_and_told(run, ask, own, images):
    result = run("calibrate", "own", images, "--guarantee", "0.9")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = calibrated(own, images, 0.9)
    found = expected.calibration
    assert read_calibration(own) == found
    first, *told, last = result.stdout.splitlines()
    assert first == f"Wrote own/calibration.json: {found.wrong} of 20 predictions are wrong."
    assert told == str(expected).splitlines()
    assert last == "Next: nbdt explain own IMAGE … --guarantee 0.9"
    expected = calibrated(own, images, 0.95)
    assert ask("calibrate", own, images) == {
        "model": str(own), "data": str(images), "output": str(own / "calibration.json"),
        "samples": 20, "wrong": found.wrong, "fingerprint": found.fingerprint, "guarantee": 0.95,
        "threshold": expected.thresholds[expected.model.hierarchy.root], "failed": {},
    }  # fmt: skip
    changed(own, rule="hard")  # whatever the model's rule is, it is the soft one that can stop
    ask("calibrate", own, images)
    assert read_calibration(own) == found


def test_classes_may_have_no_subfolder_if_that_is_said(run, ask, own, copied):
    shutil.rmtree(copied / "nine")
    options = ("calibrate", own, "data", "--guarantee", "0.9")
    refused(run(*options), "1 without a subfolder (nine)")
    assert ask(*options, "--partial")["samples"] == 18


def test_where_all_is_sure_enough_the_threshold_is_zero(ask, own):
    """As of a model that is right in at least one of 20 cases, if no more is asked."""
    document = ask("calibrate", own, "digits", "--guarantee", "0.01")
    assert document["wrong"] < 0.95 * document["samples"]
    assert document["threshold"] == 0


@pytest.mark.parametrize(("data", "options", "said"), [
    ("images", ("--guarantee", "0.99"), "needs at least 99 calibration samples, got 20"),
    ("images", ("--guarantee", "95"), "a guarantee must be a share between 0 and 1"),
    ("images", ("--device", "cuda:99"), "--device cuda:99: this machine has no such device"),
    ("images", ("--part", "1/21"), "20 samples cannot be shared out to 21 parts"),
    *(("digits", (f"--part={part}",), f"such as 1/3 for the first of three; got '{part}'")
      for part in ("2", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1/9999999")),
], ids=str)  # fmt: skip
def test_what_cannot_be_done_is_refused(data, options, said, run, own, images):
    refused(run("calibrate", own, images if data == "images" else data, *options), said)
    assert not (own / "calibration.json").exists()


def test_an_image_that_cannot_be_used_is_named_and_left_out(run, tmp_path):
    model = make_model(tmp_path / "own", Preprocessing(mode="L"))
    for place, name in enumerate(model.classes):
        (tmp_path / "data" / name).mkdir(parents=True)
        # They differ in size, so that none shares a batch; one is too small for the network.
        Image.new("L", (8, 8 + place) if place else (1, 1)).save(tmp_path / "data" / name / "0.png")
    (tmp_path / "data" / "five" / "1.png").write_bytes(b"no image")
    result = run("calibrate", "own", "data", "--guarantee", "0.5", "--json", "--device", "cpu")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert list(document["failed"]) == ["data/five/1.png", "data/zero/0.png"]
    assert document["samples"] == read_calibration("own").samples == 9
    assert "nbdt: data/five/1.png: this is not an image" in result.stderr
    assert result.stderr.count("\n") == 2


def test_each_superclass_may_have_a_threshold(run, ask, own, images):
    even_out(own, images)
    options = ("calibrate", own, images, "--per-superclass", "--guarantee")
    document = ask(*options, "0.5")
    assert "threshold" not in document
    model = NBDT.from_pretrained(own)
    found = calibrated(own, images, 0.5).calibration
    expected = SelectiveNBDT(model, 0.5, per_superclass=True, calibration=found)
    assert document["thresholds"] == [
        {"node": node, "name": model.hierarchy.name(node), "samples": expected.sizes[node],
         "threshold": max(t, 0.0)}
        for node, t in expected.thresholds.items()
    ]  # fmt: skip
    assert len(document["thresholds"]) > 1
    told = run(*options, "0.5").stdout
    assert str(expected) in told
    assert told.endswith("IMAGE … --guarantee 0.5 --per-superclass\n")
    # All in all there are enough samples for 95 %, but not under each.
    refused(run(*options, "0.95"), "nbdt: under ")


# ── images that had a part in the model ───────────────────────────────────────────────────────

FITTED = "temperature was fitted to these images"


def test_images_that_the_temperature_was_fitted_to_are_refused(run, own):
    assert run("evaluate", own, "digits", "--fit-temperature").exit_code == 0
    for part in ((), ("--part", "1/2")):
        refused(run("calibrate", own, "digits", *part), FITTED)
    assert not (own / "calibration.json").exists()


def test_parts_that_share_no_image_keep_them_apart(run, ask, own):
    assert run("evaluate", own, "digits", "--fit-temperature", "--part", "1/3").exit_code == 0
    for part in (("--part", "1/3"), ("--part", "1/2"), ("--part", "2/6"), ()):
        refused(run("calibrate", own, "digits", *part), FITTED)
    assert ask("calibrate", own, "digits", "--part", "2/3")["samples"] == 150
    assert ask("evaluate", own, "digits", "--part", "3/3")["samples"] == 150
    # What was fitted before is no matter once the temperature is another.
    changed(own, temperature=Temperature(1.25))
    ask("calibrate", own, "digits", "--part", "1/3")


def test_the_same_images_under_another_name_are_refused(run, own, images, copied, tmp_path):
    assert run("evaluate", own, images, "--fit-temperature").exit_code == 0
    (tmp_path / "link").symlink_to(images)
    refused(run("calibrate", own, "link"), FITTED)
    refused(run("calibrate", own, copied), "fitted to these very samples")


def test_images_that_the_model_was_trained_on_are_refused(run, ask, own, images, tmp_path):
    shutil.copytree(images, tmp_path / "photos" / "train")
    shutil.copytree(images, tmp_path / "photos" / "test")
    changed(own, provenance={"data": "photos"})
    for data in ("photos/train", tmp_path / "photos" / "train"):
        for command, *options in (["calibrate"], ["evaluate", "--fit-temperature"]):
            refused(run(command, own, data, *options), f"{data}: the model was trained on images")
        result = run("evaluate", own, data)
        assert result.exit_code == 0
        assert "the model was trained on these images" in result.stderr
    for data in ("photos", "photos/test", images):
        ask("calibrate", own, data, "--guarantee", "0.9")
    changed(own, provenance={"data": str(images)})  # all of a folder, which is not divided
    refused(run("calibrate", own, images), "was trained on images of this place")
    assert ask("calibrate", own, "digits")["samples"] == len(load_dataset("digits", "test"))


@pytest.mark.parametrize("said", ["digits", "gone", "the digits of scikit-learn", 7, None, "\0"])
def test_a_model_may_say_anything_of_its_data(said, run, ask, own):
    """Of a data set's name the training images are meant, which the test images are not."""
    changed(own, provenance={"data": said})
    ask("calibrate", own, "digits")
    fitted = {"temperature": Temperature().to_dict(), "data": said, "part": said}
    changed(own, provenance={"data": said, "temperature": fitted})
    assert (run("calibrate", own, "digits", "--part", "1/2").exit_code == 0) == (said != "digits")
