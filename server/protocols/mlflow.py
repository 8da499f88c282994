"""MLflow's scoring protocol: ``/invocations``, ``/ping``, ``/version``.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification

The protocol has no model names, so where several are served the URL has one:
``/invocations?model=digits``. Rows come as MLflow's client sends them: an array or a list as
``inputs``, a data frame with one column of images in base64 as ``dataframe_split``; or as
``instances``, as in KServe's v1. In ``params``, ``rule`` is how decisions become an answer, and
``explain`` asks for explanations as predictions.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request
from pydantic import Field, WithJsonSchema
from starlette.responses import JSONResponse, PlainTextResponse, Response

from nbdt.documents import Document
from nbdt.errors import InputError
from nbdt.rules import RuleName

from ..answers import (
    ExplanationSchema,
    Prediction,
    Schema,
    Status,
    explanations_of,
    predictions_of,
)
from ..errors import ErrorAnswer, ErrorForm, NotReadyError
from ..exchange import respond, service_of
from ..inference import Answer
from ..models import ServedModel
from ..openapi import INSTANCES_EXAMPLE, answer, body, errors
from ..parsing import InstanceList, ParsedRequest, RequestDocument, read_document, sources_of
from . import Protocol


class ScoringError(ErrorForm):
    """An error, as MLflow has it."""

    error_code: str
    message: str

    @classmethod
    def of(cls, error: ErrorAnswer) -> Self:
        """The error in this form."""
        return cls(error_code=error.title.upper().replace(" ", "_"), message=error.detail)


router = APIRouter(tags=["MLflow scoring"], responses=errors())
PROTOCOL = Protocol(
    "MLflow scoring",
    "`/invocations`",
    router,
    {"/invocations": ScoringError},
    probes=frozenset({"/ping"}),
)


class Frame(RequestDocument):
    """A data frame with one column: images in base64."""

    columns: Annotated[Any, WithJsonSchema({"type": "array", "items": {"type": "string"}})] = None
    data: list[Annotated[list[str], Field(min_length=1, max_length=1)]]


class Params(Document):
    """Options of a request."""

    rule: RuleName | None = None
    explain: bool = False


class Invocation(RequestDocument):
    """Rows in one of three forms, and options."""

    instances: InstanceList | None = None
    inputs: InstanceList | None = None
    dataframe_split: Frame | None = None
    params: Params | None = None


class ScoringAnswer(Schema):
    """What MLflow's scoring protocol answers: explanations, where they were asked for."""

    predictions: list[Prediction | ExplanationSchema]


ModelOption = Annotated[
    str | None, Query(description="The model's name; may be left out where only one is served.")
]


@router.post(
    "/invocations",
    openapi_extra=body(Invocation, INSTANCES_EXAMPLE),
    responses=answer(ScoringAnswer) | errors(ScoringError),
)
async def invocations(request: Request, model: ModelOption = None) -> Response:
    """The predicted class of each row."""
    service = service_of(request)
    service.check_ready()
    names = service.registry.names
    if model is None and len(names) > 1:
        raise InputError(
            f"several models are served; name one, as in /invocations?model={names[0]}."
        )
    limit = service.settings.request_rows
    return await respond(request, model or names[0], lambda data: _parsed(data, limit), _written)


@router.get("/ping", responses=answer(Status))
async def ping(request: Request) -> JSONResponse:
    """Whether requests should be sent here, as ``/readyz`` says."""
    if not service_of(request).ready:
        raise NotReadyError("the service is not ready.")
    return JSONResponse({"status": "ready"})


@router.get("/version", response_class=PlainTextResponse)
async def version(request: Request) -> PlainTextResponse:
    """The version of nbdt."""
    return PlainTextResponse(request.app.version)


def _parsed(data: bytes, limit: int) -> ParsedRequest:
    document = read_document(Invocation, data)
    params = document.params or Params()
    forms = ("instances", "inputs", "dataframe_split")
    given = [getattr(document, form) for form in forms if form in document.model_fields_set]
    if len(given) != 1 or given[0] is None:
        raise InputError(f"the body must hold exactly one of {', '.join(forms)}.")
    rows = given[0]
    if isinstance(rows, Frame):
        rows = [{"b64": row[0]} for row in rows.data]
    return ParsedRequest(sources_of(rows, limit), params.rule, params.explain)


def _written(served: ServedModel, asked: ParsedRequest, found: Answer) -> Response:
    predictions = explanations_of(found) if asked.explain else predictions_of(served, found)
    return JSONResponse({"predictions": predictions})
