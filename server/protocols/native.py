"""The service's own protocol, ``/api/v1``: all features of the others, plus trees and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from nbdt.errors import InputError
from nbdt.rules import RuleName, ScoreName
from nbdt.rules.sites import site_of

from ..answers import (
    DOT,
    EXPLANATION_FORMS,
    HTML,
    JSON,
    POLICIES,
    SIDES,
    SVG,
    TREE_FORMS,
    ExplanationSchema,
    Prediction,
    Schema,
    Share,
    attributions_of,
    explanations_as,
    explanations_of,
    likeliest,
    predictions_of,
    saliency_strips,
    tree_as,
)
from ..errors import ForbiddenError, MediaTypeError
from ..exchange import check_parameters, preferred, respond, service_of
from ..inference import Answer
from ..models import ServedModel
from ..openapi import (
    FORM,
    INSTANCES_EXAMPLE,
    AtOption,
    AttributionOption,
    ModelName,
    RuleOption,
    SaliencyOption,
    TimeoutOption,
    TopOption,
    answer,
    body,
    errors,
)
from ..parsing import (
    CSV,
    OnlyInstances,
    ParsedRequest,
    parse_files,
    read_document,
    sources_of,
    sources_of_csv,
)
from ..rows import Shown, Source, file_of
from . import Protocol

router = APIRouter(
    prefix="/api/v1",
    tags=["Native"],
    responses=errors(),
    dependencies=[Depends(check_parameters)],
)
PROTOCOL = Protocol("Native", "`/api/v1`", router)

FILES = "multipart/form-data"
_ROWS = body(OnlyInstances, INSTANCES_EXAMPLE, FORM)


# ── the schemas of answers ────────────────────────────────────────────────────────────────────


class ModelSummary(Schema):
    """A model in a list of models."""

    name: str
    version: str
    generation: Annotated[int, Field(ge=1)]
    num_classes: Annotated[int, Field(ge=2)]
    score: ScoreName
    rule: RuleName


class FailedModel(Schema):
    """A model that cannot be loaded."""

    name: str
    reason: str


class ModelList(Schema):
    """The models that are served, and those that cannot be loaded, if any."""

    models: list[ModelSummary]
    failed: list[FailedModel] | None = None


class ModelInput(Schema):
    """What a model reads: one row as JSON Schema, and how rows become the network's input.

    `shape` is that of an array, or the number of columns; null where it is not fixed.
    """

    kind: str
    reads: str
    images: bool
    row: dict[str, Any]
    shape: list[int | None] | None
    preprocessing: dict[str, Any] | None


class ModelDescription(ModelSummary):
    """All of a model but its tree."""

    classes: list[str]
    num_nodes: Annotated[int, Field(ge=3)]
    input: ModelInput
    network: dict[str, Any] | None
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    provenance: dict[str, Any]


class Tree(BaseModel):
    """A tree of classes: schema ``nbdt.hierarchy/1``."""

    parents: list[Annotated[int, Field(ge=-1)]]
    names: list[str]


class LikelyClass(Schema):
    """One of the likeliest classes of a row."""

    model_config = ConfigDict(populate_by_name=True)

    index: Annotated[int, Field(ge=0, alias="class")]
    name: str
    probability: Share


class _Answer(Schema):
    model: str
    version: str
    rule: RuleName
    top: Annotated[
        list[list[LikelyClass]] | None, Field(description="If requested: the likeliest classes.")
    ] = None
    notes: list[str] | None = None


class Predictions(_Answer):
    """The predicted class of each row."""

    predictions: list[Prediction]


class Explanations(_Answer):
    """The path of each row."""

    explanations: list[ExplanationSchema]
    attribution: Annotated[
        list[list[dict[str, Any]]] | None,
        Field(description="If requested: for each row and decision, what spoke for it."),
    ] = None
    saliency: Annotated[
        list[str] | None,
        Field(description="If requested: a picture of each path, as a data: address of a PNG."),
    ] = None


class ReloadOutcome(Schema):
    """What became of one model."""

    name: str
    outcome: Literal["loaded", "replaced", "unchanged", "kept", "failed"]
    reason: str


class ReloadOutcomes(Schema):
    """What became of each model."""

    models: list[ReloadOutcome]


# ── routes ────────────────────────────────────────────────────────────────────────────────────


@router.get("/models", responses=answer(ModelList))
async def list_models(request: Request) -> JSONResponse:
    """The models that are served."""
    service = service_of(request)
    service.check_ready()
    models = [_summary(service.model(name)) for name in service.registry.names]
    failed = [{"name": name, "reason": why} for name, why in service.registry.failed.items()]
    return JSONResponse({"models": models} | ({"failed": failed} if failed else {}))


@router.get("/models/{model}", responses=answer(ModelDescription))
async def describe_model(request: Request, model: ModelName) -> JSONResponse:
    """A model: its classes, its input, its rule, the hashes of its files, where it comes from."""
    served = service_of(request).model(model)
    own, shape = served.model, served.read.shape
    preprocessing, builder = own.preprocessing, own.builder
    description = {
        "classes": list(own.classes),
        "num_nodes": len(own.hierarchy),
        "input": {
            "kind": served.read.own.kind,
            "reads": served.read.own.reads,
            "images": served.read.reads_images,
            "row": dict(served.read.schema),
            "shape": None if shape is None else list(shape),
            "preprocessing": preprocessing and preprocessing.to_dict(),
        },
        "network": builder and builder.to_dict(),
        "files": dict(served.files),
        "provenance": own.provenance,
    }
    return JSONResponse(_summary(served) | description)


def _summary(served: ServedModel) -> dict[str, Any]:
    return {
        "name": served.name,
        "version": served.version,
        "generation": served.generation,
        "num_classes": served.model.hierarchy.num_classes,
        "score": served.model.score,
        "rule": served.model.rule,
    }


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
    form = preferred(request, TREE_FORMS)
    return _picture(form, await service.in_decoder(lambda: tree_as(form, served)))


@router.post("/models/{model}/predict", openapi_extra=_ROWS, responses=answer(Predictions))
async def predict(
    request: Request,
    model: ModelName,
    rule: RuleOption = None,
    top: TopOption = 0,
    timeout: TimeoutOption = None,
    at: AtOption = None,
) -> Response:
    """The predicted class of each row."""

    def write(served: ServedModel, asked: ParsedRequest, found: Answer) -> Response:
        predictions = {"predictions": predictions_of(served, found)}
        return JSONResponse(_common(served, asked, found, top) | predictions)

    return await respond(request, model, _parser(request, rule, at), write, seconds=timeout)


@router.post(
    "/models/{model}/explain",
    openapi_extra=_ROWS,
    responses=answer(
        Explanations,
        {
            HTML: "A page that shows the paths in the tree.",
            SVG: "A picture of the path of one row.",
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
    attribution: AttributionOption = False,
    at: AtOption = None,
) -> Response:
    """The path of each row: the decisions from the root to the predicted class."""
    form = preferred(request, EXPLANATION_FORMS)

    def write(served: ServedModel, asked: ParsedRequest, found: Answer) -> Response:
        if form != JSON:
            return _picture(form, explanations_as(form, served, asked.sources, found))
        document = _common(served, asked, found, top) | {"explanations": explanations_of(found)}
        if attribution:
            document["attribution"] = attributions_of(found)
        if saliency or (attribution and _are_images(served, asked.sources)):
            document["saliency"] = saliency_strips(served, asked.sources, found)
        return JSONResponse(document)

    parse = _parser(request, rule, at, explain=form, saliency=saliency, attribution=attribution)
    return await respond(request, model, parse, write, seconds=timeout)


@router.post("/reload", responses=answer(ReloadOutcomes))
async def reload(request: Request) -> JSONResponse:
    """Loads again the models whose folders have changed. Off unless the operator turned it on."""
    service = service_of(request)
    if not service.settings.admin:
        raise ForbiddenError("reloading over HTTP is off; send SIGHUP to the service instead.")
    if not getattr(request.state, "admin", False):
        raise ForbiddenError("only an admin's key allows this.")
    outcomes = await request.app.state.reload()
    return JSONResponse(
        {"models": [{"name": o.name, "outcome": o.outcome, "reason": o.reason} for o in outcomes]}
    )


def _are_images(served: ServedModel, sources: Sequence[Source]) -> bool:
    return served.read.reads_images and all(isinstance(file_of(one), bytes) for one in sources)


def _picture(form: str, text: str) -> Response:
    headers = {"Vary": "Accept"}
    if form in POLICIES:
        headers["Content-Security-Policy"] = POLICIES[form]
    return Response(text, media_type=form, headers=headers)


def _common(served: ServedModel, asked: ParsedRequest, found: Answer, top: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "model": served.name,
        "version": served.version,
        "rule": asked.rule or served.model.rule,
    }
    if top:
        document["top"] = likeliest(served, found, top)
    if found.notes:
        document["notes"] = found.notes
    return document


def _parser(
    request: Request,
    rule: RuleName | None,
    at: str | None,
    *,
    explain: str | None = None,
    saliency: bool = False,
    attribution: bool = False,
) -> Callable[[bytes, ServedModel], ParsedRequest]:
    """Reads the body by its media type: files, JSON or CSV; `explain` is a form, or None."""
    limit = service_of(request).settings.request_rows
    site = None if at is None else site_of(at)
    content_type = request.headers.get("content-type", JSON)
    kind = content_type.partition(";")[0].strip().lower()

    def parse(data: bytes, served: ServedModel) -> ParsedRequest:
        if kind == FILES:
            sources: list[Source] = list(parse_files(data, content_type, limit))
        elif kind == CSV:
            sources = sources_of_csv(data, served.read, limit)
        else:
            sources = sources_of(read_document(OnlyInstances, data).instances, limit)
        if saliency and not _are_images(served, sources):
            raise InputError("saliency needs an image; for other rows ask for attribution=true.")
        if (attribution or saliency) and served.read.reads_images and find_spec("captum") is None:
            raise InputError("this service draws no saliency; it needs the extra [attribution].")
        if explain == SVG and len(sources) > 1:
            raise InputError("an SVG shows one row; send one, or ask for text/html.")
        if explain in SIDES:
            sources = [Shown(one, SIDES[explain]) for one in sources]
        return ParsedRequest(sources, rule, explain is not None, saliency or attribution, site)

    if kind not in (FILES, JSON, CSV):
        raise MediaTypeError(
            f"send a form ({FILES}), or JSON or CSV with the header Content-Type: {JSON} or {CSV}; "
            f"not {kind!r:.80}."
        )
    return parse
