"""API keys: who may ask, and how often.

The file of keys is JSON and holds no key, only the SHA-256 of each; a key is 256 random bits, so
that nothing slower is needed to keep it from being guessed:

    {"keys": [{"name": "team-a", "sha256": "…", "rate": "600/minute", "admin": false}]}
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import limits
import limits.aio

from nbdt.documents import described
from nbdt.errors import FormatError, InputError
from nbdt.files import error_context, read_json

from .errors import RateLimitError

PREFIX = "nbdt_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_NAME_RULE = "has to be of letters, digits and . _ @ - only, at most 100"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """What is known of a key.

    Attributes:
        name: whose it is; the log says it.
        sha256: its hash, in hexadecimal.
        rate: how often it may be used in a worker, as "600/minute"; None for any number.
        admin: whether it may have the models reloaded.
    """

    name: str
    sha256: str
    rate: str | None = None
    admin: bool = False


def new_key(name: str) -> tuple[str, dict[str, Any]]:
    """A new key, and its entry in the file.

    Raises:
        InputError: the file could not hold the name.

    Example:
        >>> secret, entry = new_key("team-a")
        >>> KeyRing([Key(**entry)]).find(secret).name
        'team-a'
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a key's name {_NAME_RULE}, got {described(name)}.")
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, {"name": name, "sha256": _digest(secret)}


def read_keys(path: Path) -> list[Key]:
    """The keys of a file.

    Raises:
        NotFoundError: there is no such file.
        FormatError: it is no file of keys; the message says where.
    """
    document = read_json(path)
    with error_context(path):
        if not isinstance(document, Mapping) or not isinstance(document.get("keys"), list):
            raise FormatError('expected {"keys": […]}.')
        keys = [_key(entry, f"keys[{index}]") for index, entry in enumerate(document["keys"])]
        if not keys:
            raise FormatError("there is no key in it, so nobody would be let in.")
        if len({key.name for key in keys}) < len(keys):
            raise FormatError("two keys have one name.")
    return keys


class KeyRing:
    """The keys that are let in.

    Args:
        keys: all of them.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._limiter = limits.aio.strategies.MovingWindowRateLimiter(
            limits.aio.storage.MemoryStorage()
        )
        self.replace(keys)

    def replace(self, keys: Sequence[Key]) -> None:
        """Lets in these keys from now on; how often those that stay were used stays counted."""
        self._rates = {key.name: limits.parse(key.rate) for key in keys if key.rate}
        self._keys = tuple(keys)

    def find(self, secret: str) -> Key | None:
        """The key of that secret, or None.

        It takes as long for a wrong secret as for a right one: all are compared, in full.
        """
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    async def count(self, key: Key) -> None:
        """Counts one use of a key.

        Raises:
            RateLimitError: that is one too many.
        """
        rate = self._rates.get(key.name)
        if rate is None or await self._limiter.hit(rate, key.name):
            return
        window = await self._limiter.get_window_stats(rate, key.name)
        raise RateLimitError(
            f"the key {key.name} may be used {key.rate}.",
            retry_after=window.reset_time - time.time(),
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _key(entry: object, where: str) -> Key:
    if not isinstance(entry, Mapping) or not {"name", "sha256"} <= set(entry):
        raise FormatError(f"{where} needs a name and a sha256.")
    unknown = set(entry).difference(("name", "sha256", "rate", "admin"))
    if unknown:
        raise FormatError(f"{where} has the unknown key {described(min(map(str, unknown)))}.")
    name, digest = entry["name"], entry["sha256"]
    rate, admin = entry.get("rate"), entry.get("admin", False)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FormatError(f"{where}.name {_NAME_RULE}.")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise FormatError(f"{where}.sha256 has to be 64 hexadecimal digits.")
    if not isinstance(admin, bool):
        raise FormatError(f"{where}.admin has to be true or false.")
    try:
        if rate is not None and len(limits.parse_many(rate)) != 1:
            raise ValueError
    except (ValueError, TypeError):
        raise FormatError(
            f"{where}.rate has to be as '600/minute', got {described(rate)}."
        ) from None
    return Key(name, digest, rate, admin)
