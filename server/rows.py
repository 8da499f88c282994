"""From what clients send to rows for a model: JSON values, files and arrays, within limits.

A *source* is one row as received: a JSON value, the bytes of a file, or an array. `Input.read`
makes a sample of it, and opens neither paths nor addresses. ``{"b64": "…"}`` in JSON is a file.

JPEG, PNG and WebP files with one picture are accepted, recognized by their content and checked
before any pixel is decoded; `nbdt.inputs.image.to_mode` converts them. Of a JPEG with several
pictures (MPO) the first counts. Animated PNG and WebP are refused as ambiguous.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nbdt.documents import described
from nbdt.errors import InputError, NBDTError
from nbdt.hierarchy.text import join_names
from nbdt.inputs.array import ArrayInput
from nbdt.inputs.base import Input, is_encoding
from nbdt.inputs.image import decode_image
from nbdt.view.svg.pictures import data_uri

from .errors import MediaTypeError, TooLargeError
from .settings import Settings

FORMATS = ("JPEG", "PNG", "WEBP")

# A usual progressive JPEG has about ten scans. Each takes as long as the whole image, however few
# bytes it has, so thousands of them are an attack.
MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"


@dataclass(eq=False)
class Shown:
    """A source that the answer shows; an image at most `side` pixels wide and high.

    `picture` is a small ``data:`` address of an image, else "". `RowReader` makes it with the row,
    one image at a time and while capacity, deadline and the length of bodies are bounded.
    """

    source: Source
    side: int
    picture: str = ""


@dataclass(frozen=True, eq=False)
class Encoding:
    """A row in the network's own tensors, by name, as a tokenizer makes them."""

    parts: Mapping[str, np.ndarray[Any, Any]]


Source = Any
"""A JSON value, the bytes of a file, an array, an `Encoding`, or one of these as `Shown`."""


def in_json(value: object) -> str:
    """How an error describes a JSON value; short, whatever the value.

    Example:
        >>> in_json(None), in_json(True), in_json({"b46": "…"}), in_json([])
        ('null', 'true', "an object with the key 'b46'", 'a list')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping) and value:
        keys = join_names(map(repr, value), len(value))
        return f"an object with the key{'s' * (len(value) > 1)} {keys}"
    return "{}" if isinstance(value, Mapping) else described(value)


def decode_base64(text: str) -> bytes:
    """The bytes of a base64 text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("this is not base64.") from None


def read_image(
    data: bytes, mode: str, *, max_bytes: int, max_pixels: int, name: str = "the image"
) -> Image.Image:
    """Decodes an untrusted image file to mode "RGB" or "L"; `max_pixels` is checked in the header.

    Raises:
        TooLargeError: it is longer, or has more pixels.
        MediaTypeError: it is not a JPEG, PNG or WebP file.
        InputError: it is animated, broken or truncated.
    """
    if len(data) > max_bytes:
        raise TooLargeError(f"{name}: {len(data):,} bytes exceed the limit of {max_bytes:,}.")
    if data.startswith(b"\xff\xd8") and data.count(_START_OF_SCAN) > MAX_SCANS:
        raise InputError(f"{name}: the JPEG has more than {MAX_SCANS} scans.")
    width, height, format_, pictures = _header(data, max_pixels, name)
    if width * height > max_pixels:
        raise TooLargeError(
            f"{name}: {width} × {height} pixels exceed the limit of {max_pixels:,}."
        )
    if pictures > 1 and format_ in FORMATS:
        raise InputError(f"{name}: the image is animated; send one picture of it.")
    return decode_image(data, mode, name=name)


def _header(data: bytes, max_pixels: int, name: str) -> tuple[int, int, str, int]:
    """Width, height, format and number of pictures, without decoding pixels."""
    try:
        # Pillow warns of sizes that are checked here, and refuses much larger ones.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.width, image.height, str(image.format), getattr(image, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLargeError(f"{name}: its pixels exceed the limit of {max_pixels:,}.") from None
    except Exception:  # Pillow raises nearly anything on a broken file
        raise MediaTypeError(
            f"{name}: this is not a JPEG, PNG or WebP image, or it is broken."
        ) from None


