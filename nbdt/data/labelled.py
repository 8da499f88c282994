"""`LabelledSamples`: what every data set of nbdt is; of images, with their random changes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol, Self, SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from PIL import Image
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import RandomResizedCrop

from nbdt.data.classes import check_classes, cut, filtered
from nbdt.data.stratify import stratified_draw, stratified_parts, stratified_split
from nbdt.documents import Document
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.classes import checked_distinct
from nbdt.hierarchy.lookup import Node
from nbdt.hierarchy.text import join_names
from nbdt.hierarchy.validation import class_list
from nbdt.inputs import Input
from nbdt.inputs.image import Preprocessing, to_mode

IntArray = npt.NDArray[np.int64]
_RATIO = [3 / 4, 4 / 3]


class SampleSource(Protocol):
    """Samples by their place, 0 … len − 1."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, place: int, /) -> Any:
        """One sample."""


class ImageSource(SampleSource, Protocol):
    """Pictures, upright and with 8 bits a channel."""

    def __getitem__(self, place: int, /) -> Image.Image:
        """One picture."""


class Augmentation(Document):
    """Random changes of a training image before its preprocessing, with torch's random numbers.

    Args:
        shift: moves the image by up to this many pixels each way, with black at the border: what
            padding and a random crop of the old size do.
        flip: whether to swap left and right, half of the time.
        smallest_area: resizes a piece of the image, of at least this share of its area and 3:4 to
            4:3 in shape, to the network's input (Szegedy et al., "Going Deeper with Convolutions",
            2015), in place of the preprocessing's own resizing and cropping.
    """

    shift: int = Field(default=0, ge=0)
    flip: bool = False
    smallest_area: float | None = Field(default=None, gt=0, le=1)

    def __call__(
        self, image: Image.Image, preprocessing: Preprocessing
    ) -> Float[Tensor, "channels height width"]:
        """The network's input for one changed image, in float32."""
        image = to_mode(image, preprocessing.mode)
        if self.smallest_area is not None:
            scale = [self.smallest_area, 1.0]
            top, left, height, width = RandomResizedCrop.get_params(image, scale, _RATIO)
            size = preprocessing.crop or preprocessing.resize or (image.height, image.width)
            size = (size, size) if isinstance(size, int) else size
            # Checked already: a copy that is checked again would take as long as the crop.
            preprocessing = preprocessing.model_copy(update={"resize": size, "crop": None})
            image = image.crop((left, top, left + width, top + height))
        if self.shift:
            x, y = torch.randint(-self.shift, self.shift + 1, (2,)).tolist()
            # Pillow gives black where a crop lies outside of the image.
            image = image.crop((x, y, x + image.width, y + image.height))
        if self.flip and torch.rand(()).item() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return preprocessing(image)


