"""KServe's protocol v1: ``{"instances": […]}`` in, predictions or explanations out.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from ..documents import explanations_of, predictions_of
from ..exchange import ask, service_of
from ..inputs import ParsedRequest, parse_instances, parse_object
from ..openapi import INSTANCES_BODY, PLAIN_ERRORS, ModelName, answer
from ..schemas import KServeExplanations, KServeModels, KServePredictions, KServeStatus

router = APIRouter(prefix="/v1", tags=["KServe v1"], responses=PLAIN_ERRORS)


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


@router.post(
    "/models/{model}:predict", openapi_extra=INSTANCES_BODY, responses=answer(KServePredictions)
)
async def predict(request: Request, model: ModelName) -> JSONResponse:
    """The predicted class of each instance, by the model's own rule."""
    served, _, found = await ask(request, model, _parser(request))
    return JSONResponse({"predictions": predictions_of(served, found)})


@router.post(
    "/models/{model}:explain", openapi_extra=INSTANCES_BODY, responses=answer(KServeExplanations)
)
async def explain(request: Request, model: ModelName) -> JSONResponse:
    """The path of each instance, by the model's own rule."""
    _, _, found = await ask(request, model, _parser(request, explain=True))
    return await service_of(request).in_decoder(
        lambda: JSONResponse({"explanations": explanations_of(found)})
    )


def _parser(request: Request, *, explain: bool = False) -> Callable[[bytes], ParsedRequest]:
    limit = service_of(request).settings.request_rows
    return lambda data: ParsedRequest(parse_instances(parse_object(data), limit), explain=explain)
