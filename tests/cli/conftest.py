"""A small model, small images, and a way to run a command line in this process."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from nbdt.classifiers import build
from nbdt.cli import app
from nbdt.data import ImageFolder
from nbdt.hierarchy.library import load_hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT

SHAPE = load_hierarchy("digits/shape")
STEPS = Preprocessing(mode="L", resize=(8, 8))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `nbdt` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, stdin=b""):
        return CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)

    return invoke


@pytest.fixture
def ask(run):
    """Runs `nbdt … --json`, which succeeds and complains of nothing, and gives the document."""

    def invoke(*arguments):
        result = run(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
        return json.loads(result.stdout)

    return invoke


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a saved model: ten digits, random weights, images of 8×8 pixels."""
    folder = tmp_path_factory.mktemp("models") / "digits"
    make_model(folder, STEPS)
    return folder


@pytest.fixture
def own(model, tmp_path):
    """The model in a folder that may be changed."""
    return shutil.copytree(model, tmp_path / "own")


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder with a subfolder of two images for each of the ten digits."""
    top = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0)
    for name in SHAPE.classes:
        (top / name).mkdir()
        for number in range(2):
            image = Image.fromarray(pixels.integers(0, 255, (12, 12), dtype=np.uint8))
            image.save(top / name / f"{number}.png")
    return top


@pytest.fixture
def copied(images, tmp_path):
    """The labeled images, to be changed."""
    return shutil.copytree(images, tmp_path / "data")


def make_model(folder, preprocessing):
    torch.manual_seed(0)
    model = NBDT(build("nbdt:digits-cnn"), SHAPE, preprocessing=preprocessing).eval()
    model.save_pretrained(folder)
    return model


def changed(folder, **settings):
    """Saves the model in this folder with other attributes."""
    model = NBDT.from_pretrained(folder)
    for name, value in settings.items():
        setattr(model, name, value)
    model.save_pretrained(folder)


def samples_of(folder, images):
    """These images as the model in this folder takes them."""
    model = NBDT.from_pretrained(folder)
    return ImageFolder(images, model.preprocessing, classes=model.classes)


def even_out(folder, images):
    """Shifts a saved model's biases, so that it answers various classes of these images."""
    model = NBDT.from_pretrained(folder)
    with torch.no_grad():
        mean = model.logits(torch.stack([x for x, _ in samples_of(folder, images)])).mean(0)
        model.network.get_submodule(model.head or "").bias -= mean
    model.save_pretrained(folder)


def is_one_sentence(stderr):
    """Whether this is one line of `nbdt`, and no traceback."""
    return stderr.startswith("nbdt: ") and stderr.count("\n") == 1 and stderr.endswith("\n")


def refused(result, *said):
    """Holds a result to exit code 2 and one sentence with these words; gives the sentence."""
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert is_one_sentence(result.stderr)
    for words in said:
        assert words in result.stderr
    return result.stderr
