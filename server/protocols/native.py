"""The service's own protocol, ``/api/v1``: all that the others have, and trees, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from nbdt.errors import InputError
from nbdt.rules import RuleName

from ..documents import (
    description_of,
    explanations_of,
    likeliest,
    predictions_of,
    summary_of,
)
from ..errors import ForbiddenError, MediaTypeError
from ..exchange import ask, service_of
from ..forms import parse_files
from ..inference import Answer
from ..inputs import ParsedRequest, ShownFile, Source, parse_object, parse_only_instances
from ..models import ServedModel
from ..negotiation import preferred
from ..openapi import (
    INSTANCES,
    INSTANCES_EXAMPLE,
    PROBLEMS,
    ModelName,
    answer,
    body,
)
from ..pictures import (
    DOT,
    EXPLANATION_FORMS,
    HTML,
    JSON,
    POLICIES,
    SIDES,
    SVG,
    TREE_FORMS,
    explanations_as,
    saliency_strips,
    tree_as,
)
from ..schemas import (
    Explanations,
    ModelDescription,
    ModelList,
    Predictions,
    ReloadOutcomes,
    Tree,
)


async def check_parameters(request: Request) -> None:
    """Refuses what a route does not know: a rule that is misspelt would be none at all.

    Raises:
        RequestValidationError: the address has a parameter that the route has not.
    """
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there is none here"
            error = {"loc": ("query", name[:80]), "msg": f"there is no such parameter; {there}"}
            raise RequestValidationError([error])


router = APIRouter(
    prefix="/api/v1",
    tags=["Native"],
    responses=PROBLEMS,
    dependencies=[Depends(check_parameters)],
)

RuleOption = Annotated[
    RuleName | None,
    Query(description="How decisions become an answer; by default the model's own."),
]
TopOption = Annotated[
    int, Query(ge=0, le=1000, description="How many of the likeliest classes to name, too.")
]
TimeoutOption = Annotated[
    float | None, Query(gt=0, description="Seconds after which the answer is of no use any more.")
]

SaliencyOption = Annotated[
    bool, Query(description="Whether to draw which pixels made each decision; of one image.")
]

_FORM = {
    "type": "object",
    "properties": {
        "image": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "minItems": 1,
        }
    },
    "required": ["image"],
}
_ROWS = body(
    ("application/json", {**INSTANCES, "additionalProperties": False}, INSTANCES_EXAMPLE),
    ("multipart/form-data", _FORM, None),
)


@router.get("/models", responses=answer(ModelList))
async def list_models(request: Request) -> JSONResponse:
    """The models that are served."""
    service = service_of(request)
    service.check_ready()
    models = [summary_of(service.model(name)) for name in service.registry.names]
    return JSONResponse({"models": models})


@router.get("/models/{model}", responses=answer(ModelDescription))
async def describe_model(request: Request, model: ModelName) -> JSONResponse:
    """A model: its classes, its input, its rule, the hashes of its files, where it comes from."""
    return JSONResponse(description_of(service_of(request).model(model)))


@router.get(
    "/models/{model}/tree",
    responses=answer(
        Tree,
        {
            DOT: "The tree for Graphviz.",
            SVG: "A picture of the tree.",
            HTML: "A page that shows the tree.",
        },
    ),
)
async def tree(request: Request, model: ModelName) -> Response:
    """A model's tree, in the form that ``Accept`` prefers."""
    service = service_of(request)
    served = service.model(model)
    form = preferred(request.headers.get("accept", ""), TREE_FORMS)
    return _picture(form, await service.in_decoder(lambda: tree_as(form, served)))


@router.post("/models/{model}/predict", openapi_extra=_ROWS, responses=answer(Predictions))
async def predict(
    request: Request,
    model: ModelName,
    rule: RuleOption = None,
    top: TopOption = 0,
    timeout: TimeoutOption = None,
) -> JSONResponse:
    """The predicted class of each image or array."""
    parse = _parser(request, rule)
    served, _, found = await ask(request, model, parse, seconds=timeout)
    document = {"predictions": predictions_of(served, found)}
    return JSONResponse(_told(served, found, rule, top) | document)


