"""Image files: opened safely, and listed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NoReturn

from PIL import Image, ImageOps

from nbdt.errors import InputError, NotFoundError
from nbdt.inputs.image import to_mode

# Formats with decoders written for untrusted files; EPS, for one, would run a program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
# fmt: off
SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
)
# fmt: on
MAX_BYTES = 100_000_000
MAX_PIXELS = 80_000_000


def open_image(path: str | os.PathLike[str], mode: str = "RGB") -> Image.Image:
    """Reads one image file as 8-bit colour ("RGB") or grey ("L").

    The rotation that a camera noted in the EXIF data is applied; of an animation or a file of
    several pages the first picture is taken; colours are converted as
    `nbdt.inputs.image.to_mode` says. JPEG, PNG, WebP, BMP, GIF, TIFF, PPM and (where Pillow
    can) AVIF are read, told apart by content and not by name.

    Raises:
        NotFoundError: there is no such file.
        InputError: the file is no image, is cut short, or is larger than 100 MB or
            80 megapixels. The message is one sentence that names the file.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("L", (4, 3)).save(folder / "grey.png")
        >>> open_image(folder / "grey.png").mode
        'RGB'
    """
    file = Path(path)
    try:
        if not file.exists():
            raise NotFoundError(f"{file}: there is no such file.")
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
    """Reads an image from the bytes of a file; like `open_image`, for uploads and pipes.

    Args:
        data: the whole file.
        mode: "RGB" or "L".
        name: what messages call it.

    Raises:
        InputError: as in `open_image`.

    Example:
        >>> decode_image(b"GIF89a", name="upload 1")
        Traceback (most recent call last):
        nbdt.errors.InputError: upload 1: this is not an image that can be read (JPEG, PNG, ...
    """
    if not data:
        raise InputError(f"{name}: the file is empty.")
    _check_length(name, len(data))
    Image.init()
    formats = [one for one in FORMATS if one in Image.OPEN]
    # On a broken file Pillow's decoders raise nearly anything: OSError, SyntaxError,
    # struct.error, IndexError, zlib.error, …; all of it means the same here.
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


_TOO_LARGE = f"the image has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller."


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files in a folder and the folders in it, sorted by path.

    Files are recognised by their suffix; hidden files and folders are left out, and links to
    folders are not followed.

    Raises:
        NotFoundError: there is no such folder.
        InputError: it is not a folder, cannot be read, or holds no image.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("L", (4, 3)).save(folder / "grey.png")
        >>> [path.name for path in list_images(folder)]
        ['grey.png']
    """
    top = _checked_folder(folder)
    found = []
    for place, subfolders, names in os.walk(top, onerror=_raise_unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(place, name) for name in names if _is_image_name(name)]
    if not found:
        raise InputError(f"{top}: no image is in this folder (looked for {', '.join(SUFFIXES)}).")
    return sorted(found, key=lambda path: path.relative_to(top).parts)


def list_subfolders(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are left out.

    Raises:
        NotFoundError: there is no such folder.
        InputError: it is not a folder, or cannot be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "cat").mkdir()
        >>> list_subfolders(folder)
        ['cat']
    """
    top = _checked_folder(folder)
    _, subfolders, _ = next(os.walk(top, onerror=_raise_unreadable))
    return sorted(name for name in subfolders if not name.startswith("."))


def _check_length(name: str, length: int) -> None:
    if length > MAX_BYTES:
        raise InputError(
            f"{name}: {length / 1e6:.0f} MB are too much for an image; the limit is "
            f"{MAX_BYTES / 1e6:.0f} MB."
        )


def _upright(image: Image.Image) -> Image.Image:
    # Broken EXIF data says nothing about the picture, so it is no reason to refuse it.
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _checked_folder(folder: str | os.PathLike[str]) -> Path:
    top = Path(folder)
    if not top.exists():
        raise NotFoundError(f"{top}: there is no such folder.")
    if not top.is_dir():
        raise InputError(f"{top}: this is a file, expected a folder.")
    return top


def _raise_unreadable(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: the folder cannot be read: {error.strerror}.") from None
