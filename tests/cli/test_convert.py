import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from nbdt.classifiers import WeightsInfo, build, find_head, induce, likely_info, weights_info
from nbdt.cli import convert as command
from nbdt.hierarchy.library import save_hierarchy
from nbdt.hierarchy.naming import name_by_taxonomy
from nbdt.hierarchy.shapes import balanced
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from tests.cli.conftest import SHAPE, STEPS, refused

DIGITS = [*SHAPE.classes]
WRITTEN = '{"mode": "L", "resize": [8, 8]}'
CNN = "nbdt:digits-cnn"
IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network(tmp_path):
    """A network whose weights are in weights.safetensors."""
    torch.manual_seed(1)
    network = build(CNN).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    return network


@pytest.fixture
def convert(run):
    def invoke(*options, weights="weights.safetensors"):
        return run("convert", CNN, "--weights", weights, "-o", "model", *options)

    return invoke


@pytest.fixture
def converted(convert):
    """Converts, which must succeed, and loads the model."""

    def load(*options, **weights):
        result = convert(*options, **weights)
        assert result.exit_code == 0, result.stderr
        return NBDT.from_pretrained("model")

    return load


def test_a_builder_and_a_file_become_a_model(convert, network):
    result = convert("--classes", "digits", "--preprocessing", WRITTEN)
    assert (result.exit_code, result.stderr) == (0, "")
    model = NBDT.from_pretrained("model")
    assert result.stdout.splitlines() == [
        f"Wrote model: 10 classes, 19 nodes, depth {model.hierarchy.height(18)}; "
        "score logsumexp, rule soft.",
        "Next: nbdt explain model IMAGE …",
    ]
    assert model.hierarchy == induce(network, DIGITS)
    assert model.preprocessing == STEPS
    assert model.provenance == {
        "network": CNN, "weights": "weights.safetensors", "tree": "induced"
    }  # fmt: skip
    assert torch.equal(model.logits(IMAGES), network(IMAGES))


@pytest.mark.usefixtures("network")
def test_without_preprocessing_a_note_says_what_is_missing(convert):
    result = convert("--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: the model has no preprocessing")
    # Nothing then sends the reader on to what would not work.
    assert "Next:" not in convert().stdout
    document = json.loads(result.stdout)
    assert document.pop("depth") > 3
    assert document == {
        "output": "model", "classes": 10, "nodes": 19, "score": "logsumexp", "rule": "soft"
    }  # fmt: skip
    assert NBDT.from_pretrained("model").classes == tuple(map(str, range(10)))


def test_the_tree_is_induced_as_the_options_say(converted, network):
    options = ["--linkage", "average", "--metric", "cosine", "--branching", 3, "--no-normalize"]
    model = converted(*options, "--score", "mean", "--rule", "hard")
    settings = {"linkage": "average", "metric": "cosine", "branching": 3, "normalize": False}
    assert model.hierarchy == induce(network, **settings)
    assert (model.score, model.rule) == ("mean", "hard")


@pytest.mark.parametrize("normalize", [True, False])
def test_inner_nodes_are_named_by_a_taxonomy(normalize, converted, network):
    options = [] if normalize else ["--no-normalize"]
    model = converted("--classes", "digits", "--name-by", "digits/shape", *options)
    rows = find_head(network).rows.double().numpy()
    if normalize:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    tree = induce(network, DIGITS, normalize=normalize)
    assert model.hierarchy == name_by_taxonomy(tree, SHAPE, rows)


@pytest.mark.usefixtures("network")
def test_a_tree_of_ones_own_is_put_in_the_order_of_the_classes(converted):
    save_hierarchy(balanced(DIGITS[::-1]), "tree.json")
    options = ["--tree", "tree.json"]
    assert converted(*options).classes == tuple(DIGITS[::-1])
    model = converted(*options, "--classes", "digits")
    assert model.classes == tuple(DIGITS)
    assert model.provenance["tree"] == "tree.json"
    model = converted(*options, "--classes", "digits", "--name-by", "digits/shape")
    assert model.hierarchy.names[-1] == "digit"


def test_two_classes_may_share_a_row(convert, converted, tmp_path):
    save_file(build(CNN, num_classes=1).state_dict(), tmp_path / "one.safetensors")
    save_hierarchy(balanced(["no", "yes"]), "pair.json")
    options = ["--argument", "num_classes=1"]
    result = convert(*options, "--name-by", "pair.json", weights="one.safetensors")
    assert "no leaf" in result.stderr or "lacks 2" in result.stderr  # the classes are 0 and 1
    assert converted(*options, weights="one.safetensors").hierarchy.num_classes == 2


def test_a_pickle_is_read_only_if_it_is_trusted(convert, converted, network, tmp_path):
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"net": state, "acc": 99.0}, tmp_path / "best.pth")
    refused(convert(weights="best.pth"), "best.pth is a pickle")
    assert not (tmp_path / "model").exists()
    model = converted("--trust-pickle", weights="best.pth")
    assert torch.equal(model.logits(IMAGES), network(IMAGES))


