import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from nbdt.data import ImageFolder, open_image
from nbdt.explain import Explanation
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT
from nbdt.selective.calibration import write_calibration
from tests.cli.conftest import Run, even_out, is_one_sentence, make_model


def explained(model: Path, image: Path, **options: str) -> Explanation:
    loaded = NBDT.from_pretrained(model)
    assert loaded.preprocessing is not None
    mode = loaded.preprocessing.mode
    batch = loaded.preprocessing.batch([open_image(image, mode)])
    return loaded.explain(batch, **options)[0]  # type: ignore[arg-type]


def test_one_image_is_explained_as_the_library_explains_it(
    run: Run, model: Path, images: Path
) -> None:
    image = images / "three" / "0.png"
    result = run("explain", model, image)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{explained(model, image)}\n"


def test_every_decision_can_be_shown(run: Run, model: Path, images: Path) -> None:
    image = images / "three" / "0.png"
    result = run("explain", model, image, "--full")
    assert result.stdout == explained(model, image).to_text(full=True) + "\n"
    assert "decision by decision" in result.stdout


def test_json_holds_the_explanation(run: Run, model: Path, images: Path) -> None:
    image = images / "three" / "0.png"
    result = run("explain", model, image, "--json", "--rule", "hard")
    document = json.loads(result.stdout)
    assert document.keys() == {"image", "explanation"}
    assert document["image"] == str(image)
    found, expected = (
        Explanation.from_dict(document["explanation"]),
        explained(model, image, rule="hard"),
    )
    assert found == expected
    assert found.rule == "hard"


