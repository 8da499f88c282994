"""The demo as a whole: what it writes, that it is repeatable, and what it refuses to replace."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nbdt.classifiers import induce
from nbdt.data import open_image
from nbdt.data.digits import load_digits
from nbdt.demo import run, steps, training
from nbdt.demo.steps import choose
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation import accuracy_by_rule
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import rename
from nbdt.model import NBDT


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run(tmp_path_factory.mktemp("demo") / "model")


@pytest.fixture
def quick(monkeypatch):
    """A demo whose network hardly learns."""
    monkeypatch.setattr(training, "EPOCHS", 1)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """The result of a quick demo of the seed 3."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "EPOCHS", 1)
        return run(tmp_path_factory.mktemp("demo") / "hasty", seed=3)


@pytest.fixture
def folder(hasty, tmp_path):
    """The folder of that demo, to be changed."""
    return shutil.copytree(hasty.folder, tmp_path / "taken")


def test_the_network_learned_and_the_tree_keeps_its_accuracy(result):
    assert (result.training_samples, result.accuracy.samples) == (1347, 450)
    assert result.accuracy.network.accuracy > 0.96
    assert result.accuracy.row("soft", "logsumexp").correct == result.accuracy.network.correct
    assert result.seconds < 60
    assert 0 < result.training_seconds < result.seconds


def test_what_was_saved_is_what_is_reported(result):
    model = NBDT.from_pretrained(result.folder)
    _, held_out = load_digits().split(seed=0)
    with torch.no_grad():
        logits = model.logits(held_out.images)
    table = accuracy_by_rule([(logits, held_out.labels)], model.hierarchy)
    assert table == result.accuracy
    assert model.hierarchy == result.hierarchy
    induced = induce(model.network, held_out.classes)
    assert np.array_equal(model.hierarchy.parents, induced.parents)
    assert (model.score, model.rule) == ("logsumexp", "soft")
    assert sum(value.numel() for value in model.parameters()) == result.parameters
    assert model.provenance["accuracy_on_held_out"] == table.to_dict()
    assert model.provenance["seed"] == 0


def test_the_pictures_are_explained_as_the_demo_explains_them(result):
    model = NBDT.from_pretrained(result.folder)
    assert model.preprocessing is not None
    names = sorted(path.name for path in result.images.iterdir())
    assert names == sorted(f"{name}.png" for name in model.classes)
    assert len({digit.image for digit in result.explained}) == 3
    for digit in result.explained:
        assert digit.image == result.images / f"{digit.label_name}.png"
        image = open_image(digit.image, model.preprocessing.mode)
        found = model.explain(model.preprocessing(image)[None])[0]
        assert found.prediction == digit.explanation.prediction
        assert found.probability == pytest.approx(digit.explanation.probability, abs=1e-5)


def test_the_pictures_are_held_out_digits_of_their_class(result):
    model = NBDT.from_pretrained(result.folder)
    assert model.preprocessing is not None
    _, held_out = load_digits().split(seed=0)
    for label, name in enumerate(model.classes):
        tensor = model.preprocessing(open_image(result.images / f"{name}.png", "L"))
        same = (held_out.images == tensor).flatten(1).all(dim=1)
        assert label in held_out.labels[same].tolist()


def test_inner_nodes_are_called_by_their_classes(result):
    tree = result.hierarchy
    assert tree.name(tree.root) == "any digit"
    for node in tree.inner[:-1]:
        assert tree.name(node).split("/") == [tree.name(leaf) for leaf in sorted(tree.leaves(node))]


def test_one_of_the_explained_is_wrong_if_any_is(result):
    assert result.accuracy.network.correct < 450
    assert [digit.correct for digit in result.explained] == [True, True, False]


@pytest.mark.usefixtures("quick")
def test_a_seed_gives_the_same_files_whatever_torch_is_set_to(hasty, tmp_path):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(99)
        before = torch.get_rng_state()
        second = run(tmp_path / "second", seed=3)
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), before)
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    assert hasty.hierarchy == second.hierarchy
    assert hasty.accuracy == second.accuracy
    files = {path.relative_to(hasty.folder) for path in hasty.folder.rglob("*.*")}
    assert len(files) == 14
    for file in files:
        assert (hasty.folder / file).read_bytes() == (second.folder / file).read_bytes()


