"""The application: the service, its routes, and its middleware."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib import metadata

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nbdt.errors import NBDTError

from . import page
from .answers import Status
from .errors import ErrorAnswer, NotReadyError, Problem, error_response
from .exchange import Bodies, service_of
from .keys import KeyCheck, KeyRing, read_keys
from .logs import logger
from .models import ServedModel
from .observation import CONTENT_TYPE, ID_HEADER, Metrics, Observation, trace
from .openapi import answer, describe, errors
from .protocols import find_protocols
from .service import Service
from .settings import Settings

DESCRIPTION = """\
Predictions of neural-backed decision trees, explained as the decisions that led to them.

The same models answer over several protocols:

"""

_PROBES = frozenset({"/livez", "/readyz"})
# Open for those who have no key yet, in addition to probes.
_OPEN_PATHS = frozenset({"/", "/page/", "/docs", "/docs/", "/openapi.json"})

_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

OnLoaded = Callable[[Exception | None], None]


class Readiness(Status):
    """Whether requests should be sent here; by name, why some models cannot be served."""

    failed: dict[str, str] | None = None


operations = APIRouter(tags=["Operations"], responses=errors())


def create_app(settings: Settings, *, on_loaded: OnLoaded | None = None) -> FastAPI:
    """An application that serves the models of the settings.

    Models are loaded once it has started; until then, it answers 503. `on_loaded` is called once,
    with None when the models are loaded, or with the reason why they could not be.
    """
    metrics = Metrics(shared=settings.workers > 1)
    service = Service(settings, metrics)
    keys = None if settings.keys is None else KeyRing(read_keys(settings.keys))
    protocols = find_protocols()
    probes = _PROBES.union(*(one.probes for one in protocols))
    app = FastAPI(
        title="nbdt",
        version=metadata.version("nbdt-toolkit"),
        summary="Decision paths over HTTP",
        description=DESCRIPTION + "\n".join(f"- {one.name} at {one.below}" for one in protocols),
        lifespan=_lifespan,
        middleware=list(_middleware(settings, metrics, keys, probes)),
        exception_handlers=dict.fromkeys(_EXPECTED, _answer_error),
        openapi_url=None,  # and with it the pages that load their scripts from elsewhere
    )
    app.state.service = service
    app.state.bodies = Bodies(settings)
    app.state.keys = keys
    app.state.reload = service.reload
    app.state.on_loaded = on_loaded or (lambda error: None)
    app.state.loading = None
    app.state.error_forms = {start: form for one in protocols for start, form in one.errors.items()}
    for router in (*(one.router for one in protocols), operations, page.router):
        app.include_router(router)
        _answer_head(app, router)

    examples = {str(tag): one.example for one in protocols for tag in one.router.tags}

    @lru_cache(maxsize=1)
    def described(models: tuple[ServedModel, ...]) -> bytes:
        forms = dict.fromkeys((Problem, *app.state.error_forms.values()))
        document = describe(app, examples, models, forms)
        if keys is not None:
            document["components"]["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"}
            }
            document["security"] = [{"key": []}]
        return json.dumps(document).encode()

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        # Clients without a key may read it, too, and they must not learn the models' names.
        names = service.registry.names if keys is None else ()
        models = tuple(map(service.registry.get, names))
        return Response(described(models), media_type="application/json")

    if settings.tracing:
        trace(app, quiet=probes | {"/metrics"})
    return app


# ── operations ────────────────────────────────────────────────────────────────────────────────


@operations.get("/livez", responses=answer(Status))
async def livez() -> JSONResponse:
    """Whether the process answers at all; if not, it should be restarted."""
    return JSONResponse({"status": "alive"})


@operations.get("/readyz", responses=answer(Readiness))
async def readyz(request: Request) -> JSONResponse:
    """Whether requests should be sent here: not while it loads or is about to stop.

    Models that cannot be loaded are listed with the reason, unless clients need keys.
    """
    service = service_of(request)
    if not service.ready:
        raise NotReadyError("about to stop." if service.draining else "the models are loading.")
    # Clients without a key must not learn the models' names.
    failed = service.registry.failed if request.app.state.keys is None else {}
    return JSONResponse({"status": "ready"} | ({"failed": failed} if failed else {}))


@operations.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """All numbers, in Prometheus's text format."""
    return Response(service_of(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _answer_head(app: FastAPI, router: APIRouter) -> None:
    """Answers HEAD where a router answers GET, for probes; uvicorn leaves out the body."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


# ── around the routes ─────────────────────────────────────────────────────────────────────────


def _middleware(
    settings: Settings, metrics: Metrics, keys: KeyRing | None, probes: frozenset[str]
) -> Iterator[Middleware]:
    """The middleware around the routes, the outermost first."""
    yield Middleware(SecurityHeaders)
    yield Middleware(Observation, metrics=metrics, quiet=probes | {"/metrics"})
    if settings.origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-API-Key", ID_HEADER),
            expose_headers=(ID_HEADER, "Retry-After"),
        )
    if keys is not None:
        yield Middleware(KeyCheck, keys=keys, open_paths=probes | _OPEN_PATHS)


class SecurityHeaders:
    """Middleware that adds security headers unless an answer has set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_secured)


# Errors that clients learn of; any other goes up to `Observation`.
_EXPECTED = (NBDTError, HTTPException, RequestValidationError, ClientDisconnect)


async def _answer_error(request: Request, error: Exception) -> Response:
    described = ErrorAnswer.of(error)
    if described is None:  # an error of the library that is not an answer to a request
        raise error
    return error_response(described, request.scope)


# ── loading ───────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the models while the first requests come, and lets the last ones finish."""
    loading = start_loading(app)
    yield
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await app.state.service.stop()


def start_loading(app: FastAPI) -> asyncio.Task[None]:
    """The one task that loads the models of an application, started by the first call.

    It never raises, and calls the application's ``on_loaded``.
    """
    if app.state.loading is None:
        app.state.loading = asyncio.create_task(_load(app))
    task: asyncio.Task[None] = app.state.loading
    return task


async def _load(app: FastAPI) -> None:
    service: Service = app.state.service
    try:
        await service.start()
    except Exception as error:
        is_ours = isinstance(error, NBDTError)
        logger.error("the models cannot be loaded: %s", error, exc_info=None if is_ours else error)
        app.state.on_loaded(error)
        return
    for name in service.registry.names:
        served = service.registry.get(name)
        fields = {"model": name, "version": served.version}
        logger.info("model loaded", extra={"fields": fields})
    app.state.on_loaded(None)