def test_the_likeliest_classes_are_named(run: Run, model: Path, images: Path) -> None:
    image = images / "three" / "0.png"
    explanation = explained(model, image)
    text = run("explain", model, image, "--top", "2").stdout.splitlines()
    percent = 100 * explanation.probability
    start = f"Likeliest: {explanation.prediction_name} {percent:.1f} %, "
    assert text[-1].startswith(f"{start}{explanation.runner_up_name} ")
    top = json.loads(run("explain", model, image, "--top", "99", "--json").stdout)["top"]
    assert len(top) == 10
    assert top[0]["class"] == explanation.prediction
    assert top[0]["name"] == explanation.prediction_name
    assert sum(one["probability"] for one in top) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_read_is_named_and_the_others_get_their_answer(
    run: Run, model: Path, images: Path, tmp_path: Path
) -> None:
    good = images / "three" / "0.png"
    (tmp_path / "broken.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "empty").mkdir()
    wrong = ["broken.png", "gone.png", "empty", "digits.txt"]
    (tmp_path / "digits.txt").write_text("no image")
    result = run("explain", model, *wrong[:2], good, *wrong[2:], images / "four")
    assert result.exit_code == 1
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == wrong
    assert all(line.count(line.split(":")[1]) == 1 for line in result.stderr.splitlines())
    shown = [line for line in result.stdout.splitlines() if line.endswith(".png")]
    assert shown == [str(good), *(str(images / "four" / f"{i}.png") for i in (0, 1))]
    assert str(explained(model, good)) in result.stdout


def test_json_tells_of_failures_too_in_order(
    run: Run, model: Path, images: Path, tmp_path: Path
) -> None:
    good = images / "three" / "0.png"
    result = run("explain", model, "gone.png", good, "--json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {"image": "gone.png", "error": "there is no such file."}
    assert second["image"] == str(good)
    assert result.exit_code == 1
    assert is_one_sentence(result.stderr)


def test_an_image_on_standard_input(run: Run, model: Path, images: Path) -> None:
    image = images / "three" / "0.png"
    result = run("explain", model, "-", stdin=image.read_bytes())
    assert result.stdout == f"{explained(model, image)}\n"
    nothing = run("explain", model, "-")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert nothing.stderr == "nbdt: -: the file is empty.\n"


def test_many_images_are_read_a_batch_at_a_time(
    run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    logits = NBDT.logits

    def counted(self: NBDT, x: Tensor) -> Tensor:
        sizes.append(len(x))
        return logits(self, x)

    monkeypatch.setattr(NBDT, "logits", counted)
    result = run("explain", model, images, images, "--json", "--top", 2)
    assert result.exit_code == 0
    assert sizes == [32, 8], "the network is asked once"
    named = [json.loads(line)["image"] for line in result.stdout.splitlines()]
    assert named == 2 * sorted(map(str, images.rglob("*.png")))


def test_images_of_different_sizes_share_no_batch(run: Run, tmp_path: Path) -> None:
    make_model(tmp_path / "model", Preprocessing(mode="L"))
    for name, size in (("a", (8, 8)), ("b", (9, 7)), ("c", (1, 1)), ("d", (8, 8))):
        Image.new("L", size).save(tmp_path / f"{name}.png")
    result = run("explain", "model", "a.png", "b.png", "c.png", "d.png")
    assert result.exit_code == 1  # one pixel is too few for a pooling
    assert result.stderr.startswith("nbdt: c.png: the network cannot take it: ")
    assert is_one_sentence(result.stderr)
    assert result.stdout.count("Predicted") == 3


def test_a_model_without_preprocessing_is_refused(run: Run, tmp_path: Path) -> None:
    make_model(tmp_path / "model", None)
    result = run("explain", "model", "x.png")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "model: this model does not say how an image becomes its input" in result.stderr


@pytest.mark.parametrize("name", ["gone", "text", "empty"])
def test_what_is_no_model_is_refused(name: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no folder")
    (tmp_path / "empty").mkdir()
    result = run("explain", name, "x.png", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert name in result.stderr
    assert is_one_sentence(result.stderr)


def test_weights_that_were_changed_are_refused(run: Run, tmp_path: Path) -> None:
    make_model(tmp_path / "model", Preprocessing(mode="L", resize=(8, 8)))
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    result = run("explain", "model", "x.png")
    assert result.exit_code == 2
    assert "is not the one that was saved" in result.stderr


def test_a_network_that_answers_nan_fails_for_that_image_only(
    run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(self: NBDT, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return torch.where(x.mean(dim=(1, 2, 3))[:, None] > 0.99, torch.nan, logits)

    monkeypatch.setattr(NBDT, "logits", poisoned)
    Image.new("L", (8, 8), 255).save("white.png")
    result = run("explain", model, images / "one", "white.png")
    assert result.exit_code == 1
    assert result.stderr.startswith("nbdt: white.png: ")
    assert result.stdout.count("Predicted") == 2


# ── stopping when unsure ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def calibrated(tmp_path: Path, images: Path) -> Path:
    """The folder of a calibrated model, of the test's own."""
    model = make_model(tmp_path / "calibrated", Preprocessing(mode="L", resize=(8, 8)))
    assert model.preprocessing is not None
    data = ImageFolder(images, model.preprocessing, classes=model.classes)
    found = SelectiveNBDT(model, 0.5).calibrate(data).calibration
    assert found is not None
    write_calibration(tmp_path / "calibrated", found)
    return tmp_path / "calibrated"


def test_answers_stop_as_the_calibration_says(run: Run, calibrated: Path, images: Path) -> None:
    selective = SelectiveNBDT.from_pretrained(calibrated, 0.9)
    image = images / "three" / "0.png"
    assert selective.model.preprocessing is not None
    batch = selective.model.preprocessing.batch([open_image(image, "L")])
    (expected,) = selective.explain(batch)
    assert expected.stopped_at is not None

    result = run("explain", calibrated, image, "--guarantee", "0.9")
    assert (result.exit_code, result.stdout) == (0, f"{expected}\n")
    assert result.stderr == f"note: {' '.join(str(selective).split())}\n"
    assert "drawn like the 20 of calibration" in result.stderr

    document = json.loads(run("explain", calibrated, image, "--guarantee", "0.9", "--json").stdout)
    assert Explanation.from_dict(document["explanation"]) == expected
    assert document["explanation"]["guarantee"] == 0.9
    other = json.loads(run("explain", calibrated, image, "--guarantee", "0.05", "--json").stdout)
    assert other["explanation"]["stopped_at"] is None


def test_the_likeliest_classes_are_named_beside_the_answer(
    run: Run, calibrated: Path, images: Path
) -> None:
    result = run(
        "explain", calibrated, images / "one" / "0.png", "--guarantee", "0.9", "--top", "3"
    )
    assert result.stdout.splitlines()[-1].startswith("Likeliest: ")


def test_explanations_are_the_librarys_at_a_temperature_and_with_distances(
    run: Run, model: Path, images: Path, tmp_path: Path
) -> None:
    loaded = NBDT.from_pretrained(model)
    loaded.score, loaded.temperature = "mean", Temperature(2.0)
    loaded.save_pretrained(tmp_path / "warm")
    image = images / "three" / "0.png"
    document = json.loads(run("explain", "warm", image, "--json", "--top", 10).stdout)
    found, expected = Explanation.from_dict(document["explanation"]), explained(Path("warm"), image)
    assert found == expected
    assert found.path[0].feature_distance is not None
    assert document["top"][0]["probability"] == pytest.approx(expected.probability, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--guarantee", "0.99"), "needs at least 99 calibration samples, got 20"),
        (("--guarantee", "1"), "a guarantee has to be a share between 0 and 1"),
        (("--guarantee", "0.9", "--rule", "hard"), "say --rule soft"),
    ],
)
def test_a_guarantee_that_cannot_be_given_is_refused(
    arguments: tuple[str, ...], said: str, run: Run, calibrated: Path, images: Path
) -> None:
    result = run("explain", calibrated, images / "one", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)


def test_a_model_of_the_hard_rule_stops_if_told_to_be_soft(
    run: Run, calibrated: Path, images: Path
) -> None:
    model = NBDT.from_pretrained(calibrated)
    model.rule = "hard"
    model.save_pretrained(calibrated)
    asked = ("explain", calibrated, images / "one", "--guarantee", "0.9")
    assert "say --rule soft" in run(*asked).stderr
    assert run(*asked, "--rule", "soft").exit_code == 0


def test_without_a_calibration_it_says_what_to_run(run: Run, model: Path, images: Path) -> None:
    result = run("explain", model, images / "one", "--guarantee", "0.9")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"nbdt calibrate {model} DATA" in result.stderr
    assert is_one_sentence(result.stderr)
    result = run("explain", model, images / "one", "--guarantee", "90")
    assert "a guarantee has to be a share between 0 and 1, such as 0.95; got 90.0" in result.stderr


def test_a_page_shows_the_images_that_could_be_read(
    run: Run, model: Path, images: Path, tmp_path: Path
) -> None:
    result = run("explain", model, images / "zero", "gone.png", "--html", "page.html")
    assert (result.exit_code, result.stderr.count("note: wrote page.html.")) == (1, 1)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert all(str(images / "zero" / name) in page for name in ("0.png", "1.png"))
    assert "gone.png" not in page
    result = run("explain", model, "gone.png", "--html", "none.html")
    assert (result.exit_code, "wrote" in result.stderr) == (1, False)
    assert not (tmp_path / "none.html").exists()


def test_a_page_that_cannot_be_written_is_refused_first(
    run: Run, model: Path, images: Path
) -> None:
    result = run("explain", model, images / "zero", "--html", "gone/page.html")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "gone/page.html: the folder for this file does not exist" in result.stderr
    assert is_one_sentence(result.stderr)


def test_paths_are_drawn_where_that_is_asked_for(run: Run, model: Path, images: Path) -> None:
    image = images / "zero" / "0.png"
    told = run("explain", model, image).stdout
    drawn = run("explain", model, image, "--draw").stdout
    assert drawn.startswith(told.rstrip("\n"))
    assert "└▶" in drawn.removeprefix(told.rstrip("\n"))


def test_a_guarantee_may_hold_under_each_superclass(
    run: Run, calibrated: Path, images: Path
) -> None:
    image = images / "one" / "0.png"
    even_out(calibrated, images)
    assert run("calibrate", calibrated, images, "--guarantee", "0.5").exit_code == 0
    options = ("--guarantee", "0.5", "--per-superclass")
    result = run("explain", calibrated, image, *options, "--json")
    selective = SelectiveNBDT.from_pretrained(calibrated, 0.5, per_superclass=True)
    assert result.stderr == f"note: {' '.join(str(selective).split())}\n"
    assert result.stderr.count("Answers under ") == len(selective.thresholds) > 1
    batch = selective.model.preprocessing.batch([open_image(image, "L")])  # type: ignore[union-attr]
    assert (
        Explanation.from_dict(json.loads(result.stdout)["explanation"])
        == (selective.explain(batch)[0])
    )
    alone = run("explain", calibrated, image, "--per-superclass")
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert "--per-superclass narrows a guarantee; add --guarantee" in alone.stderr


def test_the_device_can_be_chosen(run: Run, model: Path, images: Path) -> None:
    image = images / "one" / "0.png"
    told = run("explain", model, image, "--device", "cpu")
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout == run("explain", model, image).stdout
    result = run("explain", model, image, "--device", "cuda:99")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--device cuda:99: there is no such device here" in result.stderr