@pytest.mark.usefixtures("quick")
def test_another_seed_replaces_a_demo_and_leaves_what_others_put_there(folder):
    (folder / "digits" / "mine.png").write_text("mine")
    (folder / "notes.txt").write_text("notes")
    before = (folder / "model.safetensors").read_bytes()
    run(str(folder), seed=2)
    assert (folder / "model.safetensors").read_bytes() != before
    assert NBDT.from_pretrained(folder).provenance["seed"] == 2
    assert (folder / "digits" / "mine.png").read_text() == "mine"
    assert (folder / "notes.txt").read_text() == "notes"


@pytest.mark.usefixtures("quick")
def test_progress_is_told():
    reports = []

    def stop(*report):
        reports.append(report)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("never written", progress=stop)
    assert [report[:2] for report in reports] == [(1, 1)]
    assert not Path("never written").exists()


def other_model(folder):
    shutil.rmtree(folder)
    NBDT(torch.nn.Linear(4, 2), Hierarchy([2, 2, -1], ["cat", "dog"])).save_pretrained(folder)


def damaged_demo(folder):
    (folder / "hierarchy.json").write_text("{}")


def something_else(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "thesis.tex").write_text("…")


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("a file")


@pytest.mark.parametrize("fill", [other_model, damaged_demo, something_else, a_file])
def test_what_no_demo_wrote_is_left_alone(fill, folder):
    fill(folder)
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="taken: this already exists and is not a complete"):
        run(folder, progress=lambda *_: pytest.fail("it was trained all the same"))
    assert before == {p: p.read_bytes() for p in folder.parent.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("quick")
def test_a_file_in_the_place_of_the_pictures_is_refused(folder):
    shutil.rmtree(folder / "digits")
    (folder / "digits").write_text("a file")
    with pytest.raises(InputError, match="digits: the folder cannot be made: File exists"):
        run(folder)


def test_what_no_demo_can_have_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="the folder cannot be read: File name too long"):
        run(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="a seed must be a whole number"):
        run(tmp_path / "model", seed=-1)
    assert list(tmp_path.iterdir()) == []


def nudge_a_weight(model):
    with torch.no_grad():
        bias = model.network.linear.bias
        bias[0] = torch.nextafter(bias[0], torch.tensor(1.0))
    return model


def change_the_tree(model):
    return NBDT(model.network, rename(model.hierarchy, {"zero": "nought"})).eval()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("change", [nudge_a_weight, change_the_tree])
def test_a_model_that_comes_back_otherwise_is_a_defect(change, tmp_path, monkeypatch):
    original = NBDT.from_pretrained
    monkeypatch.setattr(steps.NBDT, "from_pretrained", lambda folder: change(original(folder)))
    with pytest.raises(NBDTError, match="gives other answers than the saved one"):
        run(tmp_path)


def test_the_result_is_a_document(result):
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["folder"] == str(result.folder)
    assert document["held_out_samples"] == 450
    assert document["accuracy"]["rows"][0]["correct"] == result.accuracy.network.correct
    assert [one["correct"] for one in document["explanations"]] == [True, True, False]
    assert document["identical_after_loading"] is True


# ── which are explained ───────────────────────────────────────────────────────────────────────


def log_probs(*rows):
    return torch.tensor(rows).log()


def test_the_three_explained_are_of_different_classes():
    sure, fair, poor = [0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.5, 0.4, 0.1]
    rows = log_probs(sure, fair, poor, sure[::-1], sure, [0.05, 0.9, 0.05], fair)
    labels = torch.tensor([0, 0, 0, 2, 1, 1, 1])
    assert choose(rows, labels) == {
        3: "correct",
        2: "correct, with the least confidence",
        4: "classified incorrectly",
    }


def test_where_none_is_wrong_another_unsure_one_is_explained():
    rows = log_probs([0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.3, 0.1, 0.6], [0.0, 0.0, 1.0])
    assert choose(rows, torch.tensor([0, 1, 2, 2])) == {
        1: "correct, with little confidence",
        0: "correct",
        2: "correct, with the least confidence",
    }


def test_where_all_are_wrong_one_is_explained():
    assert choose(log_probs([0.9, 0.1], [0.8, 0.2]), torch.tensor([1, 1])) == {
        0: "classified incorrectly"
    }
