"""Bodies of requests, read into memory within limits of length and time, and of all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from .errors import OverloadedError, SlowBodyError, TooLargeError
from .settings import Settings


class Bodies:
    """Reads bodies, and knows how much memory all of them take up.

    Args:
        settings: the limits.

    Example:
        >>> async def chunks():
        ...     yield b"ab"
        ...     yield b"c"
        >>> async def read():
        ...     bodies = Bodies(Settings())
        ...     with bodies.reading() as body:
        ...         return await body.read(chunks()), bodies.buffered
        >>> asyncio.run(read())
        (b'abc', 3)
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.buffered = 0

    @contextmanager
    def reading(self) -> Iterator[Body]:
        """One body, whose memory counts until the block ends."""
        body = Body(self)
        try:
            yield body
        finally:
            self.buffered -= body.length

    def _take(self, length: int) -> None:
        if self.buffered + length > self.settings.buffered_bytes:
            raise OverloadedError("too much is being sent at the same time; try again later.")
        self.buffered += length


class Body:
    """The body of one request; made by `Bodies.reading`."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.length = 0

    async def read(self, chunks: AsyncIterator[bytes], declared: int | None = None) -> bytes:
        """All of it.

        Args:
            chunks: as they come.
            declared: how long it will be, if the client said so.

        Raises:
            TooLargeError: it is too long; known at once if it was declared.
            SlowBodyError: the client takes too long to send it.
            OverloadedError: all bodies together take up too much memory.
        """
        settings = self._bodies.settings
        self._check(declared or 0)
        parts = []
        try:
            async with asyncio.timeout(settings.body_seconds):
                async for chunk in chunks:
                    self._check(self.length + len(chunk))
                    self._bodies._take(len(chunk))
                    self.length += len(chunk)
                    parts.append(chunk)
        except TimeoutError:
            raise SlowBodyError(
                f"the request was not all there within {settings.body_seconds:g} s."
            ) from None
        return b"".join(parts)

    def _check(self, length: int) -> None:
        limit = self._bodies.settings.body_bytes
        if length > limit:
            raise TooLargeError(f"the body is longer than the {limit:,} bytes that are taken.")