@router.post(
    "/models/{model}/explain",
    openapi_extra=_ROWS,
    responses=answer(
        Explanations,
        {
            HTML: "A page that shows the paths in the tree.",
            SVG: "A picture of the path of one image or array.",
        },
    ),
)
async def explain(
    request: Request,
    model: ModelName,
    rule: RuleOption = None,
    top: TopOption = 0,
    timeout: TimeoutOption = None,
    saliency: SaliencyOption = False,
) -> Response:
    """The path of each image or array: the decisions from the root to the predicted class."""
    form = preferred(request.headers.get("accept", ""), EXPLANATION_FORMS)
    parse = _parser(request, rule, explain=form, saliency=saliency)
    served, inquiry, found = await ask(request, model, parse, seconds=timeout)
    service = service_of(request)

    def written() -> Response:
        if form != JSON:
            return _picture(form, explanations_as(form, served, inquiry.sources, found))
        document = _told(served, found, rule, top) | {"explanations": explanations_of(found)}
        if saliency:
            document["saliency"] = saliency_strips(inquiry.sources, found, service.settings)
        return JSONResponse(document)

    return await service.in_decoder(written)


@router.post("/reload", responses=answer(ReloadOutcomes))
async def reload(request: Request) -> JSONResponse:
    """Loads again the models whose folders have changed. Off unless the operator turned it on."""
    service = service_of(request)
    if not service.settings.admin:
        raise ForbiddenError("reloading over HTTP is off; send SIGHUP to the service instead.")
    if not getattr(request.state, "admin", False):
        raise ForbiddenError("the key is no admin's.")
    outcomes = await request.app.state.reload()
    return JSONResponse(
        {"models": [{"name": o.name, "outcome": o.outcome, "reason": o.reason} for o in outcomes]}
    )


def _picture(form: str, text: str) -> Response:
    headers = {"Vary": "Accept"}
    if form in POLICIES:
        headers["Content-Security-Policy"] = POLICIES[form]
    return Response(text, media_type=form, headers=headers)


def _told(served: ServedModel, found: Answer, rule: RuleName | None, top: int) -> dict[str, Any]:
    """What an answer says beside the answer."""
    document: dict[str, Any] = {
        "model": served.name,
        "version": served.version,
        "rule": rule or served.model.rule,
    }
    if top:
        document["top"] = likeliest(served, found, top)
    return document


def _parser(
    request: Request, rule: RuleName | None, *, explain: str | None = None, saliency: bool = False
) -> Callable[[bytes], ParsedRequest]:
    """Reads the body as its media type says: a form with files, or JSON.

    Args:
        request: has the media type.
        rule: the one that is asked for.
        explain: the form of the explanations; None where none are wanted.
        saliency: whether it is wanted, too.
    """
    limit = service_of(request).settings.request_rows
    content_type = request.headers.get("content-type", "application/json")
    kind = content_type.partition(";")[0].strip().lower()

    def parse(data: bytes) -> ParsedRequest:
        if kind == "multipart/form-data":
            sources: list[Source] = list(parse_files(data, content_type, limit))
        else:
            sources = parse_only_instances(parse_object(data), limit)
        if saliency and not all(isinstance(source, bytes) for source in sources):
            raise InputError("saliency is drawn over an image; send one instead of an array.")
        if explain == SVG and len(sources) > 1:
            raise InputError("an SVG is of one row; send one, or ask for text/html.")
        if explain in SIDES:
            side = SIDES[explain]
            sources = [ShownFile(one, side) if isinstance(one, bytes) else one for one in sources]
        return ParsedRequest(sources, rule, explain is not None, saliency)

    if saliency and find_spec("captum") is None:
        raise InputError("this service draws no saliency; it needs the extra [saliency].")
    if kind not in ("multipart/form-data", "application/json"):
        raise MediaTypeError(
            f"send a form (multipart/form-data), or JSON with the header Content-Type: "
            f"application/json; not {kind!r:.80}."
        )
    return parse
