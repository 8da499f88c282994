import shutil
from pathlib import Path

import pytest
import torch

import nbdt
from nbdt.cli import train as command
from nbdt.data import load_dataset
from nbdt.evaluation import accuracy_by_rule
from nbdt.model import NBDT
from nbdt.run import answers
from tests.cli.conftest import refused

SCRATCH = ("train", "nbdt:digits-cnn", "digits", "--loss", "cross-entropy", "--epochs", 1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Eighty digits as files, a subfolder a class."""
    digits = load_dataset("digits", "test").subset(80)
    top = tmp_path_factory.mktemp("photographs")
    for index in range(len(digits)):
        folder = top / digits.classes[digits.targets[index]]
        folder.mkdir(exist_ok=True)
        digits.image(index).save(folder / f"{index}.png")
    return top


@pytest.fixture
def train(run):
    """Runs `nbdt train`, which must succeed."""

    def invoke(*arguments):
        result = run("train", *arguments)
        assert result.exit_code == 0, result.stderr
        return result

    return invoke


def config_of(folder):
    return NBDT.from_pretrained(folder).provenance["training"]["config"]


def test_a_network_is_trained_from_scratch_and_then_tuned(train, ask, tmp_path):
    result = train(*SCRATCH[1:], "--epochs", 3, "--learning-rate", 0.1, "-o", "start")
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert "On the test images:" in lines
    assert lines[-1] == "Wrote start/last. Next: nbdt explain start/last IMAGE …"
    start = NBDT.from_pretrained("start/last")
    assert start.score == "logsumexp"
    assert (start.preprocessing is not None, start.classes[1]) == (True, "one")

    options = ("--epochs", 1, "--tree-weight", "1:5", "-o", "tuned")
    told = ask("train", "start/last", "digits", *options)
    assert (told["model"], len(told["epochs"]), told["test"]["samples"]) == ("tuned/last", 1, 450)
    tuned = NBDT.from_pretrained(told["model"])
    assert tuned.score == "mean"
    assert tuned.hierarchy == start.hierarchy
    assert config_of("tuned/last")["tree_weight"] == {"start": 1.0, "end": 5.0, "power": 1.0}
    assert not torch.equal(tuned.network.linear.weight, start.network.linear.weight)
    assert {"best", "last", "log.csv", "checkpoint.safetensors"} == {
        path.name for path in (tmp_path / "tuned").iterdir()
    }


def test_settings_without_an_option_and_the_tree_of_the_last_weights(train):
    settings = ["--set", "optimizer=adamw", "--set", "average=0.9", "--set", "branching=3"]
    train(*SCRATCH[1:], "--hold-out", 0, "--head-multiplier", 3, *settings, "-o", "run")
    config = config_of("run/last")
    assert (config["optimizer"], config["average"], config["branching"]) == ("adamw", 0.9, 3)
    assert config["head_multiplier"] == 3.0
    model = NBDT.from_pretrained("run/last")
    assert model.hierarchy == nbdt.induce(model.network, model.classes, branching=3)
    assert not Path("run/best").exists()


def test_every_accuracy_is_that_of_the_tree_of_those_weights(ask):
    """And not that of a tree of random weights, which nobody gets."""
    options = ("--epochs", 2, "--learning-rate", 0.05, "--hold-out", 0.3, "--no-augment")
    document = ask(*SCRATCH, *options, "-o", "start")
    told = {epoch["epoch"]: epoch["accuracy"] for epoch in document["epochs"]}
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
def test_weights_that_change(options, expected, run, model, monkeypatch):
    configs = []

    def begin(tuned, train, val, config, **settings):
        configs.append(config.to_dict())
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fit", begin)
    assert run("train", model, "digits", *options, "-o", "run").exit_code == 130
    assert configs[0].items() >= expected.items()


def test_a_training_is_resumed_as_it_began(run, train, model, photographs, tmp_path):
    shutil.copytree(photographs, tmp_path / "images")
    options = (model, "images", "--epochs", 1, "--hold-out", 0.2, "--set", "checkpoint_every=4")
    told = train(*options, "-o", "run")
    assert "no test images" in told.stderr
    assert "On the test images" not in told.stdout
    again = ("train", *options, "-o", "run")
    refused(run(*again))
    train(*again[1:], "--resume")
    refused(run(*again, "--resume", "--seed", 1), "seed is 0 there, 1 here")
    changed = "augmentation.flip is True there, False here"
    refused(run(*again, "--resume", "--no-augment"), changed)
    other_picture = next((photographs / "two").iterdir()).read_bytes()
    for path in (tmp_path / "images" / "one").iterdir():
        path.write_bytes(other_picture)
    refused(run(*again, "--resume"), "images is '")


def test_the_head_alone_is_trained_on_unchanged_images(train, model, photographs):
    options = (model, photographs, "--epochs", 1, "--hold-out", 0.2, "--head-only")
    train(*options, "-o", "one")
    train(*options, "--no-augment", "-o", "other")
    one, other = (NBDT.from_pretrained(f"{name}/last").network for name in ("one", "other"))
    assert torch.equal(one.linear.weight, other.linear.weight)


def test_a_folder_with_parts_and_a_tree_of_its_own(run, train, model, photographs, tmp_path):
    """One part is trained on, the other tested; a given tree takes the place of the model's."""
    shutil.copytree(photographs, tmp_path / "parts" / "train")
    shutil.copytree(photographs, tmp_path / "parts" / "test")
    options = ("parts", "--epochs", 1, "--hold-out", 0, "--no-augment", "--head-only", "-o", "run")
    refused(run("train", model, *options, "--tree", "balanced.json"), "balanced.json")
    run("tree", "build", "shape", "balanced", "--classes", "digits", "-o", "balanced.json")
    result = train(model, *options, "--tree", "balanced.json")
    assert "80 samples, 10 classes" in result.stdout
    assert NBDT.from_pretrained("run/last").hierarchy.height(18) == 4


def test_a_class_may_be_called_train(run, train, photographs, tmp_path):
    """And six images a class leave one of each for the tenth that is held out."""
    for name, own in (("zero", "car"), ("one", "plane"), ("two", "train")):
        (tmp_path / "vehicles" / own).mkdir(parents=True)
        for path in sorted((photographs / name).iterdir())[:6]:
            shutil.copy(path, tmp_path / "vehicles" / own)
    network = ("torchvision:shufflenet_v2_x0_5", "vehicles", "--head-only")
    scratch = (*network, "--loss", "cross-entropy", "--epochs", 1)
    train(*scratch, "-o", "run")
    assert NBDT.from_pretrained("run/best").classes == ("car", "plane", "train")
    for folder in (tmp_path / "vehicles").iterdir():
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()
    said = "--hold-out 0 trains on all images."
    refused(run("train", *scratch, "-o", "other"), said)
    train(*scratch, "--hold-out", 0, "-o", "other")


CNN = ("nbdt:digits-cnn", "digits")


@pytest.mark.parametrize(("arguments", "said"), [
    (("nowhere", "digits"), "this model folder does not exist"),
    (CNN, "the first weights of a network are random"),
    (("nbdt:digits-cnn", "diggits"), "did you mean 'digits'"),
    ((*CNN, "--hold-out", 1), "--hold-out takes a share"),
    ((*CNN, "--set", "lr=1"), "--set takes NAME=VALUE"),
    ((*CNN, "--set", "optimizer"), "--set takes NAME=VALUE"),
    ((*CNN, "--set", "optimizer=lion"), "optimizer: Input should be"),
    ((*CNN, "--tree-weight", "much"), "--tree-weight is a number"),
    ((*CNN, "--tree-weight", "1:2:3:4"), "START:END:POWER"),
    ((*CNN, "--set", "network_weight=a:b"), "--set network_weight is a"),
    ((*CNN, "--set", "score=logsumexp"), "train on it twice"),
    ((*CNN, "--tree", "cifar10/wordnet"), "the tree"),
    ((*CNN, "--tree", "digits/shape", "--device", "abacus"), "--device"),
])  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(arguments, said, run):
    refused(run("train", *arguments, "-o", "run"), said)
    assert not Path("run").exists()


def test_classes_in_another_order_are_refused(run, model, photographs, tmp_path):
    refused(run("train", model, "fashion_mnist", "-o", "run"))
    renamed = shutil.copytree(photographs, tmp_path / "images")
    (renamed / "zero").rename(renamed / "nought")
    refused(run("train", model, renamed, "-o", "run"), "nought")
