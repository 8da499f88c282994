"""Which part of a network produces its output, traced through its own ``forward``.

A module's forward runs once on stand-ins: a symbolic input, and for each submodule an object that
records its calls. Nothing is computed, no submodule runs, and the network is not changed. In the
recorded graph the output is followed back past steps that keep the meaning of the logits (dropout,
pooling, reshaping, log_softmax, …) to the submodule, or the weights, that produced them. Scripted,
traced and exported modules come with their graph.
"""

from __future__ import annotations

import copy
import functools
import inspect
import operator
from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import GraphAppendingTracer

from nbdt.classifiers.head import is_linear

# Calls that keep the logits' meaning.
NEUTRAL_CALLS = frozenset(
    """flatten unflatten squeeze view reshape contiguous float dropout alpha_dropout
    feature_alpha_dropout dropout1d dropout2d dropout3d log_softmax mean
    interpolate upsample movedim moveaxis permute transpose
    avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d""".split()  # noqa: SIM905
)
RELU_CALLS = frozenset({"relu", "relu_"})  # as in SqueezeNet
SCALING_CALLS = frozenset({"mul", "div", "truediv", "mul_", "div_", "imul", "itruediv"})
SUMS = frozenset({"add", "add_", "iadd"})
PRODUCTS = frozenset({"matmul", "mm"})
TRANSPOSES = frozenset({"t", "transpose", "permute", "numpy_T"})
CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d", "convolution", "_convolution"})
SOFTMAX = "softmax"
SIGMOID = "sigmoid"
SQUASHING_CALLS = {
    "softmax": SOFTMAX,
    "sigmoid": SIGMOID,
    "sigmoid_": SIGMOID,
    "log_sigmoid": SIGMOID,
    "expit": SIGMOID,
    "special_expit": SIGMOID,
}
THE_INPUT = "what it was given"
COMPUTED = "computed in forward"
_NUMBER = " #"


THE_INPUT = "what it was given"
COMPUTED = "computed in forward"
_NUMBER = " #"


class Weights(NamedTuple):
    """Weights that a forward multiplies with features itself: where they are, a row per output."""

    path: str
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class OutputTrace:
    """How a module's forward ends.

    Attributes:
        maker: the submodule whose output, after neutral steps, is returned; None if it is something
            else: the input itself, a sum, a product of tensors, ….
        otherwise: what is returned instead, in words.
        squashing: ``"softmax"`` or ``"sigmoid"`` if one comes last, or None.
        altered: whether a relu, an offset or a scale, such as a temperature, is in between.
        weights: those whose product with features is returned, if no layer holds them.
        terms: what is added, if a sum is returned.
        scale: what the output of the maker, or the product, is multiplied by.
        clipped: whether a relu is in between.
        reads: the input of the maker or of the product; two terms may read the same.
    """

    maker: str | None
    otherwise: str = ""
    squashing: str | None = None
    altered: bool = False
    weights: Weights | None = field(default=None, compare=False)
    terms: tuple[OutputTrace, ...] = field(default=(), compare=False)
    scale: float = field(default=1.0, compare=False)
    clipped: bool = field(default=False, compare=False)
    reads: object = field(default=None, compare=False)


def trace_output(module: nn.Module) -> OutputTrace | None:
    """How the module's forward ends; None if that depends on the values of an input."""
    constants: dict[str, Tensor] = {}
    try:
        if isinstance(module, torch.jit.ScriptModule):
            output = _scripted(module, constants)
        elif isinstance(module, fx.GraphModule):
            output = _logits_of(module.graph.output_node().args[0])
        else:
            output = _run(module, _Tracer(module, constants))
        node = output.node if isinstance(output, fx.Proxy) else output
        if not isinstance(node, fx.Node):
            return OutputTrace(None, f"a {type(node).__name__}, not the output of a layer")
        return _WayBack(module, constants).from_node(node)
    except Exception:  # the network's code was not written for stand-ins and may raise anything
        return None


