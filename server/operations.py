"""What an operator's programs ask: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from .errors import NotReadyError
from .exchange import service_of
from .metrics import CONTENT_TYPE
from .openapi import PROBLEMS, answer
from .schemas import Status

router = APIRouter(tags=["Operations"], responses=PROBLEMS)


@router.get("/livez", responses=answer(Status))
async def livez() -> JSONResponse:
    """Whether the process answers at all; if not, it should be restarted."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", responses=answer(Status))
async def readyz(request: Request) -> JSONResponse:
    """Whether requests should be sent here: not while it loads or is about to stop."""
    service = service_of(request)
    if not service.ready:
        raise NotReadyError(
            "about to stop." if service.draining else "the models are being loaded."
        )
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """All numbers, in Prometheus's text format."""
    return Response(service_of(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE})
