"""From what clients send to rows for the network: uploaded images and arrays, within limits.

A *source* is one row as received: an image file, or an array with the network's own input.

JPEG, PNG and WebP files with one picture are accepted, recognized by their content and checked
before any pixel is decoded; `nbdt.inputs.image.to_mode` converts them. Of a JPEG with several
pictures (MPO) the first counts. Animated PNG and WebP are refused as ambiguous.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from nbdt.data import decode_image
from nbdt.errors import InputError
from nbdt.inputs.array import FloatArray, check_shape
from nbdt.inputs.image import Preprocessing
from nbdt.view.svg.pictures import data_uri

from .errors import MediaTypeError, TooLargeError
from .settings import Settings

FORMATS = ("JPEG", "PNG", "WEBP")

# A usual progressive JPEG has about ten scans. Each takes as long as the whole image, however few
# bytes it has, so thousands of them are an attack.
MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"


@dataclass(eq=False)
class ShownFile:
    """An image file that the answer shows, at most `side` pixels wide and high.

    `picture` is a small ``data:`` address. `RowReader` makes it with the row, one image at a time
    and while capacity, deadline and the length of bodies are bounded; until then it is "".
    """

    data: bytes
    side: int
    picture: str = ""


Source = bytes | ShownFile | FloatArray


def decode_base64(text: str, name: str) -> bytes:
    """The bytes of a base64 text; errors call it `name`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{name}: this is not base64.") from None


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
    """From sources to a network's input, within the limits of the settings.

    Without `preprocessing`, only arrays are accepted.
    """

    preprocessing: Preprocessing | None
    settings: Settings

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of a row, with None where it depends on the image; None if nothing is known."""
        return None if self.preprocessing is None else self.preprocessing.shape

    def __call__(self, sources: Sequence[Source]) -> list[Tensor]:
        """The rows, one per source; errors name the source."""
        return [self._row(source, f"row {index}") for index, source in enumerate(sources)]

    def image(self, data: bytes, mode: str, name: str = "the image") -> Image.Image:
        """An image file, decoded within the limits."""
        return read_image(
            data,
            mode,
            max_bytes=self.settings.image_bytes,
            max_pixels=self.settings.image_pixels,
            name=name,
        )

    def _row(self, source: Source, name: str) -> Tensor:
        if isinstance(source, bytes):
            row = self._from_image(source, name)
        elif isinstance(source, ShownFile):
            row = self._from_image(source.data, name)
            source.picture = data_uri(self.image(source.data, "RGB", name), source.side)
        else:
            check_shape(source.shape, self.shape, name)
            row = torch.from_numpy(source)
        if row.numel() > self.settings.row_values:
            raise TooLargeError(
                f"{name}: {row.numel():,} numbers exceed the limit of {self.settings.row_values:,}."
            )
        return row

    def _from_image(self, data: bytes, name: str) -> Tensor:
        if self.preprocessing is None:
            raise InputError(
                f"{name}: the model does not say how an image becomes its input; send arrays."
            )
        image = self.image(data, self.preprocessing.mode, name)
        try:
            return self.preprocessing(image)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
