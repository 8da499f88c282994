"""A network's answers to labelled images, some of which may not be readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from nbdt.cli.labelled import image_names
from nbdt.cli.output import complain, progress
from nbdt.data import LabelledImages
from nbdt.data.batches import answer_in_batches
from nbdt.data.fingerprint import Fingerprint
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation.answers import BLOCK, logits_of
from nbdt.model import NBDT


class Batch(NamedTuple):
    """Logits, the true classes, and the places of the images in the data."""

    logits: Tensor
    labels: Tensor
    places: Tensor


class Answered:
    """The network's answers, a block at a time; images that cannot be used are named, and left out.

    Args:
        network: the model.
        images: the images.
        data: what they are called together.
        doing: what a progress bar says is done.

    Attributes:
        names: what each image is called.
        failed: the places of the images left out so far, and why.
        fingerprint: of the others.

    Raises:
        InputError: when all were gone through and none could be used.
    """

    def __init__(self, network: NBDT, images: LabelledImages, data: str, doing: str) -> None:
        self.names = image_names(images)
        self.failed: dict[int, str] = {}
        self.fingerprint = Fingerprint()
        self._network = network
        self._images = images
        self._data = data
        self._doing = doing

    def __iter__(self) -> Iterator[Batch]:
        images = self._images
        answers = answer_in_batches(
            range(len(images)), lambda place: images[place][0], self._with_logits
        )
        with progress(self._doing, len(images)) as advance:
            usable = self._usable(answers, advance)
            while some := list(islice(usable, BLOCK)):
                places, logits = zip(*some, strict=True)
                labels = torch.from_numpy(images.targets[list(places)])
                yield Batch(torch.stack(logits), labels, torch.tensor(places))
        if len(self.failed) == len(images):
            raise InputError(f"{self._data}: none of its {len(images)} images could be used.")

    def failures(self) -> dict[str, str]:
        """The images left out by what they are called, and why."""
        return {self.names[place]: why for place, why in self.failed.items()}

    def _usable(
        self, answers: Iterator[tuple[int, _Answer | NBDTError]], advance: Callable[[], None]
    ) -> Iterator[tuple[int, Tensor]]:
        """The images' places and logits; the others are noted and named."""
        for place, answer in answers:
            if isinstance(answer, NBDTError):
                name = self.names[place]
                self.failed[place] = message = str(answer).removeprefix(f"{name}: ")
                complain(f"{name}: {message}")
            else:
                label = torch.from_numpy(self._images.targets[[place]])
                self.fingerprint.add(answer.image[None], label)
                yield place, answer.logits
            advance()

    def _with_logits(self, batch: Tensor) -> list[_Answer]:
        """Each image of a batch with the network's logits."""
        logits = logits_of(self._network, batch).cpu()
        if not logits.amax(dim=-1).isfinite().all():
            raise InputError("the network's answer to it holds NaN or infinity.")
        return list(map(_Answer, batch, logits))


class _Answer(NamedTuple):
    image: Tensor
    logits: Tensor
