"""The handwritten digits: as tensors, split, and as pictures that give the tensors back."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image

from nbdt.data import open_image
from nbdt.data.digits import BRIGHTEST, MAX_SEED, PREPROCESSING, Digits, load_digits
from nbdt.errors import InputError
from nbdt.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_they_are_scikit_learns(digits: Digits) -> None:
    original = sklearn.datasets.load_digits()
    assert len(digits) == 1797
    assert (digits.images.dtype, digits.labels.dtype) == (torch.float32, torch.int64)
    assert digits.images.shape == (1797, 1, 8, 8)
    assert np.array_equal(digits.images[:, 0].numpy() * 256 / 15, original.images)
    assert digits.labels.tolist() == original.target.tolist()
    assert digits.indices.tolist() == list(range(1797))
    assert digits.classes[:4] == ("zero", "one", "two", "three")
    assert digits.images.min() == 0
    assert digits.images.max() == BRIGHTEST


def test_every_picture_gives_its_tensor_back(digits: Digits) -> None:
    again = PREPROCESSING.batch(digits.image(place) for place in range(len(digits)))
    assert torch.equal(again, digits.images)


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


def test_so_does_a_picture_of_8_by_8_pixels(digits: Digits) -> None:
    small = Image.fromarray((digits.images[3, 0] * 256).to(torch.uint8).numpy())
    assert torch.equal(PREPROCESSING(small), digits.images[3])


def test_every_brightness_survives_the_way_through_a_picture() -> None:
    ramp = torch.arange(64).fmod(17).view(1, 1, 8, 8) * 15 / 256
    one = Digits(ramp, torch.zeros(1), torch.zeros(1), ("zero",))
    assert torch.equal(PREPROCESSING(one.image(0)), ramp[0])


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


# ── splitting ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("share", "seed"), [(0.25, 0), (0.25, 7), (0.5, 1), (0.1, MAX_SEED)])
def test_a_split_holds_everything_once_and_each_class_in_the_same_share(
    digits: Digits, share: float, seed: int
) -> None:
    train, held_out = digits.split(share, seed=seed)
    assert sorted([*train.indices.tolist(), *held_out.indices.tolist()]) == list(range(1797))
    assert len(held_out) == np.ceil(share * 1797)
    for label in range(10):
        expected = share * int((digits.labels == label).sum())
        assert abs(int((held_out.labels == label).sum()) - expected) <= 1
    for part in (train, held_out):
        assert torch.equal(part.images, digits.images[part.indices])
        assert torch.equal(part.labels, digits.labels[part.indices])
        assert part.classes == digits.classes


def test_a_seed_gives_its_split(digits: Digits) -> None:
    first = digits.split(seed=3)[1].indices
    assert torch.equal(first, digits.split(seed=3)[1].indices)
    assert not torch.equal(first, digits.split(seed=4)[1].indices)


def test_splitting_leaves_the_global_random_numbers_alone(digits: Digits) -> None:
    before = np.random.get_state(legacy=True)
    digits.split(seed=3)
    after = np.random.get_state(legacy=True)
    assert np.array_equal(before[1], after[1])


@pytest.mark.parametrize("share", [0, 1, 0.0, 1.0, -0.5, 450, "half", None, float("nan")])
def test_what_is_no_share_is_refused(digits: Digits, share: float) -> None:
    with pytest.raises(InputError, match="held_out has to be a share between 0 and 1, got"):
        digits.split(share)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 0.5, "0", None, True])
def test_what_is_no_seed_is_refused(digits: Digits, seed: int) -> None:
    with pytest.raises(InputError, match="a seed has to be a whole number from 0 to 4294967295"):
        digits.split(seed=seed)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_side_without_every_class_is_refused(digits: Digits, share: float) -> None:
    with warnings.catch_warnings(), pytest.raises(InputError, match="digits cannot be split with"):
        digits.split(share)