# ── graphs ────────────────────────────────────────────────────────────────────────────────────


def _run(module: nn.Module, tracer: _Tracer) -> object:
    stand_ins: dict[int, _StandIn] = {}
    for name, submodule in module.named_modules():
        if submodule is not module:
            stand_ins[id(submodule)] = _StandIn(submodule, name, tracer, stand_ins)
    # A copy, because forward may store things on self, or in a list there. Parameters and anything
    # else that the module holds (a trainer, a data set) are shared.
    shared = [*module.parameters(), *(v for v in vars(module).values() if not _is_copied(v))]
    actor = object.__new__(type(module))  # as sharded modules refuse to be copied
    memo = {id(value): value for value in shared} | stand_ins | {id(module): actor}
    # Hooks do not run, and may hold anything, as may what torch keeps on sharded modules.
    left_out = ("_hooks", "__composable")
    copied = {k: {} if any(one in k for one in left_out) else v for k, v in vars(module).items()}
    vars(actor).update(copy.deepcopy(copied, memo))
    actor.training = False

    positional, named = [], {}
    for parameter in inspect.signature(actor.forward).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            continue
        symbol = tracer.create_proxy("placeholder", parameter.name, (), {})
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = symbol
        else:
            positional.append(symbol)
    return _logits_of(actor.forward(*positional, **named))


def _logits_of(output: Any) -> object:
    """The logits in a forward's output, which may be like transformers', or a dictionary."""
    if isinstance(output, fx.Proxy | fx.Node):
        return output
    if isinstance(output, tuple) and len(output) == 1:  # an exported program's
        return output[0]
    logits = output.get("logits", output.get("out")) if isinstance(output, Mapping) else None
    return getattr(output, "logits", output) if logits is None else logits


def _is_copied(value: object) -> bool:
    return isinstance(value, list | dict | set | deque | MethodType | functools.partial)


class _Attribute(str):
    """The path of a scripted module's attribute that is not a tensor."""


def _scripted(module: torch.jit.ScriptModule, constants: dict[str, Tensor]) -> object:
    """The output in the graph of a scripted or traced module, as a node of torch.fx."""
    inlined = module.inlined_graph.copy()
    torch._C._jit_pass_constant_propagation(inlined)  # such as: if dtype is None
    graph = fx.Graph()
    made: dict[str, Any] = {}
    for number, value in enumerate(inlined.inputs()):
        made[value.debugName()] = graph.placeholder(f"input{number}") if number else _Attribute()
    for node in inlined.nodes():
        arguments = tuple(made[value.debugName()] for value in node.inputs())
        kind = node.kind().rpartition("::")[2]
        for value in node.outputs():
            name = value.debugName()
            result: Any = None
            if kind == "GetAttr":
                path = f"{arguments[0]}.{node.s('name')}".strip(".")
                tensor = value.type().kind() == "TensorType"
                result = graph.create_node("get_attr", path, ()) if tensor else _Attribute(path)
            elif kind == "Constant":
                result = value.toIValue()
                if isinstance(result, Tensor) and result.numel() == 1:
                    result = result.item()
                elif isinstance(result, Tensor):  # of a frozen module
                    constants[name] = result
                    result = graph.create_node("get_attr", name, ())
            elif kind == "unchecked_cast":
                result = arguments[0]
            elif kind == "DictConstruct":
                result = dict(zip(arguments[::2], arguments[1::2], strict=True))
            else:
                result = graph.create_node("call_method", kind, arguments)
            made[name] = result
    outputs = [made[value.debugName()] for value in inlined.outputs()]
    return _logits_of(outputs[0] if len(outputs) == 1 else tuple(outputs))