class LabelledSamples(Dataset[tuple[Any, int]]):
    """Samples of any kind with their classes: a `torch.utils.data.Dataset` of (sample, label).

    It never changes; its methods give changed views, which share the samples.

    Attributes:
        source: what holds the samples, by their place; a list will do. If it has the methods
            ``name`` and ``read_by``, the first says what the sample at a place is called, and the
            second gives the same source as another input reads it.
        classes: the names of the classes; a label is an index into them.
        wnids: their WordNet ids, as ``"n02121620"``; ``""`` where there is none.
        targets: the class of each sample; int64, shape (samples,).
        indices: the place of each sample in `source`; int64, shape (samples,).
        preprocessing: the input that reads the samples; None if they are read as they are.

    Example:
        >>> said = LabelledSamples(["so good", "bad", "good"], [0, 1, 0], ["praise", "blame"])
        >>> said.filter_classes(["praise"])[1]
        ('good', 0)
    """

    noun: ClassVar[str] = "sample"

    def __init__(
        self,
        source: SampleSource,
        targets: Sequence[int] | IntArray,
        classes: Sequence[str],
        preprocessing: Input | None = None,
        *,
        wnids: Sequence[str] = (),
    ) -> None:
        self.source = source
        self.classes, self.wnids = _checked_names(classes, wnids)
        self.targets = _checked_targets(targets, len(source), len(self.classes), self.noun)
        self.indices: IntArray = np.arange(len(source), dtype=np.int64)
        self.preprocessing: Any = preprocessing

    def __len__(self) -> int:
        return len(self.targets)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> tuple[Any, int] | Self:
        """One sample, or those of a slice as a view."""
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        return self._read(self.sample(index)), int(self.targets[index])

    def __repr__(self) -> str:
        samples, classes = len(self), len(self.classes)
        return (
            f"{type(self).__name__}({samples:,} {self.noun}{'s' * (samples != 1)}, "
            f"{classes} class{'es' * (classes != 1)}: {join_names(self.classes, classes, most=5)})"
        )

    def _read(self, sample: Any) -> Any:
        return sample

    def sample(self, index: int) -> Any:
        """The sample itself, as its source holds it."""
        if not isinstance(index, SupportsIndex) or np.ndim(index):
            raise InputError(
                f"an index is one whole number or a slice, got {index!r:.80}; select() takes lists "
                "and masks."
            )
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no sample {index}; samples go from 0 to {len(self) - 1}.")
        return self.source[int(self.indices[index])]

    def names(self) -> list[str]:
        """What each sample is called: its file, its row, or "sample 7" of the whole data set."""
        name = getattr(self.source, "name", "sample {}".format)
        return [name(place) for place in self.indices.tolist()]

    def with_preprocessing(self, preprocessing: Any) -> Self:
        """The same samples, read for another network: pass the model's own preprocessing."""
        read_by = getattr(self.source, "read_by", None)
        source = self.source if read_by is None else read_by(preprocessing)
        return self._changed(preprocessing=preprocessing, source=source)

    def select(self, indices: Iterable[int] | npt.NDArray[Any] | Tensor) -> Self:
        """The samples at these indices, in this order; or those that a boolean mask marks."""
        kept = _checked_indices(indices, len(self))
        return self._changed(indices=self.indices[kept], targets=self.targets[kept])

    def split(self, held_out: int | float = 0.25, *, seed: int = 0) -> tuple[Self, Self]:
        """Splits at random into training and held-out samples, each class in the same share.

        `held_out` is the share of samples held out, between 0 and 1, or their number. A share that
        is too small is exceeded, so that each class has a sample held out; the only sample of a
        class is for training. Held-out images are never augmented. A seed, 0 … 2³² − 1, gives the
        same split on every machine.
        """
        left, drawn = stratified_split(self.targets, held_out, seed=seed)
        return self.select(left), self.select(drawn)

    def subset(self, samples: int | float, *, seed: int = 0) -> Self:
        """Draws samples at random, each class in the same share, at least one of each.

        `samples` is their number, or a share of them, above 0 and at most 1; 1.0 means all.
        """
        return self.select(stratified_draw(self.targets, samples, seed=seed))

    def parts(self, number: int, *, seed: int = 0) -> tuple[Self, ...]:
        """Divides the samples at random into equal parts, each class evenly.

        Use one part to fit a temperature, one to calibrate and one to evaluate, for instance.
        """
        return tuple(map(self.select, stratified_parts(self.targets, number, seed=seed)))

    def filter_classes(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] = ()
    ) -> Self:
        """The samples of some classes, given by name or wnid; they are renumbered in their order.

        `nbdt.hierarchy.edit.restrict(tree, dataset.classes)` makes a tree fit again.
        """
        kept = filtered(self.classes, self.wnids, include, exclude)
        label_of = np.full(len(self.classes), -1, dtype=np.int64)
        label_of[kept] = np.arange(len(kept))
        chosen = self.select(label_of[self.targets] >= 0)
        return chosen._changed(
            targets=label_of[chosen.targets],
            classes=tuple(self.classes[label] for label in kept),
            wnids=tuple(self.wnids[label] for label in kept),
        )

    def regroup(self, tree: Hierarchy, at: int | Iterable[Node]) -> Self:
        """The same samples with coarser classes: nodes of a tree of this data set's classes.

        `at` lists the nodes, by id or name, in the order of the new classes, one above each class;
        or it is a depth, for the nodes at that depth and the classes above it, sorted by id.

        Example:
            >>> from nbdt.data import load_dataset
            >>> from nbdt.hierarchy import load_hierarchy
            >>> load_dataset("digits").regroup(load_hierarchy("digits/shape"), 1).classes
            ('with a loop', 'without a loop')
        """
        check_classes(self, tree.classes, owner="the tree")
        nodes, place_of = cut(tree, at)
        classes, wnids = _checked_names(
            [tree.name(node) for node in nodes],
            [str(tree.attributes(node).get("wnid", "")) for node in nodes],
        )
        return self._changed(targets=place_of[self.targets], classes=classes, wnids=wnids)

    def _changed(self, **changes: Any) -> Self:
        # A copy and not a new object, as subclasses are made from other things than this class is.
        changed = copy.copy(self)
        vars(changed).update(changes)
        return changed


