import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from nbdt.classifiers import build
from nbdt.data import ImageFolder, LabelledImages, load_dataset
from nbdt.evaluation import (
    evaluate,
    evaluate_faithfulness,
    evaluate_ood,
    evaluate_unseen,
    fit_temperature,
    fit_temperature_to_logits,
    nodes_of_unseen,
)
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import restrict
from nbdt.hierarchy.library import load_classes, load_hierarchy, save_hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.rules import Temperature
from tests.cli.conftest import Run, is_one_sentence

DIGITS = load_hierarchy("digits/shape").classes


@pytest.fixture
def copied(images: Path, tmp_path: Path) -> Path:
    """The labelled images, to be changed."""
    shutil.copytree(images, tmp_path / "data")
    return tmp_path / "data"


def test_it_says_what_the_library_does(run: Run, model: Path, images: Path) -> None:
    loaded = NBDT.from_pretrained(model)
    assert loaded.preprocessing is not None
    samples = ImageFolder(images, loaded.preprocessing, classes=loaded.classes)
    found = evaluate(loaded, samples, batch_size=32)
    assert found.samples == 20

    result = run("evaluate", model, images)
    assert (result.exit_code, result.stderr) == (0, "")
    names = [str(path.relative_to(images)) for path, _ in samples.samples]
    assert result.stdout == f"{found.to_text(sample_name=names.__getitem__)}\n"
    assert any(name in result.stdout for name in names)

    document = json.loads(run("evaluate", model, images, "--json").stdout)
    paths = {str(place): str(samples.samples[place][0]) for place in found.examples()}
    assert document == {
        "model": str(model), "data": str(images), **found.to_dict(), "images": paths, "failed": {}
    }  # fmt: skip


def test_more_or_less_is_said_as_asked(run: Run, model: Path, images: Path) -> None:
    def lines(*options: object) -> list[str]:
        return str(run("evaluate", model, images, *options).stdout).splitlines()

    assert len(lines("--rows", 1)) < len(lines()) < len(lines("--full"))
    assert "Reliability of the answers" in lines("--full")
    assert run("evaluate", model, images, "--rows", -1).exit_code == 2


def test_the_answers_of_either_rule_can_be_judged(run: Run, model: Path, images: Path) -> None:
    documents = {
        rule: json.loads(run("evaluate", model, images, "--rule", rule, "--json").stdout)
        for rule in ("soft", "hard")
    }
    for rule, document in documents.items():
        assert document["rule"] == rule
        row = next(r for r in document["rows"] if (r["rule"], r["score"]) == (rule, "logsumexp"))
        assert document["mistakes"]["count"] == row["samples"] - row["correct"]


