"""The Open Inference Protocol, version 2, over HTTP, with some of Triton's extensions.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol

What a model reads decides its inputs, some of which are alternatives: ``image``, files as BYTES;
``text`` (and ``text_pair``), strings as BYTES, or the tensors of a tokenizer; the columns of a
table, a tensor each; and ``input``, the network's own numbers, or the rows of a table. Its outputs
are ``log_probs``, ``class`` and ``path``, an explanation in JSON per row, which takes time only
when requested.

Triton's extensions are binary tensors, a model's configuration, and the index of the repository. In
the bytes after the JSON, numbers are little-endian and row by row; an element of BYTES is
its length in four bytes, followed by its content.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field, RootModel, field_validator
from starlette.responses import JSONResponse, Response

from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy.text import join_names
from nbdt.inputs.array import FloatArray, as_array
from nbdt.rules import RuleName

from ..answers import Schema, explanations_of
from ..errors import NotReadyError, PlainError
from ..exchange import read_body, respond, service_of
from ..inference import Answer
from ..models import ServedModel
from ..openapi import SAMPLE_IMAGE, ModelName, answer, body, errors, example_row
from ..parsing import (
    ParsedRequest,
    RequestDocument,
    check_rows,
    csv_of,
    read_document,
    sources_of_columns,
)
from ..rows import Encoding, RowReader, Source, decode_base64
from . import Protocol

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"], responses=errors(PlainError))
PROTOCOL = Protocol(
    "Open Inference Protocol v2",
    "`/v2`",
    router,
    {"/v2": PlainError},
    probes=frozenset({"/v2/health/live", "/v2/health/ready"}),
    example=lambda read: example_infer(read),
)

HEADER_LENGTH = "Inference-Header-Content-Length"
_LENGTH = re.compile(r"[0-9]{1,15}")
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository"]
OUTPUTS = {"log_probs": "FP32", "class": "INT64", "path": "BYTES"}

# The accepted types of numbers.
NUMBERS = {
    "FP32": "<f4",
    "FP64": "<f8",
    "FP16": "<f2",
    "BOOL": "|b1",
    "UINT8": "|u1",
    "INT8": "|i1",
    "UINT16": "<u2",
    "INT16": "<i2",
    "UINT32": "<u4",
    "INT32": "<i4",
    "UINT64": "<u8",
    "INT64": "<i8",
}
_OF_JSON = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "string": "BYTES"}
_IN_TRITON = {"BYTES": "TYPE_STRING"}
_TEXTS = ("text", "text_pair")


# ── a model's inputs ──────────────────────────────────────────────────────────────────────────


def inputs_of(read: RowReader) -> list[dict[str, Any]]:
    """What a model reads as tensors, as `TensorMetadata`; −1 stands for any length."""
    inputs = [_input("image", "BYTES", -1)] if read.reads_images else []
    if read.columns:
        inputs = [_input(name, _datatype(one), -1) for name, one in read.columns.items()]
        if "input" not in read.columns:
            is_text = any(one["datatype"] == "BYTES" for one in inputs)
            inputs.append(_input("input", "BYTES" if is_text else "FP64", -1, len(read.columns)))
    elif read.own.reads == "text":
        kinds = read.schema.get("anyOf", [read.schema])
        pairs = any(one.get("type") == "array" for one in kinds)
        inputs = [_input(name, "BYTES", -1) for name in _TEXTS[: 1 + pairs]]
        inputs += [_input(name, "INT64", -1, -1) for name in _tokens(read)]
    else:
        # Where the shape is not known, neither is how many dimensions there are; four are usual.
        shape = [-1 if side is None else side for side in read.shape or (None, None, None)]
        inputs.append(_input("input", "FP32", -1, *shape))
    return inputs


def example_infer(read: RowReader) -> dict[str, Any]:
    """A request for one row."""
    row = example_row(read)
    shape = [1]
    if isinstance(row, dict) and read.columns:
        cells = {name: [value] for name, value in row.items()}
    elif read.reads_images:
        cells = {"image": [row["b64"]]}
    elif isinstance(row, str):
        cells = {"text": [row]}
    else:
        cells, shape = {"input": np.ravel(row).tolist()}, [1, *np.shape(row)]
    kinds = {one["name"]: one["datatype"] for one in inputs_of(read)}
    return {
        "inputs": [
            _input(name, kinds[name], *shape) | {"data": data} for name, data in cells.items()
        ]
    }


def _input(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def _datatype(schema: Mapping[str, Any]) -> str:
    """The type of a column's tensor, from the JSON Schema of its values."""
    found = schema.get("type")
    if isinstance(found, list):
        found = found[0]
    if found is None:
        known = [one for one in schema.get("enum", schema.get("examples", ())) if one is not None]
        kinds = {type(one) for one in known}
        names = {frozenset({bool}): "boolean", frozenset({int}): "integer"}
        is_number = kinds <= {int, float}  # as of a column of which nothing is known
        found = names.get(frozenset(kinds), "number" if is_number else "string")
    return _OF_JSON[found]


