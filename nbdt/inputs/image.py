"""How an image becomes a network's input: one frozen description that a model folder can store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from nbdt.errors import FormatError, InputError

CHANNELS = {"L": 1, "RGB": 3}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
# Only these exist for tensors, and Pillow, which has them all, always antialiases.
_WITHOUT_ANTIALIAS = ("nearest", "bilinear", "bicubic")
_MAX_SIDE = 8192
_MAX_PIXELS = 2**26
# Far outside of anything sensible, and well inside what float32 can divide by.
_TINY, _HUGE = 1e-12, 1e12
_ALPHA_BACKGROUND = (255, 255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From an image to a network's input tensor: the steps, in the order of the fields.

    Resizing and cropping are torchvision's own, so a description taken from a set of torchvision
    weights gives the tensor that its transform gives.

    Args:
        mode: "RGB" (three channels) or "L" (one, grey).
        resize: the length of the shorter side in pixels, or (height, width); None keeps the size.
        interpolation: how pixels are resampled: "nearest", "bilinear", "bicubic", "lanczos",
            "box" or "hamming".
        antialias: whether to smooth before shrinking, as torchvision and timm do. False is for
            networks trained with a TensorFlow or OpenCV pipeline; not with the last three
            interpolations.
        crop: the side, or (height, width), of the piece cut from the middle in pixels; a smaller
            image is padded with black. None keeps all of it.
        scale: what the pixels, 0 to 255, are multiplied with.
        mean: what is then subtracted: one number a channel, or one for all.
        std: what it is then divided by: likewise, positive.
        rotate: degrees to turn the result counter-clockwise: 0, 90, 180 or 270.
        hflip: whether to swap left and right, after the rotation.

    Raises:
        InputError: a value is of the wrong type or out of range.

    Example:
        >>> grey = Preprocessing(mode="L", resize=8, crop=8, mean=0.5, std=0.5)
        >>> grey(Image.new("RGB", (20, 10), "white")).shape
        torch.Size([1, 8, 8])
        >>> Preprocessing.from_dict(grey.to_dict()) == grey
        True
    """

    mode: str = "RGB"
    resize: int | tuple[int, int] | None = None
    interpolation: str = "bilinear"
    antialias: bool = True
    crop: int | tuple[int, int] | None = None
    scale: float = 1 / 255
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    rotate: int = 0
    hflip: bool = False

    def __post_init__(self) -> None:
        _check_choice("mode", self.mode, tuple(CHANNELS))
        _check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        _check_choice("antialias", self.antialias, (True, False))
        _check_choice("rotate", self.rotate, (0, 90, 180, 270))
        _check_choice("hflip", self.hflip, (True, False))
        if not self.antialias and self.interpolation not in _WITHOUT_ANTIALIAS:
            raise InputError(
                f"antialias=False works with interpolation {', '.join(_WITHOUT_ANTIALIAS)}, "
                f"not with {self.interpolation}."
            )
        put = object.__setattr__
        put(self, "resize", _checked_size("resize", self.resize))
        put(self, "crop", _checked_size("crop", self.crop))
        put(self, "scale", _checked_numbers("scale", self.scale, 1, positive=True)[0])
        channels = CHANNELS[self.mode]
        put(self, "mean", _checked_numbers("mean", self.mean, channels))
        put(self, "std", _checked_numbers("std", self.std, channels, positive=True))

    @property
    def channels(self) -> int:
        """The number of channels of the network's input."""
        return CHANNELS[self.mode]

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels height width"]:
        """The network's input for one image, in float32.

        Raises:
            InputError: `image` is no Pillow image, or of a kind that has no 8-bit form.
        """
        if not isinstance(image, Image.Image):
            raise InputError(
                f"preprocessing takes a Pillow image, got {type(image).__name__}; "
                "nbdt.data.open_image reads a file."
            )
        pixels = self._pixels(to_mode(image, self.mode)) * self.scale
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        turned = torch.rot90((pixels - mean) / std, self.rotate // 90, (1, 2))
        return (turned.flip(2) if self.hflip else turned).contiguous()

    def batch(self, images: Iterable[Image.Image]) -> Float[Tensor, "batch channels height width"]:
        """The network's input for several images, stacked.

        Raises:
            InputError: there is no image, or the results differ in size (set `crop`, or both
                sides of `resize`).

        Example:
            >>> images = [Image.new("RGB", (20, 10)), Image.new("RGB", (9, 9))]
            >>> Preprocessing(resize=8, crop=8).batch(images).shape
            torch.Size([2, 3, 8, 8])
        """
        tensors = [self(image) for image in images]
        sizes = sorted({tuple(tensor.shape[1:]) for tensor in tensors})
        if len(sizes) != 1:
            found = ", ".join(f"{h}×{w}" for h, w in sizes[:3]) or "no image at all"
            raise InputError(
                f"a batch is of images of one size, got {found}; set crop, or resize=(height, "
                "width)."
            )
        return torch.stack(tensors)

    def _pixels(self, image: Image.Image) -> Tensor:
        """The resized and cropped pixels, 0 to 255, as float32; shape (channels, h, w)."""
        # Pillow's resampling (antialiased, rounded to 8 bits) is what torchvision's weights
        # were measured with; without antialiasing a float tensor is resampled.
        picture: Any = image if self.antialias else F.pil_to_tensor(image).float()
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
        tensor: Tensor = F.pil_to_tensor(picture) if self.antialias else picture
        return tensor.float()

    def to_dict(self) -> dict[str, Any]:
        """The description as values that JSON can hold."""
        document = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in document.items()
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Preprocessing:
        """The description that `to_dict` gave.

        Raises:
            FormatError: keys are missing or unknown, or a value is not valid.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(document, Mapping) or set(document) != names:
            got = sorted(map(str, document)) if isinstance(document, Mapping) else document
            raise FormatError(f"preprocessing needs exactly {sorted(names)}, got {got!r:.200}.")
        try:
            return cls(**document)
        except InputError as error:
            raise FormatError(f"preprocessing: {error}") from None


def to_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image with 8 bits a channel, in colour ("RGB") or grey ("L").

    Transparency is laid over white; palettes, CMYK and other colour spaces are converted; 16-bit
    grey keeps its upper 8 bits. Grey is ITU-R 601 luma, as everywhere in Pillow.

    Raises:
        InputError: the pixels are floats or integers beyond 16 bits, whose range nothing states.

    Example:
        >>> to_mode(Image.new("RGBA", (1, 1), (0, 0, 0, 0)), "RGB").getpixel((0, 0))
        (255, 255, 255)
    """
    if image.mode == mode and not image.has_transparency_data:
        return image
    if image.mode == "I" or image.mode.startswith("I;"):
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise InputError("an integer image with values outside 0 to 65535 has no stated range.")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert(mode)
    if image.mode == "F":
        raise InputError(
            "an image of floating-point pixels has no stated range; save it as 8 bits."
        )
    try:
        if image.has_transparency_data:
            # Premultiplied modes ("La", "RGBa") reach RGBA only by their straight twin.
            straight = image.convert("LA") if image.mode == "La" else image
            front = straight.convert("RGBA")
            back = Image.new("RGBA", image.size, _ALPHA_BACKGROUND)
            image = Image.alpha_composite(back, front)
        # Straight from CMYK, LAB, … to grey is not defined for every mode; by way of RGB it is.
        return image if image.mode == mode else image.convert("RGB").convert(mode)
    except ValueError as error:
        raise InputError(f"an image of mode {image.mode} cannot be converted: {error}.") from None


def _as_list(size: int | tuple[int, int]) -> list[int]:
    return [size] if isinstance(size, int) else list(size)


def _check_enlargement(image: Image.Image, resize: int | tuple[int, int]) -> None:
    # A strip of 1 × 20,000 pixels, 100 bytes as a file, would fill gigabytes at short side 256.
    if not isinstance(resize, int):
        return
    short, long = sorted(image.size)
    if short == 0 or resize * resize * long // short > _MAX_PIXELS:
        raise InputError(
            f"an image of {image.width}×{image.height} pixels is too elongated to be resized to "
            f"a short side of {resize}."
        )


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    # `True == 1`, hence the types; a list is not hashable, hence no set.
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise InputError(f"{name} has to be one of {allowed}, got {value!r:.80}.")


def _checked_size(name: str, size: Any) -> int | tuple[int, int] | None:
    sides = list(size) if isinstance(size, list | tuple) else [size]
    if size is None:
        return None
    whole = all(type(side) is int and 1 <= side <= _MAX_SIDE for side in sides)
    if not whole or (isinstance(size, list | tuple) and len(sides) != 2):
        raise InputError(
            f"{name} has to be a side or (height, width) of 1 to {_MAX_SIDE} pixels, "
            f"got {size!r:.80}."
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _checked_numbers(
    name: str, values: Any, count: int, *, positive: bool = False
) -> tuple[float, ...]:
    given = list(values) if isinstance(values, list | tuple) else [values] * count
    numbers = [
        float(value)
        for value in given
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and (_TINY if positive else -_HUGE) <= value <= _HUGE
    ]
    if len(given) != count or len(numbers) != count:
        kind = "positive number" if positive else "finite number"
        many = f"{count} of them, or one for all" if count > 1 else "one"
        raise InputError(f"{name} has to be a {kind}: {many}; got {values!r:.80}.")
    return tuple(numbers)
