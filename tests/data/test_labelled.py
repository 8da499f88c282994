"""Labeled images: what they give, the changed views of them, and random changes."""

import pickle
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms as T
from torchvision.transforms import functional as F

from nbdt.data import Augmentation, LabelledImages, PixelArray
from nbdt.errors import InputError, Note, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import restrict
from nbdt.inputs.image import Preprocessing

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
TARGETS = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
CLASSES, WNIDS = ("cat", "dog", "fox", "car"), ("n02121620", "n02084071", "", "n02958343")
PREPROCESSING = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
TREE = Hierarchy(
    [4, 4, 5, 6, 5, 6, -1],
    [*CLASSES, "pet", "animal", ""],
    attributes={5: {"wnid": "n00015388"}, 3: {"wnid": "n02958343"}},
)


@pytest.fixture
def images() -> LabelledImages:
    return LabelledImages(PixelArray(PIXELS), TARGETS, CLASSES, PREPROCESSING, wnids=WNIDS)


def test_what_it_is(images: LabelledImages) -> None:
    assert len(images) == 12
    assert (images.classes, images.wnids) == (CLASSES, WNIDS)
    assert (images.targets.dtype, images.targets.tolist()) == (np.int64, TARGETS)
    assert images.indices.tolist() == list(range(12))
    assert images.augmentation is None
    assert repr(images) == "LabelledImages(12 images, 4 classes: cat, dog, fox, car)"


def test_a_sample_is_the_preprocessed_picture_and_a_plain_label(images: LabelledImages) -> None:
    for index in range(12):
        tensor, label = images[index]
        assert type(label) is int
        assert label == TARGETS[index]
        assert np.array_equal(np.asarray(images.image(index)), PIXELS[index])
        assert torch.equal(tensor, PREPROCESSING(Image.fromarray(PIXELS[index])))


def test_it_is_a_sequence(images: LabelledImages) -> None:
    assert [label for _, label in images] == TARGETS
    assert images[-1][1] == 3
    assert images[np.int64(2)][1] == 2
    for wrong in (12, -13, 10**9):
        with pytest.raises(
            IndexError, match=f"there is no sample {wrong}; samples go from 0 to 11"
        ):
            images[wrong]
    for no_index in ("0", 1.0, None, [0, 1], np.array([0, 1]), (0, 1)):
        with pytest.raises(InputError, match=r"one whole number or a slice, got .* select\(\)"):
            images[no_index]  # type: ignore[call-overload]


def test_a_list_of_pictures_is_a_source() -> None:
    pictures = [Image.new("L", (4, 4), shade) for shade in (0, 255)]
    images = LabelledImages(pictures, [1, 0], ["light", "dark"], Preprocessing(mode="L"))
    assert images.wnids == ("", "")
    assert images.select([1])[0][0].unique().tolist() == [1.0]


def test_the_preprocessing_is_replaced_in_a_view(images: LabelledImages) -> None:
    other = Preprocessing(mode="L", resize=3)
    view = images.with_preprocessing(other)
    assert torch.equal(view[3][0], other(images.image(3)))
    assert images.preprocessing == PREPROCESSING
    assert view.source is images.source
    with pytest.raises(InputError, match="expected a Preprocessing, got None"):
        images.with_preprocessing(None)  # type: ignore[arg-type]


def test_augmentation_comes_before_the_preprocessing(images: LabelledImages) -> None:
    augmentation = Augmentation(shift=2, flip=True)
    view = images.with_augmentation(augmentation).with_preprocessing(Preprocessing(mean=0.1))
    for index in range(12):
        torch.manual_seed(index)
        expected = augmentation(images.image(index), Preprocessing(mean=0.1))
        torch.manual_seed(index)
        tensor, label = view[index]
        assert torch.equal(tensor, expected)
        assert label == TARGETS[index]
    assert torch.equal(view.with_augmentation(None)[0][0], Preprocessing(mean=0.1)(view.image(0)))
    with pytest.raises(InputError, match="expected an Augmentation or None, got 'flip'"):
        images.with_augmentation("flip")  # type: ignore[arg-type]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_what_one_process_gives(images: LabelledImages, context: str) -> None:
    loader = DataLoader(images, 5, num_workers=1, multiprocessing_context=context)
    found = torch.cat([tensors for tensors, _ in loader])
    assert torch.equal(found, torch.stack([tensor for tensor, _ in images]))