def test_published_weights_bring_their_classes_and_preprocessing(
    convert, converted, network, monkeypatch
):
    known = WeightsInfo(Preprocessing(mode="L", crop=8), tuple(DIGITS))
    asked = []

    def fetched(name, *, weights=None, **arguments):
        asked.append((name, weights))
        print("Downloading", file=sys.stdout)
        return network

    monkeypatch.setattr(command, "build", fetched)
    monkeypatch.setattr(command, "weights_info", lambda name, weights: {"DEFAULT": known}[weights])
    result = convert("--json", weights="DEFAULT")
    assert (result.exit_code, result.stderr) == (0, "Downloading\n")
    assert json.loads(result.stdout)["classes"] == 10
    assert asked == [(CNN, "DEFAULT")]
    model = NBDT.from_pretrained("model")
    assert (model.preprocessing, model.classes) == (known.preprocessing, known.classes)
    model = converted("--preprocessing", WRITTEN, "--classes", "10", weights="DEFAULT")
    assert (model.preprocessing, model.classes) == (STEPS, tuple(map(str, range(10))))
    # Weights of one's own may have the preprocessing of published ones, or that of a file.
    assert converted("--preprocessing", "DEFAULT").preprocessing == known.preprocessing
    Path("steps.json").write_text(WRITTEN, encoding="utf-8")
    assert converted("--preprocessing", "steps.json").preprocessing == STEPS


@pytest.mark.parametrize(("options", "said", "classes", "resize"), [
    ((), "the classes and the preprocessing are those published for torchvision:squeezenet1_1 "
     "(IMAGENET1K_V1); if they are not yours, give --classes and --preprocessing.", "tench", 256),
    (("--classes", "1000"), "the preprocessing is the one published for torch", "0", 256),
    (("--preprocessing", '{"resize": 64}'), "the classes are those published", "tench", 64),
    (("--classes", "lemon,lime"), "give --preprocessing", "lemon", None),
])  # fmt: skip
def test_a_file_of_weights_brings_what_its_publisher_says(
    options, said, classes, resize, run, tmp_path
):
    count = {} if classes != "lemon" else {"num_classes": 2}
    network = build("torchvision:squeezenet1_1", **count)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    source = ("torchvision:squeezenet1_1", "--weights", "weights.safetensors")
    result = run("convert", *source, "-o", "model", *options)
    assert result.exit_code == 0, result.stderr
    assert said in result.stderr
    model = NBDT.from_pretrained("model")
    assert model.classes[0] == classes
    assert (None if model.preprocessing is None else model.preprocessing.resize) == resize


def test_the_name_of_a_file_tells_which_weights_it_holds():
    known = models.get_model_weights("resnet50")
    for name, weights in known.__members__.items():
        if name != "DEFAULT":
            found = likely_info("torchvision:resnet50", weights.url.rpartition("/")[2])
            assert found == (name, weights_info("torchvision:resnet50", name))
    assert likely_info("torchvision:resnet50", "mine.pt")[0] == known.DEFAULT.name
    assert likely_info("nbdt:lenet", "mine.pt") is None


def test_the_head_and_arguments_are_passed_on(convert, converted, tmp_path):
    save_file(build(CNN, in_channels=3).state_dict(), tmp_path / "weights.safetensors")
    model = converted("--argument", "in_channels=3", "--head", "linear")
    assert model.builder.arguments == {"in_channels": 3}
    refused(convert("--argument", "in_channels=3", "--head", "features.0"))


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(("options", "said"), [
    (["--classes", "cifar100"], "linear.weight is (10, 64), expected (100, 64)"),
    (["--classes", "gone.txt"], "gone.txt: "),
    (["--tree", "cifar10/resnet"], "did you mean 'cifar10/resnet20'"),
    (["--tree", "cifar10/wordnet", "--classes", "digits"], "is not a tree of these classes"),
    (["--tree", "digits/shape", "--branching", "3"], "leave out them or --tree"),
    (["--name-by", "cifar10/wordnet"], "the taxonomy lacks 10 of the tree's 10 classes"),
    (["--linkage", "wards"], "linkage must be one of ward"),
    (["--branching", "1"], "branching must be a whole number, 2 or more"),
    (["--preprocessing", '{"crop": '], "is not valid JSON"),
    (["--preprocessing", '{"size": 8}'], "preprocessing has no 'size'; it has mode"),
    (["--preprocessing", '{"crop": -1}'], "crop must be"),
    (["--preprocessing", "V9"], "has no published weights"),
    (["--argument", "in_channels"], "--argument takes KEY=VALUE"),
    (["--argument", "in_channels=many"], "--argument in_channels:"),
    (["--argument", 'in_channels=1, "depth": 2'], "--argument in_channels:"),
    (["--argument", "depth=9"], "has 'depth', but networks of nbdt"),
    (["--head", "fc"], "has no layer 'fc'"),
    (["--score", "median"], "'median' is not one of"),
    (["--weights", "gone.safetensors"], "gone.safetensors: no such file."),
    (["--weights", "DEFAULT"], "has no published weights"),
], ids=str)  # fmt: skip
def test_what_cannot_be_converted_is_refused_in_one_sentence(options, said, convert, tmp_path):
    refused(convert(*options), said)
    assert not (tmp_path / "model").exists()


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(("source", "weights", "said"), [
    ("nbdt:digit-cnn", "weights.safetensors", "near names: digits-cnn"),
    ("torchvision:resnet18", "BEST", "has the weights IMAGENET1K_V1, DEFAULT, not 'BEST'"),
    ("my.code:Net", "weights.safetensors", "a network's name must be 'nbdt:…'"),
])  # fmt: skip
def test_an_unknown_network_or_its_weights(source, weights, said, run):
    refused(run("convert", source, "--weights", weights, "-o", "model"), said)


@pytest.mark.usefixtures("network")
def test_a_folder_that_holds_something_else_is_left_alone(convert, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "letter.txt").write_text("dear")
    refused(convert(), "holds something other than a model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["letter.txt"]
