"""A folder that is written aside and put in its place in one step, so that readers see it whole.

Where the system can exchange two directory entries (Linux, macOS), the place always holds a whole
folder, whenever a writer is killed. Elsewhere two renames do it, and `standing` finds the old
folder in the moment between them.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from nbdt.errors import NBDTError

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

_NEW, _OLD = ".new", ".old"
_EXCHANGE = 2  # RENAME_EXCHANGE on Linux, RENAME_SWAP on macOS
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}
_READS = 100


@contextmanager
def replaced_folder(target: Path, own: Callable[[Path], set[str]]) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `target` if the block ends without error.

    Writers wait for each other. What else lies in the old folder than its `own` entries moves to
    the new one; what killed writers left beside it is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_NEW}")
    try:
        with ExitStack() as held:
            # Another writer must not take the folder for a leftover before its lock is held.
            with _locked(target.parent, wait=True):
                new.mkdir()
                held.enter_context(_locked(new))
            yield new
            with _locked(target.parent, wait=True):
                _settle(target)
                if target.exists():
                    kept = own(target) | {path.name for path in new.iterdir()}
                    for path in target.iterdir():
                        if path.name not in kept:
                            link_tree(path, new / path.name)
                _sync(new)
                _put(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def standing(target: Path) -> Path:
    """The folder to read: `target`, or the one that a writer has just put aside."""
    if not target.exists():
        for old in target.parent.glob(f".{glob.escape(target.name)}.*{_OLD}"):
            return old
    return target


def read_whole(folder: Path, read: Callable[[], T]) -> T:
    """What `read` gives while the folder is not replaced; it is called again if it was."""
    for _ in range(_READS):
        before = _identity(folder)
        try:
            value = read()
        except (NBDTError, OSError):
            if _identity(folder) == before:
                raise
            continue
        if _identity(folder) == before:
            return value
    return read()


def link_tree(source: Path, target: Path) -> None:
    """A file or a folder a second time, without copying data where the disk can share it."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, copy_function=_link)
    else:
        _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target, follow_symlinks=False)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _put(new: Path, target: Path) -> None:
    """Puts a folder into its place; the old one is then at `new`, or gone."""
    if not target.exists() or not any(target.iterdir()):
        new.rename(target)
    elif not _exchanged(new, target):
        old = new.with_suffix(_OLD)
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)
    _sync_entry(target.parent)


def _settle(target: Path) -> None:
    """Removes what killed writers left beside the folder, or puts it back."""
    beside = f".{glob.escape(target.name)}.*"
    for old in target.parent.glob(f"{beside}{_OLD}"):
        if target.exists():
            shutil.rmtree(old)
        else:
            old.rename(target)
    for left in target.parent.glob(f"{beside}{_NEW}"):
        try:
            with _locked(left):  # whose writer lives holds the lock
                shutil.rmtree(left)
        except OSError:
            continue


@contextmanager
def _locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock of a folder; an OSError if another process does, unless it should wait."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchanges two directory entries in one step; False if this system or disk cannot."""
    a, b = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "linux":
            at_here = -100
            failed = _libc().renameat2(at_here, a, at_here, b, _EXCHANGE)
        else:
            failed = _libc().renamex_np(a, b, _EXCHANGE)
    except (AttributeError, OSError, TypeError):  # there is no such function
        return False
    code = ctypes.get_errno()
    if failed and code not in _CANNOT:
        raise OSError(code, os.strerror(code), str(second))
    return not failed


def _sync(folder: Path) -> None:
    """Makes sure that all files of a folder are on disk."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            _sync_entry(path)
    _sync_entry(folder)


def _sync_entry(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
