"""Uploaded image files, looked at before any pixel is decoded.

What is taken: JPEG, PNG and WebP with one picture, told apart by content. EXIF rotation is
applied, transparency is laid over white, palettes and CMYK are converted and 16-bit grey keeps
its upper 8 bits, as `nbdt.inputs.image.to_mode` says; of a JPEG with several pictures (MPO) the
first is taken. Animated PNG and WebP are refused, since nothing says which picture is meant.
"""

from __future__ import annotations

import io

from PIL import Image

from nbdt.data import decode_image
from nbdt.errors import InputError

from .errors import MediaTypeError, TooLargeError

FORMATS = ("JPEG", "PNG", "WEBP")

# A progressive JPEG of usual making has about ten scans. Each takes time as if it were the whole
# image, however few bytes it has, so thousands of them are an attack.
MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"


def read_image(
    data: bytes, mode: str, *, max_bytes: int, max_pixels: int, name: str = "the image"
) -> Image.Image:
    """Decodes an image file that a stranger sent.

    Args:
        data: the whole file.
        mode: "RGB" or "L".
        max_bytes: how long it may be.
        max_pixels: how many pixels it may have; read from its header.
        name: what messages call it.

    Raises:
        TooLargeError: it is longer, or has more pixels.
        MediaTypeError: it is no JPEG, PNG or WebP.
        InputError: it is animated, broken or cut short.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (4, 3)).save(file, "PNG")
        >>> read_image(file.getvalue(), "RGB", max_bytes=1000, max_pixels=12).size
        (4, 3)
    """
    if len(data) > max_bytes:
        raise TooLargeError(
            f"{name}: {len(data):,} bytes are more than the {max_bytes:,} that are taken."
        )
    if data.startswith(b"\xff\xd8") and data.count(_START_OF_SCAN) > MAX_SCANS:
        raise InputError(f"{name}: the JPEG has more than {MAX_SCANS} scans.")
    width, height, format_, pictures = _header(data, max_pixels, name)
    if width * height > max_pixels:
        raise TooLargeError(
            f"{name}: {width} × {height} pixels are more than the {max_pixels:,} that are taken."
        )
    if pictures > 1 and format_ in FORMATS:
        raise InputError(f"{name}: the image is animated; send one picture of it.")
    return decode_image(data, mode, name=name)


def _header(data: bytes, max_pixels: int, name: str) -> tuple[int, int, str, int]:
    """Width, height, format and number of pictures; no pixel is decoded for it."""
    try:
        # Pillow warns of sizes that are checked here, and refuses those far beyond.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.width, image.height, str(image.format), getattr(image, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLargeError(
            f"{name}: it has more than the {max_pixels:,} pixels that are taken."
        ) from None
    except Exception:  # Pillow raises nearly anything on a broken file
        kinds = "a JPEG, PNG or WebP image that can be read"
        raise MediaTypeError(f"{name}: this is not {kinds}.") from None
