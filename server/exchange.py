"""From an HTTP request to an answer of the service: what all protocols share."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from nbdt.errors import InputError

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
    parse: Callable[[bytes, ServedModel], Asked],
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
        parse: makes a question of the body for the model; called in a thread.
        write: makes a response of the answer; called in a thread where there are explanations.
        seconds: how long the answer may take; see `Service.answer`.
    """
    service = service_of(request)
    service.model(model)
    service.capacity.check()
    async with _body_of(request) as data:
        answering = service.answer(model, lambda served: parse(data, served), seconds=seconds)
        found = await _unless_left(request, answering)
    if found[1].explain:
        return await service.in_decoder(lambda: write(*found))
    return write(*found)


async def read_body(request: Request) -> bytes:
    """The body of a request that asks for no answer of a model, within the same limits."""
    async with _body_of(request) as data:
        return data


@asynccontextmanager
async def _body_of(request: Request) -> AsyncIterator[bytes]:
    """A request's body, inflated; its memory counts until the block ends."""
    service = service_of(request)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", *_WINDOWS):
        raise MediaTypeError(
            f"a body may be compressed by gzip or deflate, or not at all; not {coding!r:.80}."
        )
    bodies: Bodies = request.app.state.bodies
    with bodies.reading() as body:
        data = await body.read(request.stream(), _declared(request))
        if coding in _WINDOWS:
            packed, limit = data, service.settings.body_bytes
            data = await service.in_decoder(lambda: inflated(packed, coding, limit))
            body.add(len(data))
        yield data


async def check_parameters(request: Request) -> None:
    """Refuses unknown query parameters: a misspelled one would have no effect."""
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            there = f"this route takes {', '.join(known)}" if known else "this route takes none"
            error = {"loc": ("query", name[:80]), "msg": f"unknown parameter; {there}"}
            raise RequestValidationError([error])


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


# zlib's window sizes: with the header of gzip, and with that of zlib (RFC 9110, section 8.4.1).
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15


def inflated(data: bytes, coding: str, limit: int) -> bytes:
    """A body that was compressed by gzip or deflate; never more than `limit` bytes are inflated.

    Some clients send deflate without its header, which is accepted.

    Raises:
        TooLargeError: it is longer.
        InputError: it is broken or truncated.
    """
    window = _WINDOWS[coding]
    if coding == "deflate" and not (data[:1] == b"\x78" and int.from_bytes(data[:2]) % 31 == 0):
        window = _RAW_DEFLATE
    unpacking = zlib.decompressobj(window)
    try:
        found = unpacking.decompress(data, limit + 1)
    except zlib.error:
        raise InputError(f"the body is not compressed by {coding}, or it is broken.") from None
    if len(found) > limit:
        raise TooLargeError(f"the inflated body exceeds the limit of {limit:,} bytes.")
    if not unpacking.eof or unpacking.unused_data:
        raise InputError(f"the body, compressed by {coding}, is truncated or followed by more.")
    return found


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
                    self.add(len(chunk))
                    parts.append(chunk)
        except TimeoutError:
            raise SlowBodyError(
                f"the request was not complete within {settings.body_seconds:g} s."
            ) from None
        return b"".join(parts)

    def add(self, length: int) -> None:
        """Counts so many bytes more; raises an OverloadedError if all bodies take too much."""
        if self._bodies.buffered + length > self._bodies.settings.buffered_bytes:
            raise OverloadedError("too many large requests at once; try again later.")
        self._bodies.buffered += length
        self.length += length

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
