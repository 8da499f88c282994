"""Why a request is not answered, and how clients learn of it.

The errors know no HTTP; `ErrorAnswer` gives each its status, and an `ErrorForm` the JSON that a
protocol's clients expect. Only errors raised on purpose are described; of any other a client
learns nothing but the id under which the log has it.
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
    """A request that is not answered, though nothing need be wrong with it."""


class OverloadedError(RefusalError):
    """There is more work than the service has room for; `retry_after` is in seconds."""

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
    """The request has a type that the service does not read."""


class NotAcceptableError(InputError):
    """The answer does not exist in any of the forms that were asked for."""


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
"""What the log says where nobody is left to read the answer; nginx's number."""


@dataclass(frozen=True)
class ErrorAnswer:
    """An error as a client learns of it: the HTTP status, one sentence, and headers."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """HTTP's name of the status."""
        return "Client Left" if self.status == CLIENT_LEFT else HTTPStatus(self.status).phrase

    @classmethod
    def of(cls, error: Exception) -> Self | None:
        """What a client learns of an error; None for a defect of ours.

        Example:
            >>> ErrorAnswer.of(OverloadedError("the queue is full.", retry_after=1.2))
            ErrorAnswer(status=429, detail='the queue is full.', headers={'Retry-After': '2'})
            >>> ErrorAnswer.of(KeyError("secret")) is None
            True
        """
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
    """The response to a request that failed, in the form that clients of its path expect.

    Args:
        error: what went wrong.
        scope: the request's; ``error_forms`` in the application's state maps the beginnings of
            paths to forms, and `Problem` is the default for all others.
    """
    forms: Mapping[str, type[ErrorForm]] = scope["app"].state.error_forms
    fitting = (form for start, form in forms.items() if scope["path"].startswith(start))
    form = next(fitting, Problem)
    body = form.of(error).model_dump_json()
    return Response(body, error.status, error.headers, media_type=form.media_type)
