"""Image files in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from nbdt.errors import InputError, NotFoundError

# fmt: off
SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
)
# fmt: on


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
        >>> (folder / "grey.png").touch()
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
