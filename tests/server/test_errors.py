"""Problems: each refusal has its status, and each protocol its form."""

import json

import pytest

from nbdt.errors import HeadError, InputError, NotFoundError
from nbdt.server.app import create_app
from nbdt.server.errors import (
    DeadlineError,
    ErrorAnswer,
    ForbiddenError,
    MediaTypeError,
    NotAcceptableError,
    NotReadyError,
    OverloadedError,
    RateLimitError,
    SlowBodyError,
    TooLargeError,
    UnauthorizedError,
    error_response,
)
from nbdt.server.settings import Settings

APP = create_app(Settings())


def responded(answer, path):
    return error_response(answer, {"app": APP, "path": path})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("a"), 400),
        (UnauthorizedError("a"), 401),
        (ForbiddenError("a"), 403),
        (NotFoundError("a"), 404),
        (NotAcceptableError("a"), 406),
        (SlowBodyError("a"), 408),
        (TooLargeError("a"), 413),
        (MediaTypeError("a"), 415),
        (OverloadedError("a"), 429),
        (RateLimitError("a"), 429),
        (NotReadyError("a"), 503),
        (DeadlineError("a"), 504),
    ],
)
def test_each_refusal_has_its_status(error, status):
    problem = ErrorAnswer.of(error)
    assert (problem.status, problem.detail) == (status, "a")
    document = json.loads(responded(problem, "/api/v1/models").body)
    assert document["status"] == status
    assert set(document) == {"type", "title", "status", "detail"}


def test_what_is_our_own_fault_is_not_told():
    assert ErrorAnswer.of(HeadError("/secret/path")) is None
    assert ErrorAnswer.of(RuntimeError("/secret/path")) is None


def test_when_to_try_again():
    assert ErrorAnswer.of(OverloadedError("a", retry_after=3.2)).headers == {"Retry-After": "4"}
    assert ErrorAnswer.of(OverloadedError("a", retry_after=0.0)).headers == {"Retry-After": "1"}


@pytest.mark.parametrize(
    ("path", "kind", "keys"),
    [
        ("/api/v1/models", "application/problem+json", {"type", "title", "status", "detail"}),
        ("/anything", "application/problem+json", {"type", "title", "status", "detail"}),
        ("/v1/models", "application/json", {"error"}),
        ("/v2", "application/json", {"error"}),
        ("/invocations", "application/json", {"error_code", "message"}),
    ],
)
def test_each_protocol_has_its_form_of_errors(path, kind, keys):
    answer = responded(ErrorAnswer.of(InputError("a")), path)
    assert answer.headers["content-type"] == kind
    assert set(json.loads(answer.body)) == keys