def test_an_image_that_cannot_be_read_is_named_and_left_out(
    run: Run, model: Path, copied: Path
) -> None:
    (copied / "five" / "2.png").write_bytes(b"no image")
    result = run("evaluate", model, copied, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["samples"] == 20
    assert list(document["failed"]) == [str(copied / "five" / "2.png")]
    assert document["failed"][str(copied / "five" / "2.png")].startswith("this is not an image")
    # Samples are still called by their own places, past the one left out.
    assert set(document["images"].values()) == {
        str(path) for path in copied.rglob("*.png") if path.name != "2.png"
    }
    assert is_one_sentence(result.stderr)
    assert result.stderr.count("2.png") == 1


def test_where_no_image_can_be_read_there_is_no_table(run: Run, model: Path, copied: Path) -> None:
    for path in copied.rglob("*.png"):
        path.write_bytes(b"no image")
    result = run("evaluate", model, copied)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 21
    assert result.stderr.endswith("data: none of its 20 images could be used.\n")


def test_folders_that_are_not_the_classes_are_refused(run: Run, model: Path, copied: Path) -> None:
    shutil.rmtree(copied / "nine")
    result = run("evaluate", model, copied)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1 without a subfolder (nine)" in result.stderr
    assert is_one_sentence(result.stderr)
    assert run("evaluate", model, copied, "--partial").exit_code == 0

    (copied / "one").rename(copied / "ten")
    result = run("evaluate", model, copied, "--partial")
    assert result.exit_code == 2
    assert "1 unknown to the model (ten)" in result.stderr


def test_a_folder_that_is_not_there(run: Run, model: Path) -> None:
    result = run("evaluate", model, "gone")
    assert result.exit_code == 2
    assert result.stderr.startswith("nbdt: gone: there is no folder of that name, and no data set")
    assert is_one_sentence(result.stderr)


@pytest.mark.parametrize("command", ["evaluate", "report", "calibrate"])
def test_a_data_set_can_be_named(command: str, run: Run, own: Path) -> None:
    result = run(command, own, "digits", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["samples"] == 450
    result = run(command, own, "digits", "--partial")
    assert result.exit_code == 2
    assert "digits: --partial goes with a folder" in result.stderr
    assert is_one_sentence(result.stderr)


def test_images_of_a_data_set_are_called_by_their_place(run: Run, model: Path) -> None:
    document = json.loads(run("evaluate", model, "digits", "--json").stdout)
    assert document["images"]
    places = load_dataset("digits").indices
    for place, name in document["images"].items():
        assert name == f"sample {places[int(place)]}"
    half = json.loads(run("evaluate", model, "digits", "--part", "2/2", "--json").stdout)
    places = load_dataset("digits").parts(2)[1].indices
    assert half["samples"] == len(places) == 225
    assert all(name == f"sample {places[int(i)]}" for i, name in half["images"].items())


def test_a_folder_may_have_parts(run: Run, model: Path, copied: Path, tmp_path: Path) -> None:
    copied.rename(tmp_path / "test")
    (tmp_path / "data").mkdir()
    (tmp_path / "test").rename(tmp_path / "data" / "test")
    result = run("evaluate", model, "data")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "test/" in result.stdout


def test_the_device_can_be_chosen(run: Run, model: Path, images: Path) -> None:
    told = run("evaluate", model, images, "--device", "cpu")
    assert (told.exit_code, told.stderr) == (0, "")
    for name, said in (("gpu", "such as cpu, cuda or cuda:1; got 'gpu'"),
                       ("cuda:99", "--device cuda:99: there is no such device here")):  # fmt: skip
        result = run("evaluate", model, images, "--device", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr
        assert is_one_sentence(result.stderr)


def test_an_answer_of_nan_fails_for_its_image_only(
    run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = NBDT.logits
    brightest = max(
        float(x.mean())
        for x, _ in ImageFolder(images, NBDT.from_pretrained(model).preprocessing)  # type: ignore[misc,arg-type]
    )

    def poisoned(self: NBDT, x: Tensor) -> Tensor:
        bad = x.mean(dim=(1, 2, 3))[:, None] > brightest - 1e-6
        return torch.where(bad, torch.nan, logits(self, x))

    monkeypatch.setattr(NBDT, "logits", poisoned)
    result = run("evaluate", model, images, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["samples"] == 19
    assert "the network's answer to it holds NaN or infinity" in result.stderr


def test_folders_may_be_called_by_wnid(run: Run, tmp_path: Path, images: Path) -> None:
    """As those of ImageNet are; the model here has CIFAR-10's classes."""
    torch.manual_seed(0)
    network = build("nbdt:small-cnn", num_classes=10)
    tree = load_hierarchy("cifar10/wordnet")
    preprocessing = Preprocessing(mode="L", resize=(28, 28))
    NBDT(network, tree, preprocessing=preprocessing).save_pretrained(tmp_path / "cifar")
    for place, info in enumerate(load_classes("cifar10")):
        shutil.copytree(sorted(images.iterdir())[place], tmp_path / "data" / info.wnid)
    result = run("evaluate", tmp_path / "cifar", tmp_path / "data")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "/20" in result.stdout


@pytest.fixture
def own(model: Path, tmp_path: Path) -> Path:
    """The model in a folder that may be changed."""
    shutil.copytree(model, tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.parametrize("options", [(), ("--per-node",)])
def test_a_temperature_is_fitted_and_saved(
    run: Run, own: Path, images: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = NBDT.from_pretrained(own)
    loaded.provenance["data"] = "noise"
    loaded.save_pretrained(own)
    samples = ImageFolder(images, loaded.preprocessing, classes=loaded.classes)  # type: ignore[arg-type]
    before = evaluate(loaded, samples)
    # So few images would leave the nodes alone.
    monkeypatch.setitem(fit_temperature_to_logits.__kwdefaults__, "min_samples", 5)
    fitted = fit_temperature(loaded, samples, per_node=bool(options), min_samples=5)
    assert bool(fitted.temperature.nodes) == bool(options)

    result = run("evaluate", own, images, "--fit-temperature", *options, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    again = NBDT.from_pretrained(own)
    assert document["temperature"] == again.temperature.to_dict() != Temperature().to_dict()
    assert again.temperature.value == pytest.approx(fitted.temperature.value, rel=1e-4)
    assert again.temperature.nodes == pytest.approx(dict(fitted.temperature.nodes), rel=1e-4)
    assert again.provenance["data"] == "noise"
    assert again.provenance["temperature"]["data"] == str(images)
    assert again.provenance["temperature"]["samples"] == 20
    assert again.provenance["temperature"]["fingerprint"] == fitted.fingerprint
    assert again.provenance["temperature"]["part"] is None
    errors = document["fitted"]["calibration_errors"]
    assert errors["before"]["answer"] == pytest.approx(before.calibration.answer.error, rel=1e-3)
    assert errors["after"]["answer"] == document["calibration"]["answer"]["error"]
    # Fitted again it is what it is; and it is what is then measured by.
    result = run("evaluate", own, images, "--fit-temperature", *options)
    assert f"Saved in {own}." in result.stdout
    assert "the samples that it was fitted to, which flatters it" in " ".join(result.stdout.split())
    measured = json.loads(run("evaluate", own, images, "--json").stdout)
    assert measured["temperature"] == document["temperature"]
    assert measured["calibration"] == document["calibration"]


def test_a_calibration_at_another_temperature_is_pointed_at(
    run: Run, own: Path, images: Path
) -> None:
    (own / "calibration.json").write_text("{}")
    result = run("evaluate", own, images, "--fit-temperature")
    assert result.exit_code == 0
    assert "was calibrated at another temperature; calibrate it again" in result.stderr


def test_per_node_is_no_option_by_itself(run: Run, model: Path, images: Path) -> None:
    result = run("evaluate", model, images, "--per-node")
    assert result.exit_code == 2
    assert "add --fit-temperature" in result.stderr
    assert is_one_sentence(result.stderr)


def test_explanations_are_checked_where_asked(run: Run, model: Path, copied: Path) -> None:
    (copied / "five" / "1.png").write_bytes(b"no image")
    result = run("evaluate", model, copied, "--faithfulness", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)["faithfulness"]
    (copied / "five" / "1.png").unlink()
    loaded = NBDT.from_pretrained(model)
    samples = ImageFolder(copied, loaded.preprocessing, classes=loaded.classes)  # type: ignore[arg-type]
    found = evaluate_faithfulness(loaded, samples)
    assert document == json.loads(json.dumps(found.to_dict()))
    assert str(found) in run("evaluate", model, copied, "--faithfulness").stdout


# ── images of other classes ───────────────────────────────────────────────────────────────────


def test_images_of_no_class_are_told_from_others(
    run: Run, own: Path, copied: Path, tmp_path: Path
) -> None:
    (tmp_path / "noise").mkdir()
    for shade in (0, 60, 255):
        Image.new("L", (9, 9), shade).save(tmp_path / "noise" / f"{shade}.png")
    (tmp_path / "noise" / "none.png").write_bytes(b"no image")
    result = run("evaluate", own, copied, "--unknown", "noise", "--json")
    document = json.loads(result.stdout)
    loaded = NBDT.from_pretrained(own)
    known = ImageFolder(copied, loaded.preprocessing, classes=loaded.classes)  # type: ignore[arg-type]
    pictures = [Image.new("L", (9, 9), shade) for shade in (0, 255, 60)]
    unknown = LabelledImages(pictures, [0] * 3, ["none"], loaded.preprocessing)  # type: ignore[arg-type]
    expected = evaluate_ood(loaded, known, unknown)
    assert document["outliers"] == {"data": "noise", **expected.to_dict()}
    assert (result.exit_code, list(document["failed"])) == (1, ["noise/none.png"])
    assert str(expected) in run("evaluate", own, copied, "--unknown", "noise").stdout

    # At a new temperature paths are less sure.
    fitted = json.loads(
        run("evaluate", own, copied, "--unknown", "digits", "--fit-temperature", "--json").stdout
    )
    again = json.loads(run("evaluate", own, copied, "--unknown", "digits", "--json").stdout)
    assert fitted["outliers"] == again["outliers"]
    assert (again["outliers"]["known"], again["outliers"]["unknown"]) == (20, 450)


@pytest.fixture
def eight(tmp_path: Path, copied: Path) -> Path:
    """The folder of a model that knows eight of the ten digits, which "data" has images of."""
    tree = restrict(load_hierarchy("digits/shape"), [n for n in DIGITS if n not in ("six", "two")])
    torch.manual_seed(0)
    network = build("nbdt:digits-cnn", num_classes=8)
    steps = Preprocessing(mode="L", resize=(8, 8))
    model = NBDT(network, tree, "mean", preprocessing=steps, temperature=Temperature(2.0))
    model.save_pretrained(tmp_path / "eight")
    for name in ("six", "two"):
        shutil.rmtree(copied / name)
    return tmp_path / "eight"


def test_nodes_are_judged_on_classes_that_the_network_never_saw(run: Run, eight: Path) -> None:
    options = ("--unseen", "digits", "--taxonomy", "digits/shape")
    result = run("evaluate", eight, "data", *options, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)["superclasses"]
    loaded = NBDT.from_pretrained(eight)
    images = load_dataset("digits").filter_classes(["six", "two"])
    images = images.with_preprocessing(loaded.preprocessing)  # type: ignore[arg-type]
    nodes = nodes_of_unseen(loaded.hierarchy, load_hierarchy("digits/shape"), images.classes)
    expected = evaluate_unseen(loaded, images, nodes)
    assert {row.name for row in expected.rows} == {"six", "two"}
    assert document == {"data": "digits", "taxonomy": "digits/shape", **expected.to_dict()}
    told = run("evaluate", eight, "data", *options).stdout
    assert f"Classes that the network never saw\n{expected}" in told


def test_unseen_classes_may_be_folders_called_by_wnid_or_without_a_slash(
    run: Run, eight: Path, images: Path, tmp_path: Path
) -> None:
    digits = load_hierarchy("digits/shape")
    new = {"six": "six/6", "two": "deux"}
    names = [new.get(name, name) for name in digits.names]
    attributes = {DIGITS.index("two"): {"wnid": "n12345678"}}
    tree = Hierarchy(digits.parents, names, attributes=attributes)
    save_hierarchy(tree, tmp_path / "tree.json")
    for old, called in (("six", "six_6"), ("two", "n12345678")):
        shutil.copytree(images / old, tmp_path / "more" / called)
    (tmp_path / "more" / "six_6" / "0.png").write_bytes(b"no image")
    options = ("--unseen", "more", "--taxonomy", "tree.json", "--json")
    result = run("evaluate", eight, "data", *options)
    document = json.loads(result.stdout)
    assert {row["name"] for row in document["superclasses"]["rows"]} == {"six/6", "deux"}
    assert (result.exit_code, list(document["failed"])) == (1, ["more/six_6/0.png"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--unseen", "digits"), "use --unseen and --taxonomy together"),
        (("--taxonomy", "digits/shape"), "use --unseen and --taxonomy together"),
        (("--unseen", "data", "--taxonomy", "digits/shape"),
         "the model has all of these classes; none of them is unseen"),
        (("--unseen", "digits", "--taxonomy", "cifar10/wordnet"),
         "the taxonomy has none of the tree's classes"),
        (("--unseen", "gone", "--taxonomy", "digits/shape"), "gone: there is no folder"),
        (("--unknown", "gone"), "gone: there is no folder"),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_refused_at_once(
    options: tuple[str, ...], said: str, run: Run, eight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NBDT, "logits", None)  # nothing is answered before
    result = run("evaluate", eight, "data", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
