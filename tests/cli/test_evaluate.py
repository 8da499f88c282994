import json
import shutil

import pytest
import torch
from PIL import Image

from nbdt.classifiers import build
from nbdt.data import LabelledImages, load_dataset
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
from nbdt.pretrained import put_beside
from nbdt.rules import Temperature
from tests.cli.conftest import SHAPE, STEPS, changed, is_one_sentence, refused, samples_of


def test_it_says_what_the_library_does(run, ask, model, images):
    samples = samples_of(model, images)
    found = evaluate(NBDT.from_pretrained(model), samples, batch_size=32)
    assert found.samples == 20
    result = run("evaluate", model, images, "--device", "cpu")
    assert (result.exit_code, result.stderr) == (0, "")
    names = [str(path.relative_to(images)) for path, _ in samples.samples]
    assert result.stdout == f"{found.to_text(sample_name=names.__getitem__)}\n"
    assert any(name in result.stdout for name in names)
    paths = {str(place): str(samples.samples[place][0]) for place in found.examples()}
    assert ask("evaluate", model, images) == {
        "model": str(model), "data": str(images), **found.to_dict(), "images": paths, "failed": {}
    }  # fmt: skip


def test_more_or_less_is_said_as_asked(run, model, images):
    def lines(*options):
        return run("evaluate", model, images, *options).stdout.splitlines()

    assert len(lines("--rows", 1)) < len(lines()) < len(lines("--full"))
    assert "Reliability of the answers" in lines("--full")
    assert run("evaluate", model, images, "--rows", -1).exit_code == 2


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_the_answers_of_either_rule_can_be_judged(rule, ask, model, images):
    document = ask("evaluate", model, images, "--rule", rule)
    assert document["rule"] == rule
    row = next(r for r in document["rows"] if (r["rule"], r["score"]) == (rule, "logsumexp"))
    assert document["mistakes"]["count"] == row["samples"] - row["correct"]


def test_an_image_that_cannot_be_read_is_named_and_left_out(run, model, copied):
    bad = copied / "five" / "2.png"
    bad.write_bytes(b"no image")
    result = run("evaluate", model, copied, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["samples"]) == (1, 20)
    assert list(document["failed"]) == [str(bad)]
    assert document["failed"][str(bad)].startswith("this is not an image")
    # Samples are still called by their own places, past the one left out.
    assert set(document["images"].values()) == {
        str(one) for one in {*copied.rglob("*.png")} - {bad}
    }
    assert is_one_sentence(result.stderr)
    assert result.stderr.count("2.png") == 1

    for path in copied.rglob("*.png"):
        path.write_bytes(b"no image")
    result = run("evaluate", model, copied)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 22
    assert result.stderr.endswith("data: none of its 21 images could be used.\n")


def test_folders_that_are_not_the_classes_are_refused(run, model, copied):
    shutil.rmtree(copied / "nine")
    refused(run("evaluate", model, copied), "1 without a subfolder (nine)")
    assert run("evaluate", model, copied, "--partial").exit_code == 0
    (copied / "one").rename(copied / "ten")
    refused(run("evaluate", model, copied, "--partial"), "1 unknown to the model (ten)")


@pytest.mark.parametrize("command", ["evaluate", "report", "calibrate"])
def test_a_data_set_can_be_named(command, run, ask, own):
    assert ask(command, own, "digits")["samples"] == 450
    refused(run(command, own, "digits", "--partial"), "digits: --partial goes with a folder")


def test_images_of_a_data_set_are_called_by_their_place(ask, model):
    for options, part in (((), 0), (("--part", "2/2"), 1)):
        document = ask("evaluate", model, "digits", *options)
        of = load_dataset("digits")
        places = of.parts(2)[1].indices if part else of.indices
        assert document["images"]
        assert document["samples"] == len(places)
        for place, name in document["images"].items():
            assert name == f"sample {places[int(place)]}"


def test_a_folder_may_have_parts(run, model, images, tmp_path):
    shutil.copytree(images, tmp_path / "data" / "test")
    result = run("evaluate", model, "data")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "test/" in result.stdout


