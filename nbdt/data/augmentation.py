"""Random changes of training images that keep their class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing, to_mode

_RATIO = [3 / 4, 4 / 3]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of a training image before its preprocessing, with torch's random numbers.

    Args:
        shift: moves the image by up to this many pixels each way, with black at the border: what
            padding and a random crop of the old size do.
        flip: whether to swap left and right, half of the time.
        smallest_area: resizes a piece of the image, of at least this share of its area and 3:4 to
            4:3 in shape, to the network's input (Szegedy et al., "Going Deeper with Convolutions",
            2015), in place of the preprocessing's own resizing and cropping.
    """

    shift: int = 0
    flip: bool = False
    smallest_area: float | None = None

    def __post_init__(self) -> None:
        if type(self.shift) is not int or self.shift < 0:
            raise InputError(f"shift has to be a number of pixels, 0 or more; got {self.shift!r}.")
        if type(self.flip) is not bool:
            raise InputError(f"flip has to be True or False, got {self.flip!r}.")
        area = self.smallest_area
        if area is not None and not (type(area) in (int, float) and 0 < area <= 1):
            raise InputError(f"smallest_area has to be a share above 0, up to 1; got {area!r}.")

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
