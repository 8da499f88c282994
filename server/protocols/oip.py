"""The Open Inference Protocol, version 2, over HTTP, with Triton's extension for binary tensors.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol

A model has two inputs, of which a request uses one: ``image``, files as BYTES, or ``input``, the
network's own. Its outputs are ``log_probs``, ``class`` and ``path``, an explanation in JSON per
row, which takes time only when requested.

In the bytes after the JSON, numbers are little-endian and row by row; an element of BYTES is
its length in four bytes, followed by its content.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field, field_validator
from starlette.responses import JSONResponse, Response

from nbdt.errors import InputError, NotFoundError
from nbdt.inputs.array import FloatArray, as_array
from nbdt.rules import RuleName

from ..answers import Schema, explanations_of
from ..errors import NotReadyError, PlainError
from ..exchange import respond, service_of
from ..inference import Answer
from ..models import ServedModel
from ..openapi import SAMPLE_IMAGE, ModelName, answer, body, errors
from ..parsing import ParsedRequest, RequestDocument, check_rows, read_document
from ..rows import decode_base64
from . import Protocol

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"], responses=errors(PlainError))
PROTOCOL = Protocol(
    "Open Inference Protocol v2",
    "`/v2`",
    router,
    {"/v2": PlainError},
    probes=frozenset({"/v2/health/live", "/v2/health/ready"}),
)

HEADER_LENGTH = "Inference-Header-Content-Length"
_LENGTH = re.compile(r"[0-9]{1,15}")
OUTPUTS = {"log_probs": "FP32", "class": "INT64", "path": "BYTES"}

# The accepted types of a network's input; it is converted to float32.
NUMBERS = {
    "FP32": "<f4",
    "FP64": "<f8",
    "FP16": "<f2",
    "UINT8": "|u1",
    "INT8": "|i1",
    "UINT16": "<u2",
    "INT16": "<i2",
    "UINT32": "<u4",
    "INT32": "<i4",
    "UINT64": "<u8",
    "INT64": "<i8",
}


# ── requests ──────────────────────────────────────────────────────────────────────────────────


class InputParameters(RequestDocument):
    """What a request says of an input beside its data."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None


class InputTensor(RequestDocument):
    """An input, its elements as JSON or in the bytes that follow."""

    name: Literal["image", "input"]
    datatype: Literal[
        "FP32", "FP64", "FP16", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64",
        "INT64", "BYTES",
    ]  # fmt: skip
    shape: Annotated[list[Annotated[int, Field(ge=1, lt=2**31)]], Field(min_length=1, max_length=8)]
    data: list[Any] | None = None
    parameters: InputParameters | None = None

    def images(self, binary: bytes | None) -> list[bytes]:
        """The elements of a one-dimensional BYTES tensor; in JSON they are base64."""
        count = self.shape[0]
        if self.shape[1:] not in ([], [1]):
            raise InputError(f"images have the shape [rows], got {self.shape}.")
        if binary is not None:
            return _split(binary, count)
        data = self.data or []
        if len(data) != count:
            raise InputError(f"image: {len(data)} elements do not fit the shape [{count}].")
        if not all(isinstance(text, str) for text in data):
            raise InputError("image: in JSON, BYTES are texts in base64.")
        return [decode_base64(text, "image") for text in data]

    def rows(self, binary: bytes | None) -> list[FloatArray]:
        """The rows of a tensor of numbers, as float32."""
        if len(self.shape) < 2:
            raise InputError(f"input: expected the shape [rows, …], got {self.shape}.")
        if binary is None:
            # The protocol allows nested lists, and all numbers in one.
            array = as_array(self.data, "input").reshape(-1)
        else:
            kind = np.dtype(NUMBERS[self.datatype])
            if len(binary) != math.prod(self.shape) * kind.itemsize:
                raise InputError(
                    f"input: {len(binary)} bytes do not fit the shape {self.shape} of "
                    f"{self.datatype}."
                )
            array = as_array(np.frombuffer(binary, kind), "input")
        if array.size != math.prod(self.shape):
            raise InputError(f"input: {array.size} numbers do not fit the shape {self.shape}.")
        return list(array.reshape(self.shape))