def test_an_answer_of_nan_fails_for_its_image_only(run, model, images, monkeypatch):
    logits = NBDT.logits
    brightest = max(float(x.mean()) for x, _ in samples_of(model, images))

    def poisoned(self, x):
        bad = x.mean(dim=(1, 2, 3))[:, None] > brightest - 1e-6
        return torch.where(bad, torch.nan, logits(self, x))

    monkeypatch.setattr(NBDT, "logits", poisoned)
    result = run("evaluate", model, images, "--json")
    assert (result.exit_code, json.loads(result.stdout)["samples"]) == (1, 19)
    assert "the network's answer to it holds NaN or infinity" in result.stderr


def test_folders_may_be_called_by_wnid(run, tmp_path, images):
    """As those of ImageNet are; the model here has CIFAR-10's classes."""
    torch.manual_seed(0)
    steps = Preprocessing(mode="L", resize=(28, 28))
    network = build("nbdt:small-cnn", num_classes=10)
    NBDT(network, load_hierarchy("cifar10/wordnet"), preprocessing=steps).save_pretrained("cifar")
    for place, info in enumerate(load_classes("cifar10")):
        shutil.copytree(sorted(images.iterdir())[place], tmp_path / "data" / info.wnid)
    result = run("evaluate", "cifar", "data")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "/20" in result.stdout


@pytest.mark.parametrize("options", [(), ("--per-node",)])
def test_a_temperature_is_fitted_and_saved(run, ask, own, images, options, monkeypatch):
    changed(own, provenance={"data": "noise"})
    loaded, samples = NBDT.from_pretrained(own), samples_of(own, images)
    before = evaluate(loaded, samples)
    # So few images would leave the nodes alone.
    monkeypatch.setitem(fit_temperature_to_logits.__kwdefaults__, "min_samples", 5)
    fitted = fit_temperature(loaded, samples, per_node=bool(options), min_samples=5)
    assert bool(fitted.temperature.nodes) == bool(options)

    document = ask("evaluate", own, images, "--fit-temperature", *options)
    again = NBDT.from_pretrained(own)
    assert document["temperature"] == again.temperature.to_dict() != Temperature().to_dict()
    assert again.temperature.value == pytest.approx(fitted.temperature.value, rel=1e-4)
    assert again.temperature.nodes == pytest.approx(dict(fitted.temperature.nodes), rel=1e-4)
    assert again.provenance["data"] == "noise"
    expected = {"data": str(images), "samples": 20, "fingerprint": fitted.fingerprint, "part": None}
    assert again.provenance["temperature"].items() >= expected.items()
    errors = document["fitted"]["calibration_errors"]
    assert errors["before"]["answer"] == pytest.approx(before.calibration.answer.error, rel=1e-3)
    assert errors["after"]["answer"] == document["calibration"]["answer"]["error"]
    # Fitted again it is what it is; and it is what is then measured by.
    put_beside(own, "calibration.json", {})
    result = run("evaluate", own, images, "--fit-temperature", *options)
    assert f"Saved in {own}." in result.stdout
    assert "the samples that it was fitted to, which flatters it" in " ".join(result.stdout.split())
    assert "was calibrated at another temperature; calibrate it again" in result.stderr
    measured = ask("evaluate", own, images)
    assert measured["temperature"] == document["temperature"]
    assert measured["calibration"] == document["calibration"]


def test_explanations_are_checked_where_asked(run, model, copied):
    (copied / "five" / "1.png").write_bytes(b"no image")
    result = run("evaluate", model, copied, "--faithfulness", "--json")
    assert result.exit_code == 1
    (copied / "five" / "1.png").unlink()
    found = evaluate_faithfulness(NBDT.from_pretrained(model), samples_of(model, copied))
    assert json.loads(result.stdout)["faithfulness"] == json.loads(json.dumps(found.to_dict()))
    assert str(found) in run("evaluate", model, copied, "--faithfulness").stdout


# ── images of other classes ───────────────────────────────────────────────────────────────────


