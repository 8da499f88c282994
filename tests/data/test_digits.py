"""The handwritten digits: as tensors, split, and as pictures that give the tensors back."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch

from nbdt.data import load_dataset, open_image
from nbdt.data.digits import BRIGHTEST, PREPROCESSING, Digits, load_digits
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_they_are_scikit_learns(digits: Digits) -> None:
    original = sklearn.datasets.load_digits()
    assert len(digits) == 1797
    assert (digits.images.dtype, digits.labels.dtype) == (torch.float32, torch.int64)
    assert digits.images.shape == (1797, 1, 8, 8)
    assert np.array_equal(digits.images[:, 0].numpy() * 256 / 15, original.images)
    assert digits.labels.tolist() == digits.targets.tolist() == original.target.tolist()
    assert digits.indices.tolist() == list(range(1797))
    assert digits.classes[:4] == ("zero", "one", "two", "three")
    assert digits.images.min() == 0
    assert digits.images.max() == BRIGHTEST


def test_every_picture_gives_its_tensor_back(digits: Digits) -> None:
    again = PREPROCESSING.batch(digits.image(place) for place in range(len(digits)))
    assert torch.equal(again, digits.images)
    assert torch.equal(torch.stack([tensor for tensor, _ in digits]), digits.images)
    assert digits.image(0).size == (8, 8)


def test_so_does_every_file(digits: Digits, tmp_path: Path) -> None:
    for place in range(0, len(digits), 100):
        path = tmp_path / "digit.png"
        digits.save_image(place, path)
        image = open_image(path, PREPROCESSING.mode)
        assert image.size == (128, 128)
        assert torch.equal(PREPROCESSING(image), digits.images[place])
        # Neither does it matter whether a reader turns it into colour first, ….
        assert torch.equal(PREPROCESSING(open_image(path, "RGB")), digits.images[place])
    assert [path.name for path in tmp_path.iterdir()] == ["digit.png"]


def test_every_brightness_is_stored_without_rounding(digits: Digits) -> None:
    stored = {value for place in range(100) for value in digits.image(place).tobytes()}
    assert stored == {15 * brightness for brightness in range(17)}


def test_by_name_they_are_the_same(digits: Digits) -> None:
    train, held_out = digits.split(seed=0)
    for split, expected in (("train", train), ("test", held_out)):
        found = load_dataset("digits", split)
        assert torch.equal(torch.stack([tensor for tensor, _ in found]), expected.images)
        assert found.targets.tolist() == expected.labels.tolist()


def test_the_preprocessing_can_be_stored() -> None:
    assert Preprocessing.from_dict(PREPROCESSING.to_dict()) == PREPROCESSING


def test_a_file_is_replaced_whole_or_not_at_all(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "digit.png"
    path.write_text("before")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(InputError, match=r"digit\.png: cannot be written: No space left"):
            digits.save_image(0, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    digits.save_image(0, path)
    assert open_image(path, "L").size == (128, 128)


def test_a_folder_that_is_not_there_is_named(digits: Digits, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "digit.png"
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: cannot be written: No such"):
        digits.save_image(0, path)


# ── parts ─────────────────────────────────────────────────────────────────────────────────────


def test_parts_are_digits_too(digits: Digits) -> None:
    train, held_out = digits.split(0.25, seed=0)
    assert (len(train), len(held_out)) == (1347, 450)
    for part in (train, held_out, digits.select([5, 0]), pickle.loads(pickle.dumps(train))):
        assert isinstance(part, Digits)
        assert torch.equal(part.images, digits.images[part.indices])
        assert torch.equal(part.labels, digits.labels[part.indices])
        assert part.classes == digits.classes
