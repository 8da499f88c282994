"""Image files: opened safely, listed, and read as a folder of labelled images."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from nbdt.errors import InputError, NotFoundError
from nbdt.preprocessing import Preprocessing, to_mode

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
_NAMES_SHOWN = 5


def open_image(path: str | os.PathLike[str], mode: str = "RGB") -> Image.Image:
    """Reads one image file as 8-bit colour ("RGB") or grey ("L").

    The rotation that a camera noted in the EXIF data is applied; of an animation or a file of
    several pages the first picture is taken; colours are converted as
    `nbdt.preprocessing.to_mode` says. JPEG, PNG, WebP, BMP, GIF, TIFF, PPM and (where Pillow
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


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """Labelled images: a folder with one subfolder a class, named after it.

    Args:
        folder: the top folder.
        preprocessing: from image to tensor.
        classes: the class names of the model, in its order, as the subfolders are called (with
            ``_`` for a ``/``); by default the sorted names of the subfolders.
        wnids: other names that the classes' subfolders may have, as ImageNet's do; ``""`` for none.
        partial: whether classes may have no subfolder, as when a sample of them is evaluated.

    Attributes:
        classes: the class names; a label is an index into them.
        samples: (path, label) of every image, sorted by path.

    Raises:
        NotFoundError: there is no such folder.
        InputError: it holds no subfolders or one without images, or the subfolders differ from
            `classes`; the message lists the difference.

    Example:
        >>> import tempfile
        >>> top = Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (top / name).mkdir()
        ...     Image.new("RGB", (4, 3)).save(top / name / "1.png")
        >>> images = ImageFolder(top, Preprocessing(crop=2), classes=["dog", "cat"])
        >>> len(images), images[0][0].shape, images[0][1]
        (2, torch.Size([3, 2, 2]), 1)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        preprocessing: Preprocessing,
        *,
        classes: Sequence[str] | None = None,
        wnids: Sequence[str] = (),
        partial: bool = False,
    ) -> None:
        top = _checked_folder(folder)
        _, subfolders, _ = next(os.walk(top, onerror=_raise_unreadable))
        folders = sorted(name for name in subfolders if not name.startswith("."))
        if not folders:
            raise InputError(f"{top}: expected one subfolder for every class, found none.")
        self.classes = tuple(folders if classes is None else classes)
        label_of = {wnid: label for label, wnid in enumerate(wnids) if wnid}
        label_of |= {name.replace("/", "_"): label for label, name in enumerate(self.classes)}
        _check_same(top, {name: label_of.get(name) for name in folders}, self.classes, partial)
        self.preprocessing = preprocessing
        self.samples: tuple[tuple[Path, int], ...] = tuple(
            (path, label_of[name]) for name in folders for path in list_images(top / name)
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        return self.preprocessing(open_image(path, self.preprocessing.mode)), label


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


def _check_same(
    top: Path, labels: Mapping[str, int | None], classes: Sequence[str], partial: bool
) -> None:
    if len(set(classes)) < len(classes):
        raise InputError("the class names of the model are not unique.")
    unknown = [folder for folder, label in labels.items() if label is None]
    found = set(labels.values())
    missing = [] if partial else [name for i, name in enumerate(classes) if i not in found]
    if unknown or missing:
        parts = [f"{len(unknown)} unknown to the model ({_some(unknown)})"] if unknown else []
        parts += [f"{len(missing)} without a subfolder ({_some(missing)})"] * bool(missing)
        raise InputError(
            f"{top}: its subfolders are not the model's {len(classes)} classes: {', '.join(parts)}."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
