"""ONNX: classifiers in files of any framework, answered by onnxruntime on the CPU.

A graph is read before a softmax that it ends in, so the logits keep all their digits. Its last
Gemm, MatMul or 1×1 Conv gives the rows of the tree.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nbdt.classifiers.base import Adapter, Library
from nbdt.classifiers.head import Head, linear_layer
from nbdt.classifiers.onnx_ending import Ending, ending_of
from nbdt.classifiers.onnx_file import (
    import_onnx,
    inferred,
    parsed,
    read_file,
    session_of,
    unsafe,
)
from nbdt.classifiers.outputs import OutputKind, as_logits, check_outputs
from nbdt.errors import FormatError, HeadError, InputError, NotFoundError, reason_of
from nbdt.hierarchy.classes import distinct_names
from nbdt.inputs.array import ArrayInput
from nbdt.inputs.base import Input

FILE = "model.onnx"

_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    **{name: name for name in ("int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64", "bool")},
}


class OnnxGraph:
    """An ONNX model that ends in what the tree reads, and how it ended.

    Args:
        proto: an `onnx.ModelProto` with all its tensors.
        kind: what its output is, if that is known.
    """

    def __init__(self, proto: Any, kind: OutputKind | None = None) -> None:
        self.end: Ending = ending_of(proto)
        self.data = _cut(proto, self.end.value)
        self._lock = threading.Lock()
        self._session: Any = None
        self.kind: OutputKind = kind or self.end.kind or self._guessed()

    @property
    def session(self) -> Any:
        """The onnxruntime session, made when it is first needed."""
        with self._lock:
            if self._session is None:
                self._session = session_of(self.data)
            return self._session

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_session": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"_lock": threading.Lock()})

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """The output for a batch of arrays by input; an InputError if onnxruntime refuses it."""
        try:
            (values,) = self.session.run(None, dict(feeds))
        except Exception as error:  # onnxruntime has errors of its own
            raise InputError(f"onnxruntime cannot answer this batch: {reason_of(error)}") from None
        return np.asarray(values)

    def _guessed(self) -> OutputKind:
        """Whether a graph without a known end gives probabilities: its answers tell."""
        try:
            feeds = {
                one.name: np.zeros([s if isinstance(s, int) else 1 for s in one.shape], _dtype(one))
                for one in self.session.get_inputs()
            }
            values = self.run(feeds).astype(np.float64)
        except (InputError, HeadError):
            return "logits"
        inside = values.ndim == 2 and bool((values >= 0).all() and (values <= 1).all())
        return "probabilities" if inside and abs(values.sum() - len(values)) < 1e-3 else "logits"


class OnnxModule(Adapter):
    """An ONNX graph as a module: arrays, by input or of the only input → logits."""

    library: ClassVar[str] = "onnx"
    reason: ClassVar[str] = (
        "an ONNX graph runs in onnxruntime, which computes no gradients, so it cannot be trained "
        "or exported here; its attributions leave out parts of the sample instead."
    )
    gives_logits: ClassVar[bool] = True

    model: OnnxGraph

    def forward(self, batch: Any) -> Tensor:
        """The logits, of shape (batch, classes, *sites), in the graph's precision or float32."""
        inputs = self.model.session.get_inputs()
        feeds = {one.name: _array_for(one, _given(one, batch, inputs)) for one in inputs}
        counts = {len(array) for array in feeds.values() if array.ndim}  # scalars are settings
        if len(counts) != 1:
            raise InputError(f"the inputs have different numbers of samples: {sorted(counts)}.")
        (count,) = counts
        fixed = {one.shape[0] for one in inputs if one.shape and isinstance(one.shape[0], int)}
        values = self._in_steps(feeds, count, fixed.pop() if fixed else None)
        if values.dtype.itemsize < 4 or values.dtype.kind not in "f":
            values = values.astype(np.float32)
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        tensor = self._by_class(tensor[:, None] if tensor.ndim == 1 else tensor, count)
        columns = tensor.shape[1] if tensor.ndim > 1 else 0
        return as_logits(tensor, self.model.kind, max(2, columns))

    def _by_class(self, values: Tensor, count: int) -> Tensor:
        """The answers with classes on axis 1, and without sites where a sample has only one."""
        if len(values) != count:
            raise InputError(
                f"the graph gave an answer of shape {tuple(values.shape)} for {count} rows; its "
                "first axis must be the samples."
            )
        if values.ndim < 3:
            return values
        sites = self.model.session.get_outputs()[0].shape[2:]
        if sites == [1] * (values.ndim - 2):  # pooled: one answer per sample
            return values.flatten(1)
        end = self.model.end
        last = end.last_axis and end.rows is not None and len(end.rows) == values.shape[-1]
        return values.movedim(-1, 1) if last else values

    def _in_steps(
        self, feeds: Mapping[str, npt.NDArray[Any]], count: int, size: int | None
    ) -> npt.NDArray[Any]:
        """The answers, in batches of the only size that the graph takes, if it has one."""
        if size is None or size == count:
            return self.model.run(feeds)
        parts = []
        for start in range(0, count, size):
            # The last sample fills up what is missing.
            places = np.minimum(np.arange(start, start + size), count - 1)
            part = {k: array[places] if array.ndim else array for k, array in feeds.items()}
            parts.append(self.model.run(part)[: count - start])
        return np.concatenate(parts)

    def extra_repr(self) -> str:
        """The inputs by name."""
        return ", ".join(f"{one.name}: {one.shape}" for one in self.model.session.get_inputs())


