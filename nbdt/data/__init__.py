"""Where samples come from: image files and folders of them."""

from nbdt.data.images import ImageFolder, decode_image, list_images, open_image

__all__ = ["ImageFolder", "decode_image", "list_images", "open_image"]
