"""From an HTTP request to an answer of the service: what all protocols share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .errors import (
    MediaTypeError,
    NotAcceptableError,
    OverloadedError,
    SlowBodyError,
    TooLargeError,
)
from .inference import Answer
from .models import ServedModel
from .parsing import ParsedRequest
from .service import Service
from .settings import Settings

T = TypeVar("T")
Asked = TypeVar("Asked", bound=ParsedRequest)


def service_of(request: Request) -> Service:
    """The service of the request's application."""
    service: Service = request.app.state.service
    return service


async def respond(
    request: Request,
    model: str,
    parse: Callable[[bytes], Asked],
    write: Callable[[ServedModel, Asked, Answer], Response],
    *,
    seconds: float | None = None,
) -> Response:
    """A model's answer to the rows in a request's body.

    Everything that can be refused before the body is read is refused then. When the client leaves,
    its rows leave the queue.

    Args:
        request: its body is read here.
        model: the model's name.
        parse: makes a question of the body; called in a thread.
        write: makes a response of the answer; called in a thread where there are explanations.
        seconds: how long the answer may take; see `Service.answer`.
    """
    service = service_of(request)
    service.model(model)
    service.capacity.check()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise MediaTypeError("compressed bodies are not read; send it as it is.")
    bodies: Bodies = request.app.state.bodies
    with bodies.reading() as body:
        data = await body.read(request.stream(), _declared(request))
        answering = service.answer(model, lambda: parse(data), seconds=seconds)
        found = await _unless_left(request, answering)
    if found[1].explain:
        return await service.in_decoder(lambda: write(*found))
    return write(*found)


def _declared(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


async def _unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result, unless the client disconnects first."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# ── bodies ────────────────────────────────────────────────────────────────────────────────────


class Bodies:
    """Reads request bodies within limits on length, time, and the memory of all bodies together."""

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


class Body:
    """The body of one request; made by `Bodies.reading`."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.length = 0

    async def read(self, chunks: AsyncIterator[bytes], declared: int | None = None) -> bytes:
        """Reads all chunks; `declared` is the length that the client stated, if any.

        Raises:
            TooLargeError: it is too long; at once if the length was declared.
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
                    if self._bodies.buffered + len(chunk) > settings.buffered_bytes:
                        raise OverloadedError("too many large requests at once; try again later.")
                    self._bodies.buffered += len(chunk)
                    self.length += len(chunk)
                    parts.append(chunk)
        except TimeoutError:
            raise SlowBodyError(
                f"the request was not complete within {settings.body_seconds:g} s."
            ) from None
        return b"".join(parts)

    def _check(self, length: int) -> None:
        limit = self._bodies.settings.body_bytes
        if length > limit:
            raise TooLargeError(f"the body exceeds the limit of {limit:,} bytes.")


# ── negotiation (RFC 9110, section 12.5.1) ────────────────────────────────────────────────────


def preferred(request: Request, offers: Sequence[str]) -> str:
    """The media type that a request's ``Accept`` header prefers; ties: the first offer.

    If it accepts none of them, this raises a `NotAcceptableError`.
    """
    accept = request.headers.get("accept", "")
    wishes = [_wish(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best = max(offers, key=lambda offer: _quality(offer, wishes))
    if _quality(best, wishes) <= 0:
        raise NotAcceptableError(f"the answer is available as {', '.join(offers)}.")
    return best


def _wish(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return kind.lower(), float(quality)
    except ValueError:
        return kind.lower(), 1.0


def _quality(offer: str, wishes: Sequence[tuple[str, float]]) -> float:
    """The quality (0 to 1) that the most specific matching wish gives the offer."""
    family = offer.partition("/")[0]
    for pattern in (offer, f"{family}/*", "*/*"):
        found = [quality for kind, quality in wishes if kind == pattern]
        if found:
            return max(found)
    return 0.0