def _tokens(read: RowReader) -> tuple[str, ...]:
    """The tensors that a tokenizer makes for the network."""
    if getattr(read.own, "tokenizer", None) is None:
        return ()
    return tuple(getattr(read.own, "tensors", ())) or ("input_ids",)


# ── requests ──────────────────────────────────────────────────────────────────────────────────


class InputParameters(RequestDocument):
    """What a request says of an input beside its data."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None


class InputTensor(RequestDocument):
    """An input, its elements as JSON or in the bytes that follow."""

    name: Annotated[str, Field(max_length=1000)]
    datatype: Literal[
        "FP32", "FP64", "FP16", "BOOL", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32",
        "UINT64", "INT64", "BYTES",
    ]  # fmt: skip
    shape: Annotated[list[Annotated[int, Field(ge=1, lt=2**31)]], Field(min_length=1, max_length=8)]
    data: list[Any] | None = None
    parameters: InputParameters | None = None

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def column(self, binary: bytes | None) -> list[Any]:
        """The elements of a tensor of one element a row; those of BYTES are texts."""
        if self.shape[1:] not in ([], [1]):
            raise InputError(f"{self.name}: expected the shape [rows], got {self.shape}.")
        return self.elements(binary)

    def elements(self, binary: bytes | None) -> list[Any]:
        """All elements, row by row; those of BYTES are texts."""
        if binary is None:
            return self._flat()
        if self.datatype != "BYTES":
            found: list[Any] = self._numbers(binary).tolist()
            return found
        try:
            return [one.decode() for one in _split(binary, self.size, self.name)]
        except UnicodeDecodeError:
            raise InputError(f"{self.name}: an element of BYTES is not UTF-8 text.") from None

    def files(self, binary: bytes | None) -> list[bytes]:
        """The elements of a tensor of files; in JSON they are base64."""
        if binary is not None:
            return _split(binary, self.size, self.name)
        data = self.column(binary)
        if not all(isinstance(text, str) for text in data):
            raise InputError(f"{self.name}: in JSON, BYTES are texts in base64.")
        return [decode_base64(text) for text in data]

    def rows(self, binary: bytes | None) -> list[FloatArray]:
        """The rows of a tensor of numbers, as float32."""
        if len(self.shape) < 2:
            raise InputError(f"{self.name}: expected the shape [rows, …], got {self.shape}.")
        if binary is not None:
            array = as_array(self._numbers(binary), self.name)
        else:
            # The protocol allows nested lists, and all numbers in one.
            array = as_array(self.data, self.name).reshape(-1)
        if array.size != self.size:
            raise InputError(
                f"{self.name}: {array.size} numbers do not fit the shape {self.shape}."
            )
        return list(array.reshape(self.shape))

    def ids(self, binary: bytes | None) -> np.ndarray[Any, Any]:
        """The rows of a tensor of token ids."""
        if len(self.shape) != 2:
            raise InputError(f"{self.name}: expected the shape [rows, tokens], got {self.shape}.")
        values = self._flat() if binary is None else self._numbers(binary).tolist()
        if not all(type(one) is int and 0 <= one < 2**31 for one in values):
            raise InputError(f"{self.name}: token ids are whole numbers from 0.")
        return np.array(values, dtype=np.int64).reshape(self.shape)

    def _numbers(self, binary: bytes) -> np.ndarray[Any, Any]:
        kind = np.dtype(NUMBERS[self.datatype])
        if len(binary) != self.size * kind.itemsize:
            raise InputError(
                f"{self.name}: {len(binary)} bytes do not fit the shape {self.shape} of "
                f"{self.datatype}."
            )
        return np.frombuffer(binary, kind)

    def _flat(self) -> list[Any]:
        """The elements in JSON, which may be nested lists, or all in one."""
        values = self.data or []
        for _ in self.shape[1:]:
            if not any(isinstance(one, list) for one in values):
                break
            if not all(isinstance(one, list) for one in values):
                raise InputError(f"{self.name}: its lists need equal lengths.")
            values = [one for part in values for one in part]
        if len(values) != self.size:
            raise InputError(
                f"{self.name}: {len(values)} elements do not fit the shape {self.shape}."
            )
        return values


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
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=10_000)]
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


def _parsed(data: bytes, length: str | None, read: RowReader, limit: int) -> InferenceParsed:
    """Parses JSON and the bytes after it, split by length, since clients send no media type."""
    binary = b""
    if length is not None:
        if not (_LENGTH.fullmatch(length) and int(length) <= len(data)):
            raise InputError(f"{HEADER_LENGTH} is not the length of JSON in the body.")
        data, binary = data[: int(length)], data[int(length) :]
    document = read_document(InferenceRequest, data)
    tensors = {one.name: one for one in document.inputs}
    if len(tensors) < len(document.inputs):
        raise InputError("the request has two inputs of one name.")
    rows = document.inputs[0].shape[0]
    for one in document.inputs:
        if one.shape[0] != rows:
            raise InputError(
                f"inputs need one number of rows; {document.inputs[0].name} has {rows} and "
                f"{one.name} has {one.shape[0]}."
            )
    check_rows(rows, limit)
    outputs = document.wanted()
    return InferenceParsed(
        sources=_sources(tensors, _own_bytes(document.inputs, binary), read),
        rule=(document.parameters or RequestParameters()).rule,
        explain="path" in outputs,
        identity=document.id,
        outputs=tuple(outputs.items()),
    )


def _own_bytes(tensors: Sequence[InputTensor], binary: bytes) -> dict[str, bytes | None]:
    """Each tensor's part of the bytes after the JSON; None if its data is JSON."""
    found: dict[str, bytes | None] = {}
    start = 0
    for tensor in tensors:
        size = (tensor.parameters or InputParameters()).binary_data_size
        if size is None and tensor.data is None:
            raise InputError(f"{tensor.name}: data must be a list, got null.")
        if size is not None and start + size > len(binary):
            raise InputError(f"{tensor.name}: binary_data_size exceeds what follows the JSON.")
        found[tensor.name] = None if size is None else binary[start : start + size]
        start += size or 0
    if start < len(binary):
        raise InputError(f"{len(binary) - start} bytes follow the JSON that no input uses.")
    return found