class Onnx(Library):
    """The interface to ONNX models: files, `onnx.ModelProto`s and onnxruntime's sessions."""

    name = "onnx"

    def recognizes(self, model: object) -> bool:
        kind = f"{type(model).__module__}.{type(model).__name__}"
        return isinstance(model, OnnxGraph) or (
            kind.startswith(("onnx", "torch.onnx."))
            and kind.endswith((".ModelProto", ".InferenceSession", ".ONNXProgram"))
        )

    def module(self, model: Any) -> nn.Module:
        return OnnxModule(_graph(model))

    def head(self, model: Any) -> Head:
        end = _graph(model).end
        if end.rows is None:
            raise HeadError(
                f"the graph has no matrix with a row per class: {end.reason}; build its tree from "
                "its answers, nbdt.induce(model, samples=X) or (…, labels=y)."
            )
        rows = torch.from_numpy(np.array(end.rows, dtype=np.float32))
        bias = None if end.bias is None else np.broadcast_to(end.bias, len(rows))
        shift = None if bias is None else torch.from_numpy(np.array(bias, dtype=np.float32))
        names = self.classes(model, max(2, len(rows)))
        return Head(end.layer, linear_layer(rows, shift), names, end.altered, detached=True)

    def classes(self, module: Any, num_classes: int) -> tuple[str, ...] | None:
        names = _graph(module).end.classes
        return tuple(distinct_names(names)) if names and len(names) == num_classes else None

    def input(self, model: Any) -> Input | None:
        """The only input's shape and type; None if there are several, which a mapping feeds."""
        inputs = _graph(model).session.get_inputs()
        if len(inputs) != 1 or not inputs[0].shape or _dtype(inputs[0]).kind not in "fiu":
            return None
        sides = tuple(side if isinstance(side, int) else None for side in inputs[0].shape[1:])
        return ArrayInput(row=sides, dtype=str(_dtype(inputs[0])))  # type: ignore[arg-type]

    def open(self, source: str) -> Any | None:
        if not source.lower().endswith(".onnx"):
            return None
        if not Path(source).is_file():
            raise NotFoundError(f"{source}: no such file.")
        return OnnxGraph(read_file(Path(source)))

    def saves(self, module: nn.Module) -> bool:
        return isinstance(module, OnnxModule)

    def save(self, module: Any, folder: Path) -> dict[str, Any]:
        graph = module.model
        problem = unsafe(import_onnx().load_model_from_string(graph.data))
        if problem:
            raise InputError(f"the ONNX model is not saved, as it could not be loaded: {problem}")
        (folder / FILE).write_bytes(graph.data)
        return {"outputs": graph.kind}

    def load(self, options: Mapping[str, Any], folder: Path) -> nn.Module:
        path = folder / FILE
        if not path.is_file():
            raise FormatError(f"{FILE} is missing.")
        try:
            kind = check_outputs(options.get("outputs"))
            return OnnxModule(OnnxGraph(parsed(path.read_bytes()), kind))
        except (InputError, HeadError) as error:
            raise FormatError(f"{FILE} is no classifier: {error}") from None


