"""KServe's protocol v1: ``{"instances": […]}`` in, predictions or explanations out.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ..answers import ExplanationSchema, Prediction, Schema, explanations_of, predictions_of
from ..errors import PlainError
from ..exchange import respond, service_of
from ..models import ServedModel
from ..openapi import INSTANCES_EXAMPLE, ModelName, answer, body, errors
from ..parsing import Instances, ParsedRequest, read_document, sources_of
from . import Protocol

router = APIRouter(prefix="/v1", tags=["KServe v1"], responses=errors(PlainError))
PROTOCOL = Protocol("KServe v1", "`/v1`", router, {"/v1/": PlainError})

_BODY = body(Instances, INSTANCES_EXAMPLE)


class KServeModels(Schema):
    """The names of the models."""

    models: list[str]


class KServeStatus(Schema):
    """Whether a model is ready."""

    name: str
    ready: bool


class KServePredictions(Schema):
    """The predicted class of each instance."""

    predictions: list[Prediction]


class KServeExplanations(Schema):
    """The path of each instance."""

    explanations: list[ExplanationSchema]


@router.get("/models", responses=answer(KServeModels))
async def list_models(request: Request) -> JSONResponse:
    """The names of the models."""
    service = service_of(request)
    service.check_ready()
    return JSONResponse({"models": list(service.registry.names)})


@router.get("/models/{model}", responses=answer(KServeStatus))
async def model_status(request: Request, model: ModelName) -> JSONResponse:
    """Whether a model is ready."""
    served = service_of(request).model(model)
    return JSONResponse({"name": served.name, "ready": True})


@router.post("/models/{model}:predict", openapi_extra=_BODY, responses=answer(KServePredictions))
async def predict(request: Request, model: ModelName) -> Response:
    """The predicted class of each instance, by the model's own rule."""
    return await respond(
        request,
        model,
        _parser(request),
        lambda served, _, found: JSONResponse({"predictions": predictions_of(served, found)}),
    )


@router.post("/models/{model}:explain", openapi_extra=_BODY, responses=answer(KServeExplanations))
async def explain(request: Request, model: ModelName) -> Response:
    """The path of each instance, by the model's own rule."""
    return await respond(
        request,
        model,
        _parser(request, explain=True),
        lambda served, _, found: JSONResponse({"explanations": explanations_of(found)}),
    )


def _parser(
    request: Request, *, explain: bool = False
) -> Callable[[bytes, ServedModel], ParsedRequest]:
    limit = service_of(request).settings.request_rows

    def parse(data: bytes, served: ServedModel) -> ParsedRequest:
        instances = read_document(Instances, data).instances
        return ParsedRequest(sources_of(instances, limit), explain=explain)

    return parse