def _sources(
    tensors: Mapping[str, InputTensor], data: Mapping[str, bytes | None], read: RowReader
) -> list[Source]:
    """The rows of a request's tensors."""
    first, *others = tensors.values()
    names, is_bytes = tensors.keys(), first.datatype == "BYTES"
    if read.columns:
        if not others and first.name not in read.columns and len(first.shape) == 2:
            return _table_rows(first, data[first.name], read)
        columns = {name: one.column(data[name]) for name, one in tensors.items()}
        return sources_of_columns(columns, read, first.shape[0])
    all_bytes = all(one.datatype == "BYTES" for one in tensors.values())
    if names == {"image"} and is_bytes and read.reads_images:
        if first.shape[1:] not in ([], [1]):
            raise InputError(f"images have the shape [rows], got {first.shape}.")
        return list(first.files(data["image"]))
    known = {one["name"] for one in inputs_of(read)}
    if names == {"input"} and not is_bytes and "input" in known:
        return list(first.rows(data["input"]))
    if {"text"} <= names <= known & {*_TEXTS} and all_bytes:
        texts = {name: one.column(data[name]) for name, one in tensors.items()}
        return sources_of_columns(texts, read, first.shape[0])
    if {"input_ids"} <= names <= {*_tokens(read)} and not all_bytes:
        parts = {name: one.ids(data[name]) for name, one in tensors.items()}
        return [
            Encoding({name: part[row] for name, part in parts.items()})
            for row in range(first.shape[0])
        ]
    takes = [f"{one['name']} ({one['datatype']})" for one in inputs_of(read)]
    got = [f"{one.name} ({one.datatype})" for one in tensors.values()]
    raise InputError(
        f"the model's inputs are {join_names(takes, len(takes))}; got {join_names(got, len(got))}."
    )


def _table_rows(tensor: InputTensor, binary: bytes | None, read: RowReader) -> list[Source]:
    """The rows of a table in one tensor, with its columns in the model's order."""
    width = tensor.shape[1]
    if width != len(read.columns):
        raise InputError(
            f"{tensor.name}: a row has {width} elements; the model reads {len(read.columns)} "
            "columns."
        )
    cells = tensor.elements(binary)
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    if tensor.datatype != "BYTES":
        return list(rows)
    if not all(isinstance(cell, str) for cell in cells):
        raise InputError(f"{tensor.name}: in JSON, BYTES are texts.")
    return [csv_of(tuple(read.columns), row) for row in rows]


