"""Samples that a processor of transformers prepares: sounds, and images that need more than steps.

A model folder holds a processor as the settings of one of transformers' own classes.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float
from PIL import Image
from pydantic import Field, PrivateAttr
from torch import Tensor

from nbdt.errors import FormatError, InputError, missing, reason_of
from nbdt.files import error_context
from nbdt.inputs.array import ArrayInput, FloatArray, as_array
from nbdt.inputs.base import Input, numbered
from nbdt.inputs.image import Preprocessing, to_mode

FOLDER = "processor"


class _Processed(Input):
    """An input with a processor, which is stored in a sub-folder."""

    _auto: ClassVar[str]
    _processor: Any = PrivateAttr(None)

    def replace(self, **changes: Any) -> Self:
        """A changed copy with the same processor."""
        return super().replace(**changes)._with(self._processor)

    def _with(self, processor: Any) -> Self:
        self._processor = processor
        return self

    def save(self, folder: Path) -> None:
        """Writes the processor's settings into a sub-folder."""
        self._processor.save_pretrained(folder / FOLDER)

    def load(self, folder: Path) -> Self:
        """The input with the processor that `save` wrote; runs no code that a file names."""
        place = folder / FOLDER
        try:
            import transformers
        except ImportError:
            raise missing("transformers", "transformers", "this model's processor") from None
        try:
            processor = getattr(transformers, self._auto).from_pretrained(
                place, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # whatever a processor's settings lead to
            raise FormatError(f"{place}: it holds no processor: {reason_of(error)}.") from None
        return self.replace()._with(processor)


class ImageProcessor(_Processed, Preprocessing):
    """Images prepared by an image processor of transformers that no `Preprocessing` describes.

    Args:
        size: channels, height and width of the network's input; None where the image decides.
    """

    kind: ClassVar[str] = "image-processor"
    _auto: ClassVar[str] = "AutoImageProcessor"

    size: tuple[int | None, int | None, int | None] = (3, None, None)

    @classmethod
    def with_processor(cls, processor: Any) -> Self:
        """The input with this processor; an InputError if it makes more than one tensor."""
        made = cls()._with(processor)
        high, wide = (tuple(made(Image.new("RGB", sides)).shape) for sides in ((64, 96), (96, 64)))
        if len(high) != 3:
            raise InputError(
                f"a {type(processor).__name__} makes no tensor of shape (channels, height, width) "
                "of an image; call it yourself, and give the model what it returns."
            )
        sides = [one if one == other else None for one, other in zip(high, wide, strict=True)]
        return made.replace(size=tuple(sides))

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Channels, height and width of the network's input; None if the image determines it."""
        return self.size

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels height width"]:
        """The network's input for one image."""
        made = self._processor(images=[to_mode(image, self.mode)], return_tensors="pt")
        name = self._processor.model_input_names[0]
        tensor: Tensor = made[name][0]
        return tensor


class AudioInput(_Processed, ArrayInput):
    """Sounds, as a feature extractor of transformers prepares them.

    A sample is an array of the amplitudes of one channel, of any length, at `sampling_rate`; or
    ``{"array": …, "sampling_rate": …}``, as in Hugging Face's datasets. Files are WAV or .npy.

    Args:
        sampling_rate: in Hz.
        tensors: the tensors that the network takes by name.
    """

    kind: ClassVar[str] = "audio"
    reads: ClassVar[str] = "a sound as an array of amplitudes"
    suffixes: ClassVar[tuple[str, ...]] = (".wav", ".npy")
    _auto: ClassVar[str] = "AutoFeatureExtractor"

    row: tuple[int | None, ...] | None = (None,)
    sampling_rate: int = Field(ge=1)
    tensors: tuple[str, ...] = ()

    @classmethod
    def with_processor(cls, extractor: Any) -> Self:
        """The input with this feature extractor."""
        names = tuple(dict.fromkeys([*extractor.model_input_names, "attention_mask"]))
        return cls(sampling_rate=extractor.sampling_rate, tensors=names)._with(extractor)

    def fitted_to(self, forward: Callable[..., Any]) -> Self:
        """The input with just the tensors that a network's `forward` takes by name."""
        return self.replace(
            tensors=tuple(n for n in self.tensors if n in signature(forward).parameters)
        )

    def open(self, path: str | os.PathLike[str]) -> FloatArray:
        """The sound in a WAV or .npy file."""
        if Path(path).suffix.lower() == ".npy":
            return super().open(path)
        with error_context(path):
            try:
                return self.read(Path(path).read_bytes())
            except OSError as error:
                raise InputError(f"cannot be read: {error.strerror}.") from None

    def read(self, value: Any) -> FloatArray:
        """An array of amplitudes, with its sampling rate in a mapping, or the bytes of a WAV file.

        Several channels of a file are averaged.
        """
        if isinstance(value, bytes | bytearray):
            rate, value = _wave(bytes(value))
        elif isinstance(value, Mapping):
            if set(value) - {"path"} != {"array", "sampling_rate"}:
                raise InputError("a sound that is an object has the keys 'array', 'sampling_rate'.")
            rate, value = value["sampling_rate"], value["array"]
        else:
            rate = self.sampling_rate
        if rate != self.sampling_rate:
            raise InputError(
                f"the sound has {rate!r:.20} samples a second, but the model takes "
                f"{self.sampling_rate}; resample it."
            )
        return super().read(value)

    def samples(self, value: Any) -> Sequence[FloatArray]:
        """The sounds in a list or in the rows of an array; one if it is a sequence of numbers."""
        several = isinstance(value, list | tuple) and len(value) and not np.isscalar(value[0])
        if several or (isinstance(value, np.ndarray) and value.ndim > 1):
            return numbered(self.sample, value)
        return [self.sample(value)]

    def prepared(self, value: Any) -> Any:
        """The batch for sounds; tensors with a batch axis are the network's own input."""
        if isinstance(value, Tensor) and value.ndim == 1:
            value = as_array(value)
        return super().prepared(value)

    def batch(self, samples: Sequence[Any]) -> Any:
        """The extractor's tensors; shorter sounds are padded."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the extractors, about numbers that are right
            made = self._processor(
                list(samples), sampling_rate=self.sampling_rate, padding=True, return_tensors="pt"
            )
        return {name: made[name] for name in made if name in self.tensors}


def _wave(data: bytes) -> tuple[int, FloatArray]:
    from scipy.io import wavfile

    try:
        rate, values = wavfile.read(io.BytesIO(data))
    except Exception:  # a broken file may raise anything
        raise InputError("this is not a WAV file that can be read.") from None
    floats = values.astype(np.float32)
    if values.dtype.kind != "f":
        floats = (
            (floats - 128) / 128
            if values.dtype == np.uint8
            else floats / np.iinfo(values.dtype).max
        )
    return int(rate), floats.mean(axis=1) if floats.ndim > 1 else floats