def test_images_of_no_class_are_told_from_others(run, ask, own, images, tmp_path):
    (tmp_path / "noise").mkdir()
    pictures = {shade: Image.new("L", (9, 9), shade) for shade in (0, 255, 60)}
    for shade, picture in pictures.items():
        picture.save(tmp_path / "noise" / f"{shade}.png")
    (tmp_path / "noise" / "none.png").write_bytes(b"no image")
    result = run("evaluate", own, images, "--unknown", "noise", "--json")
    document = json.loads(result.stdout)
    unknown = LabelledImages([*pictures.values()], [0] * 3, ["none"], STEPS)
    expected = evaluate_ood(NBDT.from_pretrained(own), samples_of(own, images), unknown)
    assert document["outliers"] == {"data": "noise", **expected.to_dict()}
    assert (result.exit_code, list(document["failed"])) == (1, ["noise/none.png"])
    assert str(expected) in run("evaluate", own, images, "--unknown", "noise").stdout
    # At a new temperature paths are less sure.
    options = ("evaluate", own, images, "--unknown", "digits")
    fitted, again = (ask(*options, *more)["outliers"] for more in (["--fit-temperature"], []))
    assert fitted == again
    assert (again["known"], again["unknown"]) == (20, 450)


@pytest.fixture
def eight(tmp_path, copied):
    """The folder of a model that knows eight of the ten digits, which "data" has images of."""
    tree = restrict(SHAPE, [name for name in SHAPE.classes if name not in ("six", "two")])
    torch.manual_seed(0)
    network = build("nbdt:digits-cnn", num_classes=8)
    model = NBDT(network, tree, "mean", preprocessing=STEPS, temperature=Temperature(2.0))
    model.save_pretrained(tmp_path / "eight")
    for name in ("six", "two"):
        shutil.rmtree(copied / name)
    return tmp_path / "eight"


def test_nodes_are_judged_on_classes_that_the_network_never_saw(run, ask, eight):
    options = ("evaluate", eight, "data", "--unseen", "digits", "--taxonomy", "digits/shape")
    loaded = NBDT.from_pretrained(eight)
    images = load_dataset("digits").filter_classes(["six", "two"]).with_preprocessing(STEPS)
    nodes = nodes_of_unseen(loaded.hierarchy, SHAPE, images.classes)
    expected = evaluate_unseen(loaded, images, nodes)
    assert {row.name for row in expected.rows} == {"six", "two"}
    assert ask(*options)["superclasses"] == {
        "data": "digits", "taxonomy": "digits/shape", **expected.to_dict()
    }  # fmt: skip
    assert f"Classes that the network never saw\n{expected}" in run(*options).stdout


def test_unseen_classes_may_be_folders_called_by_wnid_or_without_a_slash(
    run, eight, images, tmp_path
):
    new = {"six": "six/6", "two": "deux"}
    names = [new.get(name, name) for name in SHAPE.names]
    attributes = {SHAPE.classes.index("two"): {"wnid": "n12345678"}}
    save_hierarchy(Hierarchy(SHAPE.parents, names, attributes=attributes), tmp_path / "tree.json")
    for old, called in (("six", "six_6"), ("two", "n12345678")):
        shutil.copytree(images / old, tmp_path / "more" / called)
    (tmp_path / "more" / "six_6" / "0.png").write_bytes(b"no image")
    options = ("--unseen", "more", "--taxonomy", "tree.json", "--json")
    result = run("evaluate", eight, "data", *options)
    document = json.loads(result.stdout)
    assert {row["name"] for row in document["superclasses"]["rows"]} == {"six/6", "deux"}
    assert (result.exit_code, list(document["failed"])) == (1, ["more/six_6/0.png"])


@pytest.mark.parametrize(("options", "said"), [
    (("--unseen", "digits"), "use --unseen and --taxonomy together"),
    (("--taxonomy", "digits/shape"), "use --unseen and --taxonomy together"),
    (("--unseen", "data", "--taxonomy", "digits/shape"), "none of them is unseen"),
    (("--unseen", "digits", "--taxonomy", "cifar10/wordnet"), "has none of the tree's classes"),
    (("--unseen", "gone", "--taxonomy", "digits/shape"), "gone: no folder has that name"),
    (("--unknown", "gone"), "gone: no folder has that name"),
    (("--per-node",), "add --fit-temperature"),
    (("--device", "gpu"), "such as cpu, cuda or cuda:1; got 'gpu'"),
    (("--device", "cuda:99"), "--device cuda:99: this machine has no such device"),
], ids=str)  # fmt: skip
def test_what_is_of_no_use_is_refused_at_once(options, said, run, eight, monkeypatch):
    monkeypatch.setattr(NBDT, "logits", None)  # nothing is answered before
    refused(run("evaluate", eight, "data", *options), said)
    refused(run("evaluate", eight, "gone"), "nbdt: gone: no folder has that name, and no")
