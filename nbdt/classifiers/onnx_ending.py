"""How an ONNX graph ends: where its logits are, and the rows that make them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.classifiers.onnx_file import REFUSED, import_onnx, session_of, shapes_of
from nbdt.classifiers.outputs import OutputKind
from nbdt.errors import HeadError

FloatArray = npt.NDArray[Any]

_LONGEST_NAMES = 1_000_000

_NEUTRAL = {
    *("Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze"),
    *("GlobalAveragePool", "AveragePool", "ReduceMean"),
}
_ALTERING = {"Relu", "Clip", "LeakyRelu", "QuantizeLinear", "DequantizeLinear"}
_RESHAPING = {"Reshape", "Expand", "Unsqueeze", "Squeeze", "Identity", "Cast", "Tile"}


@dataclass(frozen=True)
class Ending:
    """How a graph ends.

    Attributes:
        value: the value to read: the logits, or the nearest to them that the graph has.
        kind: what the value is; None if the graph does not tell.
        rows: of the last linear layer, one per output; None if there is none, for a `reason`.
        bias: its biases, or None.
        layer: the node's name.
        altered: whether the graph does something else to the layer's output.
        classes: the class names in the graph.
        last_axis: whether the layer's outputs are on its last axis, as a MatMul's are.
    """

    value: str
    kind: OutputKind | None = None
    rows: FloatArray | None = None
    bias: FloatArray | None = None
    layer: str = ""
    altered: bool = False
    classes: tuple[str, ...] | None = None
    reason: str = ""
    last_axis: bool = False


def ending_of(proto: Any) -> Ending:
    """How a graph ends: where its logits and the rows of its last layer are.

    A HeadError if it does not choose one class among many, or has several outputs that may be it.
    """
    found = _Way(proto).from_output()
    return found if found.classes is not None else replace(found, classes=_stated_classes(proto))


class _Way:
    """Follows a graph from its output back to its last linear layer."""

    def __init__(self, proto: Any) -> None:
        self._onnx = import_onnx()
        self._proto = proto
        self._makers = {name: node for node in proto.graph.node for name in node.output if name}
        self._stored = {tensor.name: tensor for tensor in proto.graph.initializer}

    def from_output(self) -> Ending:
        end = Ending(self._output())
        value = end.value
        while True:
            node = self._makers.get(value)
            step = "" if node is None else node.op_type
            if node is None:
                return replace(end, reason="it returns its input")
            known = self._step(end, node, value)
            if known is None:
                return replace(end, reason=end.reason or f"it ends in {step}")
            end, value = known
            if not value:
                return end

    def _step(self, end: Ending, node: Any, value: str) -> tuple[Ending, str] | None:
        """The end with what a node does to the logits, and where they come from."""
        step, inputs = node.op_type, list(node.input)
        first = inputs[0] if inputs else ""
        before = replace(end, value=first, kind="logits")
        if step == "ZipMap":
            return replace(end, value=first, classes=_labels(node)), first
        if step == "ArgMax":
            return replace(end, value=first), first
        if step in ("Softmax", "LogSoftmax"):
            return before, first
        if step == "Sigmoid":
            self._refuse_labels(value)
            return before, first
        if step == "Div" and (logits := self._softmax(node)):
            return replace(end, value=logits, kind="logits"), logits
        if step == "Normalizer":
            return replace(end, kind=end.kind or "probabilities", altered=True), first
        if step in ("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier"):
            return self._of_ml(end, node), ""
        if step in _NEUTRAL:
            return end, first
        if step in _ALTERING:
            return replace(end, altered=True), first
        if (layer := self._layer(node)) is not None:
            rows, bias = layer
            name = node.name or value
            kind = end.kind or "logits"
            end = replace(end, rows=rows, bias=_sum(bias, end.bias), layer=name, kind=kind)
            return replace(end, last_axis=step != "Conv"), ""
        if step in ("Add", "Sub", "Mul", "Div"):
            return self._arithmetic(end, node)
        return None

    def _output(self) -> str:
        outputs = list(self._proto.graph.output)
        if len(outputs) > 1:
            kinds = {o.name: o.type.tensor_type.elem_type for o in outputs}
            scores = [str(name) for name in kinds if self._may_be_scores(name, kinds[name])]
            named = [name for name in scores if name == "logits"]
            chosen = named or [name for name in scores if "prob" in name.lower()] or scores
            if len(chosen) != 1:
                raise HeadError(
                    f"the graph has several outputs ({', '.join(kinds)}) that may be the scores of "
                    "the classes; keep one only, as with onnx.utils.extract_model."
                )
            return chosen[0]
        if not outputs:
            raise HeadError("the graph has no output.")
        return str(outputs[0].name)

    def _may_be_scores(self, name: str, element: int) -> bool:
        kinds = self._onnx.TensorProto
        numbers = (kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.BFLOAT16)
        made_by = getattr(self._makers.get(name), "op_type", "")
        return bool(made_by == "ZipMap" or element in numbers)

    def _refuse_labels(self, value: str) -> None:
        shape = shapes_of(self._proto).get(value, [])
        outputs = shape[-1] if len(shape) > 1 else 1
        if outputs != 1:
            raise HeadError(
                f"the graph ends in a sigmoid over {outputs or 'several'} outputs, which makes it "
                "multi-label: an input may have several classes or none, while a path down a tree "
                "leads to exactly one."
            )

    def _softmax(self, node: Any) -> str:
        """The logits of a softmax in single steps: exp(z − max) / sum(exp(z − max))."""
        powers = self._makers.get(node.input[0])
        total = self._back(node.input[1], _RESHAPING)
        if powers is None or powers.op_type != "Exp" or total is None:
            return ""
        if total.op_type != "ReduceSum" or total.input[0] != node.input[0]:
            return ""
        shifted = self._makers.get(powers.input[0])
        if shifted is None or shifted.op_type != "Sub":
            return str(powers.input[0])
        largest = self._back(shifted.input[1], _RESHAPING | {"Max"})
        same = largest is not None and largest.op_type == "ReduceMax"
        return str(shifted.input[0] if same else powers.input[0])

    def _back(self, value: str, steps: set[str]) -> Any:
        node = self._makers.get(value)
        while node is not None and node.op_type in steps:
            data = [name for name in node.input if self._constant(name) is None]
            node = self._makers.get(data[0]) if data else None
        return node

    def _layer(self, node: Any) -> tuple[FloatArray, FloatArray | None] | None:
        """The rows and biases of a linear node."""
        options = {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Mul":
            rows = self._quantized_rows(node)
            return None if rows is None else (rows, None)
        if node.op_type not in ("Gemm", "MatMul", "Conv"):
            return None
        weight = self._constant(node.input[1])
        if weight is None or weight.ndim < 2:
            return None
        if node.op_type == "MatMul":
            return (weight.T, None) if weight.ndim == 2 else None
        bias = self._constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if node.op_type == "Conv":
            one = weight.shape[2:] == (1,) * (weight.ndim - 2) and options.get("group", 1) == 1
            return (weight.reshape(weight.shape[:2]), bias) if one else None
        rows = options.get("alpha", 1.0) * (weight if options.get("transB") else weight.T)
        bias = None if bias is None else np.ravel(options.get("beta", 1.0) * bias)
        return rows, None if bias is None else np.broadcast_to(bias, len(rows))

    def _quantized_rows(self, node: Any) -> FloatArray | None:
        """The rows of a product of whole numbers, which `node` scales back."""
        for product, scales in (node.input[:2], node.input[1::-1]):
            found, scaling = self._back(product, {"Cast"}), self._makers.get(scales)
            if found is None or found.op_type != "MatMulInteger" or scaling is None:
                continue
            weight = self._constant(found.input[1])
            zero = self._constant(found.input[3]) if len(found.input) > 3 else np.zeros(1)
            known = [self._constant(name) for name in scaling.input]
            scale = [value for value in known if value is not None]
            if weight is not None and zero is not None and weight.ndim == 2 and len(scale) == 1:
                rows: FloatArray = ((weight.astype(np.float32) - zero) * scale[0]).T
                return rows
        return None

    def _arithmetic(self, end: Ending, node: Any) -> tuple[Ending, str] | None:
        """A constant that is added, or a positive one that multiplies or divides."""
        constants = [self._constant(name) for name in node.input]
        unknown = [place for place, value in enumerate(constants) if value is None]
        if len(unknown) != 1:
            return None
        (place,) = unknown
        other = constants[1 - place]
        assert other is not None
        if node.op_type in ("Add", "Sub"):
            if place == 1 and node.op_type == "Sub":
                return None
            other = -other if node.op_type == "Sub" else other
            before = self._makers.get(node.input[place])
            alone = before is None or before.op_type not in ("MatMul", "Gemm", "Conv")
            return (
                replace(end, bias=_sum(np.ravel(other), end.bias), altered=end.altered or alone),
                str(node.input[place]),
            )
        if other.size != 1 or not other.item() > 0 or (node.op_type == "Div" and place == 1):
            return None
        return replace(end, altered=True), str(node.input[place])

    def _of_ml(self, end: Ending, node: Any) -> Ending:
        """A classifier of scikit-learn's operators."""
        options = {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}
        transform = options.get("post_transform", b"NONE").decode()
        kind = end.kind
        if transform in ("SOFTMAX", "LOGISTIC") or options.get("prob_a"):
            kind = "probabilities"
        names = end.classes or _labels(node)
        if node.op_type != "LinearClassifier":
            return replace(end, kind=kind, classes=names, reason=f"it is a {node.op_type}")
        bias = np.array(options.get("intercepts", [0.0]))
        rows = np.array(options["coefficients"]).reshape(len(bias), -1)
        altered = end.altered or transform not in ("NONE", "SOFTMAX")
        return replace(
            end,
            rows=rows,
            bias=bias,
            layer=node.name or node.op_type,
            kind=kind or "logits",
            altered=altered,
            classes=names,
        )

    def _constant(self, name: str, depth: int = 8) -> FloatArray | None:
        """A value that does not depend on the input."""
        if name in self._stored:
            return _array(self._onnx.numpy_helper.to_array(self._stored[name]))
        nodes = self._constant_nodes(name, depth)
        if nodes is None:
            return None
        needed = {one for node in nodes for one in node.input} & self._stored.keys()
        graph = self._onnx.helper.make_graph(
            nodes,
            "constant",
            [],
            [self._onnx.helper.make_empty_tensor_value_info(name)],
            [self._stored[one] for one in sorted(needed)],
        )
        model = self._onnx.helper.make_model(
            graph, opset_imports=self._proto.opset_import, ir_version=self._proto.ir_version
        )
        try:
            (value,) = session_of(model.SerializeToString()).run([name], {})
        except Exception:  # a damaged tensor, or options that do not fit
            return None
        return _array(value)

    def _constant_nodes(self, name: str, depth: int) -> list[Any] | None:
        """The nodes that make a value of nothing but stored tensors, in order."""
        node = self._makers.get(name)
        if (
            node is None
            or not depth
            or node.op_type in REFUSED
            or node.domain not in ("", "ai.onnx")
        ):
            return None
        nodes: list[Any] = []
        for one in node.input:
            if one and one not in self._stored:
                more = self._constant_nodes(one, depth - 1)
                if more is None:
                    return None
                nodes += [made for made in more if made not in nodes]
        return [*nodes, node]


def _sum(one: FloatArray | None, other: FloatArray | None) -> FloatArray | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _array(values: Any) -> FloatArray:
    array = np.asarray(values)
    # Half types of other packages are numbers that numpy does not count among its own.
    return array if array.dtype.kind in "fiub" else array.astype(np.float32)


def _labels(node: Any) -> tuple[str, ...] | None:
    for attribute in node.attribute:
        if attribute.name in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
            values = [*attribute.strings, *attribute.ints]
            if values:
                return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values)
    return None


def _stated_classes(proto: Any) -> tuple[str, ...] | None:
    """Class names in a model's metadata: a list, or a mapping from indices."""
    stated = {entry.key: entry.value for entry in proto.metadata_props}
    for key in ("names", "classes", "labels", "class_names", "id2label"):
        text = stated.get(key, "")
        if not 0 < len(text) < _LONGEST_NAMES:
            continue
        for read in (json.loads, ast.literal_eval):
            try:
                found = read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(found, Mapping) and {str(k) for k in found} == set(
                map(str, range(len(found)))
            ):
                found = [value for _, value in sorted((int(k), v) for k, v in found.items())]
            if isinstance(found, list | tuple) and all(isinstance(name, str) for name in found):
                return tuple(found)
    return None
