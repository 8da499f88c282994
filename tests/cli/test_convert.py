import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nbdt.classifiers import WeightsInfo, build, find_head, induce
from nbdt.cli import convert as command
from nbdt.hierarchy.library import load_classes, load_hierarchy, save_hierarchy
from nbdt.hierarchy.naming import name_by_taxonomy
from nbdt.hierarchy.shapes import balanced
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from tests.cli.conftest import Run, is_one_sentence

DIGITS = [row.name for row in load_classes("digits")]
STEPS = '{"mode": "L", "resize": [8, 8]}'


@pytest.fixture
def network(tmp_path: Path) -> nn.Module:
    """A network whose weights are in weights.safetensors."""
    torch.manual_seed(1)
    network = build("nbdt:digits-cnn").eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    return network


def convert(run: Run, *options: object, weights: str = "weights.safetensors") -> Any:
    return run("convert", "nbdt:digits-cnn", "--weights", weights, "-o", "model", *options)


def test_a_builder_and_a_file_become_a_model(run: Run, network: nn.Module) -> None:
    result = convert(run, "--classes", "digits", "--preprocessing", STEPS)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Wrote model: 10 classes, 19 nodes, depth "
        f"{NBDT.from_pretrained('model').hierarchy.height(18)}; score logsumexp, rule soft.",
        "Go on with: nbdt explain model IMAGE …",
    ]
    model = NBDT.from_pretrained("model")
    assert model.hierarchy == induce(network, DIGITS)
    assert model.preprocessing == Preprocessing(mode="L", resize=(8, 8))
    assert model.provenance == {
        "network": "nbdt:digits-cnn", "weights": "weights.safetensors", "tree": "induced"
    }  # fmt: skip
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(model.logits(images), network(images))


@pytest.mark.usefixtures("network")
def test_without_preprocessing_a_note_says_what_is_missing(run: Run) -> None:
    result = convert(run, "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "note: the model has no preprocessing from an image to its input"
    )
    # Nothing then sends the reader on to what would not work.
    assert "Go on with" not in convert(run).stdout
    document = json.loads(result.stdout)
    assert document.pop("depth") > 3
    assert document == {
        "output": "model", "classes": 10, "nodes": 19, "score": "logsumexp", "rule": "soft"
    }  # fmt: skip
    assert NBDT.from_pretrained("model").classes == tuple(map(str, range(10)))


def test_the_tree_is_induced_as_the_options_say(run: Run, network: nn.Module) -> None:
    options = ["--linkage", "average", "--metric", "cosine", "--branching", 3, "--no-normalize"]
    assert convert(run, *options, "--score", "mean", "--rule", "hard").exit_code == 0
    model = NBDT.from_pretrained("model")
    assert model.hierarchy == induce(
        network, linkage="average", metric="cosine", branching=3, normalize=False
    )
    assert (model.score, model.rule) == ("mean", "hard")


@pytest.mark.parametrize("normalize", [True, False])
def test_inner_nodes_are_named_by_a_taxonomy(normalize: bool, run: Run, network: nn.Module) -> None:
    options = [] if normalize else ["--no-normalize"]
    convert(run, "--classes", "digits", "--name-by", "digits/shape", *options)
    rows = find_head(network).rows.double().numpy()
    if normalize:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    tree = induce(network, DIGITS, normalize=normalize)
    expected = name_by_taxonomy(tree, load_hierarchy("digits/shape"), rows)
    assert NBDT.from_pretrained("model").hierarchy == expected


@pytest.mark.usefixtures("network")
def test_a_tree_of_ones_own_is_put_in_the_order_of_the_classes(run: Run, tmp_path: Path) -> None:
    save_hierarchy(balanced(DIGITS[::-1]), "tree.json")
    convert(run, "--tree", "tree.json")
    assert NBDT.from_pretrained("model").classes == tuple(DIGITS[::-1])
    convert(run, "--tree", "tree.json", "--classes", "digits")
    model = NBDT.from_pretrained("model")
    assert model.classes == tuple(DIGITS)
    assert model.provenance["tree"] == "tree.json"
    convert(run, "--tree", "tree.json", "--classes", "digits", "--name-by", "digits/shape")
    names = NBDT.from_pretrained("model").hierarchy.names
    assert names[-1] == "digit"


def test_two_classes_may_share_a_row(run: Run, tmp_path: Path) -> None:
    network = build("nbdt:digits-cnn", num_classes=1)
    save_file(network.state_dict(), tmp_path / "one.safetensors")
    save_hierarchy(balanced(["no", "yes"]), "pair.json")
    options = ["--argument", "num_classes=1", "--name-by", "pair.json"]
    result = run(
        "convert", "nbdt:digits-cnn", "--weights", "one.safetensors", "-o", "model", *options
    )
    assert "no leaf" in result.stderr or "lacks 2" in result.stderr  # the classes are 0 and 1
    result = run(
        "convert", "nbdt:digits-cnn", "--weights", "one.safetensors", "-o", "model", *options[:2]
    )
    assert result.exit_code == 0
    assert NBDT.from_pretrained("model").hierarchy.num_classes == 2