def test_it_can_be_pickled_as_it_is(images: LabelledImages) -> None:
    view = images.select([3, 1]).with_augmentation(Augmentation(flip=True))
    again = pickle.loads(pickle.dumps(view))
    assert again.indices.tolist() == [3, 1]
    assert again.augmentation == view.augmentation
    torch.manual_seed(0)
    first = view[0][0]
    torch.manual_seed(0)
    assert torch.equal(again[0][0], first)


class TestSelect:
    @pytest.mark.parametrize(
        "chosen",
        [[7, 0, 7], np.array([7, 0, 7]), torch.tensor([7, 0, 7]), iter([7, 0, 7]), range(7, 4, -2)],
    )
    def test_by_index(self, images: LabelledImages, chosen) -> None:  # type: ignore[no-untyped-def]
        chosen = chosen if isinstance(chosen, torch.Tensor | np.ndarray) else list(chosen)
        view = images.select(chosen)
        assert view.indices.tolist() == list(chosen)
        assert view.targets.tolist() == [TARGETS[index] for index in chosen]
        assert np.array_equal(np.asarray(view.image(1)), PIXELS[chosen[1]])

    def test_by_mask(self, images: LabelledImages) -> None:
        assert images.select(images.targets == 2).indices.tolist() == [2, 6, 10]
        assert images.select(torch.tensor(TARGETS) == 2).indices.tolist() == [2, 6, 10]

    def test_of_a_selection_and_of_nothing(self, images: LabelledImages) -> None:
        view = images.select([5, 6, 7]).select([2, 0])
        assert view.indices.tolist() == [7, 5]
        assert repr(view.select([])) == "LabelledImages(0 images, 4 classes: cat, dog, fox, car)"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ([12], "there is no sample 12; samples go from 0 to 11"),
            ([3, -1], "there is no sample -1"),
            ([0.5], "expected a list of indices or a mask of 12 booleans, got an array of float64"),
            ([True, False], "got an array of bool"),
            ([[1]], r"got an array of int64 of shape \(1, 1\)"),
            (3, r"got an array of int64 of shape \(\)"),
            (["a"], "got an array of <U1"),
        ],
    )
    def test_wrong(self, images: LabelledImages, wrong, said: str) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(InputError, match=said):
            images.select(wrong)


class TestSplit:
    def test_each_class_in_its_share(self, images: LabelledImages) -> None:
        train, held_out = images.split(1 / 3, seed=1)
        assert sorted([*train.indices, *held_out.indices]) == list(range(12))
        assert np.bincount(train.targets).tolist() == [2, 2, 2, 2]
        assert np.bincount(held_out.targets).tolist() == [1, 1, 1, 1]
        assert held_out.targets.tolist() == [TARGETS[index] for index in held_out.indices]

    def test_the_held_out_part_is_not_augmented(self, images: LabelledImages) -> None:
        augmentation = Augmentation(flip=True)
        train, held_out = images.with_augmentation(augmentation).split(4)
        assert (train.augmentation, held_out.augmentation) == (augmentation, None)

    def test_subset(self, images: LabelledImages) -> None:
        view = images.with_augmentation(Augmentation(flip=True)).subset(4, seed=1)
        assert np.bincount(view.targets).tolist() == [1, 1, 1, 1]
        assert view.augmentation is not None
        assert images.subset(1 / 3, seed=1).indices.tolist() == view.indices.tolist()
        assert images.subset(4, seed=2).indices.tolist() != view.indices.tolist()
        assert images.subset(12).indices.tolist() == list(range(12))
        assert images.subset(1.0).indices.tolist() == list(range(12))

    def test_parts_share_out_the_samples(self, images: LabelledImages) -> None:
        view = images.with_augmentation(Augmentation(flip=True))
        parts = view.parts(3, seed=1)
        assert sorted(np.concatenate([part.indices for part in parts])) == list(range(12))
        for part in parts:
            assert np.bincount(part.targets).tolist() == [1, 1, 1, 1]
            assert part.augmentation is not None
            assert part.targets.tolist() == [TARGETS[place] for place in part.indices]

    def test_a_slice_is_a_view(self, images: LabelledImages) -> None:
        for cut in (slice(0, 3), slice(None, None, -2), slice(-2, 99), slice(3, 3)):
            view = images[cut]
            assert view.indices.tolist() == list(range(12))[cut]
            assert view.targets.tolist() == TARGETS[cut]
        assert torch.equal(images[4:][1][0], images[5][0])
        assert images.select([7, 3, 5])[1:].indices.tolist() == [3, 5]


