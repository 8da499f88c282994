"""Data sets by name or path: found, missed, downloaded."""

import gzip
import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms.functional import pil_to_tensor

from nbdt.data import (
    Augmentation,
    ImageFolder,
    LabelledImages,
    PixelArray,
    describe_datasets,
    load_dataset,
)
from nbdt.data.loading import VARIABLE, place_of, training_split
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.hierarchy.library import load_classes
from nbdt.inputs.image import Preprocessing
from tests.data.formats import labels, write_cifar, write_fashion_mnist, write_picture
from tests.timing import cpu_seconds


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's data sets are in reach, and none of the user's folders."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "nbdt"


# ── by name ───────────────────────────────────────────────────────────────────────────────────


def test_digits_need_nothing() -> None:
    train, test = load_dataset("digits", "train"), load_dataset("digits")
    assert (len(train), len(test)) == (1347, 450)
    assert sorted([*train.indices, *test.indices]) == list(range(1797))
    assert train.augmentation is None


@pytest.mark.parametrize("below", ["fashion_mnist", "."])
def test_a_root_holds_the_data_set_or_a_folder_of_its_name(tmp_path: Path, below: str) -> None:
    write_fashion_mnist(tmp_path / "data" / below)
    train = load_dataset("fashion_mnist", "train", root=tmp_path / "data")
    assert train.targets.tolist() == labels("train").tolist()
    test = load_dataset("fashion_mnist", root=str(tmp_path / "data"))
    assert test.targets.tolist() == labels("test").tolist()


def test_without_a_root_the_variable_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fashion_mnist(tmp_path / "data" / "fashion_mnist")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "data"))
    assert len(load_dataset("fashion_mnist")) == 10
    with pytest.raises(NotFoundError, match="looked for FashionMNIST"):
        load_dataset("fashion_mnist", root=tmp_path / "elsewhere")


def test_augmentation_is_the_usual_one_and_only_when_asked_for(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    assert load_dataset("fashion_mnist", "train", root=tmp_path).augmentation is None
    augmented = load_dataset("fashion_mnist", "train", root=tmp_path, augment=True)
    assert augmented.augmentation == Augmentation(shift=2)
    torch.manual_seed(0)
    assert len({augmented[0][0].sum().item() for _ in range(20)}) > 1


def test_cifar_is_shifted_and_flipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, datasets.CIFAR100, monkeypatch)
    images = load_dataset("cifar100", "train", root=tmp_path, augment=True)
    assert images.augmentation == Augmentation(shift=4, flip=True)
    assert images[0][0].shape == (3, 32, 32)


def test_the_classes_of_a_model_have_to_be_those(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    names = [row.name for row in load_classes("fashion_mnist")]
    load_dataset("fashion_mnist", root=tmp_path, classes=names)
    with pytest.raises(InputError, match="are in another order than the classes of the model"):
        load_dataset("fashion_mnist", root=tmp_path, classes=names[::-1])


@pytest.mark.parametrize(
    ("name", "split"), [("digits", "val"), ("imagenet_samples", "train"), ("cifar10", "Test")]
)
def test_a_split_that_is_not_there(name: str, split: str) -> None:
    with pytest.raises(InputError, match=f"the split of {name} must be .*test, got '{split}'"):
        load_dataset(name, split)


@pytest.mark.parametrize("name", sorted(set(describe_datasets()) - {"digits"}))
def test_a_missing_set_says_where_it_was_looked_for_and_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "data"))
    with pytest.raises(NotFoundError) as caught:
        load_dataset(name)
    said = str(caught.value)
    for place in (tmp_path / "data", cache):
        assert f"{place / name}, {place}" in said
    assert "set NBDT_DATA (or root) to the folder that holds " + name in said
    run = f'Run load_dataset("{name}", "test", download=True), or set'
    assert (run in said) == (name in ("fashion_mnist", "cifar10", "cifar100"))
    assert not cache.exists()