def _graph(model: Any) -> OnnxGraph:
    """A model of any form as a graph."""
    if isinstance(model, OnnxModule):
        return model.model
    if isinstance(model, OnnxGraph):
        return model
    if hasattr(model, "get_inputs"):  # a session keeps where its model came from
        path, data = model._model_path, model._model_bytes
        return OnnxGraph(
            read_file(Path(path)) if path else import_onnx().load_model_from_string(data)
        )
    return OnnxGraph(getattr(model, "model_proto", model))


def _cut(proto: Any, value: str) -> bytes:
    """The bytes of the model that ends in a value."""
    onnx = import_onnx()
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    if [output.name for output in cut.graph.output] != [value]:
        found = [one for one in inferred(proto) if one.name == value]
        if not found:
            found = [onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None)]
        del cut.graph.output[:]
        cut.graph.output.extend(found[:1])
    try:
        return bytes(cut.SerializeToString())
    except Exception:  # of protobuf, which onnx does not name
        raise InputError(
            "the ONNX model is larger than 2 GB, which one file cannot hold."
        ) from None


# ── batches ───────────────────────────────────────────────────────────────────────────────────


def _dtype(argument: Any) -> Any:
    """The numpy type of an input; `object` for strings."""
    kind = argument.type.removeprefix("tensor(").removesuffix(")")
    if kind == "string":
        return np.dtype(object)
    if not argument.type.startswith("tensor(") or kind not in _DTYPES:
        raise HeadError(f"the graph's input {argument.name!r} is a {argument.type}, not an array.")
    return np.dtype(_DTYPES[kind])


def _given(argument: Any, batch: Any, inputs: list[Any]) -> Any:
    """What a batch holds for an input."""
    columns: Any = getattr(batch, "columns", None)
    if isinstance(batch, Mapping) or (columns is not None and len(inputs) > 1):
        known = list(batch if isinstance(batch, Mapping) else columns)
        if argument.name not in known:
            raise InputError(
                f"the graph takes {', '.join(one.name for one in inputs)}; {argument.name!r} is "
                f"missing from {', '.join(map(str, known[:8])) or 'an empty mapping'}."
            )
        values = batch[argument.name]
        return values if isinstance(batch, Mapping) else values.to_numpy()
    if len(inputs) > 1:
        names = ", ".join(one.name for one in inputs)
        raise InputError(f"the graph takes several inputs ({names}); give a mapping of arrays.")
    return batch.to_numpy() if columns is not None else batch


def _array_for(argument: Any, values: Any) -> npt.NDArray[Any]:
    """Values as the array that an input takes; an InputError says what does not fit."""
    wanted = _dtype(argument)
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    shape: Any = argument.shape
    sides: list[Any] = list(shape or ())
    if array.ndim == len(sides) - 1 and sides[-1] == 1:  # a column
        array = array[..., None]
    numbers = array.dtype.kind in "fiub"
    if wanted.kind == "O":
        array = array.astype(object)
    elif not numbers:
        raise InputError(f"{argument.name} takes numbers ({wanted}); got {array.dtype}.")
    elif wanted.kind in "iub" and array.dtype.kind == "f" and (array != np.floor(array)).any():
        raise InputError(f"{argument.name} takes whole numbers ({wanted}); got fractions.")
    fits = len(sides) == array.ndim and all(
        not isinstance(side, int) or side == given
        for side, given in zip(sides[1:], array.shape[1:], strict=True)
    )
    if sides and not fits:
        shape = " × ".join(str(side) if isinstance(side, int) else "any" for side in sides[1:])
        raise InputError(
            f"{argument.name} takes arrays of shape (batch, {shape.replace(' × ', ', ')}); got "
            f"{array.shape}."
        )
    return array.astype(wanted, copy=False)