class _Tracer(GraphAppendingTracer):
    """Records operations in a graph; the network's tensors are constants."""

    def __init__(self, module: nn.Module, constants: dict[str, Tensor]) -> None:
        super().__init__(fx.Graph())
        self._constants = constants
        tensors = [*module.named_parameters(), *module.named_buffers()]
        self._names = {id(tensor): name for name, tensor in tensors}

    def create_arg(self, a: Any) -> Any:
        if not isinstance(a, Tensor):
            return super().create_arg(a)
        if a.numel() == 1:  # scales all logits equally
            return 1.0 if a.is_meta else a.item()
        owner = a if a._base is None else a._base  # of `weight.T`
        key = f"{self._names.get(id(owner), COMPUTED)}{'' if owner is a else '.T'}"
        key += f"{_NUMBER}{len(self._constants)}"
        self._constants[key] = a
        return self.create_node("get_attr", key, (), {})


# ── the way back ──────────────────────────────────────────────────────────────────────────────


class _WayBack:
    """Follows a graph from the output to what made it."""

    def __init__(self, module: nn.Module, constants: Mapping[str, Tensor]) -> None:
        self._module, self._constants = module, constants

    def from_node(self, node: fx.Node, sums: int = 2) -> OutputTrace:
        """How a node was made; of sums in sums, so many levels are followed."""
        end = OutputTrace(None, THE_INPUT)
        while node.op != "placeholder":
            step = _step(node)
            inputs = [one for one in node.all_input_nodes if one.op != "get_attr"]
            if node.op == "call_module":
                called = self._module.get_submodule(step)
                passes = None if is_linear(called) else trace_output(called)
                if passes is None or passes.otherwise != THE_INPUT:
                    reads = node.args[0] if node.args else None
                    return replace(end, maker=step, otherwise="", reads=reads)
            else:
                passes = _passing(node, step, inputs)
                other = replace(end, otherwise=f"the result of {step!r}")
                if (weights := self._weights(node, step)) is not None:
                    return replace(other, weights=weights, reads=inputs[0])
                if sums and step in SUMS and len(inputs) > 1 and _is_plain_sum(node):
                    terms = tuple(self.from_node(one, sums - 1) for one in inputs)
                    return replace(other, terms=terms)
                if passes is None:
                    return OutputTrace(None, other.otherwise, end.squashing)
            end = replace(
                end,
                squashing=end.squashing or passes.squashing,
                altered=end.altered or passes.altered,
                clipped=end.clipped or passes.clipped,
                scale=end.scale * passes.scale,
            )
            node = inputs[0]  # others are sizes to reshape to
        return end

    def _weights(self, node: fx.Node, step: str) -> Weights | None:
        """The weights that a step multiplies with features, if they are the module's tensors."""
        given: list[Any] = [*node.args, None, None, None]
        weight: Any = None
        bias: Any = None
        turned = step != "linear" and step not in CONVOLUTIONS
        if not turned:
            weight = node.kwargs.get("weight", given[1])
            bias = node.kwargs.get("bias", given[2])
        elif step == "addmm":
            bias, _, weight = given[:3]
        elif step in PRODUCTS:
            weight = given[1]
        elif step in SUMS:  # features @ weight + bias
            bias, product = sorted(given[:2], key=lambda one: _is_call(one, *PRODUCTS))
            weight = product.args[1] if _is_call(product, *PRODUCTS) else None
        while _is_call(weight, *TRANSPOSES):
            weight, turned = weight.args[0], not turned
        values, shift = self._tensor(weight), self._tensor(bias)
        if values is None or values.ndim < 2 or (bias is not None and shift is None):
            return None
        if values.shape[2:].numel() != 1:
            return None  # a convolution that is not 1×1
        rows = values.T if turned else values
        path = str(weight.target).partition(_NUMBER)[0].removeprefix("self.")
        return Weights(path.removesuffix(".T").removesuffix(".weight"), rows, shift)

    def _tensor(self, node: object) -> Tensor | None:
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            return None
        if (known := self._constants.get(str(node.target))) is not None:
            return known
        try:
            value = operator.attrgetter(str(node.target))(self._module)
        except AttributeError:
            return None
        return value if isinstance(value, Tensor) else None


