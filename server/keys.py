"""API keys: who may use the service, and how often.

The key file is JSON and holds only the SHA-256 of each key; a key is 256 random bits, so a slower
hash would not make guessing harder:

    {"keys": [{"name": "team-a", "sha256": "…", "rate": "600/minute", "admin": false}]}
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import limits
import limits.aio
from pydantic import ConfigDict, Field, field_validator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nbdt.documents import Document, described
from nbdt.errors import FormatError, InputError
from nbdt.files import error_context, read_json

from .errors import ErrorAnswer, RateLimitError, RefusalError, UnauthorizedError, error_response

PREFIX = "nbdt_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_NAME_RULE = "must consist of letters, digits and . _ @ - only, at most 100"


class Key(Document):
    """What the service knows of a key.

    Attributes:
        name: its owner's name, for the log.
        sha256: its hash, in hexadecimal.
        rate: how often it may be used in a worker, as "600/minute"; None for any number.
        admin: whether it may have the models reloaded.
    """

    name: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    rate: str | None = None
    admin: bool = False

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{_NAME_RULE}, got {described(name)}.")
        return name

    @field_validator("rate")
    @classmethod
    def _check_rate(cls, rate: str | None) -> str | None:
        try:
            if rate is None or len(limits.parse_many(rate)) == 1:
                return rate
        except ValueError:
            pass
        raise ValueError(f"must be a rate such as '600/minute', got {described(rate)}.")


class _KeyFile(Document):
    model_config = ConfigDict(extra="ignore")
    keys: tuple[Key, ...]

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if not keys:
            raise ValueError("has no entry, so nobody would be let in.")
        if len({key.name for key in keys}) < len(keys):
            raise ValueError("has two entries with the same name.")
        return keys


def new_key(name: str) -> tuple[str, dict[str, Any]]:
    """A new key, and its entry in the key file.

    Example:
        >>> secret, entry = new_key("team-a")
        >>> KeyRing([Key(**entry)]).find(secret).name
        'team-a'
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a key's name {_NAME_RULE}, got {described(name)}.")
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, {"name": name, "sha256": _digest(secret)}


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys in a file; a `FormatError` names what is not valid."""
    document = read_json(path)
    with error_context(path):
        if not isinstance(document, dict):
            raise FormatError('expected {"keys": […]}.')
        return _KeyFile.from_dict(document).keys


class KeyRing:
    """The accepted keys."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._limiter = limits.aio.strategies.MovingWindowRateLimiter(
            limits.aio.storage.MemoryStorage()
        )
        self.replace(keys)

    def replace(self, keys: Sequence[Key]) -> None:
        """Accepts these keys from now on; past uses of those that stay still count."""
        self._rates = {key.name: limits.parse(key.rate) for key in keys if key.rate}
        self._keys = tuple(keys)

    def find(self, secret: str) -> Key | None:
        """The key with that secret, or None.

        All keys are compared in full, so a wrong secret takes as long as a right one.
        """
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    async def count(self, key: Key) -> None:
        """Counts one use of a key; raises a RateLimitError if it is one too many."""
        rate = self._rates.get(key.name)
        if rate is None or await self._limiter.hit(rate, key.name):
            return
        window = await self._limiter.get_window_stats(rate, key.name)
        raise RateLimitError(
            f"the key {key.name} may be used {key.rate}.",
            retry_after=window.reset_time - time.time(),
        )


class KeyCheck:
    """Middleware that accepts only requests with a key, no more often than the key allows.

    The key is sent as ``Authorization: Bearer …`` or ``X-API-Key: …``. `open_paths` need no key;
    one that ends in "/" stands for all paths below it.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, open_paths: Collection[str]) -> None:
        self.app = app
        self.keys = keys
        self._open = frozenset(open_paths)
        self._open_below = tuple(one for one in open_paths if len(one) > 1 and one.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "http" and not self._is_open(scope["path"]):
            try:
                await self._admit(scope)
            except RefusalError as error:
                answer = ErrorAnswer.of(error)
                assert answer is not None, "every refusal has a status"
                await error_response(answer, scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(self._open_below)

    async def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        scheme, _, secret = headers.get("Authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer"
        secret = secret.strip() if bearer else headers.get("X-API-Key", "")
        key = self.keys.find(secret)
        if key is None and secret:
            raise UnauthorizedError("this key is not known.")
        if key is None:
            raise UnauthorizedError("a key is needed, as in Authorization: Bearer nbdt_….")
        scope.setdefault("state", {}).update(key=key.name, admin=key.admin)
        await self.keys.count(key)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
