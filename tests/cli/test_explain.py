import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from nbdt.data import open_image
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT
from nbdt.selective.calibration import write_calibration
from tests.cli.conftest import changed, even_out, is_one_sentence, make_model, refused, samples_of


@pytest.fixture
def image(images):
    return images / "three" / "0.png"


def explained(model, image, **options):
    model = model if isinstance(model, SelectiveNBDT) else NBDT.from_pretrained(model)
    steps = getattr(model, "model", model).preprocessing
    return model.explain(steps.batch([open_image(image, steps.mode)]), **options)[0]


def test_one_image_is_explained_as_the_library_explains_it(run, ask, model, image):
    expected = explained(model, image)
    result = run("explain", model, image, "--device", "cpu")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{expected}\n", "")
    full = run("explain", model, image, "--full").stdout
    assert full == expected.to_text(full=True) + "\n"
    assert "decision by decision" in full
    drawn = run("explain", model, image, "--draw").stdout
    assert drawn.startswith(str(expected))
    assert "└▶" in drawn.removeprefix(str(expected))
    document = ask("explain", model, image, "--rule", "hard")
    assert document.keys() == {"image", "explanation"}
    assert document["image"] == str(image)
    found = Explanation.from_dict(document["explanation"])
    assert found == explained(model, image, rule="hard")
    assert found.rule == "hard"


