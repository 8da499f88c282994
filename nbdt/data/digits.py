"""Handwritten digits that come with scikit-learn: real data that nobody has to download."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from sklearn.datasets import load_digits as load_scikit_learn_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from nbdt.errors import InputError
from nbdt.files import replacing
from nbdt.hierarchy.library import load_classes
from nbdt.preprocessing import Preprocessing

SIDE = 8
# A brightness of 0 … 16 is stored as a pixel of 0 … 240 and reaches the network divided by 256,
# so that no step rounds. Box averaging is how the 8×8 digits were made from scanned ones.
GREY_STEP = 15
BRIGHTEST = 16 * GREY_STEP / 256
PREPROCESSING = Preprocessing(mode="L", resize=SIDE, crop=SIDE, interpolation="box", scale=1 / 256)
# How many pixels a side a digit's pixel has in a file: 8 × 8 would be hard to see. A power of
# two, whose averages are exact.
ZOOM = 16
# What numpy's random numbers take as a seed.
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Digits:
    """Handwritten digits as a network takes them.

    1,797 digits written by 13 people: the test set of "Optical Recognition of Handwritten Digits"
    (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998). It does not say who wrote
    which, so a split has the same writers on both sides.

    Attributes:
        images: 15/256 of the brightness 0 … 16, light on dark; shape (samples, 1, 8, 8).
        labels: 0 … 9, what was written; shape (samples,).
        indices: the place of each in scikit-learn's data set; shape (samples,).
        classes: the names of the ten classes.

    Example:
        >>> digits = load_digits()
        >>> digits.images.shape, digits.classes[digits.labels[0]]
        (torch.Size([1797, 1, 8, 8]), 'zero')
    """

    images: Float[Tensor, "samples 1 8 8"]
    labels: Int[Tensor, " samples"]
    indices: Int[Tensor, " samples"]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, places: Int[Tensor, " chosen"]) -> Digits:
        """The samples at these places, in this order.

        Example:
            >>> load_digits().select(torch.tensor([5, 0])).labels
            tensor([5, 0])
        """
        return Digits(self.images[places], self.labels[places], self.indices[places], self.classes)

    def split(self, held_out: float = 0.25, *, seed: int = 0) -> tuple[Digits, Digits]:
        """Splits at random into training and held-out samples, each class in the same share.

        Args:
            held_out: the share of samples held out, between 0 and 1.
            seed: the same seed gives the same split, 0 … 2³² − 1.

        Returns:
            The training samples and the held-out samples.

        Raises:
            InputError: the share leaves a side without a sample of each class, or an argument is
                out of range.

        Example:
            >>> train, held_out = load_digits().split(seed=0)
            >>> len(train), len(held_out)
            (1347, 450)
        """
        if not isinstance(held_out, float) or not 0 < held_out < 1:
            raise InputError(f"held_out has to be a share between 0 and 1, got {held_out!r:.80}.")
        if type(seed) is not int or not 0 <= seed <= MAX_SEED:
            raise InputError(
                f"a seed has to be a whole number from 0 to {MAX_SEED}, got {seed!r:.80}."
            )
        try:
            sides = train_test_split(
                np.arange(len(self)),
                test_size=held_out,
                random_state=seed,
                stratify=self.labels.numpy(),
            )
        except ValueError as error:
            raise InputError(
                f"{len(self)} digits cannot be split with held_out={held_out}: {error}"
            ) from None
        train, rest = (self.select(torch.from_numpy(np.sort(side))) for side in sides)
        return train, rest

    def image(self, place: int) -> Image.Image:
        """The sample as a grey picture of 128×128 pixels; `PREPROCESSING` gives the tensor back.

        Example:
            >>> digits = load_digits()
            >>> torch.equal(PREPROCESSING(digits.image(7)), digits.images[7])
            True
        """
        pixels = (self.images[place, 0] * 256).to(torch.uint8).numpy()
        return Image.fromarray(pixels.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))

    def save_image(self, place: int, path: str | os.PathLike[str]) -> None:
        """Writes `image` to a PNG file, which is replaced in one step.

        Raises:
            InputError: the file cannot be written.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> path = Path(tempfile.mkdtemp(), "seven.png")
            >>> load_digits().save_image(7, path)
            >>> path.read_bytes()[1:4]
            b'PNG'
        """
        with replacing(path) as file:
            self.image(place).save(file, format="PNG")


def load_digits() -> Digits:
    """All 1,797 digits, in scikit-learn's order.

    Example:
        >>> load_digits().labels[:10]
        tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    found = load_scikit_learn_digits()
    brightness = torch.from_numpy(found.images.astype(np.float32))[:, None]
    return Digits(
        images=brightness * GREY_STEP * PREPROCESSING.scale,
        labels=torch.from_numpy(found.target.astype(np.int64)),
        indices=torch.arange(len(found.target)),
        classes=tuple(entry.name for entry in load_classes("digits")),
    )
