"""The checkpoint file: what is written is read, and nothing else is."""

import json
import os
import stat
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import SGD, AdamW
from torch.utils.data import Dataset, Subset, TensorDataset

from nbdt.data import Augmentation, ImageFolder, LabelledImages, load_dataset
from nbdt.errors import FormatError, InputError
from nbdt.inputs.image import Preprocessing
from nbdt.training import checkpoint as module
from nbdt.training.checkpoint import (
    SCHEMA,
    Checkpoint,
    data_identity,
    load_optimizer,
    optimizer_tensors,
)
from tests.training.subjects import Noisy, points

TYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool,
         torch.uint8]  # fmt: skip


def tensors():
    generator = torch.Generator().manual_seed(0)
    found = {
        f"group.{i}": (100 * torch.randn(2, 3, generator=generator)).to(dtype)
        for i, dtype in enumerate(TYPES)
    }
    found["number"] = torch.tensor(float("nan"))
    found["nothing"] = torch.empty(0, 3)
    found["transposed"] = torch.arange(6.0).view(2, 3).T
    found["tied"] = found["group.0"]
    found["naïve 日本"] = torch.zeros(1)
    return found


DOCUMENT = {
    "epoch": 1,
    "sum": 0.1 + 0.2,
    "seed": 2**63 - 1,
    "none": None,
    "é": ["日本", {"a": -0.0}],
}


@pytest.fixture
def file(tmp_path):
    Checkpoint(tensors(), DOCUMENT).save(tmp_path / "checkpoint.safetensors")
    return tmp_path / "checkpoint.safetensors"


def same(one, other):
    return (
        one.dtype == other.dtype and one.shape == other.shape
        and one.numpy(force=True).tobytes() == other.numpy(force=True).tobytes()
        if one.dtype != torch.bfloat16 else torch.equal(one, other)
    )  # fmt: skip


def test_what_is_saved_is_loaded_to_the_bit(file):
    found = Checkpoint.load(file)
    assert found.tensors.keys() == tensors().keys()
    for name, expected in tensors().items():
        assert same(found.tensors[name], expected.contiguous()), name
    assert found.document == DOCUMENT


@settings(max_examples=8)  # each waits for the disk, so each holds many values
@given(st.lists(st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
), min_size=10))  # fmt: skip
def test_every_document_of_json_is_kept_exactly(value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.safetensors")
        try:
            Checkpoint({}, {"value": value}).save(path)
        except UnicodeEncodeError:
            return  # a lone surrogate is no text
        assert Checkpoint.load(path).document == {"value": value}


def test_saving_makes_a_file_like_any_other_and_leaves_the_tensors_alone(tmp_path):
    weight, file = nn.Parameter(torch.ones(3)), tmp_path / "file"
    Checkpoint({"weight": weight}, {}).save(file)
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert weight.requires_grad
    Checkpoint.load(file).tensors["weight"].zero_()
    assert torch.equal(weight, torch.ones(3))
    before = file.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        Checkpoint({}, {"sum": float("nan")}).save(file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "usual"]


# ── damage ────────────────────────────────────────────────────────────────────────────────────


def refused(file, said=None):
    before = file.read_bytes()
    with pytest.raises(FormatError, match=said) as caught:
        Checkpoint.load(file)
    assert str(caught.value).startswith(str(file))
    assert len(str(caught.value)) < 600
    assert file.read_bytes() == before


def header_length(data):
    return 8 + struct.unpack("<Q", data[:8])[0]


def test_a_single_flipped_bit_is_noticed_wherever_it_is(file):
    data = file.read_bytes()
    header = header_length(data)
    generator = np.random.default_rng(0)
    text = data.index(b"0.30000000000000004")
    places = {
        *range(8 * 8),
        *range(8 * text, 8 * (text + 19)),
        *generator.integers(8 * 8, 8 * header, 200).tolist(),
        *generator.integers(8 * header, 8 * len(data), 100).tolist(),
        8 * len(data) - 1,
    }
    unnoticed = []
    for place in sorted(places):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(changed)
        with suppress(FormatError):
            Checkpoint.load(file)
            unnoticed.append(place)
    assert unnoticed == []


def test_a_file_that_was_cut_off_is_refused_at_every_length(file):
    data = file.read_bytes()
    header = header_length(data)
    lengths = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(data) - 1}
    lengths |= set(range(10, len(data), 37))
    for length in lengths:
        file.write_bytes(data[:length])
        refused(file, "is not a whole safetensors file")
    file.write_bytes(data + b"\0")
    refused(file, "is not a whole safetensors file")


