"""The pages that commands write."""

from __future__ import annotations

from pathlib import Path

from nbdt.errors import InputError


def check_folder(page: str) -> None:
    """Refuses a page that cannot be written as its folder is not there, before the work for it."""
    if not Path(page).resolve().parent.is_dir():
        raise InputError(f"{page}: there is no folder to write this file to.")
