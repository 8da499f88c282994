"""Tiny data sets in the formats of the real ones."""

import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SAMPLES = {"train": 20, "test": 10}


def pixels(split: str, *shape: int) -> np.ndarray:
    seed = sum(map(ord, split))
    return np.random.default_rng(seed).integers(0, 256, (SAMPLES[split], *shape), dtype=np.uint8)


def labels(split: str, num_classes: int = 10) -> np.ndarray:
    return (np.arange(SAMPLES[split]) * 7 + 3) % num_classes


def write_fashion_mnist(root: Path) -> None:
    """As idx files: a magic number with type and rank, the lengths, the bytes."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        for kind, array in (("images-idx3", pixels(split, 28, 28)), ("labels-idx1", labels(split))):
            header = struct.pack(f">{array.ndim + 1}I", 0x800 + array.ndim, *array.shape)
            data = header + array.astype(np.uint8).tobytes()
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(data)


def write_cifar(root: Path, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the pickles that torchvision's CIFAR classes read, once it knows their MD5 sums."""
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    key = "labels" if kind.base_folder == "cifar-10-batches-py" else "fine_labels"
    num_classes = 10 if key == "labels" else 100
    lists = {}
    for split, entries in (("train", kind.train_list), ("test", kind.test_list)):
        parts = np.array_split(np.arange(SAMPLES[split]), len(entries))
        lists[f"{split}_list"] = [
            [
                name,
                _pickled(
                    folder / name,
                    {
                        "data": pixels(split, 3, 32, 32)[part].reshape(len(part), -1),
                        key: labels(split, num_classes)[part].tolist(),
                    },
                ),
            ]
            for (name, _), part in zip(entries, parts, strict=True)
        ]
    names = [str(label) for label in range(num_classes)]
    meta = kind.meta | {"md5": _pickled(folder / kind.meta["filename"], {kind.meta["key"]: names})}
    for name, value in {**lists, "meta": meta}.items():
        monkeypatch.setattr(kind, name, value)


def write_picture(path: Path, shade: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 0, 0)).save(path, "PNG")


def _pickled(path: Path, value: object) -> str:
    data = pickle.dumps(value)
    path.write_bytes(data)
    return hashlib.md5(data).hexdigest()