class OutputParameters(RequestDocument):
    """How a request wants an output."""

    binary_data: bool | None = None
    classification: Any = None

    @field_validator("classification")
    @classmethod
    def _check_classification(cls, value: Any) -> Any:
        if value:
            raise ValueError("is not supported; ask for class or path.")
        return value


class RequestedOutput(RequestDocument):
    """An output that a request asks for."""

    name: Literal["log_probs", "class", "path"]
    parameters: OutputParameters | None = None


class RequestParameters(RequestDocument):
    """Options of a request."""

    rule: RuleName | None = None
    binary_data_output: bool = False


class InferenceRequest(RequestDocument):
    """A batch of inputs, and the outputs that are wanted: by default all."""

    id: str | None = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: list[RequestedOutput] | None = None

    @field_validator("outputs")
    @classmethod
    def _check_outputs(cls, outputs: list[RequestedOutput] | None) -> list[RequestedOutput] | None:
        if outputs and len({one.name for one in outputs}) < len(outputs):
            raise ValueError("must name each output once.")
        return outputs

    def wanted(self) -> dict[str, bool]:
        """The requested outputs, in order, and whether each is binary."""
        as_bytes = (self.parameters or RequestParameters()).binary_data_output
        if not self.outputs:
            return dict.fromkeys(OUTPUTS, as_bytes)
        given = {
            one.name: (one.parameters or OutputParameters()).binary_data for one in self.outputs
        }
        return {name: as_bytes if flag is None else flag for name, flag in given.items()}


@dataclass(frozen=True)
class InferenceParsed(ParsedRequest):
    """A parsed request of this protocol, with its id and the requested outputs."""

    identity: str | None = None
    outputs: tuple[tuple[str, bool], ...] = ()


def _parsed(data: bytes, length: str | None, limit: int) -> InferenceParsed:
    """Parses JSON and the bytes after it, split by length, since clients send no media type."""
    binary = b""
    if length is not None:
        if not (_LENGTH.fullmatch(length) and int(length) <= len(data)):
            raise InputError(f"{HEADER_LENGTH} is not the length of JSON in the body.")
        data, binary = data[: int(length)], data[int(length) :]
    document = read_document(InferenceRequest, data)
    (tensor,) = document.inputs
    own = _own_bytes(tensor, binary)
    is_image = tensor.name == "image"
    if is_image != (tensor.datatype == "BYTES"):
        raise InputError(
            f"a model's inputs are image, of BYTES, and input, of numbers; got {tensor.name} of "
            f"{tensor.datatype}."
        )
    check_rows(tensor.shape[0], limit)
    outputs = document.wanted()
    return InferenceParsed(
        sources=tensor.images(own) if is_image else tensor.rows(own),
        rule=(document.parameters or RequestParameters()).rule,
        explain="path" in outputs,
        identity=document.id,
        outputs=tuple(outputs.items()),
    )


def _own_bytes(tensor: InputTensor, binary: bytes) -> bytes | None:
    """The bytes after the JSON, which must belong to the tensor; None if its data is JSON."""
    size = (tensor.parameters or InputParameters()).binary_data_size
    if size is None and tensor.data is None:
        raise InputError(f"{tensor.name}: data must be a list, got null.")
    if size is not None and size > len(binary):
        raise InputError(f"{tensor.name}: binary_data_size exceeds what follows the JSON.")
    if len(binary) > (size or 0):
        raise InputError(f"{len(binary) - (size or 0)} bytes follow the JSON that no input uses.")
    return None if size is None else binary


def _split(data: bytes, count: int) -> list[bytes]:
    """The `count` elements of a BYTES tensor, each preceded by its length."""
    elements: list[bytes] = []
    start = 0
    while start < len(data) and len(elements) < count:
        end = start + 4
        if end <= len(data):
            end += int.from_bytes(data[start:end], "little")
        if end > len(data) or end < start + 4:
            raise InputError("image: the bytes end within an element.")
        elements.append(data[start + 4 : end])
        start = end
    if start < len(data) or len(elements) < count:
        found = f"more than {count}" if start < len(data) else str(len(elements))
        raise InputError(f"image: the bytes hold {found} elements, its shape says {count}.")
    return elements


