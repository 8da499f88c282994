"""Files that strangers may have made are read with care; files are written in one step.

Every error is one sentence that begins with the name of the file.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from nbdt.documents import MAX_BYTES, decoded, parsed_json
from nbdt.errors import InputError, NBDTError, NotFoundError


def read_text(path: str | os.PathLike[str], *, bom: bool = False) -> str:
    """The text of a file in UTF-8, of at most 64 MB; `bom` allows a byte order mark before it."""
    # A pipe or a device would be read for ever, so only ordinary files are opened.
    if not is_file(path):
        if os.path.lexists(path):
            raise InputError(f"{_called(path)}: is not an ordinary file.")
        raise NotFoundError(f"{_called(path)}: no such file.")
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{_called(path)}: cannot be read: {error.strerror}.") from error
    with error_context(path):
        return decoded(data.removeprefix(codecs.BOM_UTF8) if bom else data)


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value of a JSON file of at most 64 MB, read strictly as by `documents.parsed_json`."""
    text = read_text(path)
    with error_context(path):
        return parsed_json(text)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text to a file in UTF-8, replacing the file in one step or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Writes a value that JSON can hold to a file, replacing the file in one step or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of `path` if the block ends without error."""
    with replacing_path(path) as aside, aside.open("xb") as file:
        yield file


@contextmanager
def replacing_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Like `replacing`, for writers that want a path: make the file in the block.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "note.txt")
        >>> with replacing_path(path) as aside:
        ...     _ = aside.write_text("cat")
        >>> path.read_text()
        'cat'
    """
    # A link keeps pointing to the file that it pointed to.
    target = Path(os.path.realpath(path))
    aside = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        try:
            yield aside
            with aside.open("r+b") as file:
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{_called(path)}: cannot be written: {error.strerror}.") from error


def list_subfolders(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are left out."""
    top = checked_folder(folder)
    _, subfolders, _ = next(os.walk(top, onerror=raise_unreadable))
    return sorted(name for name in subfolders if not name.startswith("."))


def checked_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder as a path; a NotFoundError or an InputError if it is none."""
    top = Path(folder)
    if not top.exists():
        raise NotFoundError(f"{top}: no such folder.")
    if not top.is_dir():
        raise InputError(f"{top}: this is a file, expected a folder.")
    return top


def raise_unreadable(error: OSError) -> NoReturn:
    """What `os.walk` calls on an error, which it would ignore."""
    raise InputError(f"{error.filename}: the folder cannot be read: {error.strerror}.") from None


@contextmanager
def error_context(path: str | os.PathLike[str]) -> Iterator[None]:
    """Puts the name of a file before the message of every error of nbdt raised in the block."""
    try:
        yield
    except NBDTError as error:
        raise type(error)(f"{_called(path)}: {error}") from None


def sha256(*parts: bytes | bytearray | memoryview | str) -> str:
    """The SHA-256 of these parts one after the other, in hexadecimal; a text counts as UTF-8."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part)
    return digest.hexdigest()


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{_called(path)}: cannot be read: {error.strerror}.") from None


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether this is an ordinary file, or a link to one."""
    try:
        return Path(path).is_file()
    except OSError:
        # The name is too long for a file, say.
        return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether this is a folder, or a link to one."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        # Nothing can be called so: it is too long, say.
        return False


def _called(path: str | os.PathLike[str]) -> str:
    """The path as an error names it: as it was given, its beginning left out if it is very long."""
    text = os.fspath(path)
    return text if len(text) <= 200 else f"…{text[-199:]}"
