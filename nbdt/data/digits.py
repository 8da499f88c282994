"""Handwritten digits that come with scikit-learn: real data that nobody has to download."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from nbdt.data.catalogue import DataSet
from nbdt.data.folder import PixelArray
from nbdt.data.labelled import LabelledImages
from nbdt.files import replacing
from nbdt.hierarchy.library import load_classes
from nbdt.inputs.image import Preprocessing

SIDE = 8
# A brightness of 0 … 16 is stored as a pixel of 0 … 240 and reaches the network divided by 256,
# so that no step rounds. Box averaging is how the 8×8 digits were made from scanned ones.
GREY_STEP = 15
BRIGHTEST = 16 * GREY_STEP / 256
PREPROCESSING = Preprocessing(mode="L", resize=SIDE, crop=SIDE, interpolation="box", scale=1 / 256)
# How many pixels a side a digit's pixel has in a file: 8 × 8 would be hard to see. A power of
# two, whose averages are exact.
ZOOM = 16
# The digits have no official split; this one holds out a quarter.
_SEED = 0


class Digits(LabelledImages):
    """1,797 handwritten digits of 13 people, light on dark, 8×8 pixels, from scikit-learn.

    They are the test set of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI
    Machine Learning Repository, 1998). It does not say who wrote which, so a split has the same
    writers on both sides.
    """

    source: PixelArray

    def __init__(self) -> None:
        from sklearn.datasets import load_digits as load_scikit_learn_digits

        found = load_scikit_learn_digits()
        super().__init__(
            PixelArray((found.images * GREY_STEP).astype(np.uint8)),
            found.target,
            [entry.name for entry in load_classes("digits")],
            PREPROCESSING,
        )

    @property
    def images(self) -> Float[Tensor, "samples 1 8 8"]:
        """All digits as `PREPROCESSING` gives them: 15/256 of the brightness 0 … 16."""
        pixels = torch.from_numpy(self.source.pixels[self.indices])
        return pixels[:, None].float() * PREPROCESSING.scale

    @property
    def labels(self) -> Int[Tensor, " samples"]:
        """What was written, 0 … 9."""
        return torch.tensor(self.targets)

    def save_image(self, index: int, path: str | os.PathLike[str]) -> None:
        """Writes one digit to a PNG file of 128×128 pixels; `PREPROCESSING` restores its tensor."""
        with replacing(path) as file:
            picture = self.image(index).resize((SIDE * ZOOM,) * 2, Image.Resampling.NEAREST)
            picture.save(file, format="PNG")


def load_digits() -> Digits:
    """All 1,797 digits, in scikit-learn's order."""
    return Digits()


def _read(place: Path, train: bool) -> LabelledImages:
    training, held_out = load_digits().split(seed=_SEED)
    return training if train else held_out


digits = DataSet(
    name="digits",
    about="1,797 handwritten digits of 8×8 gray pixels, 10 classes; comes with scikit-learn.",
    files={"train": "", "test": ""},
    read=_read,
)