def _step(node: fx.Node) -> str:
    """The name of a node's call; that of ``aten.linear.default`` is "linear"."""
    if isinstance(node.target, str):
        return node.target
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target.overloadpacket.__name__)
    return str(getattr(node.target, "__name__", node.target))


def _is_call(node: object, *steps: str) -> TypeGuard[fx.Node]:
    return isinstance(node, fx.Node) and node.op.startswith("call") and _step(node) in steps


def _takes_logits(node: fx.Node) -> bool:
    """Whether the step is ``output.logits``, ``output["logits"]`` or ``output["out"]``."""
    return node.args[-1:] in (("logits",), ("out",))


def _passing(node: fx.Node, step: str, inputs: list[fx.Node]) -> OutputTrace | None:
    """What a step does to the logits that it is given; None if they lose their meaning."""
    if not inputs:
        return None
    given = OutputTrace(None, THE_INPUT)
    if step in SQUASHING_CALLS:
        return replace(given, squashing=SQUASHING_CALLS[step])
    if step in RELU_CALLS:
        return replace(given, altered=True, clipped=True)
    if step in NEUTRAL_CALLS or _takes_logits(node):
        return given
    if step in SUMS and len(inputs) == 1 and _is_plain_sum(node):  # an offset
        return replace(given, altered=True)
    numbers = [arg for arg in node.args if isinstance(arg, int | float)]
    if step in SCALING_CALLS and len(numbers) == 1 and numbers[0] > 0:  # a temperature
        divides = "div" in step
        if not divides or numbers[0] is not node.args[0]:
            scale = 1 / numbers[0] if divides else numbers[0]
            return replace(given, altered=True, scale=scale)
    return None


def _is_plain_sum(node: fx.Node) -> bool:
    """Whether a sum is that of its parts as they are; torch can scale the second."""
    return node.kwargs.get("alpha", 1) in (1, 1.0) and node.args[2:] in ((), (1,))


class _StandIn:
    """Stands in for a submodule: looks like it, but calls are only recorded."""

    def __init__(
        self, module: nn.Module, path: str, tracer: _Tracer, registered: Mapping[int, _StandIn]
    ) -> None:
        self._module, self._path = module, path
        self._tracer, self._registered = tracer, registered

    @property  # type: ignore[misc]  # so that isinstance answers as for the submodule
    def __class__(self) -> type[Any]:
        return type(self._module)

    def __call__(self, *args: Any, **kwargs: Any) -> fx.Proxy:
        if self._path:
            return self._tracer.create_proxy("call_module", self._path, args, kwargs)
        return self._tracer.create_proxy("call_method", type(self._module).__name__, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._wrapped(getattr(self._module, name))

    def __getitem__(self, key: Any) -> Any:
        return self._wrapped(self._module[key])  # type: ignore[index]

    def __len__(self) -> int:
        return len(self._module)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        children: Any = self._module
        return map(self._wrapped, children)

    def _wrapped(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            made_here = _StandIn(value, "", self._tracer, self._registered)  # for example a slice
            return self._registered.get(id(value), made_here)
        if isinstance(value, tuple):
            return tuple(map(self._wrapped, value))
        if isinstance(value, Iterator | KeysView | ValuesView | ItemsView):
            return map(self._wrapped, value)
        if inspect.ismethod(value):
            return functools.partial(self._call, value)
        return value

    def _call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        if method.__name__ == "forward":
            return self(*args, **kwargs)
        if method.__module__ in ("torch.nn.modules.module", "torch.nn.modules.container"):
            return self._wrapped(method(*args, **kwargs))
        path = f"{self._path}.{method.__name__}"
        return self._tracer.create_proxy("call_method", path, args, kwargs)
