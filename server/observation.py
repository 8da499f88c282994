"""What surrounds every request: its id, its line in the log, its numbers, and a last net."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import checked_id, logger, request_id
from .metrics import Metrics
from .problems import CLIENT_LEFT, Problem, problem_of, problem_response

ID_HEADER = "X-Request-ID"

_REASONS = {429: "overloaded", 503: "not ready", 504: "deadline", CLIENT_LEFT: "client left"}
# A client may call its method as it likes; numbers are kept for those that there are.
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# What is asked every few seconds is not worth a line.
_QUIET = ("/livez", "/readyz", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready")


class Observation:
    """Middleware that gives requests ids, logs and counts them, and turns errors into answers.

    Args:
        app: what answers.
        metrics: is told of every request.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

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
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
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
    problem = problem_of(error)
    if problem is None:
        logger.error("unexpected %s", type(error).__name__, exc_info=error)
        problem = Problem(500, f"something went wrong; the log has it as {request_id.get()}.")
    await problem_response(problem, scope["path"])(scope, receive, send)
