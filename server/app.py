"""The application: the service, its routes, and what surrounds them."""

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
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from nbdt.errors import NBDTError

from . import operations, page
from .bodies import Bodies
from .keys import KeyRing, read_keys
from .logs import logger
from .metrics import Metrics
from .observation import ID_HEADER, Observation
from .openapi import describe
from .problems import problem_of, problem_response
from .protocols import kserve, mlflow, native, oip
from .security import KeyCheck, SecurityHeaders
from .service import Service
from .settings import Settings
from .tracing import trace

DESCRIPTION = """\
Predictions of neural-backed decision trees, explained as the decisions that led to them.

The same models answer over four protocols: the native one below `/api/v1`, KServe v1 below `/v1`,
the Open Inference Protocol below `/v2`, and MLflow's scoring at `/invocations`.
"""


OnLoaded = Callable[[Exception | None], None]


def create_app(settings: Settings, *, on_loaded: OnLoaded | None = None) -> FastAPI:
    """An application that serves the models of the settings.

    Models are loaded once it has started; until they are, it answers 503.

    Args:
        settings: see there.
        on_loaded: is called once, with None when the models are loaded, or with the reason why
            they could not be.

    Raises:
        NBDTError: the file of keys is not valid.
    """
    metrics = Metrics(shared=settings.workers > 1)
    service = Service(settings, metrics)
    keys = None if settings.keys is None else KeyRing(read_keys(settings.keys))
    app = FastAPI(
        title="nbdt",
        version=metadata.version("nbdt-toolkit"),
        summary="Decision paths over HTTP",
        description=DESCRIPTION,
        lifespan=_lifespan,
        middleware=list(_middleware(settings, metrics, keys)),
        exception_handlers=dict.fromkeys(_TOLD, _tell),
        openapi_url=None,  # and with it the pages that load their scripts from elsewhere
    )
    app.state.service = service
    app.state.bodies = Bodies(settings)
    app.state.keys = keys
    app.state.reload = service.reload
    app.state.on_loaded = on_loaded or (lambda error: None)
    app.state.loading = None
    for module in (native, kserve, oip, mlflow, operations, page):
        app.include_router(module.router)
        _answer_head(app, module.router)

    @lru_cache(maxsize=1)
    def described(models: tuple[str, ...]) -> bytes:
        return json.dumps(describe(app, models)).encode()

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        # It is open to those who have no key, too, and they are not to learn of models.
        names = service.registry.names if keys is None else ()
        return Response(described(names), media_type="application/json")

    if settings.tracing:
        trace(app)
    return app


def _answer_head(app: FastAPI, router: APIRouter) -> None:
    """Answers HEAD where a router answers GET: some probes ask so. uvicorn leaves the body out."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


def _middleware(settings: Settings, metrics: Metrics, keys: KeyRing | None) -> Iterator[Middleware]:
    """What surrounds the routes, the outermost first."""
    yield Middleware(SecurityHeaders)
    yield Middleware(Observation, metrics=metrics)
    if settings.origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-API-Key", ID_HEADER),
            expose_headers=(ID_HEADER, "Retry-After"),
        )
    if keys is not None:
        yield Middleware(KeyCheck, keys=keys)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the models beside the first requests, and lets the last ones come to their end."""
    loading = start_loading(app)
    yield
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await app.state.service.stop()


def start_loading(app: FastAPI) -> asyncio.Task[None]:
    """The task that loads the models of an application; there is one only, begun at the first call.

    It ends without an error, whatever comes of it; ``on_loaded`` of the application is told.
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


# Errors that a client is told of; any other goes up to `Observation`.
_TOLD = (NBDTError, HTTPException, RequestValidationError, ClientDisconnect)


async def _tell(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem is None:  # an error of the library that is no answer to a request
        raise error
    return problem_response(problem, request.url.path)
