"""Why a request fails, and how clients learn of it.

The errors know no HTTP; `ErrorAnswer` gives each its status, and an `ErrorForm` the JSON that a
protocol's clients expect. Only errors raised on purpose are described; for any other, the client
gets only the id of the log entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal, Self

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Scope

from nbdt.errors import InputError, NBDTError, NotFoundError


class RefusalError(NBDTError):
    """A request that is refused, though it may be valid."""


class OverloadedError(RefusalError):
    """The service is overloaded; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitError(OverloadedError):
    """The key was used more often than it allows."""


class NotReadyError(RefusalError):
    """The models are still loading, or the service is about to stop."""


class DeadlineError(RefusalError):
    """The answer was not ready in time."""


class SlowBodyError(RefusalError):
    """The client took too long to send its request."""


class UnauthorizedError(RefusalError):
    """No key was sent, or an unknown one."""


class ForbiddenError(RefusalError):
    """The key does not allow this."""


class TooLargeError(InputError):
    """The request is larger than the service accepts."""


class MediaTypeError(InputError):
    """The service does not read this media type."""


class NotAcceptableError(InputError):
    """The answer is not available in any of the accepted media types."""


# The first match counts, so subclasses come before their parents.
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
"""The status in the log when the client has left; as in nginx."""


@dataclass(frozen=True)
class ErrorAnswer:
    """What a client learns of an error: the HTTP status, one sentence, and headers."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """HTTP's name of the status."""
        return "Client Left" if self.status == CLIENT_LEFT else HTTPStatus(self.status).phrase

    @classmethod
    def of(cls, error: Exception) -> Self | None:
        """What a client learns of an error; None for an unexpected one."""
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:])
            return cls(422, f"{where}: {first['msg']}.")
        if isinstance(error, HTTPException):
            return cls(error.status_code, f"{error.detail}.", dict(error.headers or {}))
        if isinstance(error, ClientDisconnect):
            return cls(CLIENT_LEFT, "the client left.")
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
        return None if status is None else cls(status, str(error), _headers(error))


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, OverloadedError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if isinstance(error, NotReadyError):
        return {"Retry-After": "1"}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


class ErrorForm(BaseModel):
    """The JSON in which a protocol describes an error."""

    model_config = ConfigDict(extra="forbid")
    media_type: ClassVar[str] = "application/json"

    @classmethod
    def of(cls, error: ErrorAnswer) -> Self:
        """The error in this form."""
        raise NotImplementedError


class Problem(ErrorForm):
    """An error, as RFC 9457 has it."""

    media_type: ClassVar[str] = "application/problem+json"
    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str

    @classmethod
    def of(cls, error: ErrorAnswer) -> Self:
        """The error in this form."""
        return cls(type="about:blank", title=error.title, status=error.status, detail=error.detail)


class PlainError(ErrorForm):
    """An error, as KServe and the Open Inference Protocol have it."""

    error: str

    @classmethod
    def of(cls, error: ErrorAnswer) -> Self:
        """The error in this form."""
        return cls(error=error.detail)


def error_response(error: ErrorAnswer, scope: Scope) -> Response:
    """The response to a failed request, in the form that clients of its path expect.

    ``error_forms`` in the application's state maps path prefixes to forms; the default is
    `Problem`.
    """
    forms: Mapping[str, type[ErrorForm]] = scope["app"].state.error_forms
    fitting = (form for start, form in forms.items() if scope["path"].startswith(start))
    form = next(fitting, Problem)
    body = form.of(error).model_dump_json()
    return Response(body, error.status, error.headers, media_type=form.media_type)
