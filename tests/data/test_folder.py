"""Pictures in memory, in files, and in folders of labeled images."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.data import (
    ImageFiles,
    ImageFolder,
    LabelledImages,
    PixelArray,
    check_classes,
    list_images,
    load_dataset,
    open_image,
)
from nbdt.data import folder as module
from nbdt.errors import InputError, Note, NotFoundError
from nbdt.files import list_subfolders
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


def test_a_folder_that_several_classes_may_mean_is_refused_with_both(tmp_path):
    folder_of(tmp_path, crane=1, dog=1)
    with pytest.raises(InputError, match=r"may mean 'crane \(0\)' or 'crane \(2\)'; use the full"):
        ImageFolder(tmp_path, Preprocessing(), classes=["crane (0)", "dog", "crane (2)"])


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_folder_matches_a_class_in_every_unicode_form(tmp_path, forms):
    folder, name = (unicodedata.normalize(form, "Zürich") for form in forms)
    folder_of(tmp_path, cat=1, **{folder: 1})
    images = ImageFolder(tmp_path, Preprocessing(), classes=["cat", name])
    labels = {path.parent.name: label for path, label in images.samples}
    assert labels == {"cat": 0, folder: 1}
    own = ImageFolder(tmp_path, Preprocessing()).filter_classes([name])
    check_classes(own, [name])
    assert load_dataset(tmp_path, classes=[name, "cat"]).classes == (name, "cat")


def test_what_is_left_out_is_counted_and_named_in_one_note(tmp_path):
    folder_of(tmp_path, cat=1, dog=1)
    for name in ("cat/a.HEIC", "cat/b.heic", "dog/c.jp2", "dog/photo", "dog/.d.png", "e.JPG"):
        (tmp_path / name).touch()
    for name in ("README.md", "cat/labels.csv", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "cat" / "more").symlink_to(tmp_path / "dog")
    with pytest.warns(Note) as notes:
        assert len(ImageFolder(tmp_path, Preprocessing())) == 2
    (found,) = notes
    for part in (
        "7 files are left out: ",
        "2 with .heic (cat/a.HEIC, cat/b.heic)",
        "1 with .jp2 (dog/c.jp2)",
        "1 without a suffix (dog/photo)",
        "1 hidden (dog/.d.png)",
        "1 linked from elsewhere (cat/more)",
        "1 outside of the class folders (e.JPG)",
    ):
        assert part in str(found.message)


def test_a_class_whose_images_are_all_of_another_kind_says_so(tmp_path):
    folder_of(tmp_path, cat=0)
    (tmp_path / "cat" / "a.heic").touch()
    with pytest.raises(
        InputError, match=r"no image is in this folder .*it has 1 with \.heic \(a\."
    ):
        ImageFolder(tmp_path, Preprocessing())


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


# ── in memory and in files ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("shape", "mode"), [((3, 5, 4), "L"), ((3, 5, 4, 3), "RGB")])
def test_pixels_are_what_they_were(shape: tuple[int, ...], mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    source = PixelArray(pixels)
    assert len(source) == 3
    for place in range(3):
        image = source[place]
        assert (image.mode, image.size) == (mode, (4, 5))
        assert np.array_equal(np.asarray(image), pixels[place])


def test_pixels_that_lie_apart_are_put_together() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4), dtype=np.uint8)
    source = PixelArray(planes.transpose(0, 2, 3, 1))
    assert source.pixels.flags.c_contiguous
    assert source[1].getpixel((3, 2)) == tuple(planes[1, :, 2, 3])


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (np.zeros((2, 5, 4)), r"got float64 of shape \(2, 5, 4\)"),
        (np.zeros((5, 4), np.uint8), r"got uint8 of shape \(5, 4\)"),
        (np.zeros((2, 5, 4, 1), np.uint8), r"got uint8 of shape \(2, 5, 4, 1\)"),
        ([1, 2], r"got \[1, 2\]"),
    ],
)
def test_what_is_no_array_of_pixels_is_refused(pixels: object, got: str) -> None:
    with pytest.raises(InputError, match=got):
        PixelArray(pixels)  # type: ignore[arg-type]


def test_files_are_read_when_asked_for(tmp_path) -> None:  # type: ignore[no-untyped-def]
    source = ImageFiles([str(tmp_path / "a.png"), tmp_path / "b.png"])
    Image.new("L", (4, 3), 7).save(tmp_path / "a.png")
    assert len(source) == 2
    assert source[0].getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(NotFoundError, match=r"b\.png: no such file"):
        source[1]


# ── what is in a folder ─────────────────────────────────────────────────────────────────────────


def empty_files(top, **counts):
    for name, count in counts.items():
        (top / name).mkdir(parents=True)
        for i in range(count):
            (top / name / f"{i}.png").touch()
    return top


class TestListImages:
    def test_recursive_and_sorted(self, tmp_path):
        for name in ("b/2.png", "b/10.JPG", "a.webp", "b.png", "a/c/d.gif"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for name in ("notes.txt", ".hidden.png", "._a.png", ".cache/x.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        with pytest.warns(Note, match=r"2 hidden \(\._a\.png, \.hidden\.png\)"):
            found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
        assert found == ["a/c/d.gif", "a.webp", "b/10.JPG", "b/2.png", "b.png"]

    def test_links_to_folders_are_not_followed(self, tmp_path):
        empty_files(tmp_path, a=1)
        (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
        with pytest.warns(Note, match="1 linked from elsewhere"):
            assert len(list_images(tmp_path)) == 1

    def test_empty(self, tmp_path):
        with pytest.raises(InputError, match=r"no image is in this folder .*\.jpg"):
            list_images(tmp_path)

    def test_missing_or_a_file(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder"):
            list_images(tmp_path / "x")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="this is a file"):
            list_images(tmp_path / "file")

    def test_unreadable(self, tmp_path, monkeypatch):
        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))

        monkeypatch.setattr(module.os, "walk", walk)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            list_images(tmp_path)


class TestListSubfolders:
    def test_sorted_without_files_and_hidden_ones(self, tmp_path):
        empty_files(tmp_path, dog=0, cat=0, **{".git": 0})
        (tmp_path / "README.txt").touch()
        assert list_subfolders(tmp_path) == ["cat", "dog"]

    def test_missing_or_a_file(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder"):
            list_subfolders(tmp_path / "x")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="this is a file"):
            list_subfolders(tmp_path / "file")

    def test_unreadable(self, tmp_path, monkeypatch):
        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))

        monkeypatch.setattr(module.os, "walk", walk)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            list_subfolders(tmp_path)