# ── answers ───────────────────────────────────────────────────────────────────────────────────


class ServerMetadata(Schema):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class Live(Schema):
    """Whether the server is alive."""

    live: bool


class Ready(Schema):
    """Whether the server is ready."""

    ready: bool


class ModelReady(Schema):
    """Whether a model is ready."""

    name: str
    ready: bool


class TensorMetadata(Schema):
    """One input or output; −1 stands for any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Schema):
    """A model's inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Tensor(Schema):
    """One output; its data follow the JSON where binary data were asked for."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, int] | None = None


class InferenceAnswer(Schema):
    """What the Open Inference Protocol answers."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


def written(
    name: str, values: Sequence[bytes] | np.ndarray[Any, Any], *, binary: bool
) -> tuple[dict[str, Any], bytes]:
    """One entry of ``outputs``, and the bytes that follow the JSON for it.

    JSON has no −∞, the log-probability of a masked class, so it is sent as float32's lowest number.
    """
    datatype = OUTPUTS[name]
    is_text = not isinstance(values, np.ndarray)
    shape = [len(values)] if is_text else list(np.shape(values))
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if binary:
        if is_text:
            data = b"".join(struct.pack("<I", len(one)) + one for one in values)
        else:
            data = np.asarray(values).astype(NUMBERS[datatype]).tobytes()
        return entry | {"parameters": {"binary_data_size": len(data)}}, data
    if is_text:
        return entry | {"data": [one.decode() for one in values]}, b""
    numbers = np.asarray(values)
    if datatype == "FP32":
        numbers = np.maximum(numbers, np.finfo(np.float32).min)
    return entry | {"data": numbers.ravel().tolist()}, b""


def _written(served: ServedModel, asked: InferenceParsed, found: Answer) -> Response:
    entries, binary = [], b""
    for name, as_bytes in asked.outputs:
        entry, data = written(name, _values(name, found), binary=as_bytes)
        entries.append(entry)
        binary += data
    document: dict[str, Any] = {"model_name": served.name, "model_version": served.version}
    if asked.identity is not None:
        document["id"] = asked.identity
    document["outputs"] = entries
    if not any(as_bytes for _, as_bytes in asked.outputs):
        return JSONResponse(document)
    head = json.dumps(document, allow_nan=False).encode()
    return Response(
        head + binary,
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(head))},
    )


def _values(name: str, found: Answer) -> Any:
    if name == "path":
        return [json.dumps(one, allow_nan=False).encode() for one in explanations_of(found)]
    return found.log_probs if name == "log_probs" else found.predictions


# ── routes ────────────────────────────────────────────────────────────────────────────────────


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


@router.get("/models/{model}", responses=answer(ModelMetadata))
@router.get("/models/{model}/versions/{version}", responses=answer(ModelMetadata))
async def model_metadata(
    request: Request, model: ModelName, version: str | None = None
) -> JSONResponse:
    """A model's inputs and outputs."""
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
    "openapi_extra": body(
        InferenceRequest,
        {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [SAMPLE_IMAGE]}]},
    ),
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
    length = request.headers.get(HEADER_LENGTH)
    limit = service_of(request).settings.request_rows

    def write(served: ServedModel, asked: InferenceParsed, found: Answer) -> Response:
        _check_version(served, version)  # the model may have been replaced since
        return _written(served, asked, found)

    return await respond(request, model, lambda data: _parsed(data, length, limit), write)


def _model(request: Request, name: str, version: str | None) -> ServedModel:
    served = service_of(request).model(name)
    _check_version(served, version)
    return served


def _check_version(served: ServedModel, version: str | None) -> None:
    if version not in (None, served.version):
        raise NotFoundError(
            f"{served.name} is served in version {served.version}, not {version!r:.80}."
        )
