"""From a request to an answer of the service: what all protocols have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from .bodies import Bodies
from .errors import MediaTypeError
from .inference import Answer
from .inputs import ParsedRequest
from .models import ServedModel
from .service import Service

T = TypeVar("T")
Asked = TypeVar("Asked", bound=ParsedRequest)


def service_of(request: Request) -> Service:
    """The service that the application was made with."""
    service: Service = request.app.state.service
    return service


async def ask(
    request: Request,
    model: str,
    parse: Callable[[bytes], Asked],
    *,
    seconds: float | None = None,
) -> tuple[ServedModel, Asked, Answer]:
    """What a model says of the rows in a request's body; which model, and what was asked.

    Whatever can be refused before the body is read, is; and when the client leaves, its rows
    leave the queue.

    Args:
        request: its body is read here.
        model: the model's name.
        parse: from the body to what is asked; called in a thread.
        seconds: how long the answer may take; see `Service.answer`.

    Raises:
        NBDTError: see `Service.answer` and `Body.read`.
        ClientDisconnect: the client left.
    """
    service = service_of(request)
    service.model(model)
    service.capacity.check()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise MediaTypeError("compressed bodies are not read; send it as it is.")
    bodies: Bodies = request.app.state.bodies
    with bodies.reading() as body:
        data = await body.read(request.stream(), _declared(request))
        answer = service.answer(model, lambda: parse(data), seconds=seconds)
        return await _unless_left(request, answer)


def _declared(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


async def _unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result, unless the client leaves before it is there."""
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
