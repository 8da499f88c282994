"""A small model, small images, and a way to run a command line in this process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from nbdt.classifiers import build
from nbdt.cli import app
from nbdt.data import ImageFolder
from nbdt.hierarchy.library import load_hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `nbdt` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)

    return invoke


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved model: ten digits, random weights, images of 8×8 pixels."""
    folder = tmp_path_factory.mktemp("models") / "digits"
    make_model(folder, Preprocessing(mode="L", resize=(8, 8)))
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a subfolder of two images for each of the ten digits."""
    top = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0)
    for name in load_hierarchy("digits/shape").classes:
        (top / name).mkdir()
        for number in range(2):
            image = Image.fromarray(pixels.integers(0, 255, (12, 12), dtype=np.uint8))
            image.save(top / name / f"{number}.png")
    return top


def make_model(folder: Path, preprocessing: Preprocessing | None) -> NBDT:
    torch.manual_seed(0)
    network = build("nbdt:digits-cnn")
    model = NBDT(network, load_hierarchy("digits/shape"), preprocessing=preprocessing).eval()
    model.save_pretrained(folder)
    return model


def even_out(folder: Path, images: Path) -> NBDT:
    """Shifts a saved model's biases, so that it answers various classes of these images."""
    model = NBDT.from_pretrained(folder)
    assert model.preprocessing is not None
    data = ImageFolder(images, model.preprocessing, classes=model.classes)
    with torch.no_grad():
        mean = model.logits(torch.stack([x for x, _ in data])).mean(0)
        model.network.get_submodule(model.head or "").bias -= mean
    model.save_pretrained(folder)
    return model


def is_one_sentence(stderr: str) -> bool:
    """Whether this is one line of `nbdt`, and no traceback."""
    return stderr.startswith("nbdt: ") and stderr.count("\n") == 1 and stderr.endswith("\n")
