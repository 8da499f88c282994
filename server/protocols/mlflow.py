"""MLflow's scoring protocol: ``/invocations``, ``/ping``, ``/version``.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification

The protocol has no model names, so where several are served the URL has one:
``/invocations?model=digits``. Rows come as MLflow's client sends them: lists, columns or a single
row as ``inputs``, a data frame as ``dataframe_split`` or ``dataframe_records``, a CSV file; or as
``instances``, as in KServe's v1. A frame of images in base64, or of texts, has one column. In
``params``, ``rule`` is how decisions become an answer, and ``explain`` asks for explanations as
predictions.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request
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
from ..parsing import (
    CSV,
    InstanceList,
    ParsedRequest,
    RequestDocument,
    check_rows,
    read_document,
    sources_of,
    sources_of_columns,
    sources_of_csv,
)
from ..rows import RowReader, Source
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
    """A data frame by rows; images in base64, or texts, are its only column."""

    columns: list[str | int | float] | None = None
    data: list[list[Any]]

    def sources(self, read: RowReader) -> list[Source]:
        """Its rows; without names of columns, their values by place."""
        for index, row in enumerate(self.data):
            if self.columns is not None and len(row) != len(self.columns):
                raise InputError(
                    f"dataframe_split.data[{index}] has {len(row)} values; there are "
                    f"{len(self.columns)} columns."
                )
        names = None if self.columns is None else [str(name) for name in self.columns]
        if names is not None and len(set(names)) < len(names):
            raise InputError("dataframe_split.columns has a name twice.")
        if names is None and read.columns:
            return list(self.data)
        rows = [
            dict(zip(names or map(str, range(len(row))), row, strict=True)) for row in self.data
        ]
        return [read.of_record(row) for row in rows]


class Params(Document):
    """Options of a request."""

    rule: RuleName | None = None
    explain: bool = False


class Invocation(RequestDocument):
    """Rows in one of four forms, and options."""

    instances: InstanceList | None = None
    inputs: InstanceList | dict[str, Any] | str | None = None
    dataframe_split: Frame | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    params: Params | None = None

    def sources(self, read: RowReader, limit: int) -> list[Source]:
        """The rows of the one form that is given."""
        forms = ("instances", "inputs", "dataframe_split", "dataframe_records")
        given = [getattr(self, form) for form in forms if form in self.model_fields_set]
        if len(given) != 1 or given[0] is None:
            raise InputError(f"the body must hold exactly one of {', '.join(forms)}.")
        rows = given[0]
        if isinstance(rows, Frame):
            check_rows(len(rows.data), limit)
            return rows.sources(read)
        if isinstance(rows, dict) and any(isinstance(column, list) for column in rows.values()):
            columns = {
                name: cell if isinstance(cell, list) else [cell] for name, cell in rows.items()
            }
            return sources_of_columns(columns, read, limit)
        if self.dataframe_records is not None:
            rows = [read.of_record(row) for row in rows]
        return sources_of(rows if isinstance(rows, list) else [rows], limit)


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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parse(data: bytes, served: ServedModel) -> ParsedRequest:
        if kind == CSV:
            return ParsedRequest(sources_of_csv(data, served.read, limit))
        document = read_document(Invocation, data)
        params = document.params or Params()
        return ParsedRequest(document.sources(served.read, limit), params.rule, params.explain)

    return await respond(request, model or names[0], parse, _written)


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


def _written(served: ServedModel, asked: ParsedRequest, found: Answer) -> Response:
    predictions = explanations_of(found) if asked.explain else predictions_of(served, found)
    return JSONResponse({"predictions": predictions})
