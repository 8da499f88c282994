"""The OpenAPI document: bodies that routes read themselves, answers, errors, and examples.

Its examples work when pasted, one for each model: an image in them is a handwritten three. Only
clients with a key see names of models, where keys are needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Path, Query
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from nbdt.rules import RuleName

from .answers import EXPLANATION
from .errors import ErrorForm, Problem
from .models import ServedModel
from .rows import RowReader

SAMPLE_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAP0lEQVR42jXGQRHAIAwAsBwKKgEplTIJSEDCJEwK"
    "EioBCUjYi7yCcSpg1nMSelSh2dF3ALHW3Tc1ZmYGjKqXH1f0D7X+o9i7AAAAAElFTkSuQmCC"
)
INSTANCES_EXAMPLE = {"instances": [{"b64": SAMPLE_IMAGE}]}
FORM = {
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

_MOST_EXAMPLES = 20

ModelName = Annotated[str, Path(description="The model's name, as in the list of models.")]
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
AttributionOption = Annotated[
    bool, Query(description="Whether to tell which words, columns or pixels spoke; of one row.")
]
AtOption = Annotated[
    str | None,
    Query(
        description="The site that is asked for, as row,column from 0; of models that give maps of "
        "classes.",
        examples=["12,40"],
    ),
]

_COMPONENTS = "#/components/schemas/"


def errors(form: type[ErrorForm] = Problem) -> dict[int | str, Any]:
    """A route's errors, which all have one form."""
    content = {form.media_type: {"schema": {"$ref": _COMPONENTS + form.__name__}}}
    return {
        "4XX": {"description": "The request is at fault, or came too often.", "content": content},
        "5XX": {"description": "The service is at fault, or not ready.", "content": content},
    }


def body(
    kind: type[BaseModel], example: Any, form: Any = None, *, required: bool = True
) -> dict[str, Any]:
    """The body that a route reads itself: JSON that fits `kind`, or a form with this schema."""
    content = {"application/json": {"schema": _inlined(kind), "example": example}}
    if form is not None:
        content["multipart/form-data"] = {"schema": form}
    return {"requestBody": {"required": required, "content": content}}


def answer(
    schema: type[BaseModel], others: Mapping[str, str] = MappingProxyType({})
) -> dict[int | str, Any]:
    """A route's answer: the schema of its JSON, and descriptions of other media types."""
    content = {
        media_type: {"schema": {"type": "string", "description": text}}
        for media_type, text in others.items()
    }
    return {200: {"description": schema.__doc__, "model": schema, "content": content}}


def example_row(read: RowReader) -> Any:
    """A row that a model reads, as JSON: an image, the example that it knows, or zeros."""
    schema = read.schema
    if read.reads_images:
        return {"b64": SAMPLE_IMAGE}
    if examples := schema.get("examples"):
        return examples[0]
    return np.zeros([side or 1 for side in read.shape or (1,)]).tolist()


def example_instances(read: RowReader) -> Any:
    """A body with one row, as most protocols have it."""
    return {"instances": [example_row(read)]}


def describe(
    app: FastAPI,
    examples: Mapping[str, Callable[[RowReader], Any]],
    models: Sequence[ServedModel],
    forms: Iterable[type[ErrorForm]],
) -> dict[str, Any]:
    """The OpenAPI document of an application with these models; it takes 0.1 s to make.

    Bodies have an example for each model, which `examples` has by the tag of the routes.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    _, of_errors = models_json_schema(
        [(one, "serialization") for one in forms], ref_template=_COMPONENTS + "{model}"
    )
    document["components"]["schemas"] |= _explanation() | of_errors["$defs"]
    for path in document["paths"].values():
        for operation in path.values():
            asks = [one for one in operation.get("parameters", ()) if one["name"] == "model"]
            if not models or not asks:
                continue
            for parameter in asks:
                parameter["schema"]["enum"] = [one.name for one in models]
                parameter["example"] = models[0].name
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if content.pop("example", None) is not None:
                    make = examples[operation["tags"][0]]
                    content["examples"] = {
                        one.name: {
                            "summary": f"{one.name} reads {one.read.own.reads}",
                            "value": make(one.read),
                        }
                        for one in models[:_MOST_EXAMPLES]
                    }
    return document


def _inlined(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a document, with its parts inlined and without their titles."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(parts[value["$ref"].rpartition("/")[2]])
        return {
            key: inline(one)
            for key, one in value.items()
            if not (key == "title" and isinstance(one, str))
        }

    inlined: dict[str, Any] = inline(schema)
    return inlined


def _explanation() -> dict[str, Any]:
    """The schema of an explanation, with references that hold in this document."""
    text = resources.files("nbdt.explain").joinpath("explanation.schema.json").read_text("utf-8")
    schema = json.loads(text.replace('"#/$defs/', f'"{EXPLANATION}.'))
    parts = schema.pop("$defs")
    for key in ("$schema", "$id"):
        schema.pop(key)
    return {"Explanation": schema} | {f"Explanation.{key}": part for key, part in parts.items()}
