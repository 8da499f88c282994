"""What an operator sees of every request: its log line, its metrics, its trace."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nbdt.errors import MissingDependencyError

from .errors import CLIENT_LEFT, ErrorAnswer, error_response
from .logs import checked_id, logger, request_id

if TYPE_CHECKING:
    from fastapi import FastAPI

ID_HEADER = "X-Request-ID"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_REASONS = {429: "overloaded", 503: "not ready", 504: "deadline", CLIENT_LEFT: "client left"}
# Clients may invent methods; numbers are kept for real ones.
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Metrics:
    """The service's metrics, in their own registry.

    With several workers (`shared`), each writes its numbers to files in the folder that
    ``PROMETHEUS_MULTIPROC_DIR`` named when prometheus_client was imported, and any of them can sum
    them up.

    Example:
        >>> metrics = Metrics()
        >>> metrics.batch("digits", rows=3, seconds=0.01)
        >>> b'nbdt_batch_rows_sum{model="digits"} 3.0' in metrics.text()
        True
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self.registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "nbdt_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "nbdt_batch_rows",
            "Rows that the network computed at once.",
            ("model",),
            buckets=_ROWS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "nbdt_batch_seconds",
            "Time that the network and the tree took for a batch.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.rejected = Counter(
            "nbdt_rejected_total",
            "Requests that were not answered, by reason.",
            ("reason",),
            registry=registry,
        )
        self.reloads = Counter(
            "nbdt_reloads_total", "Reloads, by outcome.", ("model", "outcome"), registry=registry
        )
        self.queue_rows = Gauge(
            "nbdt_queue_rows",
            "Rows admitted and not answered yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.in_flight = Gauge(
            "nbdt_requests_in_flight",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.generation = Gauge(
            "nbdt_model_generation",
            "How often the model has been loaded, by the process that loaded it most often.",
            ("model",),
            registry=registry,
            multiprocess_mode="livemax",
        )

    def batch(self, model: str, rows: int, seconds: float) -> None:
        """Counts one batch."""
        self.batch_rows.labels(model).observe(rows)
        self.batch_seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format, summed over the workers."""
        if self._shared:
            together = CollectorRegistry()
            MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            return generate_latest(together)
        return generate_latest(self.registry)


class Observation:
    """Middleware that gives requests ids, logs and counts them, and turns errors into answers.

    `quiet` paths, such as those of probes, are not logged.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, quiet: Collection[str]) -> None:
        self.app = app
        self.metrics = metrics
        self.quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = checked_id(Headers(scope=scope).get(ID_HEADER, ""))
        token = request_id.set(identity)
        start, status = time.perf_counter(), 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = identity
            await send(message)

        try:
            with self.metrics.in_flight.track_inprogress():
                try:
                    await self.app(scope, receive, send_observed)
                except Exception as error:
                    if status:
                        raise  # half an answer is sent, so the connection can only be cut
                    await _answer_error(error, scope, receive, send_observed)
        finally:
            self._note(scope, status or CLIENT_LEFT, time.perf_counter() - start)
            request_id.reset(token)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.requests.labels(method, route, str(status)).observe(seconds)
        if status in _REASONS:
            self.metrics.rejected.labels(_REASONS[status]).inc()
        level = logging.DEBUG if scope["path"] in self.quiet else logging.INFO
        if status >= 500 and status not in (503, 504):
            level = logging.ERROR
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "route": route,
            "status": status,
            "seconds": round(seconds, 6),
            "client": (scope.get("client") or ("",))[0],
            "key": scope.get("state", {}).get("key", ""),
        }
        logger.log(level, "request", extra={"fields": fields})


async def _answer_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    answer = ErrorAnswer.of(error)
    if answer is None:
        logger.error("unexpected %s", type(error).__name__, exc_info=error)
        answer = ErrorAnswer(500, f"something went wrong; the log has it as {request_id.get()}.")
    await error_response(answer, scope)(scope, receive, send)


def trace(app: FastAPI, quiet: Collection[str]) -> None:
    """Has OpenTelemetry trace an application's requests, except those of quiet paths.

    Its own ``OTEL_…`` variables say where the spans go.
    """
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    except ImportError:
        raise MissingDependencyError(
            "tracing needs OpenTelemetry: pip install opentelemetry-instrumentation-fastapi "
            "opentelemetry-distro opentelemetry-exporter-otlp."
        ) from None
    FastAPIInstrumentor.instrument_app(app, excluded_urls=",".join(f"{one}$" for one in quiet))