@dataclass(frozen=True)
class RowReader:
    """From sources to the rows that `Inference` takes, within the limits of the settings.

    Images become the network's tensors here, where several are decoded at a time; other samples
    are put together to batches when they are answered. Without an `input`, only arrays are read.
    """

    input: Input | None
    settings: Settings

    @cached_property
    def own(self) -> Input:
        """What the model reads: arrays, if it does not say."""
        return self.input or ArrayInput()

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of a row, with None where it depends on the image; None if nothing is known."""
        return self.own.shape

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a row."""
        return self.own.json_schema()

    @property
    def reads_images(self) -> bool:
        """Whether the files that it reads are images."""
        return self.own.reads == "an image"

    @cached_property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """The columns of a row with the JSON Schemas of their values; empty if it has none."""
        columns = self.schema.get("properties", {}) if self.schema.get("type") == "object" else {}
        return MappingProxyType(columns)

    def of_record(self, record: Mapping[str, Any]) -> Source:
        """A row of a frame as a source: its only value, unless the model reads columns."""
        if self.columns or len(record) != 1:
            return record
        (value,) = record.values()
        return {"b64": value} if self.reads_images and isinstance(value, str) else value

    def __call__(self, sources: Sequence[Source]) -> list[Any]:
        """The rows, one per source; errors name the source."""
        rows = []
        for index, source in enumerate(sources):
            try:
                rows.append(self._row(source))
            except NBDTError as error:
                reason = str(error).removeprefix("the image: ").removeprefix("the array: ")
                kind = type(error) if isinstance(error, InputError) else InputError
                raise kind(f"row {index}: {reason}") from None
        return rows

    def with_notes(self, sources: Sequence[Source]) -> tuple[list[Any], tuple[str, ...]]:
        """The rows, and what the client should know of them, as that the end of one is cut off."""
        rows = self(sources)
        notes = (
            f"row {index}: {note}"
            for index, row in enumerate(rows)
            if not isinstance(row, Tensor) and not is_encoding(row)
            for note in self.own.notes(row)
        )
        return rows, tuple(notes)

    def image(self, data: bytes, mode: str) -> Image.Image:
        """An image file, decoded within the limits."""
        return read_image(
            data, mode, max_bytes=self.settings.image_bytes, max_pixels=self.settings.image_pixels
        )

    def _row(self, source: Source) -> Any:
        if isinstance(source, Shown):
            data = file_of(source.source)
            row = self._row(source.source)
            if self.reads_images and isinstance(data, bytes):
                source.picture = data_uri(self.image(data, "RGB"), source.side)
            return row
        if isinstance(source, Encoding):
            encoding = {name: torch.from_numpy(part)[None] for name, part in source.parts.items()}
            # A network that takes nothing by name takes the ids alone.
            return encoding if getattr(self.own, "tensors", ()) else encoding["input_ids"][0]
        value = file_of(source)
        if isinstance(value, bytes) and (self.reads_images or self.input is None):
            return self._within(self._from_image(value))
        if self.reads_images and not isinstance(value, list | np.ndarray):
            raise InputError(
                f'this model reads an image, {{"b64": "…"}} with the file in base64, or an array '
                f"of numbers; got {in_json(value)}."
            )
        sample = self.own.read(self._within(value))
        is_own = type(self.own).batch is ArrayInput.batch  # and not such as a sound's
        is_array = is_own and isinstance(sample, np.ndarray)
        return self._within(torch.from_numpy(sample) if is_array else sample)

    def _from_image(self, data: bytes) -> Any:
        """The network's input for an image file: a tensor, or a mapping of batches of one."""
        if self.input is None:
            raise InputError(
                "the model does not say how an image becomes its input; send an array."
            )
        image = self.image(data, getattr(self.input, "mode", "RGB"))
        batch = self.input.batch([self.input.read(image)])
        return batch[0] if isinstance(batch, Tensor) else batch

    def _within(self, value: Any) -> Any:
        """The value itself, a sample or JSON, if it is not too large."""
        settings = self.settings
        if isinstance(value, bytes) and len(value) > settings.image_bytes:
            raise TooLargeError(
                f"{len(value):,} bytes exceed the limit of {settings.image_bytes:,}."
            )
        parts: Any = list(value.values()) if isinstance(value, Mapping) else value
        if isinstance(value, Tensor) or is_encoding(value):
            tensors: Any = [value] if isinstance(value, Tensor) else parts
            numbers = sum(part.numel() for part in tensors)
            if numbers > settings.row_values:
                raise TooLargeError(
                    f"{numbers:,} numbers exceed the limit of {settings.row_values:,}."
                )
        elif isinstance(value, Mapping) and len(value) > settings.row_columns:
            raise TooLargeError(
                f"{len(value):,} columns exceed the limit of {settings.row_columns:,}."
            )
        elif isinstance(value, str | Mapping | list | tuple):
            texts = [value] if isinstance(value, str) else parts
            length = sum(len(text) for text in texts if isinstance(text, str))
            if length > settings.text_length:
                raise TooLargeError(
                    f"{length:,} characters exceed the limit of {settings.text_length:,}."
                )
        return value


def file_of(source: Source) -> Source:
    """The bytes in ``{"b64": "…"}``; any other source as it is."""
    if isinstance(source, dict) and source.keys() == {"b64"} and isinstance(source["b64"], str):
        return decode_base64(source["b64"])
    return source