class LabelledImages(LabelledSamples):
    """Images with their classes: a `torch.utils.data.Dataset` of (tensor, label).

    Attributes:
        source: the pictures; a list of Pillow images will do.
        preprocessing: from a picture to a network's input, without any randomness.
        augmentation: the random changes made to a picture before that; None for none.

    Example:
        >>> pictures = [Image.new("L", (8, 8), shade) for shade in (0, 255, 51)]
        >>> shades = LabelledImages(pictures, [0, 1, 0], ["dark", "light"], Preprocessing(mode="L"))
        >>> tensor, label = shades[2]
        >>> tensor.shape, round(tensor.mean().item(), 1), shades.classes[label]
        (torch.Size([1, 8, 8]), 0.2, 'dark')
        >>> shades.filter_classes(exclude=["dark"])
        LabelledImages(1 image, 1 class: light)
    """

    noun: ClassVar[str] = "image"
    preprocessing: Preprocessing

    def __init__(
        self,
        source: ImageSource,
        targets: Sequence[int] | IntArray,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        *,
        wnids: Sequence[str] = (),
    ) -> None:
        super().__init__(
            source, targets, classes, _checked_preprocessing(preprocessing), wnids=wnids
        )
        self.augmentation: Augmentation | None = None

    def _read(self, image: Image.Image) -> Tensor:
        if self.augmentation is None:
            return self.preprocessing(image)
        return self.augmentation(image, self.preprocessing)

    def image(self, index: int) -> Image.Image:
        """The picture itself, upright and with 8 bits a channel, neither changed nor resized."""
        image: Image.Image = self.sample(index)
        return image

    def with_preprocessing(self, preprocessing: Any) -> Self:
        """The same images, prepared for another network: pass the model's own preprocessing."""
        return super().with_preprocessing(_checked_preprocessing(preprocessing))

    def with_augmentation(self, augmentation: Augmentation | None) -> Self:
        """The same images, changed at random each time they are asked for; None for unchanged."""
        if augmentation is not None and not isinstance(augmentation, Augmentation):
            raise InputError(f"expected an Augmentation or None, got {augmentation!r:.80}.")
        return self._changed(augmentation=augmentation)

    def split(self, held_out: int | float = 0.25, *, seed: int = 0) -> tuple[Self, Self]:
        """As `LabelledSamples.split`; the held-out images are never augmented."""
        left, drawn = super().split(held_out, seed=seed)
        return left, drawn.with_augmentation(None)


def _checked_names(
    classes: Sequence[str], wnids: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names, ids = class_list(classes), tuple(wnids) or ("",) * len(classes)
    if len(ids) != len(names):
        raise InputError(f"expected a wnid or '' for each of {len(names)} classes, got {len(ids)}.")
    return tuple(checked_distinct(names, ids)), ids


def _checked_targets(targets: Any, samples: int, num_classes: int, noun: str) -> IntArray:
    array = np.asarray(targets)
    if array.shape != (samples,) or (samples and array.dtype.kind not in "iu"):
        raise InputError(
            f"targets must be {samples} whole numbers, one per {noun}; got an array of "
            f"{array.dtype} of shape {array.shape}."
        )
    if samples and not 0 <= array.min() <= array.max() < num_classes:
        wrong = array.min() if array.min() < 0 else array.max()
        raise InputError(
            f"a target is {wrong}; with {num_classes} classes they go from 0 to {num_classes - 1}."
        )
    return array.astype(np.int64)


def _checked_indices(indices: Any, samples: int) -> npt.NDArray[Any]:
    if not isinstance(indices, np.ndarray | Tensor):
        indices = list(indices) if isinstance(indices, Iterable) else indices
    array = np.asarray(indices)
    if array.dtype == bool and array.shape == (samples,):
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(
            f"expected a list of indices or a mask of {samples} booleans, got an array of "
            f"{array.dtype} of shape {array.shape}."
        )
    if array.size and not 0 <= array.min() <= array.max() < samples:
        wrong = array.min() if array.min() < 0 else array.max()
        raise InputError(f"there is no sample {wrong}; samples go from 0 to {samples - 1}.")
    return array.astype(np.int64)


def _checked_preprocessing(preprocessing: Any) -> Preprocessing:
    if not isinstance(preprocessing, Preprocessing):
        raise InputError(
            f"expected a Preprocessing, got {preprocessing!r:.80}; nbdt.inputs.image describes it."
        )
    return preprocessing
