"""Small images of one size in a tar archive, ``split/class/name.jpg``, as arrays.

Nothing is extracted: members are decoded in memory, so names in the archive lead nowhere.
The decoded pixels are kept in a folder of the user's, and read from there the next time.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import PIL

from nbdt.errors import FormatError, InputError
from nbdt.files import error_context, file_sha256, replacing, sha256
from nbdt.hierarchy.classes import canonical
from nbdt.hierarchy.text import one_line
from nbdt.inputs.image import decode_image

# Far more than a small image takes; longer ones are not even read.
MAX_MEMBER_BYTES = 1_000_000
MAX_MEMBERS = 1_000_000

Pixels = npt.NDArray[np.uint8]
Targets = npt.NDArray[np.int64]


def read_archive(
    archive: str | os.PathLike[str],
    split: str,
    classes: Sequence[str],
    side: int,
    *,
    cache: str | os.PathLike[str],
) -> tuple[Pixels, Targets]:
    """The pixels (n, side, side, 3) and targets (n,) of a tar archive's images, by class and name.

    The images of each class are in a folder ``split/class``; a target is an index into `classes`.
    The decoded pixels are kept in the folder `cache`, if it can be written.
    """
    path = Path(archive)
    # Targets are places in the list of classes.
    name = sha256("\n".join([file_sha256(path), *classes]))[:32]
    kept = Path(cache) / f"{split}-{side}-{name}.npz"
    arrays = _kept(kept, side, len(classes))
    if arrays is None:
        with error_context(path):
            arrays = _decoded(path, split, classes, side)
        # Only the next time is slower without it.
        with suppress(InputError, OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            with replacing(kept) as aside:
                np.savez(aside, pixels=arrays[0], targets=arrays[1], decoder=PIL.__version__)
    return arrays


def _kept(path: Path, side: int, num_classes: int) -> tuple[Pixels, Targets] | None:
    """The pixels decoded before; None if another version of Pillow did it or they are damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            pixels, targets, decoder = (arrays[name] for name in ("pixels", "targets", "decoder"))
    # What np.load and the zip format below it raise on damaged files.
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    whole = (
        decoder == PIL.__version__
        and (pixels.dtype, targets.dtype) == (np.uint8, np.int64)
        and pixels.shape == (len(targets), side, side, 3)
        and bool(((targets >= 0) & (targets < num_classes)).all())
    )
    return (pixels, targets) if whole else None


def _decoded(
    archive: Path, split: str, classes: Sequence[str], side: int
) -> tuple[Pixels, Targets]:
    label_of = {canonical(name): label for label, name in enumerate(classes)}
    found: dict[tuple[int, str], Pixels] = {}
    try:
        with tarfile.open(archive) as tar:
            for name, data in _members(tar):
                match PurePosixPath(name).parts:
                    case (top, folder, file) if top == split and canonical(folder) in label_of:
                        image = decode_image(data, name=one_line(name))
                    case _:
                        raise FormatError(f"{name!r:.80} is not {split}/(class)/(name).")
                if image.size != (side, side):
                    raise FormatError(f"{one_line(name)}: has {image.width}×{image.height} pixels.")
                found[label_of[canonical(folder)], file] = np.asarray(image)
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise FormatError(f"cannot be read as a tar archive: {error}.") from None
    if not found:
        raise FormatError("holds no images.")
    order = sorted(found)
    return np.stack([found[key] for key in order]), np.array([label for label, _ in order])


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for number, member in enumerate(tar):
        if member.isdir():
            continue
        file = tar.extractfile(member) if member.isreg() else None
        if file is None or member.size > MAX_MEMBER_BYTES or number >= MAX_MEMBERS:
            raise FormatError(
                f"{member.name!r:.80} is not an ordinary file, too long, or one too many; expected "
                f"at most {MAX_MEMBERS:,} images of at most {MAX_MEMBER_BYTES:,} bytes."
            )
        yield member.name, file.read()
