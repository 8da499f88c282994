"""What tells one data set from another."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset

from nbdt.data import Augmentation, ImageFolder, LabelledImages, load_dataset
from nbdt.inputs.image import Preprocessing
from nbdt.training.identity import data_identity
from tests.training.subjects import Noisy, points

DIGITS = load_dataset("digits", "train").select(range(60))


def differing(one, other):
    mine, theirs = data_identity(one), data_identity(other)
    for found in (mine, theirs):
        assert json.loads(json.dumps(found)) == found
    return {name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)}


def relabelled(images):
    changed = images.select(range(len(images)))
    changed.targets = (images.targets + 1) % 10
    return changed


def redrawn(images):
    changed = images.select(range(len(images)))
    changed.source = type(images.source)(255 - images.source.pixels)
    return changed


GREY = Preprocessing(mode="L", resize=8, mean=0.5)


@pytest.mark.parametrize(("changed", "names"), [
    (DIGITS.with_preprocessing(DIGITS.preprocessing), set()),
    (DIGITS.with_augmentation(None), set()),
    (DIGITS.with_augmentation(Augmentation(shift=2)), {"augmentation.shift"}),
    (DIGITS.with_augmentation(Augmentation(flip=True)), {"augmentation.flip"}),
    (relabelled(DIGITS), {"targets"}),
    (redrawn(DIGITS), {"images"}),
    (DIGITS.select(range(59, -1, -1)), {"images", "targets"}),
    (Subset(DIGITS, range(60)), {"part"}),
], ids=["same", "plain", "shift", "flip", "targets", "images", "order", "part"])  # fmt: skip
def test_images_in_memory(changed, names):
    assert differing(DIGITS, changed) == names


def test_how_an_image_becomes_a_tensor_counts():
    found = differing(DIGITS.with_preprocessing(GREY), DIGITS)
    assert "preprocessing.mean" in found
    assert all(name.startswith("preprocessing.") for name in found)
    # Pixels of a source that cannot tell them are not compared; all else is.
    pictures = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    one = LabelledImages(pictures, [0, 1], ["dark", "light"], GREY)
    other = LabelledImages(pictures[::-1], [0, 1], ["dark", "light"], GREY)
    assert differing(one, other) == set()
    assert differing(one, other.with_augmentation(Augmentation(shift=1))) == {"augmentation.shift"}


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "images"
    for index, name in enumerate(["cat", "cat", "dog"]):
        (top / name).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4 + index), 80 * index).save(top / name / f"{index}.png")
    return top


def test_files_are_told_by_name_and_size(folder, tmp_path):
    before = ImageFolder(folder, GREY)
    found = data_identity(before)
    folder.rename(tmp_path / "moved")
    moved = ImageFolder(tmp_path / "moved", GREY)
    assert data_identity(moved) == found
    picture = tmp_path / "moved" / "cat" / "0.png"
    picture.rename(picture.with_name("5.png"))
    assert data_identity(ImageFolder(tmp_path / "moved", GREY))["images"] != found["images"]
    picture.with_name("5.png").rename(picture)
    assert data_identity(moved) == found
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert data_identity(moved)["images"] != found["images"]
    # One that is gone is told where it is read.
    picture.unlink()
    assert data_identity(moved)["images"] != found["images"]


class Named(Dataset):
    def __init__(self, targets):
        self.targets = targets

    def __len__(self):
        return 3

    def __getitem__(self, index):
        raise AssertionError("no sample is to be loaded")


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_other_data_sets_are_told_by_their_targets(kind):
    one = Named([0, 1, 1])
    assert differing(one, Named(kind([0, 1, 1]))) == set()
    assert differing(one, Named(kind([0, 1, 2]))) == {"targets"}
    assert differing(Subset(one, [0, 2]), Subset(one, [0, 1])) == {"part"}


@pytest.mark.parametrize("targets", [None, "cat", ["cat", "dog", "cat"], [[1], [2, 3]], object()])
def test_targets_that_are_no_numbers_say_nothing(targets):
    assert data_identity(Named(targets)) == {}
    assert data_identity(Noisy()) == {}


def test_tensors_are_told_by_all_that_they_hold():
    x, y = points().tensors
    assert differing(points(), TensorDataset(x, y)) == set()
    for other in (TensorDataset(x + 1e-6, y), TensorDataset(x, y + 1), TensorDataset(x, y, y)):
        assert differing(points(), other) == {"tensors"}


def test_parts_of_parts_are_told_by_the_samples_they_come_to():
    whole = points()
    once = Subset(whole, [4, 6])
    assert differing(Subset(Subset(whole, [2, 4, 6]), [1, 2]), once) == set()
    assert differing(Subset(Subset(whole, [2, 4, 6]), [0, 2]), once) == {"part"}
