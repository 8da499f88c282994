"""Archives of small images: the same as a folder of them, quick the second time, and harmless."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbdt.data import ImageFolder
from nbdt.data import archive as module
from nbdt.data.archive import read_archive
from nbdt.errors import FormatError, InputError
from nbdt.inputs.image import Preprocessing

CLASSES = ["cat", "dog"]


def jpeg(seed: int, side: int = 8) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=75)
    return file.getvalue()


# In no order, as tar keeps what it is given.
GOOD = {
    "test/dog/0001.jpg": jpeg(3),
    "test/cat/0000.jpg": jpeg(0),
    "test/dog/0000.jpg": jpeg(2),
    "./test/cat/0001.jpg": jpeg(1),
}


def packed(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def read(archive: Path) -> tuple[np.ndarray, np.ndarray]:
    return read_archive(archive, "test", CLASSES, 8, cache=archive.parent / "cache")


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_it_is_what_a_folder_of_the_files_is(tmp_path: Path, mode: str) -> None:
    folder = special("test/cat", tarfile.DIRTYPE)
    path = packed(tmp_path / "test.tar", {"test/cat": folder, **GOOD}, mode)
    pixels, targets = read(path)
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    images = ImageFolder(tmp_path / "out" / "test", Preprocessing())
    assert images.classes == tuple(CLASSES)
    assert (targets.dtype, targets.tolist()) == (np.int64, images.targets.tolist())
    assert (pixels.dtype, pixels.shape) == (np.uint8, (4, 8, 8, 3))
    for place in range(4):
        assert np.array_equal(pixels[place], np.asarray(images.image(place)))


def test_the_second_time_nothing_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD)
    first = read(path)
    monkeypatch.setattr(module, "decode_image", lambda *_, **__: pytest.fail("was decoded"))
    for before, after in zip(first, read(path), strict=True):
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cache", "test.tar.xz"]


def test_another_archive_is_decoded(tmp_path: Path) -> None:
    read(packed(tmp_path / "test.tar.xz", GOOD))
    pixels, targets = read(packed(tmp_path / "test.tar.xz", {"test/dog/0.jpg": jpeg(9)}))
    assert (len(pixels), targets.tolist()) == (1, [1])


def test_other_classes_have_other_targets(tmp_path: Path) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD)
    pixels, targets = read(path)
    turned_pixels, turned = read_archive(path, "test", CLASSES[::-1], 8, cache=tmp_path / "cache")
    for label in (0, 1):
        assert np.array_equal(pixels[targets == label], turned_pixels[turned == 1 - label])


def test_what_another_version_decoded_is_decoded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(module.PIL, "__version__", "0.0")
        patch.setattr(module, "decode_image", lambda *_, **__: Image.new("RGB", (8, 8)))
        assert not read(path)[0].any()
    assert read(path)[0].any()
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "array", "flipped", "labels", "shape"])
def test_damaged_pixels_are_decoded_anew(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD)
    pixels, targets = read(path)
    (kept,) = (tmp_path / "cache").iterdir()
    data = kept.read_bytes()
    with kept.open("wb") as file:
        if damage == "cut":
            file.write(data[: len(data) // 2])
        elif damage == "text":
            file.write(b"hello")
        elif damage == "array":
            np.save(file, pixels)
        elif damage == "flipped":
            place = data.index(pixels.tobytes()) + 5
            file.write(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        elif damage == "labels":
            np.savez(file, pixels=pixels, targets=targets + 1, decoder=module.PIL.__version__)
        elif damage == "shape":
            np.savez(file, pixels=pixels[:2], targets=targets, decoder=module.PIL.__version__)
    again = read(path)
    assert np.array_equal(again[0], pixels)
    assert np.array_equal(again[1], targets)


def test_without_a_place_to_keep_them_they_are_decoded_each_time(tmp_path: Path) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD)
    (tmp_path / "cache").write_text("a file, and no folder")
    for _ in range(2):
        assert read(path)[1].tolist() == [0, 0, 1, 1]
    assert (tmp_path / "cache").read_text() == "a file, and no folder"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../escaped.jpg", jpeg(0), r"'\.\./escaped\.jpg' is not test/\(class\)/\(name\)"),
        ("/etc/escaped.jpg", jpeg(0), "is not test/"),
        ("test/cat/../../../x.jpg", jpeg(0), "is not test/"),
        ("test/../x.jpg", jpeg(0), "is not test/"),
        ("test/cow/0.jpg", jpeg(0), "'test/cow/0.jpg' is not test/"),
        ("train/cat/0.jpg", jpeg(0), "is not test/"),
        ("test/0.jpg", jpeg(0), "is not test/"),
        ("test/cat/big.jpg", jpeg(0, side=16), r"test/cat/big\.jpg: has 16×16 pixels"),
        (
            "test/cat/long.jpg",
            bytes(1_000_001),
            "'test/cat/long.jpg' is not an ordinary",
        ),
        ("x", special("test/cat/l.jpg", tarfile.SYMTYPE, "/etc/passwd"), "is not an ordinary file"),
        (
            "x",
            special("test/cat/l.jpg", tarfile.LNKTYPE, "test/cat/0000.jpg"),
            "is not an ordinary",
        ),
        ("x", special("test/cat/fifo", tarfile.FIFOTYPE), "is not an ordinary file"),
    ],
)
def test_what_does_not_belong_there_is_refused(
    tmp_path: Path, name: str, content: bytes | tarfile.TarInfo, said: str
) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD | {name: content})
    with pytest.raises(FormatError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert [file.name for file in tmp_path.iterdir()] == ["test.tar.xz"]


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD | {"test/cat/a\nb.jpg": b"no image"})
    with pytest.raises(InputError, match=r"test\.tar\.xz: test/cat/a\\nb\.jpg: this is not an im"):
        read(path)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    with pytest.raises(FormatError, match="one too many; expected at most 3 images"):
        read(packed(tmp_path / "test.tar.xz", GOOD))


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_a_damaged_archive(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "test.tar.xz", GOOD)
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(
        {
            "cut": data[:half],
            "flipped": data[:half] + bytes([data[half] ^ 255]) + data[half + 1 :],
            "text": b"hello",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(FormatError, match=r"test\.tar\.xz: cannot be read as a tar archive"):
        read(path)


def test_an_archive_without_images_or_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds no images"):
        read(packed(tmp_path / "test.tar.xz", {}))
    with pytest.raises(InputError, match=r"gone\.tar: cannot be read: No such file"):
        read(tmp_path / "gone.tar")
