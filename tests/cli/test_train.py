import json
import shutil
from pathlib import Path

import pytest
import torch

from nbdt.data import load_dataset
from nbdt.model import NBDT
from tests.cli.conftest import Run, is_one_sentence

SCRATCH = ("train", "nbdt:digits-cnn", "digits", "--loss", "cross-entropy", "--epochs", 1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty digits as files, a subfolder a class."""
    digits = load_dataset("digits", "test").subset(80)
    top = tmp_path_factory.mktemp("photographs")
    for index in range(len(digits)):
        folder = top / digits.classes[digits.targets[index]]
        folder.mkdir(exist_ok=True)
        digits.image(index).save(folder / f"{index}.png")
    return top


def test_a_network_is_trained_from_scratch_and_then_tuned(run: Run, tmp_path: Path) -> None:
    result = run(*SCRATCH, "--epochs", 3, "--learning-rate", 0.1, "-o", "start")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert "On the test images:" in lines
    assert lines[-1] == "Wrote start/last. Go on with: nbdt explain start/last IMAGE …"
    start = NBDT.from_pretrained("start/last")
    assert start.score == "logsumexp"
    assert (start.preprocessing is not None, start.classes[1]) == (True, "one")

    options = ("--epochs", 1, "--tree-weight", "1:5", "--json")
    result = run("train", "start/last", "digits", *options, "-o", "tuned")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["model"], len(told["epochs"]), told["test"]["samples"]) == ("tuned/last", 1, 450)
    tuned = NBDT.from_pretrained(told["model"])
    assert tuned.score == "mean"
    assert tuned.hierarchy == start.hierarchy
    config = tuned.provenance["training"]["config"]
    assert config["tree_weight"] == {"start": 1.0, "end": 5.0, "power": 1.0}
    assert not torch.equal(tuned.network.linear.weight, start.network.linear.weight)
    assert {"best", "last", "log.csv", "checkpoint.safetensors"} == {
        path.name for path in (tmp_path / "tuned").iterdir()
    }


def test_the_tree_of_a_network_from_scratch_is_that_of_its_last_weights(run: Run) -> None:
    import nbdt

    assert run(*SCRATCH, "--hold-out", 0, "-o", "start").exit_code == 0
    model = NBDT.from_pretrained("start/last")
    assert model.hierarchy == nbdt.induce(model.network, model.classes)
    assert not Path("start/best").exists()


def test_every_accuracy_is_that_of_the_tree_of_those_weights(run: Run) -> None:
    """And not that of a tree of random weights, which nobody gets."""
    import nbdt
    from nbdt.evaluation import accuracy_by_rule
    from nbdt.run import answers

    options = ("--epochs", 2, "--learning-rate", 0.05, "--hold-out", 0.3, "--no-augment", "--json")
    result = run(*SCRATCH, *options, "-o", "start")
    assert result.exit_code == 0, result.stderr
    told = {epoch["epoch"]: epoch["accuracy"] for epoch in json.loads(result.stdout)["epochs"]}
    held_out = load_dataset("digits", "train").split(0.3, seed=0)[1]
    for name in ("best", "last"):
        model = NBDT.from_pretrained(f"start/{name}")
        assert model.hierarchy == nbdt.induce(model.network, model.classes)
        training = model.provenance["training"]
        images = held_out.with_preprocessing(model.preprocessing)
        table = accuracy_by_rule(answers(model, images).pairs(), model.hierarchy)
        for rule in ("soft", "hard"):
            found = table.row(rule, "mean").accuracy
            assert training["accuracy"][f"{rule} mean"] == pytest.approx(found, abs=2 / 404)
        assert told[training["epoch"]] == training["accuracy"]


def test_settings_without_an_option(run: Run) -> None:
    settings = ["--set", "optimizer=adamw", "--set", "average=0.9", "--set", "branching=3"]
    assert run(*SCRATCH, "--head-multiplier", 3, *settings, "-o", "run").exit_code == 0
    config = NBDT.from_pretrained("run/last").provenance["training"]["config"]
    assert (config["optimizer"], config["average"], config["branching"]) == ("adamw", 0.9, 3)
    assert config["head_multiplier"] == 3.0


RAMP = {"start": 1.0, "end": 0.5, "power": 1.0}


@pytest.mark.parametrize(("options", "expected"), [
    (("--tree-weight", "2"), {"tree_weight": 2.0, "network_weight": 1.0}),
    (("--tree-weight", "1:0.5"), {"tree_weight": RAMP}),
    (("--tree-weight", "1:0.5:2"), {"tree_weight": RAMP | {"power": 2.0}}),
    (("--set", "network_weight=1:0.5"), {"network_weight": RAMP}),
    (("--set", "network_weight=1:0.5:3"), {"network_weight": RAMP | {"power": 3.0}}),
    (("--set", 'network_weight={"start": 1, "end": 0.5}'), {"network_weight": RAMP}),
    (("--set", "network_weight=0.25"), {"network_weight": 0.25}),
    (("--set", "patience=null"), {"patience": None}),
], ids=str)  # fmt: skip
def test_weights_that_change(
    options: tuple[str, str], expected: dict[str, object], run: Run, model: Path
) -> None:
    result = run("train", model, "digits", "--epochs", 1, *options, "--head-only", "-o", "run")
    assert result.exit_code == 0, result.stderr
    config = NBDT.from_pretrained("run/last").provenance["training"]["config"]
    assert {name: config[name] for name in expected} == expected


def test_a_training_is_resumed_to_the_same_weights(run: Run, tmp_path: Path) -> None:
    options = (*SCRATCH, "--epochs", 2, "--set", "checkpoint_every=4")
    assert run(*options, "-o", "whole").exit_code == 0
    assert run(*options, "-o", "whole").exit_code == 2
    assert run(*options, "-o", "whole", "--resume").exit_code == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "other")
    changed = run(*options, "--seed", 1, "-o", "other", "--resume")
    assert "seed is 0 there, 1 here" in changed.stderr


def test_a_training_does_not_go_on_with_other_images(
    run: Run, model: Path, photographs: Path, tmp_path: Path
) -> None:
    shutil.copytree(photographs, tmp_path / "images")
    options = ("train", model, "images", "--epochs", 1, "--hold-out", 0.2, "-o", "run")
    assert run(*options).exit_code == 0
    assert run(*options, "--resume").exit_code == 0
    unchanged = run(*options, "--resume", "--no-augment")
    assert (unchanged.exit_code, is_one_sentence(unchanged.stderr)) == (2, True)
    assert "augmentation.flip is True there, False here" in unchanged.stderr
    other_picture = next((photographs / "two").iterdir()).read_bytes()
    for path in (tmp_path / "images" / "one").iterdir():
        path.write_bytes(other_picture)
    other = run(*options, "--resume")
    assert (other.exit_code, is_one_sentence(other.stderr)) == (2, True)
    assert "images is '" in other.stderr


def test_the_head_alone_is_trained_on_unchanged_images(
    run: Run, model: Path, photographs: Path
) -> None:
    options = ("train", model, photographs, "--epochs", 1, "--hold-out", 0.2, "--head-only")
    assert run(*options, "-o", "one").exit_code == 0
    assert run(*options, "--no-augment", "-o", "other").exit_code == 0
    one, other = (NBDT.from_pretrained(f"{name}/last").network for name in ("one", "other"))
    assert torch.equal(one.linear.weight, other.linear.weight)


def test_a_given_tree_takes_the_place_of_the_models(run: Run, model: Path) -> None:
    result = run("train", model, "digits", "--epochs", 1, "--tree", "balanced.json", "-o", "run")
    assert is_one_sentence(result.stderr)
    assert run("tree", "build", "shape", "balanced", "--classes", "digits", "-o", "balanced.json")
    result = run("train", model, "digits", "--epochs", 1, "--tree", "balanced.json", "-o", "run")
    assert result.exit_code == 0, result.stderr
    assert NBDT.from_pretrained("run/last").hierarchy.height(18) == 4


def test_a_folder_of_images_has_no_test_images_of_its_own(
    run: Run, model: Path, photographs: Path
) -> None:
    result = run("train", model, photographs, "--epochs", 1, "--hold-out", 0.2, "-o", "run")
    assert result.exit_code == 0, result.stderr
    assert "no test images" in result.stderr
    assert "On the test images" not in result.stdout


def test_a_folder_with_parts_is_trained_on_one_and_tested_on_the_other(
    run: Run, model: Path, photographs: Path, tmp_path: Path
) -> None:
    shutil.copytree(photographs, tmp_path / "parts" / "train")
    shutil.copytree(photographs, tmp_path / "parts" / "test")
    options = ("--epochs", 1, "--hold-out", 0, "--no-augment", "--head-only")
    result = run("train", model, "parts", *options, "-o", "run")
    assert result.exit_code == 0, result.stderr
    assert "80 samples, 10 classes" in result.stdout


def test_a_class_may_be_called_train(run: Run, photographs: Path, tmp_path: Path) -> None:
    """And six images a class leave one of each for the tenth that is held out."""
    for name, own in (("zero", "car"), ("one", "plane"), ("two", "train")):
        (tmp_path / "vehicles" / own).mkdir(parents=True)
        for path in sorted((photographs / name).iterdir())[:6]:
            shutil.copy(path, tmp_path / "vehicles" / own)
    scratch = ("train", "torchvision:shufflenet_v2_x0_5", "vehicles", "--loss", "cross-entropy")
    result = run(*scratch, "--epochs", 1, "-o", "run")
    assert result.exit_code == 0, result.stderr
    best = NBDT.from_pretrained("run/best")
    assert best.classes == ("car", "plane", "train")
    for name in ("car", "plane", "train"):
        for path in sorted((tmp_path / "vehicles" / name).iterdir())[1:]:
            path.unlink()
    single = run(*scratch, "--epochs", 1, "-o", "other")
    assert (single.exit_code, is_one_sentence(single.stderr)) == (2, True)
    assert "--hold-out 0 trains on all images." in single.stderr
    assert run(*scratch, "--epochs", 1, "--hold-out", 0, "-o", "other").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "digits"), "this model folder does not exist"),
        (("nbdt:digits-cnn", "digits"), "the first weights of a network are random"),
        (("nbdt:digits-cnn", "diggits"), "did you mean 'digits'"),
        (("nbdt:digits-cnn", "digits", "--hold-out", 1), "--hold-out takes a share"),
        (("nbdt:digits-cnn", "digits", "--set", "lr=1"), "--set takes NAME=VALUE"),
        (("nbdt:digits-cnn", "digits", "--set", "optimizer"), "--set takes NAME=VALUE"),
        (("nbdt:digits-cnn", "digits", "--set", "optimizer=lion"), "optimizer: Input should be"),
        (("nbdt:digits-cnn", "digits", "--tree-weight", "much"), "--tree-weight is a number"),
        (("nbdt:digits-cnn", "digits", "--tree-weight", "1:2:3:4"), "START:END:POWER"),
        (("nbdt:digits-cnn", "digits", "--set", "network_weight=a:b"), "--set network_weight is a"),
        (("nbdt:digits-cnn", "digits", "--set", "score=logsumexp"), "train on it twice"),
        (("nbdt:digits-cnn", "digits", "--tree", "cifar10/wordnet"), "the tree"),
        (("nbdt:digits-cnn", "digits", "--tree", "digits/shape", "--device", "abacus"), "--device"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    arguments: tuple[object, ...], said: str, run: Run
) -> None:
    result = run("train", *arguments, "-o", "run")
    assert (result.exit_code, is_one_sentence(result.stderr)) == (2, True), result.stderr
    assert said in result.stderr
    assert not Path("run").exists()


def test_classes_in_another_order_are_refused(run: Run, model: Path, photographs: Path) -> None:
    result = run("train", model, "fashion_mnist", "-o", "run")
    assert (result.exit_code, is_one_sentence(result.stderr)) == (2, True)
    (photographs / "zero").rename(photographs / "nought")
    result = run("train", model, photographs, "-o", "run")
    assert "nought" in result.stderr
    (photographs / "nought").rename(photographs / "zero")