def _split(data: bytes, count: int, name: str) -> list[bytes]:
    """The `count` elements of a BYTES tensor, each preceded by its length."""
    elements: list[bytes] = []
    start = 0
    while start < len(data) and len(elements) < count:
        end = start + 4
        if end <= len(data):
            end += int.from_bytes(data[start:end], "little")
        if end > len(data) or end < start + 4:
            raise InputError(f"{name}: the bytes end within an element.")
        elements.append(data[start + 4 : end])
        start = end
    if start < len(data) or len(elements) < count:
        found = f"more than {count}" if start < len(data) else str(len(elements))
        raise InputError(f"{name}: the bytes hold {found} elements, its shape says {count}.")
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


class ConfigTensor(Schema):
    """One input or output in a configuration, without the dimension of rows."""

    name: str
    data_type: str
    dims: list[int]
    reshape: dict[str, list[int]] | None = None


class ModelConfig(Schema):
    """A model's configuration, as Triton has it."""

    name: str
    platform: str
    backend: str
    version_policy: dict[str, Any]
    max_batch_size: int
    input: list[ConfigTensor]
    output: list[ConfigTensor]
    dynamic_batching: dict[str, Any]


class IndexRequest(RequestDocument):
    """Which models to list."""

    ready: bool = False


class IndexEntry(Schema):
    """A model, and why it is not served, if it is not."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class RepositoryIndex(RootModel[list[IndexEntry]]):
    """All models."""


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
    return JSONResponse({"name": "nbdt", "version": request.app.version, "extensions": EXTENSIONS})


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
    return JSONResponse(
        {
            "name": served.name,
            "versions": [served.version],
            "platform": "nbdt",
            "inputs": inputs_of(served.read),
            "outputs": _outputs_of(served),
        }
    )


def _outputs_of(served: ServedModel) -> list[dict[str, Any]]:
    classes = served.model.hierarchy.num_classes
    more = {"log_probs": [classes]}
    return [_input(name, kind, -1, *more.get(name, ())) for name, kind in OUTPUTS.items()]


@router.get("/models/{model}/config", responses=answer(ModelConfig))
@router.get("/models/{model}/versions/{version}/config", responses=answer(ModelConfig))
async def model_config(
    request: Request, model: ModelName, version: str | None = None
) -> JSONResponse:
    """A model's configuration, as Triton has it."""
    served = _model(request, model, version)
    settings = service_of(request).settings
    return JSONResponse(
        {
            "name": served.name,
            "platform": "nbdt",
            "backend": "nbdt",
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": settings.request_rows,
            "input": [_in_triton(one) for one in inputs_of(served.read)],
            "output": [_in_triton(one) for one in _outputs_of(served)],
            "dynamic_batching": {
                "preferred_batch_size": [settings.batch_rows],
                "max_queue_delay_microseconds": round(1e6 * settings.batch_wait),
            },
        }
    )


def _in_triton(tensor: Mapping[str, Any]) -> dict[str, Any]:
    """A tensor as in a configuration, whose dimensions leave out the rows."""
    datatype = tensor["datatype"]
    found = {"name": tensor["name"], "data_type": _IN_TRITON.get(datatype, f"TYPE_{datatype}")}
    if len(tensor["shape"]) == 1:
        return found | {"dims": [1], "reshape": {"shape": []}}
    return found | {"dims": tensor["shape"][1:]}


@router.post(
    "/repository/index",
    openapi_extra=body(IndexRequest, {}, required=False),
    responses=answer(RepositoryIndex),
)
async def repository_index(request: Request) -> JSONResponse:
    """All models, and the reason why one is not served, as Triton lists them."""
    service = service_of(request)
    service.check_ready()
    data = await read_body(request)
    asked = read_document(IndexRequest, data) if data else IndexRequest()
    registry = service.registry
    found = [
        {"name": name, "version": registry.get(name).version, "state": "READY", "reason": ""}
        for name in registry.names
    ]
    if not asked.ready:
        found += [
            {"name": name, "version": "", "state": "UNAVAILABLE", "reason": reason}
            for name, reason in registry.failed.items()
        ]
    return JSONResponse(found)


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

    def parse(data: bytes, served: ServedModel) -> InferenceParsed:
        return _parsed(data, length, served.read, limit)

    return await respond(request, model, parse, write)


def _model(request: Request, name: str, version: str | None) -> ServedModel:
    served = service_of(request).model(name)
    _check_version(served, version)
    return served


def _check_version(served: ServedModel, version: str | None) -> None:
    if version not in (None, served.version):
        raise NotFoundError(
            f"{served.name} is served in version {served.version}, not {version!r:.80}."
        )
