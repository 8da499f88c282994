"""Random changes of training images that keep their class."""

from __future__ import annotations

import torch
from jaxtyping import Float
from PIL import Image
from pydantic import Field
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from nbdt.documents import Document
from nbdt.inputs.image import Preprocessing, to_mode

_RATIO = [3 / 4, 4 / 3]


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
