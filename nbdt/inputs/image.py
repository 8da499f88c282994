"""Images: read safely, and converted to a network's input as a model folder describes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from pydantic import BeforeValidator, ConfigDict, ValidationInfo, field_validator, model_validator
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from nbdt.errors import InputError, NotFoundError
from nbdt.inputs.array import as_array, check_shape
from nbdt.inputs.base import Input, numbered
from nbdt.inputs.parts import Preview

CHANNELS = {"L": 1, "RGB": 3}
# Only these exist for tensors; Pillow has all modes but always antialiases.
_FOR_TENSORS = ("nearest", "bilinear", "bicubic")
_MAX_SIDE = 8192
_MAX_RESIZED = 2**26
# Far beyond sensible values, well within float32's range.
_TINY, _HUGE = 1e-12, 1e12
_ALPHA_BACKGROUND = (255, 255, 255, 255)
# By Pillow's name for the pixels of a PNG: what it multiplies gray values of 2 and 4 bits by.
_GRAY_STEPS = {"L;2": 85, "L;4": 17}

# Formats whose decoders accept untrusted files; EPS, for example, would run a program.
# fmt: off
SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
)
# fmt: on
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
MAX_BYTES = 100_000_000
MAX_PIXELS = 80_000_000
_TOO_LARGE = f"the image has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller."


def _checked_size(size: Any) -> int | tuple[int, int] | None:
    if size is None:
        return None
    sides = list(size) if isinstance(size, list | tuple) else [size]
    whole = all(type(side) is int and 1 <= side <= _MAX_SIDE for side in sides)
    if not whole or (isinstance(size, list | tuple) and len(sides) != 2):
        raise ValueError(
            f"must be a side or (height, width) of 1 to {_MAX_SIDE} pixels, got {size!r:.80}."
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


Size = Annotated[int | tuple[int, int] | None, BeforeValidator(_checked_size)]


class Preprocessing(Input):
    """From an image to a network's input tensor: the steps, in the order of the fields.

    Resizing and cropping are torchvision's own, so the preprocessing of a set of torchvision
    weights gives the same tensor as its transform.

    Args:
        mode: "RGB" (three channels) or "L" (one, gray).
        resize: the length of the shorter side in pixels, or (height, width); None keeps the size.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        antialias: whether to smooth before shrinking, as torchvision and timm do. False is for
            networks trained with a TensorFlow or OpenCV pipeline; not with the last three
            interpolations.
        resize_as: what is resized: the "image", by Pillow; or a tensor of its pixels, "uint8" or
            "float", as where a transform has ToTensor before Resize. Without antialias it is
            "float".
        crop: the side, or (height, width), of the center crop in pixels; a smaller image is padded
            with black. None keeps all of it.
        scale: multiplies the pixels, 0 to 255.
        mean: is then subtracted: one number per channel, or one for all.
        std: then divides: likewise, positive.
        rotate: degrees to turn the result counter-clockwise: 0, 90, 180 or 270.
        hflip: whether to swap left and right, after the rotation.

    Example:
        >>> gray = Preprocessing(mode="L", resize=8, crop=8, mean=0.5, std=0.5)
        >>> gray(Image.new("RGB", (20, 10), "white")).shape
        torch.Size([1, 8, 8])
    """

    optional: ClassVar[frozenset[str]] = frozenset({"resize_as"})
    model_config = ConfigDict(validate_default=True)  # one number becomes one per channel

    kind: ClassVar[str] = "image"
    reads: ClassVar[str] = "an image"
    noun: ClassVar[str] = "image"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    mode: Literal["RGB", "L"] = "RGB"
    resize: Size = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = (
        "bilinear"
    )
    antialias: bool = True
    resize_as: Literal["image", "uint8", "float"] = "image"
    crop: Size = None
    scale: float = 1 / 255
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    rotate: Literal[0, 90, 180, 270] = 0
    hflip: bool = False

    @field_validator("scale", "mean", "std", mode="before")
    @classmethod
    def _check_numbers(cls, values: Any, info: ValidationInfo) -> Any:
        name = info.field_name
        count = 1 if name == "scale" else CHANNELS[info.data.get("mode", "RGB")]
        given = list(values) if isinstance(values, list | tuple) else [values] * count
        least = -_HUGE if name == "mean" else _TINY
        good = [type(v) in (int, float) and least <= v <= _HUGE for v in given]
        if len(given) != count or not all(good):
            kind = "finite number" if name == "mean" else "positive number"
            many = f"{count} of them, or one for all" if count > 1 else "one"
            raise ValueError(f"must be a {kind}: {many}; got {values!r:.80}.")
        numbers = tuple(map(float, given))
        return numbers[0] if name == "scale" else numbers

    @field_validator("rotate", mode="before")
    @classmethod
    def _check_rotate(cls, value: Any) -> Any:
        if isinstance(value, bool):  # False would pass for 0
            raise ValueError(f"must be 0, 90, 180 or 270 degrees, got {value}.")
        return value

    @model_validator(mode="after")
    def _check_antialias(self) -> Preprocessing:
        by_pillow = self.antialias and self.resize_as == "image"
        if not by_pillow and self.interpolation not in _FOR_TENSORS:
            setting = f"resize_as={self.resize_as!r}" if self.antialias else "antialias=False"
            raise ValueError(
                f"{setting} works with interpolation {', '.join(_FOR_TENSORS)}, "
                f"not with {self.interpolation}."
            )
        return self

    @property
    def channels(self) -> int:
        """The number of channels of the network's input."""
        return CHANNELS[self.mode]

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Channels, height and width of the network's input; None if the image determines it."""
        # One number as a crop means a square; as a size it is the shorter side's.
        size = (self.crop, self.crop) if isinstance(self.crop, int) else self.crop or self.resize
        height, width = size if isinstance(size, tuple) else (None, None)
        if self.rotate in (90, 270):
            height, width = width, height
        return self.channels, height, width

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values; `resize_as` only where it is not the image."""
        values = super().to_dict()
        return {k: v for k, v in values.items() if (k, v) != ("resize_as", "image")}

    def open(self, path: str | os.PathLike[str]) -> Image.Image:
        """The image in a file; see `open_image`."""
        return open_image(path, self.mode)

    def read(self, value: Any) -> Image.Image | Tensor:
        """The image in the bytes of a file, in a Pillow image, or in an array of 8-bit pixels.

        An array of pixels has the shape (height, width) or (height, width, 1, 3 or 4). Other arrays
        and tensors are the network's own input, of shape (channels, height, width).
        """
        if isinstance(value, bytes | bytearray):
            return decode_image(bytes(value), self.mode)
        if isinstance(value, Image.Image):
            return value
        if isinstance(value, np.ndarray) and value.dtype == np.uint8:
            pixels = value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value
            if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] not in (3, 4)):
                raise InputError(
                    "an array of pixels has the shape (height, width) or (height, width, 3), got "
                    f"{value.shape}."
                )
            return Image.fromarray(pixels)
        if not isinstance(value, Tensor | np.ndarray | list):
            self.refuse(value)
        array = as_array(value)
        check_shape(array.shape, self.shape)
        return torch.from_numpy(array)

    def json_schema(self) -> dict[str, Any]:
        """The file in base64, or an array: the network's own input."""
        file = {"type": "string", "contentEncoding": "base64"}
        image = {
            "type": "object",
            "description": "An image file in base64.",
            "properties": {"b64": file | {"contentMediaType": "image/*"}},
            "required": ["b64"],
            "additionalProperties": False,
        }
        return {"anyOf": [image, super().json_schema()]}

    def prepared(self, value: Any) -> Any:
        """As `Input.prepared`; an array of pixels with four axes holds several images."""
        if isinstance(value, np.ndarray):
            return self.batch(numbered(self.read, value if value.ndim == 4 else [value]))
        return super().prepared(value)

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels height width"]:
        """The network's input for one Pillow image with an 8-bit form, in float32."""
        if not isinstance(image, Image.Image):
            raise InputError(
                f"preprocessing takes a Pillow image, got {type(image).__name__}; "
                "nbdt.data.open_image reads a file."
            )
        pixels = self._pixels(to_mode(image, self.mode)) * self.scale
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        turned = torch.rot90((pixels - mean) / std, self.rotate // 90, (1, 2))
        return (turned.flip(2) if self.hflip else turned).contiguous()

    def batch(
        self, samples: Sequence[Image.Image | Tensor]
    ) -> Float[Tensor, "batch channels height width"]:
        """The network's input for several images; set `crop`, or both sides of `resize`."""
        tensors = [one if isinstance(one, Tensor) else self(one) for one in samples]
        sizes = sorted({tuple(tensor.shape[1:]) for tensor in tensors})
        if len(sizes) != 1:
            found = ", ".join(f"{h}×{w}" for h, w in sizes[:3]) or "no image at all"
            raise InputError(
                f"a batch is of images of one size, got {found}; set crop, or resize=(height, "
                "width)."
            )
        return torch.stack(tensors)

    def preview(self, sample: Any) -> Preview:
        """The picture; nothing of a tensor."""
        return Preview(picture=sample if isinstance(sample, Image.Image) else None)

    def _pixels(self, image: Image.Image) -> Tensor:
        """The resized and cropped pixels, 0 to 255, as float32; shape (channels, h, w)."""
        # Pillow's resampling (antialiased, rounded to 8 bits) is what torchvision's weights
        # were measured with; without antialiasing a float tensor is resampled.
        form = self.resize_as if self.antialias or self.resize_as != "image" else "float"
        picture: Any = image if form == "image" else F.pil_to_tensor(image)
        if form == "float":
            picture = picture.float()
        if self.resize is not None:
            _check_enlargement(image, self.resize)
            picture = F.resize(
                picture,
                _as_list(self.resize),
                InterpolationMode(self.interpolation),
                antialias=self.antialias,
            )
        if self.crop is not None:
            picture = F.center_crop(picture, _as_list(self.crop))
        tensor: Tensor = F.pil_to_tensor(picture) if form == "image" else picture
        return tensor.float()


def open_image(path: str | os.PathLike[str], mode: str = "RGB") -> Image.Image:
    """Reads one image file as 8-bit color ("RGB") or gray ("L").

    The rotation in the EXIF data is applied; the first frame or page of several is read; `to_mode`
    converts colors. JPEG, PNG, WebP, BMP, GIF, TIFF, PPM and (if Pillow supports it) AVIF are
    recognized by content, not by name. A file that is truncated, or larger than 100 MB or 80
    megapixels, is an InputError.
    """
    file = Path(path)
    try:
        if not file.exists():
            raise NotFoundError(f"{file}: no such file.")
        if not file.is_file():
            raise InputError(f"{file}: this is not a file.")
        _check_length(str(file), file.stat().st_size)
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{file}: the file cannot be read: {reason}.") from None
    return decode_image(data, mode, name=str(file))


def decode_image(data: bytes, mode: str = "RGB", *, name: str = "the image") -> Image.Image:
    """Reads an image from the bytes of a file, like `open_image`; errors call it `name`."""
    if not data:
        raise InputError(f"{name}: the file is empty.")
    _check_length(name, len(data))
    Image.init()
    formats = [one for one in FORMATS if one in Image.OPEN]
    # On a broken file Pillow's decoders raise nearly anything: OSError, SyntaxError,
    # struct.error, IndexError, zlib.error, …; here all mean the same.
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{name}: {_TOO_LARGE}") from None
    except Exception:
        raise InputError(
            f"{name}: this is not an image that can be read ({', '.join(formats)})."
        ) from None
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{name}: {_TOO_LARGE}")
    _scale_transparency(image)
    try:
        image.load()
    except Exception as error:
        raise InputError(
            f"{name}: the image is broken or cut short ({_one_line(error)})."
        ) from None
    try:
        return to_mode(_upright(image), mode)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def to_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image with 8 bits per channel, in color ("RGB") or gray ("L").

    Transparent areas become white; palettes, CMYK and other color spaces are converted; 16-bit gray
    keeps its upper 8 bits. Gray is ITU-R 601 luma, as everywhere in Pillow. Pixels that are floats
    or integers beyond 16 bits, whose range is unknown, are an InputError.
    """
    if image.mode == mode and not image.has_transparency_data:
        return image
    if image.mode == "I" or image.mode.startswith("I;"):
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise InputError("an integer image with values outside 0 to 65535 has no stated range.")
        # Pillow's own conversion from 16 bits forgets the transparent value.
        clear = values == image.info.get("transparency", -1)
        return Image.fromarray(np.where(clear, 255, values >> 8).astype(np.uint8)).convert(mode)
    if image.mode == "F":
        raise InputError(
            "an image of floating-point pixels has no stated range; save it as 8 bits."
        )
    try:
        if image.has_transparency_data:
            # Premultiplied modes ("La", "RGBa") convert to RGBA only through "LA" or "RGBA".
            straight = image.convert("LA") if image.mode == "La" else image
            front = straight.convert("RGBA")
            back = Image.new("RGBA", image.size, _ALPHA_BACKGROUND)
            image = Image.alpha_composite(back, front)
        # Not every mode (CMYK, LAB, …) converts directly to gray, but all do through RGB.
        return image if image.mode == mode else image.convert("RGB").convert(mode)
    except ValueError as error:
        raise InputError(f"an image of mode {image.mode} cannot be converted: {error}.") from None


def _as_list(size: int | tuple[int, int]) -> list[int]:
    return [size] if isinstance(size, int) else list(size)


def _check_enlargement(image: Image.Image, resize: int | tuple[int, int]) -> None:
    # A 1 × 20,000 strip, a file of 100 bytes, would fill gigabytes at short side 256.
    if not isinstance(resize, int):
        return
    short, long = sorted(image.size)
    if short == 0 or resize * resize * long // short > _MAX_RESIZED:
        raise InputError(
            f"an image of {image.width}×{image.height} pixels is too elongated to be resized to "
            f"a short side of {resize}."
        )


def _check_length(name: str, length: int) -> None:
    if length > MAX_BYTES:
        raise InputError(
            f"{name}: {length / 1e6:.0f} MB are too much for an image; the limit is "
            f"{MAX_BYTES / 1e6:.0f} MB."
        )


def _scale_transparency(image: Image.Image) -> None:
    """Makes the transparent value of a PNG one of the 8-bit values that Pillow makes its pixels."""
    clear = image.info.get("transparency")
    tile = getattr(image, "tile", None) if image.format == "PNG" else None
    raw = str(tile[0][3]) if tile else ""
    if raw in _GRAY_STEPS and isinstance(clear, int):
        image.info["transparency"] = clear * _GRAY_STEPS[raw]
    elif raw == "RGB;16B" and isinstance(clear, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def _upright(image: Image.Image) -> Image.Image:
    # Broken EXIF data doesn't make the image unusable.
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
