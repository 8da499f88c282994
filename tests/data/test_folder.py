"""Folders of labelled images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.data import ImageFolder, LabelledImages, open_image
from nbdt.errors import InputError, NotFoundError
from nbdt.inputs.image import Preprocessing

PICTURE = Image.fromarray(np.arange(128, dtype=np.uint8).reshape(8, 16))


def folder_of(top: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (top / name).mkdir(parents=True)
        for i in range(count):
            PICTURE.save(top / name / f"{i}.png")
    return top


def test_samples(tmp_path):
    folder_of(tmp_path, dog=2, cat=1, **{".git": 1})
    (tmp_path / "README.txt").touch()
    images = ImageFolder(tmp_path, Preprocessing(mode="L"))
    assert images.classes == ("cat", "dog")
    assert [label for _, label in images.samples] == [0, 1, 1]
    assert [path.name for path, _ in images.samples] == ["0.png", "0.png", "1.png"]
    tensor, label = images[2]
    assert len(images) == 3
    assert (tensor.shape, label) == ((1, 8, 16), 1)


def test_works_with_a_loader(tmp_path):
    folder_of(tmp_path, a=2, b=1)
    loader = torch.utils.data.DataLoader(ImageFolder(tmp_path, Preprocessing()), batch_size=3)
    tensors, labels = next(iter(loader))
    assert tensors.shape == (3, 3, 8, 16)
    assert labels.tolist() == [0, 0, 1]


def test_labels_follow_the_model(tmp_path):
    folder_of(tmp_path, cat=1, dog=1)
    images = ImageFolder(tmp_path, Preprocessing(), classes=["dog", "cat"])
    assert [label for _, label in images.samples] == [1, 0]


def test_a_folder_may_have_a_wnid_or_a_name_that_folders_can_have(tmp_path):
    folder_of(tmp_path, n02121620=1, **{"T-shirt_top": 2})
    classes, wnids = ["T-shirt/top", "cat"], ["", "n02121620"]
    images = ImageFolder(tmp_path, Preprocessing(), classes=classes, wnids=wnids)
    assert [label for _, label in images.samples] == [0, 0, 1]
    assert images.classes == ("T-shirt/top", "cat")


def test_difference_is_listed(tmp_path):
    folder_of(tmp_path, cat=1, wolf=1, **{f"x{i}": 1 for i in range(9)})
    with pytest.raises(InputError) as caught:
        ImageFolder(tmp_path, Preprocessing(), classes=["cat", "dog"])
    assert "10 unknown to the model (wolf, x0, x1, x2, x3, …)" in str(caught.value)
    assert "1 without a subfolder (dog)" in str(caught.value)


def test_partial(tmp_path):
    folder_of(tmp_path, cat=1)
    with pytest.raises(InputError, match="1 without a subfolder"):
        ImageFolder(tmp_path, Preprocessing(), classes=["ape", "cat"])
    images = ImageFolder(tmp_path, Preprocessing(), classes=["ape", "cat"], partial=True)
    assert images[0][1] == 1


def test_class_names_must_differ(tmp_path):
    folder_of(tmp_path, cat=1)
    with pytest.raises(InputError, match="not unique"):
        ImageFolder(tmp_path, Preprocessing(), classes=["cat", "cat"])


def test_no_subfolders(tmp_path):
    PICTURE.save(tmp_path / "x.png")
    with pytest.raises(InputError, match="one subfolder for every class"):
        ImageFolder(tmp_path, Preprocessing())


def test_class_without_images(tmp_path):
    folder_of(tmp_path, cat=1, dog=0)
    with pytest.raises(InputError, match=r"dog: no image is in this folder"):
        ImageFolder(tmp_path, Preprocessing())


def test_missing(tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"):
        ImageFolder(tmp_path / "x", Preprocessing())


def test_it_is_a_labelled_data_set(tmp_path):
    images = ImageFolder(folder_of(tmp_path, cat=2, dog=1), Preprocessing(mode="L"))
    assert isinstance(images, LabelledImages)
    assert images.targets.tolist() == [0, 0, 1]
    assert images.image(0).mode == "RGB"
    expected = images.preprocessing(open_image(tmp_path / "cat" / "0.png", "L"))
    assert torch.equal(images[0][0], expected)
    chosen = images.select([2, 0])
    assert chosen.samples == ((tmp_path / "dog" / "0.png", 1), (tmp_path / "cat" / "0.png", 0))


def test_folders_called_by_wnids_have_them(tmp_path):
    images = ImageFolder(folder_of(tmp_path, n02084071=1, n02121620=1, n1=1), Preprocessing())
    assert images.wnids == ("n02084071", "n02121620", "")
    assert images.classes == ("n02084071", "n02121620", "n1")
