"""Random changes of training images: what they may be, and where their randomness comes from."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

from nbdt.data import Augmentation
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing

NOISE = np.random.default_rng(0).integers(1, 256, (7, 9, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE)


def seen(augmentation: Augmentation, preprocessing: Preprocessing, times: int) -> set[bytes]:
    torch.manual_seed(0)
    return {augmentation(PICTURE, preprocessing).numpy().tobytes() for _ in range(times)}


def test_nothing_is_the_preprocessing_alone() -> None:
    preprocessing = Preprocessing(mean=0.4, std=0.3, rotate=90)
    assert torch.equal(Augmentation()(PICTURE, preprocessing), preprocessing(PICTURE))


def test_a_shift_is_padding_and_every_crop_of_the_old_size() -> None:
    preprocessing = Preprocessing(mean=0.4, std=0.3)
    padded = F.pad(PICTURE, 2)
    possible = {
        preprocessing(F.crop(padded, top, left, 7, 9)).numpy().tobytes()
        for top in range(5)
        for left in range(5)
    }
    assert len(possible) == 25
    assert seen(Augmentation(shift=2), preprocessing, 300) == possible


def test_a_flip_swaps_left_and_right_half_of_the_time() -> None:
    preprocessing = Preprocessing()
    plain = preprocessing(PICTURE)
    assert seen(Augmentation(flip=True), preprocessing, 20) == {
        plain.numpy().tobytes(),
        plain.flip(2).contiguous().numpy().tobytes(),
    }
    torch.manual_seed(0)
    flipped = [
        not torch.equal(Augmentation(flip=True)(PICTURE, preprocessing), plain) for _ in range(400)
    ]
    assert 160 < sum(flipped) < 240


def test_a_random_piece_is_torchvisions() -> None:
    torch.manual_seed(3)
    transform = T.Compose([T.RandomResizedCrop(5, scale=(0.2, 1.0)), T.RandomHorizontalFlip()])
    expected = [F.pil_to_tensor(transform(PICTURE)).float() / 255 for _ in range(20)]
    torch.manual_seed(3)
    augmentation = Augmentation(smallest_area=0.2, flip=True)
    found = [augmentation(PICTURE, Preprocessing(resize=6, crop=5)) for _ in range(20)]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("preprocessing", "size"),
    [
        (Preprocessing(resize=6, crop=(5, 4)), (5, 4)),
        (Preprocessing(resize=(6, 3)), (6, 3)),
        (Preprocessing(resize=6), (6, 6)),
        (Preprocessing(), (7, 9)),
    ],
)
def test_a_random_piece_has_the_size_that_the_network_takes(
    preprocessing: Preprocessing, size: tuple[int, int]
) -> None:
    augmentation = Augmentation(smallest_area=0.1)
    assert augmentation(PICTURE, preprocessing).shape == (3, *size)


def test_a_network_that_takes_its_images_turned_gets_them_so() -> None:
    straight, turned = Preprocessing(crop=5), Preprocessing(crop=5, rotate=180)
    augmentation = Augmentation(smallest_area=0.5, shift=1, flip=True)
    for seed in range(5):
        torch.manual_seed(seed)
        one = augmentation(PICTURE, straight)
        torch.manual_seed(seed)
        assert torch.equal(augmentation(PICTURE, turned), one.rot90(2, (1, 2)))


def test_pictures_of_any_kind_are_shifted() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    torch.manual_seed(0)
    tensor = Augmentation(shift=1)(clear, Preprocessing(mode="L"))
    # Transparent is white, as everywhere; only what comes in at the border is black.
    assert set(tensor.unique().tolist()) <= {0.0, 1.0}
    assert tensor[0, 1:3, 1:3].min() == 1


def test_all_randomness_is_torchs() -> None:
    augmentation = Augmentation(shift=2, flip=True, smallest_area=0.3)
    python, numpy = random.getstate(), np.random.get_state(legacy=True)[1].tolist()
    torch.manual_seed(5)
    first = augmentation(PICTURE, Preprocessing())
    second = augmentation(PICTURE, Preprocessing())
    torch.manual_seed(5)
    assert torch.equal(augmentation(PICTURE, Preprocessing()), first)
    assert not torch.equal(first, second)
    assert random.getstate() == python
    assert np.random.get_state(legacy=True)[1].tolist() == numpy


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shift": -1}, "shift: Input should be greater than or equal to 0; got -1"),
        ({"shift": 1.5}, "got 1.5"),
        ({"shift": True}, "got True"),
        ({"flip": 1}, "flip: Input should be a valid boolean; got 1"),
        ({"smallest_area": 0}, "smallest_area: Input should be greater than 0; got 0"),
        ({"smallest_area": 1.1}, "got 1.1"),
        ({"smallest_area": float("nan")}, "got nan"),
        ({"smallest_area": True}, "got True"),
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Augmentation(**wrong)  # type: ignore[arg-type]