def test_the_likeliest_classes_are_named(run, ask, model, image):
    explanation = explained(model, image)
    last = run("explain", model, image, "--top", "2").stdout.splitlines()[-1]
    percent = 100 * explanation.probability
    start = f"Likeliest: {explanation.prediction_name} {percent:.1f} %, "
    assert last.startswith(f"{start}{explanation.runner_up_name} ")
    top = ask("explain", model, image, "--top", "99")["top"]
    assert len(top) == 10
    assert top[0]["class"] == explanation.prediction
    assert top[0]["name"] == explanation.prediction_name
    assert sum(one["probability"] for one in top) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_read_is_named_and_the_others_get_their_answer(
    run, model, image, images, tmp_path
):
    (tmp_path / "broken.png").write_bytes(image.read_bytes()[:60])
    (tmp_path / "empty").mkdir()
    (tmp_path / "digits.txt").write_text("no image")
    wrong = ["broken.png", "gone.png", "empty", "digits.txt"]
    result = run("explain", model, *wrong[:2], image, *wrong[2:], images / "four")
    assert result.exit_code == 1
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == wrong
    assert all(line.count(line.split(":")[1]) == 1 for line in result.stderr.splitlines())
    shown = [line for line in result.stdout.splitlines() if line.endswith(".png")]
    assert shown == [str(image), *(str(images / "four" / f"{i}.png") for i in (0, 1))]
    assert str(explained(model, image)) in result.stdout

    result = run("explain", model, "gone.png", image, "--json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {"image": "gone.png", "error": "no such file."}
    assert second["image"] == str(image)
    assert (result.exit_code, is_one_sentence(result.stderr)) == (1, True)


def test_an_image_on_standard_input(run, model, image):
    result = run("explain", model, "-", stdin=image.read_bytes())
    assert result.stdout == f"{explained(model, image)}\n"
    nothing = run("explain", model, "-")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert nothing.stderr == "nbdt: -: the file is empty.\n"


def test_many_images_are_read_a_batch_at_a_time(run, model, images, monkeypatch):
    sizes = []
    logits = NBDT.logits

    def counted(self, x):
        sizes.append(len(x))
        return logits(self, x)

    monkeypatch.setattr(NBDT, "logits", counted)
    result = run("explain", model, images, images, "--json", "--top", 2)
    assert result.exit_code == 0
    assert sizes == [32, 8], "the network is asked once"
    named = [json.loads(line)["image"] for line in result.stdout.splitlines()]
    assert named == 2 * sorted(map(str, images.rglob("*.png")))


def test_images_of_different_sizes_share_no_batch(run, tmp_path):
    make_model(tmp_path / "model", Preprocessing(mode="L"))
    for name, size in (("a", (8, 8)), ("b", (9, 7)), ("c", (1, 1)), ("d", (8, 8))):
        Image.new("L", size).save(tmp_path / f"{name}.png")
    result = run("explain", "model", "a.png", "b.png", "c.png", "d.png")
    assert result.exit_code == 1  # one pixel is too few for a pooling
    assert result.stderr.startswith("nbdt: c.png: the network cannot take it: ")
    assert is_one_sentence(result.stderr)
    assert result.stdout.count("Predicted") == 3


def test_what_is_no_model_is_refused(run, own, tmp_path):
    (tmp_path / "text").write_text("no folder")
    (tmp_path / "empty").mkdir()
    for name in ("gone", "text", "empty"):
        refused(run("explain", name, "x.png", "--json"), name)
    make_model(tmp_path / "bare", None)
    refused(run("explain", "bare", "x.png"), "bare: this model does not say how an image becomes")
    weights = own / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused(run("explain", own, "x.png"), "is not the one that was saved")


def test_a_network_that_answers_nan_fails_for_that_image_only(run, model, images, monkeypatch):
    def poisoned(self, x):
        return torch.where(x.mean(dim=(1, 2, 3))[:, None] > 0.99, torch.nan, self.network(x))

    monkeypatch.setattr(NBDT, "logits", poisoned)
    Image.new("L", (8, 8), 255).save("white.png")
    result = run("explain", model, images / "one", "white.png")
    assert result.exit_code == 1
    assert result.stderr.startswith("nbdt: white.png: ")
    assert result.stdout.count("Predicted") == 2


def test_explanations_are_the_librarys_at_a_temperature_and_with_distances(ask, own, image):
    changed(own, score="mean", temperature=Temperature(2.0))
    document = ask("explain", own, image, "--top", 10)
    found, expected = Explanation.from_dict(document["explanation"]), explained(own, image)
    assert found == expected
    assert found.path[0].feature_distance is not None
    assert document["top"][0]["probability"] == pytest.approx(expected.probability, abs=1e-6)


def test_a_page_shows_the_images_that_could_be_read(run, model, images, tmp_path):
    result = run("explain", model, images / "zero", "gone.png", "--html", "page.html")
    assert (result.exit_code, result.stderr.count("note: wrote page.html.")) == (1, 1)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert all(str(images / "zero" / name) in page for name in ("0.png", "1.png"))
    assert "gone.png" not in page
    result = run("explain", model, "gone.png", "--html", "none.html")
    assert (result.exit_code, "wrote" in result.stderr) == (1, False)
    assert not (tmp_path / "none.html").exists()


# ── stopping when unsure ──────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def calibrated_once(tmp_path_factory, model, images):
    folder = shutil.copytree(model, tmp_path_factory.mktemp("calibrated") / "model")
    selective = SelectiveNBDT(NBDT.from_pretrained(folder), 0.5)
    write_calibration(folder, selective.calibrate(samples_of(folder, images)).calibration)
    return folder


@pytest.fixture
def calibrated(calibrated_once, tmp_path):
    """The folder of a calibrated model, of the test's own."""
    return shutil.copytree(calibrated_once, tmp_path / "calibrated")


def test_answers_stop_as_the_calibration_says(run, ask, calibrated, image):
    selective = SelectiveNBDT.from_pretrained(calibrated, 0.9)
    expected = explained(selective, image)
    assert expected.stopped_at is not None
    options = ("explain", calibrated, image, "--guarantee")
    result = run(*options, "0.9")
    assert (result.exit_code, result.stdout) == (0, f"{expected}\n")
    assert result.stderr == f"note: {' '.join(str(selective).split())}\n"
    assert "drawn like the 20 of calibration" in result.stderr
    document = json.loads(run(*options, "0.9", "--json").stdout)
    assert Explanation.from_dict(document["explanation"]) == expected
    assert document["explanation"]["guarantee"] == 0.9
    other = json.loads(run(*options, "0.05", "--json").stdout)
    assert other["explanation"]["stopped_at"] is None
    assert run(*options, "0.9", "--top", "3").stdout.splitlines()[-1].startswith("Likeliest: ")
    # A model of the hard rule stops if told to be soft.
    changed(calibrated, rule="hard")
    assert "say --rule soft" in run(*options, "0.9").stderr
    assert run(*options, "0.9", "--rule", "soft").exit_code == 0


def test_a_guarantee_may_hold_under_each_superclass(run, calibrated, image, images):
    even_out(calibrated, images)
    assert run("calibrate", calibrated, images, "--guarantee", "0.5").exit_code == 0
    options = ("--guarantee", "0.5", "--per-superclass")
    result = run("explain", calibrated, image, *options, "--json")
    selective = SelectiveNBDT.from_pretrained(calibrated, 0.5, per_superclass=True)
    assert result.stderr == f"note: {' '.join(str(selective).split())}\n"
    assert result.stderr.count("Answers under ") == len(selective.thresholds) > 1
    found = Explanation.from_dict(json.loads(result.stdout)["explanation"])
    assert found == explained(selective, image)


@pytest.mark.parametrize(("arguments", "said"), [
    (("--guarantee", "0.99"), "needs at least 99 calibration samples, got 20"),
    (("--guarantee", "1"), "a guarantee must be a share between 0 and 1"),
    (("--guarantee", "0.9", "--rule", "hard"), "say --rule soft"),
    (("--per-superclass",), "add --guarantee"),
    (("--device", "cuda:99"), "--device cuda:99: this machine has no such device"),
    (("--html", "gone/page.html"), "gone/page.html: the folder for this file does not exist"),
], ids=str)  # fmt: skip
def test_what_cannot_be_done_is_refused(arguments, said, run, calibrated, image):
    refused(run("explain", calibrated, image, *arguments), said)


def test_without_a_calibration_it_says_what_to_run(run, model, image):
    options = ("explain", model, image, "--guarantee")
    refused(run(*options, "0.9"), f"nbdt calibrate {model} DATA")
    refused(run(*options, "90"), "a guarantee must be a share between 0 and 1", "got 90.0")


@pytest.fixture
def rows(tmp_path):
    """A saved model of rows of three numbers."""
    pytest.importorskip("skops")
    x = np.random.RandomState(0).randn(60, 3)
    estimator = LogisticRegression().fit(x, x.argmax(1))
    tree = Hierarchy([3, 3, 4, 4, -1], ["0", "1", "2", "low", "any"])
    NBDT(estimator, tree).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_what_spoke_for_each_decision(run, ask, rows):
    document = ask("explain", rows, "[1, 2, 3]", "--attribution")
    path = document["explanation"]["path"]
    found = document["attribution"]
    assert all(one["exact"] for one in found[1:])
    assert [one["node"] for one in found] == [decision["node"] for decision in path]
    for one, decision in zip(found, path, strict=True):
        assert one["difference"] == pytest.approx(decision["margin"], abs=1e-5)
        total = sum(part["contribution"] for part in one["parts"])
        assert total == pytest.approx(one["difference"] - one["baseline_difference"], abs=1e-5)
    result = run("explain", rows, "[1, 2, 3]", "[0, -1, 2]", "--attribution", "--html", "page.html")
    assert result.exit_code == 0
    assert "2 = 3" in result.stdout
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count('"node":4,"title"') == 2


def test_pixels_are_drawn_in_the_page_and_the_document(run, ask, model, image):
    pytest.importorskip("captum")
    document = ask("explain", model, image, "--attribution")
    assert document["attribution"][0]["picture"].startswith("data:image/")
    assert "parts" not in document["attribution"][0]
    assert "not " in run("explain", model, image, "--attribution").stdout
