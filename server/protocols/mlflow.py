"""MLflow's scoring protocol: ``/invocations``, ``/ping``, ``/version``.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification

It names no model, so where several are served the address does: ``/invocations?model=digits``.
Rows come as MLflow's client sends them: an array or a list as ``inputs``, a data frame with one
column of images in base64 as ``dataframe_split``; or as ``instances``, as in KServe's v1. Of
``params``, ``rule`` is how decisions become an answer, and with ``explain`` the predictions are
explanations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse

from nbdt.errors import InputError
from nbdt.rules import RULES

from ..documents import explanations_of, predictions_of
from ..errors import NotReadyError
from ..exchange import ask, service_of
from ..inputs import ParsedRequest, checked_rule, in_json, parse_instances, parse_object
from ..openapi import INSTANCES, INSTANCES_EXAMPLE, PROBLEMS, SCORING_ERRORS, answer, body
from ..schemas import ScoringAnswer, Status

router = APIRouter(tags=["MLflow scoring"], responses=PROBLEMS)

ROWS = ("instances", "inputs", "dataframe_split")

ModelOption = Annotated[
    str | None, Query(description="The model's name; may be left out where only one is served.")
]
_BODY = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("instances", "inputs"), INSTANCES["properties"]["instances"]),
        "dataframe_split": {
            "type": "object",
            "properties": {
                "columns": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
                "data": {"type": "array", "items": {"type": "array", "maxItems": 1}},
            },
        },
        "params": {
            "type": "object",
            "properties": {
                "rule": {"enum": list(RULES)},
                "explain": {"type": "boolean"},
            },
        },
    },
}


@router.post(
    "/invocations",
    openapi_extra=body(("application/json", _BODY, INSTANCES_EXAMPLE)),
    responses=answer(ScoringAnswer) | SCORING_ERRORS,
)
async def invocations(request: Request, model: ModelOption = None) -> JSONResponse:
    """The predicted class of each row."""
    service = service_of(request)
    service.check_ready()
    names = service.registry.names
    if model is None and len(names) > 1:
        raise InputError(f"several models are served; say which: /invocations?model={names[0]}.")
    limit = service.settings.request_rows
    served, inquiry, found = await ask(
        request, model or names[0], lambda data: _inquiry(parse_object(data), limit)
    )
    if inquiry.explain:
        return await service.in_decoder(
            lambda: JSONResponse({"predictions": explanations_of(found)})
        )
    return JSONResponse({"predictions": predictions_of(served, found)})


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


def _inquiry(document: Mapping[str, Any], limit: int) -> ParsedRequest:
    """What the body asks; the more so as its rows come in one of several forms."""
    forms = [form for form in ROWS if form in document]
    if len(forms) != 1:
        raise InputError(
            f"the body has to hold one of {', '.join(ROWS)}, got {len(forms)} of them."
        )
    rows = document[forms[0]]
    if forms == ["dataframe_split"]:
        rows = [{"b64": cell} for cell in _column(rows)]
    params = document.get("params")
    params = {} if params is None else params
    if not isinstance(params, Mapping) or not set(params) <= {"rule", "explain"}:
        raise InputError("params may hold rule and explain only.")
    explain = params.get("explain", False)
    if not isinstance(explain, bool):
        raise InputError(f"explain has to be true or false, got {in_json(explain)}.")
    sources = parse_instances({"instances": rows}, limit)
    return ParsedRequest(sources, checked_rule(params.get("rule")), explain)


def _column(frame: object) -> list[Any]:
    """The one column of a data frame."""
    data = frame.get("data") if isinstance(frame, Mapping) else None
    if not isinstance(data, list) or any(not isinstance(r, list) or len(r) != 1 for r in data):
        raise InputError("dataframe_split has to hold data of one column: images in base64.")
    return [row[0] for row in data]