def test_other_values_are_noticed(file):
    loaded = Checkpoint.load(file)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    changed = dict(loaded.tensors)
    changed["group.0"], changed["tied"] = changed["group.0"] + 1, changed["tied"] - 1
    save_file(changed, file, metadata=metadata)
    refused(file, "was changed or damaged after it was written")


@pytest.mark.parametrize(("metadata", "said"), [
    (None, "reads checkpoints of the schema nbdt.training/2; this one has None"),
    ({"format": "pt"}, "this one has None"),
    ({"schema": "nbdt.training/1"}, "this one has 'nbdt.training/1'"),
    ({"schema": "x" * 500}, "this one has 'xxx"),
    ({"schema": SCHEMA}, "was changed or damaged"),
    ({"schema": SCHEMA, "document": "{}", "sha256": "0" * 64}, "was changed or damaged"),
], ids=str)  # fmt: skip
def test_foreign_files_are_refused(tmp_path, metadata, said):
    save_file({"weight": torch.ones(2)}, tmp_path / "foreign", metadata=metadata)
    refused(tmp_path / "foreign", said)


@pytest.mark.parametrize("document", ["[1]", "3", "null", "{", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_documents_that_are_no_objects_are_refused(tmp_path, document):
    ones = {"weight": torch.ones(2)}
    digest = module.digest(ones, document)
    metadata = {"schema": SCHEMA, "document": document, "sha256": digest}
    save_file(ones, tmp_path / "forged", metadata=metadata)
    refused(tmp_path / "forged", "JSON|object|twice|NaN")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_what_is_no_safetensors_file_is_refused_and_no_pickle_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = json.dumps({"w": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "odd").write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    refused(tmp_path / "odd")
    torch.save(Bomb(), tmp_path / "pickle")
    refused(tmp_path / "pickle", "is not a whole safetensors file")
    assert not (tmp_path / "ran").exists()
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FormatError, match="is not a whole safetensors file"):
            Checkpoint.load(path)


# ── a disk that is full, or fails ─────────────────────────────────────────────────────────────


def no_space(*args, **kwargs):
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize("broken", ["pathlib.Path.chmod", "nbdt.training.checkpoint.save_file"])
def test_a_full_disk_leaves_the_file_as_it_was(file, monkeypatch, broken):
    before = file.read_bytes()
    monkeypatch.setattr(broken, no_space)
    with pytest.raises(InputError, match=rf"^{file}: cannot be written: No space left on device"):
        Checkpoint({"weight": torch.ones(9)}, {}).save(file)
    monkeypatch.undo()
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


# ── the optimizer ─────────────────────────────────────────────────────────────────────────────


def two_layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def take_steps(of, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        of(torch.full((1, 2), 0.1 * step)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [
    AdamW, lambda p, lr: SGD(p, lr=lr, momentum=0.9), lambda p, lr: SGD(p, lr=lr),
], ids=["adamw", "momentum", "sgd"])  # fmt: skip
def test_the_optimizers_state_goes_on_as_if_never_saved(kind):
    of, again = two_layers(), two_layers()
    optimizer, fresh = kind(of.parameters(), 0.1), kind(again.parameters(), 0.1)
    take_steps(of, optimizer, [1, 2, 3])
    again.load_state_dict(of.state_dict())
    load_optimizer(fresh, {name: v.clone() for name, v in optimizer_tensors(optimizer).items()})
    take_steps(of, optimizer, [4, 5])
    take_steps(again, fresh, [4, 5])
    for one, other in zip(of.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("name", "value", "said"), [
    ("9.momentum_buffer", torch.zeros(1), "optimizer lacks a parameter for '9.momentum_buffer'"),
    ("x.momentum_buffer", torch.zeros(1), "lacks a parameter"),
    ("0", torch.zeros(1), "lacks a parameter"),
    ("-1.momentum_buffer", torch.zeros(1), "lacks a parameter"),
    ("0.momentum_buffer", torch.zeros(2, 3), r"0.momentum_buffer has the shape"),
])  # fmt: skip
def test_tensors_of_another_optimizer_are_refused(name, value, said):
    of = two_layers()
    optimizer = SGD(of.parameters(), 0.1, momentum=0.9)
    take_steps(of, optimizer, [1])
    before = {key: tensor.clone() for key, tensor in optimizer_tensors(optimizer).items()}
    with pytest.raises(FormatError, match=said):
        load_optimizer(optimizer, {name: value})
    after = optimizer_tensors(optimizer)
    assert len(after) == 4
    assert all(torch.equal(after[key], before[key]) for key in before)


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