# ── downloads ─────────────────────────────────────────────────────────────────────────────────


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a site on this machine, with archives as the data sets' sites have them."""
    site = tmp_path / "site"
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    address = f"http://127.0.0.1:{server.server_port}"
    write_fashion_mnist(site)
    resources = []
    for path in sorted((site / "FashionMNIST" / "raw").iterdir()):
        packed = site / f"{path.name}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"{address}/"])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    write_cifar(site, datasets.CIFAR10, monkeypatch)
    packed = site / datasets.CIFAR10.filename
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(site / datasets.CIFAR10.base_folder, datasets.CIFAR10.base_folder)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/{packed.name}")
    md5 = hashlib.md5(packed.read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
@pytest.mark.parametrize("has_root", [True, False])
def test_what_is_missing_is_downloaded_once(
    name: str, has_root: bool, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    cache: Path,
) -> None:  # fmt: skip
    data = tmp_path / "data"
    data.mkdir()
    if not has_root:
        # That folder is read, and never written.
        monkeypatch.setenv(VARIABLE, str(data))
    root = data if has_root else None
    with pytest.raises(NotFoundError):
        load_dataset(name, root=root)
    first = load_dataset(name, root=root, download=True)
    assert first.targets.tolist() == labels("test").tolist()
    target = (data if has_root else cache) / name
    assert [path for path in (data, cache) if path.exists() and any(path.iterdir())] == [
        target.parent
    ]
    shutil.rmtree(remote)
    assert len(load_dataset(name, "train", root=root, download=True)) == 20
    assert len(load_dataset(name, root=root)) == 10


def test_an_unfinished_download_is_finished(remote: Path, cache: Path) -> None:
    load_dataset("cifar10", download=True)
    batch = cache / "cifar10" / datasets.CIFAR10.base_folder / "data_batch_3"
    batch.unlink()
    with pytest.raises(FormatError, match="load it again with download"):
        load_dataset("cifar10")
    assert len(load_dataset("cifar10", "train", download=True)) == 20
    assert batch.exists()


def test_a_download_that_fails(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("no_proxy", "*")
    # Nobody listens at port 9, "discard".
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    for name in ("fashion_mnist", "cifar10"):
        with pytest.raises(InputError, match=f"{name} could not be downloaded to ") as caught:
            load_dataset(name, download=True)
        assert str(cache / name) in str(caught.value)
        assert "refused" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_nobody_can_download() -> None:
    with pytest.raises(InputError, match=r"imagenet1k cannot be downloaded.* get it at image-net"):
        load_dataset("imagenet1k", download=True)


# ── by path ───────────────────────────────────────────────────────────────────────────────────


def photos(top: Path, *names: str) -> Path:
    for shade, name in enumerate(names):
        write_picture(top / name, shade)
    return top


def test_a_folder_of_classes(tmp_path: Path) -> None:
    top = photos(tmp_path / "photos", "dog/1.png", "cat/1.png", "cat/2.png")
    images = load_dataset(top)
    assert isinstance(images, ImageFolder)
    assert images.classes == ("cat", "dog")
    assert images.targets.tolist() == [0, 0, 1]
    assert images[0][0].shape == (3, 224, 224)
    ordered = load_dataset(str(top), classes=["dog", "cat"], augment=True)
    assert ordered.targets.tolist() == [1, 1, 0]
    assert ordered.augmentation == Augmentation(smallest_area=0.08, flip=True)
    small = ordered.with_preprocessing(Preprocessing(mode="L", resize=8, crop=8))
    assert small[0][0].shape == (1, 8, 8)
    with pytest.raises(InputError, match=r"1 unknown to the model \(dog\)"):
        load_dataset(top, classes=["cat", "cow"])


def test_a_folder_called_by_the_wnids_of_a_models_classes(tmp_path: Path) -> None:
    rows = load_classes("cifar10")
    top = photos(tmp_path, *(f"{row.wnid}/1.png" for row in rows))
    images = load_dataset(top, classes=[row.name for row in rows])
    assert images.wnids == tuple(row.wnid for row in rows)
    assert sorted(images.targets) == list(range(10))


def test_a_folder_of_splits(tmp_path: Path) -> None:
    photos(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png")
    for split, folder in (("train", "train"), ("val", "val"), ("test", "val")):
        images = load_dataset(tmp_path, split)
        assert images.samples[0][0].relative_to(tmp_path).parts[0] == folder
        assert images.classes == ("cat", "dog")
    photos(tmp_path, "test/cat/3.png", "test/dog/3.png")
    assert load_dataset(tmp_path).samples[0][0].name == "3.png"


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    photos(tmp_path, "train/1.png", "bus/1.png")
    assert load_dataset(tmp_path).classes == ("bus", "train")


def test_a_split_that_the_folder_does_not_have(tmp_path: Path) -> None:
    photos(tmp_path, "cat/1.png", "dog/1.png")
    with pytest.raises(NotFoundError, match=r"no subfolder train .* load the folder as it is"):
        load_dataset(tmp_path, "train")
    photos(tmp_path, "train/cat/1.png")
    for split in ("test", "val"):
        with pytest.raises(NotFoundError, match=f"no subfolder {split} .*; it has train"):
            load_dataset(tmp_path, split)
    with pytest.raises(InputError, match="the split of a folder is train, val or test; got 'all'"):
        load_dataset(tmp_path, "all")


def test_neither_a_name_nor_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"cifar11: .* did you mean 'cifar10'"):
        load_dataset("cifar11")
    with pytest.raises(NotFoundError, match=r"no data set \(digits, fashion_mnist, .* check the"):
        load_dataset(tmp_path / "gone")
    for odd in ("x" * 5000, "a\0b", ""):
        with pytest.raises((NotFoundError, InputError)):
            load_dataset(odd)
    with pytest.raises(InputError, match="a data set is given by name or path, got 3"):
        load_dataset(3)  # type: ignore[arg-type]


def test_a_name_is_not_hidden_by_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, "digits/cat/1.png")
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("digits")) == 450
    assert load_dataset("./digits").classes == load_dataset(Path("digits")).classes == ("cat",)