class TestFilterClasses:
    def test_labels_are_numbered_anew(self, images: LabelledImages) -> None:
        view = images.filter_classes(include=["car", "dog"])
        assert (view.classes, view.wnids) == (("dog", "car"), ("n02084071", "n02958343"))
        assert view.indices.tolist() == [1, 3, 5, 7, 9, 11]
        assert view.targets.tolist() == [0, 1, 0, 1, 0, 1]
        assert view.targets.dtype == np.int64
        assert view[1][1] == 1

    def test_what_is_left_out(self, images: LabelledImages) -> None:
        view = images.filter_classes(exclude=["n02121620"]).filter_classes(exclude=["fox"])
        assert view.classes == ("dog", "car")
        assert view.targets.tolist() == [0, 1, 0, 1, 0, 1]

    def test_a_tree_can_follow(self, images: LabelledImages) -> None:
        view = images.filter_classes(exclude=["dog"])
        assert restrict(TREE, view.classes).classes == view.classes

    def test_an_unknown_class(self, images: LabelledImages) -> None:
        with pytest.raises(NotFoundError, match="no class 'horse'"):
            images.filter_classes(include=["horse"])


class TestRegroup:
    def test_by_depth(self, images: LabelledImages) -> None:
        view = images.regroup(TREE, 1)
        assert (view.classes, view.wnids) == (("car", "animal"), ("n02958343", "n00015388"))
        assert view.targets.tolist() == [1, 1, 1, 0] * 3
        assert torch.equal(view[3][0], images[3][0])

    def test_by_nodes(self, images: LabelledImages) -> None:
        view = images.regroup(TREE, ["pet", "fox", 3])
        assert (view.classes, view.wnids) == (("pet", "fox", "car"), ("", "", "n02958343"))
        assert view.targets.tolist() == [0, 0, 1, 2] * 3

    def test_nameless_nodes_have_their_number(self, images: LabelledImages) -> None:
        assert images.regroup(TREE, [6]).classes == ("node 6",)

    def test_of_a_selection(self, images: LabelledImages) -> None:
        assert images.select([3, 0]).regroup(TREE, 1).targets.tolist() == [0, 1]

    def test_a_tree_of_other_classes(self, images: LabelledImages) -> None:
        tree = Hierarchy([4, 4, 4, 4, -1], CLASSES[::-1])
        with pytest.raises(InputError, match="are in another order than the classes of the tree"):
            images.regroup(tree, 1)

    def test_nodes_of_one_name(self, images: LabelledImages) -> None:
        tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], [*CLASSES, "pair", "pair", ""])
        with pytest.warns(Note, match="several classes are called 'pair'"):
            assert images.regroup(tree, 1).classes == ("pair (0)", "pair (1)")


class TestWrong:
    @pytest.mark.parametrize(
        ("targets", "said"),
        [
            ([0, 1], r"targets must be 12 whole numbers, .* int64 of shape \(2,\)"),
            ([0.0] * 12, "got an array of float64"),
            ([[0]] * 12, r"of shape \(12, 1\)"),
            ([0] * 11 + [4], "a target is 4; with 4 classes they go from 0 to 3"),
            ([0] * 11 + [-1], "a target is -1"),
        ],
    )
    def test_targets(self, targets, said: str) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(InputError, match=said):
            LabelledImages(PixelArray(PIXELS), targets, CLASSES, PREPROCESSING)

    def test_names(self) -> None:
        source = PixelArray(PIXELS)
        names, wnids = ["crane", "dog", "crane", "fox"], ["n02012849", "", "n03126707", ""]
        with pytest.warns(Note, match="several classes are called 'crane'"):
            images = LabelledImages(source, TARGETS, names, PREPROCESSING, wnids=wnids)
        assert images.classes == ("crane (n02012849)", "dog", "crane (n03126707)", "fox")
        with pytest.raises(
            NotFoundError, match=r"'crane' may mean 'crane \(n02012849\)' or 'crane"
        ):
            images.filter_classes(["crane"])
        with pytest.raises(InputError, match="expected a wnid or '' for each of 4 classes, got 1"):
            LabelledImages(source, TARGETS, CLASSES, PREPROCESSING, wnids=["n02121620"])

    def test_preprocessing(self) -> None:
        with pytest.raises(InputError, match="expected a Preprocessing, got <built-in"):
            LabelledImages(PixelArray(PIXELS), TARGETS, CLASSES, len)  # type: ignore[arg-type]


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
