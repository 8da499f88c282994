"""What went wrong, told to a client: RFC 9457, or as its protocol has it.

Only errors that nbdt raises on purpose are told; of any other the client learns nothing but the
id under which the log has it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from nbdt.errors import InputError, NBDTError, NotFoundError

from .errors import (
    DeadlineError,
    ForbiddenError,
    MediaTypeError,
    NotAcceptableError,
    NotReadyError,
    OverloadedError,
    SlowBodyError,
    TooLargeError,
    UnauthorizedError,
)

PROBLEM_TYPE = "application/problem+json"

# The first that fits counts, so children stand before their parents.
_STATUS: tuple[tuple[type[NBDTError], int], ...] = (
    (TooLargeError, 413),
    (MediaTypeError, 415),
    (NotAcceptableError, 406),
    (NotFoundError, 404),
    (InputError, 400),
    (UnauthorizedError, 401),
    (ForbiddenError, 403),
    (SlowBodyError, 408),
    (OverloadedError, 429),
    (NotReadyError, 503),
    (DeadlineError, 504),
)
CLIENT_LEFT = 499
"""What the log says where nobody is left to be answered; nginx's number."""


@dataclass(frozen=True)
class Problem:
    """An error as a client is told of it.

    Attributes:
        status: of HTTP.
        detail: one sentence.
        headers: that go with it.
    """

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What HTTP calls the status."""
        return "Client Left" if self.status == CLIENT_LEFT else HTTPStatus(self.status).phrase


def problem_of(error: Exception) -> Problem | None:
    """What a client is told of an error; None if that is nothing, as it is a defect of ours.

    Example:
        >>> problem_of(OverloadedError("the queue is full.", retry_after=1.2))
        Problem(status=429, detail='the queue is full.', headers={'Retry-After': '2'})
        >>> problem_of(KeyError("secret")) is None
        True
    """
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return Problem(422, f"{where}: {first['msg']}.")
    if isinstance(error, HTTPException):
        return Problem(error.status_code, f"{error.detail}.", dict(error.headers or {}))
    if isinstance(error, ClientDisconnect):
        return Problem(CLIENT_LEFT, "the client left.")
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return Problem(status, str(error), _headers(error))
    return None


def _headers(error: NBDTError) -> dict[str, str]:
    if isinstance(error, OverloadedError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if isinstance(error, NotReadyError):
        return {"Retry-After": "1"}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


# ── as each protocol has it ───────────────────────────────────────────────────────────────────


def _rfc_9457(problem: Problem) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }


def _kserve(problem: Problem) -> dict[str, Any]:
    return {"error": problem.detail}


def _mlflow(problem: Problem) -> dict[str, Any]:
    return {"error_code": problem.title.upper().replace(" ", "_"), "message": problem.detail}


_FORMS: tuple[tuple[str, str, Callable[[Problem], dict[str, Any]]], ...] = (
    ("/v1/", "application/json", _kserve),
    ("/v2", "application/json", _kserve),
    ("/invocations", "application/json", _mlflow),
    ("", PROBLEM_TYPE, _rfc_9457),
)


def problem_response(problem: Problem, path: str) -> Response:
    """The answer that tells of a problem, in the form that clients of the path expect.

    Example:
        >>> problem_response(Problem(404, "there is none."), "/v1/models/x").body
        b'{"error": "there is none."}'
    """
    media_type, form = next(
        (media_type, form) for prefix, media_type, form in _FORMS if path.startswith(prefix)
    )
    return Response(
        json.dumps(form(problem)), problem.status, problem.headers, media_type=media_type
    )
