"""The Open Inference Protocol, version 2, over HTTP, with Triton's extension for binary tensors.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol

A model has two inputs, of which a request has one: ``image``, files as BYTES, or ``input``, the
network's own. Its outputs are ``log_probs``, ``class`` and ``path``; the last, an explanation as
JSON a row, takes time only where it is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from nbdt.errors import InputError, NotFoundError

from ..documents import explanations_of
from ..errors import NotReadyError
from ..exchange import ask, service_of
from ..inference import Answer
from ..inputs import ParsedRequest, check_rows, checked_rule, in_json, parse_object
from ..models import ServedModel
from ..openapi import PLAIN_ERRORS, SAMPLE_IMAGE, ModelName, answer, body
from ..schemas import (
    InferenceAnswer,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
)
from ..tensors import read_tensor, written

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"], responses=PLAIN_ERRORS)

HEADER_LENGTH = "Inference-Header-Content-Length"
_LENGTH = re.compile(r"[0-9]{1,15}")
OUTPUTS = {"log_probs": "FP32", "class": "INT64", "path": "BYTES"}

_EXAMPLE = {
    "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [SAMPLE_IMAGE]}]
}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"enum": ["image", "input"]},
        "datatype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
    "required": ["name", "datatype", "shape"],
}
_OUTPUT = {
    "type": "object",
    "properties": {"name": {"enum": list(OUTPUTS)}, "parameters": {"type": "object"}},
    "required": ["name"],
}
_REQUEST = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {"type": "array", "items": _OUTPUT},
    },
    "required": ["inputs"],
}


@dataclass(frozen=True)
class InferenceInquiry(ParsedRequest):
    """What a request of this protocol asks.

    Attributes:
        identity: the id that the client gave it, if any.
        outputs: the outputs that it wants, and whether as bytes.
    """

    identity: str | None = None
    outputs: tuple[tuple[str, bool], ...] = ()


# ── the server ────────────────────────────────────────────────────────────────────────────────


@router.get("", responses=answer(ServerMetadata))
async def server_metadata(request: Request) -> JSONResponse:
    """What the server is."""
    return JSONResponse(
        {"name": "nbdt", "version": request.app.version, "extensions": ["binary_tensor_data"]}
    )


@router.get("/health/live", responses=answer(Live))
async def live() -> JSONResponse:
    """Whether the server is alive."""
    return JSONResponse({"live": True})


@router.get("/health/ready", responses=answer(Ready))
async def ready(request: Request) -> JSONResponse:
    """Whether the server is ready."""
    if not service_of(request).ready:
        raise NotReadyError("the server is not ready.")
    return JSONResponse({"ready": True})


# ── models ────────────────────────────────────────────────────────────────────────────────────


@router.get("/models/{model}", responses=answer(ModelMetadata))
@router.get("/models/{model}/versions/{version}", responses=answer(ModelMetadata))
async def model_metadata(
    request: Request, model: ModelName, version: str | None = None
) -> JSONResponse:
    """What a model takes and gives."""
    served = _model(request, model, version)
    inputs = []
    if served.model.preprocessing is not None:
        inputs.append({"name": "image", "datatype": "BYTES", "shape": [-1]})
    # Where the shape is not known, neither is how many dimensions there are; four are usual.
    shape = [-1 if side is None else side for side in served.read.shape or (None, None, None)]
    inputs.append({"name": "input", "datatype": "FP32", "shape": [-1, *shape]})
    sizes = {"log_probs": [-1, served.model.hierarchy.num_classes], "class": [-1], "path": [-1]}
    return JSONResponse(
        {
            "name": served.name,
            "versions": [served.version],
            "platform": "nbdt",
            "inputs": inputs,
            "outputs": [
                {"name": name, "datatype": datatype, "shape": sizes[name]}
                for name, datatype in OUTPUTS.items()
            ],
        }
    )


@router.get("/models/{model}/ready", responses=answer(ModelReady))
@router.get("/models/{model}/versions/{version}/ready", responses=answer(ModelReady))
async def model_ready(
    request: Request, model: ModelName, version: str | None = None
) -> JSONResponse:
    """Whether a model is ready."""
    served = _model(request, model, version)
    return JSONResponse({"name": served.name, "ready": True})


_INFER: dict[str, Any] = {
    "openapi_extra": body(("application/json", _REQUEST, _EXAMPLE)),
    "responses": answer(
        InferenceAnswer,
        {"application/octet-stream": "The JSON, and the bytes of its outputs after it."},
    ),
}


@router.post("/models/{model}/infer", **_INFER)
@router.post("/models/{model}/versions/{version}/infer", **_INFER)
async def infer(request: Request, model: ModelName, version: str | None = None) -> Response:
    """The answers of a model to a batch of inputs."""
    _model(request, model, version)
    served, inquiry, found = await ask(request, model, _parser(request))
    _check_version(served, version)  # the model may have been replaced since
    return await service_of(request).in_decoder(lambda: _response(served, inquiry, found))


def _response(served: ServedModel, inquiry: InferenceInquiry, found: Answer) -> Response:
    entries, binary = [], b""
    for name, as_bytes in inquiry.outputs:
        entry, data = written(name, OUTPUTS[name], _values(name, found), binary=as_bytes)
        entries.append(entry)
        binary += data
    document: dict[str, Any] = {"model_name": served.name, "model_version": served.version}
    if inquiry.identity is not None:
        document["id"] = inquiry.identity
    document["outputs"] = entries
    if not any(as_bytes for _, as_bytes in inquiry.outputs):
        return JSONResponse(document)
    head = json.dumps(document, allow_nan=False).encode()
    return Response(
        head + binary,
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(head))},
    )


def _model(request: Request, name: str, version: str | None) -> ServedModel:
    served = service_of(request).model(name)
    _check_version(served, version)
    return served


def _check_version(served: ServedModel, version: str | None) -> None:
    if version not in (None, served.version):
        raise NotFoundError(
            f"{served.name} is served in version {served.version}, not {version!r:.80}."
        )


def _values(name: str, found: Answer) -> Any:
    if name == "path":
        return [json.dumps(one, allow_nan=False).encode() for one in explanations_of(found)]
    return found.log_probs if name == "log_probs" else found.predictions


# ── reading requests ──────────────────────────────────────────────────────────────────────────


def _parser(request: Request) -> Callable[[bytes], InferenceInquiry]:
    """Reads JSON and what follows it, by length and not by media type: clients send none."""
    length = request.headers.get(HEADER_LENGTH)
    limit = service_of(request).settings.request_rows

    def parse(data: bytes) -> InferenceInquiry:
        if length is None:
            return _inquiry(parse_object(data), b"", limit)
        if not (_LENGTH.fullmatch(length) and int(length) <= len(data)):
            raise InputError(f"{HEADER_LENGTH} is not the length of JSON in the body.")
        return _inquiry(parse_object(data[: int(length)]), data[int(length) :], limit)

    return parse


def _inquiry(document: Mapping[str, Any], binary: bytes, limit: int) -> InferenceInquiry:
    inputs, identity = document.get("inputs"), document.get("id")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise InputError("inputs has to be a list of one tensor, image or input.")
    if not isinstance(identity, str | None):
        raise InputError(f"id has to be a text, got {in_json(identity)}.")
    tensor, rest = read_tensor(inputs[0], binary)
    if rest:
        raise InputError(f"{len(rest)} bytes follow the JSON that belong to no input.")
    if tensor.name not in ("image", "input") or (tensor.name == "image") != (
        tensor.datatype == "BYTES"
    ):
        raise InputError(
            f"a model's inputs are image, of BYTES, and input, of numbers; got {tensor.name!r} of "
            f"{tensor.datatype}."
        )
    check_rows(tensor.shape[0], limit)
    parameters = _parameters(document)
    outputs = _outputs(document.get("outputs"), _flag(parameters, "binary_data_output", False))
    return InferenceInquiry(
        sources=tensor.images() if tensor.name == "image" else tensor.rows(),
        rule=checked_rule(parameters.get("rule")),
        explain=any(name == "path" for name, _ in outputs),
        identity=identity,
        outputs=outputs,
    )


def _outputs(entries: object, binary: bool) -> tuple[tuple[str, bool], ...]:
    """The outputs that are wanted, in order, and whether as bytes; by default all."""
    if entries is None or entries == []:
        return tuple((name, binary) for name in OUTPUTS)
    if not isinstance(entries, list):
        raise InputError("outputs has to be a list.")
    wanted: dict[str, bool] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or name not in OUTPUTS or name in wanted:
            raise InputError(
                f"the outputs are {', '.join(OUTPUTS)}, each once; got {in_json(name)}."
            )
        parameters = _parameters(entry)
        if parameters.get("classification"):
            raise InputError("classification is not supported; ask for class or path.")
        wanted[name] = _flag(parameters, "binary_data", binary)
    return tuple(wanted.items())


def _parameters(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = entry.get("parameters")
    if not isinstance(parameters, Mapping | None):
        raise InputError("parameters has to be an object.")
    return parameters or {}


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{name} has to be true or false, got {in_json(value)}.")
    return value
