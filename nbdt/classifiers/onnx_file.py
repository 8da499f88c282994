"""ONNX models in files: tensors that lie beside them, and what is refused from strangers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbdt.errors import FormatError, HeadError, InputError, missing, reason_of

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
# A loop may never end, and compiled parts lie in other files.
REFUSED = {"Loop", "EPContext"}
_MOST_ELEMENTS = 2**30


def import_onnx() -> Any:
    """The package; a MissingDependencyError says how to install it."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise missing("onnx", "onnx", "a classifier in an ONNX file") from None
    return onnx


def read_file(path: Path) -> Any:
    """The model in a file, with the tensors that lie in files beside it."""
    onnx = import_onnx()
    try:
        proto = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    except Exception as error:  # of protobuf, which onnx does not name
        raise FormatError(f"{path}: is not an ONNX model: {reason_of(error)}") from None
    base = path.parent.resolve()
    for tensor in tensors_of(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _read_tensor(tensor, base, path.name)
    return proto


def _read_tensor(tensor: Any, base: Path, name: str) -> None:
    """Puts a tensor's bytes, which lie in another file, into the model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = (base / location).resolve()
    # A model from a stranger must not read other files of this machine.
    if not location or Path(location).is_absolute() or not path.is_relative_to(base):
        raise FormatError(
            f"{name}: the tensor {tensor.name!r:.80} lies in {location!r:.80}, outside the folder "
            "of the model; save the model in one file, or with its data beside it."
        )
    if not path.is_file():
        raise FormatError(
            f"{name}: the tensor {tensor.name!r:.80} lies in {location}: no such file."
        )
    with path.open("rb") as file:
        file.seek(int(entries.get("offset", 0)))
        tensor.raw_data = file.read(int(entries["length"])) if "length" in entries else file.read()
    del tensor.external_data[:]
    tensor.data_location = type(tensor).DEFAULT


def parsed(data: bytes) -> Any:
    """A model from the bytes of a file that a stranger may have made; a FormatError if unsafe."""
    onnx = import_onnx()
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # of protobuf, which onnx does not name
        raise FormatError(f"this is not an ONNX model: {reason_of(error)}") from None
    problem = unsafe(proto)
    if problem:
        raise FormatError(f"the ONNX model is refused: {problem}")
    return proto


def unsafe(proto: Any) -> str:
    """Why a model should not run if a stranger made it; empty if nothing speaks against it."""
    onnx = import_onnx()
    known = _DOMAINS | {function.domain for function in proto.functions}
    for node in nodes_of(proto):
        if node.domain not in known:
            return f"{node.op_type} of {node.domain!r:.80} is an operator that nbdt does not know."
        if node.op_type in REFUSED:
            return f"it has a node {node.op_type}, whose work and files have no limit."
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in tensors_of(proto)):
        return "its tensors lie in other files."
    for name, shape in shapes_of(proto).items():
        if np.prod([float(side) for side in shape if isinstance(side, int)]) > _MOST_ELEMENTS:
            return (
                f"{name!r:.80} has the shape {tuple(shape)}, more than {_MOST_ELEMENTS} elements."
            )
    return ""


def nodes_of(proto: Any) -> Iterator[Any]:
    """Every node of a model, also those of functions and of graphs in nodes."""
    stack = [proto.graph, *proto.functions]
    while stack:
        for node in stack.pop().node:
            yield node
            for attribute in node.attribute:
                stack.extend([attribute.g] if attribute.HasField("g") else attribute.graphs)


def tensors_of(proto: Any) -> Iterator[Any]:
    """Every tensor that a model stores."""
    stack = [proto.graph]
    for node in nodes_of(proto):
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else attribute.tensors
            stack.extend([attribute.g] if attribute.HasField("g") else attribute.graphs)
    for graph in stack:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)


def shapes_of(proto: Any) -> dict[str, list[int | None]]:
    """The shapes that can be inferred, with None for sides that vary."""
    return {
        value.name: [
            side.dim_value if side.HasField("dim_value") else None
            for side in value.type.tensor_type.shape.dim
        ]
        for value in inferred(proto)
        if value.type.tensor_type.HasField("shape")
    }


def inferred(proto: Any) -> list[Any]:
    """The values of a graph with the types and shapes that can be inferred."""
    with suppress(Exception):  # onnxruntime will say what is wrong with the model
        proto = import_onnx().shape_inference.infer_shapes(proto, data_prop=True)
    return [*proto.graph.input, *proto.graph.value_info, *proto.graph.output]


def session_of(data: bytes) -> Any:
    """The bytes of a model as a session of onnxruntime; a HeadError says why it cannot run."""
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime", "onnx", "a classifier in an ONNX file") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has errors of its own
        raise HeadError(f"onnxruntime cannot load this model: {reason_of(error)}") from None