def test_a_pickle_is_read_only_if_it_is_trusted(
    run: Run, network: nn.Module, tmp_path: Path
) -> None:
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"net": state, "acc": 99.0}, tmp_path / "best.pth")
    refused = convert(run, weights="best.pth")
    assert refused.exit_code == 2
    assert "best.pth is a pickle" in refused.stderr
    assert is_one_sentence(refused.stderr)
    assert not (tmp_path / "model").exists()
    assert convert(run, "--trust-pickle", weights="best.pth").exit_code == 0
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(NBDT.from_pretrained("model").logits(images), network(images))


def test_published_weights_bring_their_classes_and_preprocessing(
    run: Run, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = WeightsInfo(Preprocessing(mode="L", crop=8), tuple(DIGITS))
    asked: list[tuple[str, str | None]] = []

    def fetched(name: str, *, weights: str | None = None, **arguments: Any) -> nn.Module:
        asked.append((name, weights))
        print("Downloading", file=sys.stdout)
        return network

    monkeypatch.setattr(command, "build", fetched)
    monkeypatch.setattr(command, "weights_info", lambda name, weights: known)
    result = convert(run, "--json", weights="DEFAULT")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["classes"] == 10
    assert result.stderr == "Downloading\n"
    assert asked == [("nbdt:digits-cnn", "DEFAULT")]
    model = NBDT.from_pretrained("model")
    assert (model.preprocessing, model.classes) == (known.preprocessing, known.classes)
    convert(run, "--preprocessing", STEPS, "--classes", "10", weights="DEFAULT")
    model = NBDT.from_pretrained("model")
    assert model.preprocessing == Preprocessing(mode="L", resize=(8, 8))
    assert model.classes == tuple(map(str, range(10)))


@pytest.mark.usefixtures("network")
def test_preprocessing_can_be_a_file_or_that_of_published_weights(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("steps.json").write_text(STEPS, encoding="utf-8")
    convert(run, "--preprocessing", "steps.json")
    assert NBDT.from_pretrained("model").preprocessing == Preprocessing(mode="L", resize=(8, 8))
    shared = WeightsInfo(Preprocessing(mode="L", crop=7), None)
    monkeypatch.setattr(command, "weights_info", lambda name, weights: {"V1": shared}[weights])
    convert(run, "--preprocessing", "V1")
    assert NBDT.from_pretrained("model").preprocessing == shared.preprocessing


def test_the_head_and_arguments_are_passed_on(run: Run, tmp_path: Path) -> None:
    network = build("nbdt:digits-cnn", in_channels=3)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    result = convert(run, "--argument", "in_channels=3", "--head", "linear")
    assert result.exit_code == 0
    model = NBDT.from_pretrained("model")
    assert model.builder is not None
    assert model.builder.arguments == {"in_channels": 3}
    result = convert(run, "--argument", "in_channels=3", "--head", "features.0")
    assert (result.exit_code, is_one_sentence(result.stderr)) == (2, True)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--classes", "cifar100"], "linear.weight is (10, 64), expected (100, 64)"),
        (["--classes", "gone.txt"], "gone.txt: neither a file nor"),
        (["--tree", "cifar10/resnet"], "did you mean 'cifar10/resnet20'"),
        (["--tree", "cifar10/wordnet", "--classes", "digits"],
         "cifar10/wordnet is not a tree of these classes"),
        (["--tree", "digits/shape", "--branching", "3"], "leave out them or --tree"),
        (["--name-by", "cifar10/wordnet"], "the taxonomy lacks 10 of the tree's 10 classes"),
        (["--linkage", "wards"], "linkage must be one of ward"),
        (["--branching", "1"], "branching must be a whole number, 2 or more"),
        (["--preprocessing", '{"crop": '], "is not valid JSON"),
        (["--preprocessing", '{"size": 8}'], "preprocessing has no 'size'; it has mode"),
        (["--preprocessing", '{"crop": -1}'], "crop has to be"),
        (["--preprocessing", "V9"], "has no published weights"),
        (["--argument", "in_channels"], "--argument takes KEY=VALUE"),
        (["--argument", "in_channels=many"], "--argument in_channels:"),
        (["--argument", 'in_channels=1, "depth": 2'], "--argument in_channels:"),
        (["--argument", "depth=9"], "has 'depth', but networks of nbdt"),
        (["--head", "fc"], "has no layer 'fc'"),
        (["--score", "median"], "'median' is not one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_refused_in_one_sentence(
    options: list[str], said: str, run: Run, tmp_path: Path
) -> None:
    result = convert(run, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("source", "weights", "said"),
    [
        ("nbdt:digits-cnn", "gone.safetensors", "gone.safetensors: there is no such file."),
        ("nbdt:digits-cnn", "DEFAULT", "has no published weights"),
        ("nbdt:digit-cnn", "weights.safetensors", "near names: digits-cnn"),
        ("torchvision:resnet18", "BEST", "has the weights IMAGENET1K_V1, DEFAULT, not 'BEST'"),
        ("my.code:Net", "weights.safetensors", "a network's name has to be 'nbdt:…'"),
    ],
)
def test_an_unknown_network_or_its_weights(
    source: str, weights: str, said: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"")
    result = run("convert", source, "--weights", weights, "-o", "model")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)


@pytest.mark.usefixtures("network")
def test_a_folder_that_holds_something_else_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "letter.txt").write_text("dear")
    result = convert(run)
    assert result.exit_code == 2
    assert "holds something other than a model" in result.stderr
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["letter.txt"]
