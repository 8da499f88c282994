"""The OpenAPI document: the bodies that routes read by themselves, errors, and examples.

Its examples work when pasted: the image in them is a handwritten three, and the names of models
are those of the models that are served, unless only those who have a key may know them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .problems import PROBLEM_TYPE
from .schemas import EXPLANATION, PlainError, Problem, ScoringError

SAMPLE_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAP0lEQVR42jXGQRHAIAwAsBwKKgEplTIJSEDCJEwK"
    "EioBCUjYi7yCcSpg1nMSelSh2dF3ALHW3Tc1ZmYGjKqXH1f0D7X+o9i7AAAAAElFTkSuQmCC"
)

ModelName = Annotated[str, Path(description="The model's name, as in the list of models.")]

_COMPONENTS = "#/components/schemas/"
_INSTANCE = {
    "anyOf": [
        {
            "type": "object",
            "description": "A JPEG, PNG or WebP file in base64.",
            "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
            "required": ["b64"],
            "additionalProperties": False,
        },
        {"type": "array", "description": "The network's own input, as nested lists of numbers."},
    ]
}
INSTANCES: dict[str, Any] = {
    "type": "object",
    "properties": {"instances": {"type": "array", "items": _INSTANCE, "minItems": 1}},
    "required": ["instances"],
}
INSTANCES_EXAMPLE = {"instances": [{"b64": SAMPLE_IMAGE}]}

# ── errors ────────────────────────────────────────────────────────────────────────────────────


def errors(schema: type[BaseModel], media_type: str = "application/json") -> dict[int | str, Any]:
    """What a route says of its errors: all have one form."""
    content = {media_type: {"schema": {"$ref": _COMPONENTS + schema.__name__}}}
    return {
        "4XX": {"description": "The request is at fault, or came too often.", "content": content},
        "5XX": {"description": "The service is at fault, or not ready.", "content": content},
    }


PROBLEMS = errors(Problem, PROBLEM_TYPE)
PLAIN_ERRORS = errors(PlainError)
SCORING_ERRORS = errors(ScoringError)


# ── bodies ────────────────────────────────────────────────────────────────────────────────────


def body(*contents: tuple[str, dict[str, Any], Any]) -> dict[str, Any]:
    """What a route says of the body that it reads by itself.

    Args:
        contents: a media type, its schema, and an example, each.
    """
    return {
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": schema} | ({"example": example} if example else {})
                for media_type, schema, example in contents
            },
        }
    }


INSTANCES_BODY = body(("application/json", INSTANCES, INSTANCES_EXAMPLE))


def answer(
    schema: type[BaseModel], others: Mapping[str, str] = MappingProxyType({})
) -> dict[int | str, Any]:
    """What a route says of its answer.

    Args:
        schema: of the JSON.
        others: other media types that it can be had in, and what they hold.
    """
    content = {
        media_type: {"schema": {"type": "string", "description": text}}
        for media_type, text in others.items()
    }
    return {200: {"description": schema.__doc__, "model": schema, "content": content}}


# ── the document ──────────────────────────────────────────────────────────────────────────────


def describe(app: FastAPI, models: tuple[str, ...]) -> dict[str, Any]:
    """The OpenAPI document of an application that serves these models; it takes 0.1 s to make.

    Args:
        app: the application.
        models: the names that it may tell.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    schemas |= _explanation()
    _, errors_ = models_json_schema(
        [(one, "serialization") for one in (Problem, PlainError, ScoringError)],
        ref_template=_COMPONENTS + "{model}",
    )
    schemas |= errors_["$defs"]
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "model" and models:
                    parameter["schema"]["enum"] = list(models)
                    parameter["example"] = models[0]
    return document


def _explanation() -> dict[str, Any]:
    """The schema of an explanation and its parts, with references that hold in this document."""
    text = resources.files("nbdt.explain").joinpath("explanation.schema.json").read_text("utf-8")
    schema = json.loads(text.replace('"#/$defs/', f'"{EXPLANATION}.'))
    parts = schema.pop("$defs")
    for key in ("$schema", "$id"):
        schema.pop(key)
    return {"Explanation": schema} | {f"Explanation.{key}": part for key, part in parts.items()}