def test_root_and_download_are_for_names(tmp_path: Path) -> None:
    for options in ({"root": tmp_path}, {"download": True}):
        with pytest.raises(InputError, match="root and download go with a data set's name"):
            load_dataset(tmp_path, **options)


# ── the real ones, and what they cost ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shape", "augmentation"),
    [((32, 32, 3), Augmentation(shift=4, flip=True)), ((28, 28), Augmentation(shift=2))],
)
def test_an_epoch_of_training_images_is_quick(
    shape: tuple[int, ...], augmentation: Augmentation
) -> None:
    samples = 1000
    pixels = np.zeros((samples, *shape), np.uint8)
    mode = "RGB" if len(shape) == 3 else "L"
    images = LabelledImages(
        PixelArray(pixels), [0] * samples, ["all"], Preprocessing(mode=mode, mean=0.5, std=0.5)
    ).with_augmentation(augmentation)

    def plain(index: int) -> torch.Tensor:
        return (pil_to_tensor(Image.fromarray(pixels[index])) / 255 - 0.5) / 0.5

    taken = cpu_seconds(lambda: [images[index] for index in range(samples)])
    least = cpu_seconds(lambda: [plain(index) for index in range(samples)])
    assert taken < 4 * least  # with random changes, checks, and a pair for each sample


def test_the_real_data_sets_are_found(nbdt_data: Path) -> None:
    assert len(load_dataset("imagenet_samples", root=nbdt_data)) == 500
    train = load_dataset("fashion_mnist", "train", root=nbdt_data, augment=True)
    assert np.bincount(train.subset(1000).targets).tolist() == [100] * 10


def test_a_place_is_that_of_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("photos/train/cat", "photos/val/cat", "plain/cat"):
        Path(folder).mkdir(parents=True)
    Path("link").symlink_to("photos")
    assert place_of("photos") == place_of("link/val") == place_of(str(tmp_path / "photos" / "val"))
    assert place_of("photos", "train") == place_of("link/train") != place_of("photos")
    assert place_of("plain") == str((tmp_path / "plain").resolve())
    assert place_of("digits") != place_of("digits", "train")
    assert place_of("digits") != place_of("cifar10")
    for gone in ("gone", "\0", "x" * 9999):
        with pytest.raises(NotFoundError, match="no folder has that name"):
            place_of(gone)
    with pytest.raises(NotFoundError, match="no subfolder train"):
        place_of("plain", "train")
    splits = {name: training_split(name) for name in ("photos", "plain", "digits", "gone")}
    assert splits == {"photos": "train", "plain": "test", "digits": "train", "gone": "train"}
