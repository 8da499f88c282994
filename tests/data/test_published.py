"""Data sets in the formats of their authors, against torchvision's own reading of them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets
from torchvision import transforms as T

from nbdt.data import ImageFolder, check_classes, published
from nbdt.data.catalogue import data_sets
from nbdt.data.digits import load_digits
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.hierarchy.library import load_classes
from tests.data.formats import write_cifar, write_fashion_mnist, write_picture

KINDS = {
    "fashion_mnist": (datasets.FashionMNIST, published.FASHION_MNIST),
    "cifar10": (datasets.CIFAR10, published.CIFAR10),
    "cifar100": (datasets.CIFAR100, published.CIFAR100),
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_fashion_mnist(tmp_path)
    write_cifar(tmp_path, datasets.CIFAR10, monkeypatch)
    write_cifar(tmp_path, datasets.CIFAR100, monkeypatch)
    return tmp_path


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_pictures_labels_and_tensors_are_torchvisions(
    written: Path, name: str, train: bool
) -> None:
    kind, preprocessing = KINDS[name]
    transform = T.Compose([T.ToTensor(), T.Normalize(preprocessing.mean, preprocessing.std)])
    expected = kind(written, train=train)
    found = data_sets()[name].read(written, train)
    assert len(found) == len(expected) == (20 if train else 10)
    for index, (picture, label) in enumerate(expected):
        assert np.array_equal(np.asarray(found.image(index)), np.asarray(picture))
        tensor, found_label = found[index]
        assert found_label == label
        torch.testing.assert_close(tensor, transform(picture), rtol=0, atol=1e-6)
    rows = load_classes(name)
    assert found.classes == tuple(row.name for row in rows)
    assert found.wnids == tuple(row.wnid for row in rows)


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("fashion_mnist", "FashionMNIST/raw/t10k-images-idx3-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw/t10k-labels-idx1-ubyte"),
        ("cifar10", "cifar-10-batches-py/data_batch_2"),
        ("cifar100", "cifar-100-python/meta"),
    ],
)
@pytest.mark.parametrize("how", ["cut", "gone", "text"])
def test_damaged_files_are_refused(written: Path, name: str, damaged: str, how: str) -> None:
    path = written / damaged
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"hello, world" if how == "text" else path.read_bytes()[:-1])
    with pytest.raises(FormatError, match=f"torchvision cannot read {name} there: ") as caught:
        data_sets()[name].read(written, False)
    assert str(caught.value).endswith("remove it and load it again with download=True.")
    assert "\n" not in str(caught.value)


def test_torchvision_calls_the_classes_of_fashion_mnist_the_same() -> None:
    names = tuple(row.name for row in load_classes("fashion_mnist"))
    assert names == tuple(datasets.FashionMNIST.classes)


def test_digits_are_those_of_the_demo() -> None:
    train, test = load_digits().split(seed=0)
    for found, expected in (
        (data_sets()["digits"].read(Path(), True), train),
        (data_sets()["digits"].read(Path(), False), test),
    ):
        assert found.indices.tolist() == expected.indices.tolist()
        assert torch.equal(found[3][0], expected.images[3])


# ── Tiny ImageNet ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    top = tmp_path / "tiny-imagenet-200"
    rows = load_classes("tiny_imagenet")
    for row in rows:
        write_picture(top / "train" / row.wnid / "images" / f"{row.wnid}_0.JPEG", row.index)
        (top / "train" / row.wnid / f"{row.wnid}_boxes.txt").write_text("0 0 0 64 64\n")
    lines = []
    for index in range(5):
        write_picture(top / "val" / "images" / f"val_{index}.JPEG", index)
        lines.append(f"val_{index}.JPEG\t{rows[40 * index].wnid}\t0\t0\t63\t63\n")
    (top / "val" / "val_annotations.txt").write_text("".join(lines))
    return tmp_path


def test_tiny_imagenet(tiny: Path) -> None:
    train, val = published.tiny_imagenet.read(tiny, True), published.tiny_imagenet.read(tiny, False)
    rows = load_classes("tiny_imagenet")
    for found in (train, val):
        check_classes(found, [row.name for row in rows])
        assert found.wnids == tuple(row.wnid for row in rows)
    assert sorted(train.targets) == list(range(200))
    # Each picture was painted in the shade of its class's number.
    assert all(train.image(i).getpixel((0, 0))[0] == train.targets[i] for i in range(0, 200, 13))
    assert val.targets.tolist() == [0, 40, 80, 120, 160]
    assert [val.image(i).getpixel((0, 0))[0] for i in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("line", ["", "val_0.JPEG", "val_0.JPEG\tn99999999", "../x\tn02124075"])
def test_lines_that_are_no_annotation_are_named(tiny: Path, line: str) -> None:
    path = tiny / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    path.write_text(f"val_0.JPEG\tn02124075\t0\n{line}\n")
    with pytest.raises(FormatError, match=r"val_annotations\.txt: line 2 must begin with"):
        published.tiny_imagenet.read(tiny, False)


def test_tiny_imagenet_without_a_class(tiny: Path) -> None:
    top = tiny / "tiny-imagenet-200" / "train"
    (top / "n02124075").rename(top / "n00000000")
    with pytest.raises(InputError, match=r"1 unknown .* \(n00000000\), 1 without .*Egyptian cat"):
        published.tiny_imagenet.read(tiny, True)


# ── ImageNet ──────────────────────────────────────────────────────────────────────────────────


def test_imagenet(tmp_path: Path) -> None:
    rows = load_classes("imagenet1k")
    for row in rows:
        write_picture(tmp_path / "val" / row.wnid / "ILSVRC2012_val_1.JPEG", row.index % 256)
    found = published.imagenet1k.read(tmp_path, False)
    assert isinstance(found, ImageFolder)
    assert found.classes == tuple(row.name for row in rows)
    assert found.targets.tolist() == list(range(1000))
    assert found.image(300).getpixel((0, 0))[0] == 44
    assert found[0][0].shape == (3, 224, 224)
    with pytest.raises(NotFoundError, match="train: no such folder"):
        published.imagenet1k.read(tmp_path, True)


def test_imagenet_samples(tmp_path: Path) -> None:
    for name in ("n01443537.jpg", "n01484850_great_white_shark.JPEG", "n01440764.jpg"):
        write_picture(tmp_path / name, 0)
    (tmp_path / "classes.csv").write_text("index,wnid,name\n")
    found = published.imagenet_samples.read(tmp_path, False)
    assert found.targets.tolist() == [0, 1, 2]
    assert len(found.classes) == 1000
    write_picture(tmp_path / "cat.jpg", 0)
    with pytest.raises(InputError, match=r"cat\.jpg: the name must begin with the wnid"):
        published.imagenet_samples.read(tmp_path, False)


# ── the real ones ─────────────────────────────────────────────────────────────────────────────


def test_the_real_fashion_mnist(nbdt_data: Path) -> None:
    found = published.fashion_mnist.read(nbdt_data / "fashion_mnist", True)
    assert np.bincount(found.targets).tolist() == [6000] * 10
    pixels = found.source.pixels / 255
    assert (round(pixels.mean(), 3), round(pixels.std(), 3)) == (0.286, 0.353)


def test_the_real_imagenet_samples(nbdt_data: Path) -> None:
    folder = nbdt_data / "imagenet_samples"
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        index = {row["wnid"]: int(row["index"]) for row in csv.DictReader(file)}
    found = published.imagenet_samples.read(folder, False)
    assert list(found.wnids) == list(index)
    assert found.targets.tolist() == list(range(0, 1000, 2))
    assert [index[path.stem] for path in found.source.paths] == found.targets.tolist()


def test_the_real_cifar10_jpeg(
    nbdt_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = published.cifar10_jpeg.read(nbdt_data / "cifar10_jpeg", False)
    assert np.bincount(found.targets).tolist() == [1000] * 10
    assert found.classes[0] == "airplane"
    again = published.cifar10_jpeg.read(nbdt_data / "cifar10_jpeg", False)
    assert np.array_equal(again.source.pixels, found.source.pixels)
    assert len(list((tmp_path / "nbdt" / "cifar10_jpeg").iterdir())) == 1
