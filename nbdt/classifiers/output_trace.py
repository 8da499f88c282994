"""Which part of a network produces its output, traced through its own ``forward``.

A module's forward runs once on stand-ins: a symbolic input, and for each submodule an object that
records its calls. Nothing is computed, no submodule runs, and the network is not changed. In the
recorded graph the output is followed back past steps that keep the meaning of the logits (dropout,
pooling, reshaping, log_softmax, …) to the submodule that produced them.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from types import MethodType
from typing import Any

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
SCALING_CALLS = frozenset({"mul", "div", "truediv"})
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


@dataclass(frozen=True)
class OutputTrace:
    """How a module's forward ends.

    Attributes:
        maker: the submodule whose output, after neutral steps, is returned; None if it is something
            else: the input itself, a sum, a product of tensors, ….
        otherwise: what is returned instead, in words.
        squashing: ``"softmax"`` or ``"sigmoid"`` if one comes last, or None.
        altered: whether a relu or a scale, such as a temperature, is in between.
    """

    maker: str | None
    otherwise: str = ""
    squashing: str | None = None
    altered: bool = False


def trace_output(module: nn.Module) -> OutputTrace | None:
    """How the module's forward ends; None if that depends on the values of an input."""
    tracer = _Tracer(fx.Graph())
    try:
        output = _run(module, tracer)
    except Exception:  # the network's code was not written for stand-ins and may raise anything
        return None
    if not isinstance(output, fx.Proxy):
        return OutputTrace(None, f"a {type(output).__name__}, not the output of a layer")
    return _way_back(output.node, module)


def _run(module: nn.Module, tracer: _Tracer) -> object:
    stand_ins: dict[int, _StandIn] = {}
    for name, submodule in module.named_modules():
        if submodule is not module:
            stand_ins[id(submodule)] = _StandIn(submodule, name, tracer, stand_ins)
    # A copy, because forward may store things on self, or in a list there. Parameters and anything
    # else that the module holds (a trainer, a data set) are shared.
    shared = [*module.parameters(), *(v for v in vars(module).values() if not _is_copied(v))]
    actor = copy.deepcopy(module, {id(value): value for value in shared} | stand_ins)
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
    output = actor.forward(*positional, **named)
    if isinstance(output, fx.Proxy):
        return output
    # Like transformers' outputs, or a dictionary.
    logits = output.get("logits", output.get("out")) if isinstance(output, Mapping) else None
    return getattr(output, "logits", output) if logits is None else logits


def _is_copied(value: object) -> bool:
    return isinstance(value, list | dict | set | deque | MethodType | functools.partial)


def _way_back(node: fx.Node, module: nn.Module) -> OutputTrace:
    squashing: str | None = None
    altered = False
    while node.op != "placeholder":
        target = node.target
        step = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        if node.op == "call_module":
            called = module.get_submodule(step)
            inside = None if is_linear(called) else trace_output(called)
            if inside is None or inside.otherwise != THE_INPUT:
                return OutputTrace(step, "", squashing, altered)
            squashed, alters = inside.squashing, inside.altered
        else:
            squashed = SQUASHING_CALLS.get(step)
            alters = step in RELU_CALLS or _scales(node, step)
            neutral = step in NEUTRAL_CALLS or _takes_logits(node)
            if not (squashed or alters or neutral):
                return OutputTrace(None, f"the result of {step!r}", squashing)
        squashing = squashing or squashed
        altered = altered or alters
        node = node.all_input_nodes[0]  # others are sizes to reshape to
    return OutputTrace(None, THE_INPUT, squashing, altered)


def _takes_logits(node: fx.Node) -> bool:
    """Whether the step is ``output.logits``, ``output["logits"]`` or ``output["out"]``."""
    return node.args[-1:] in (("logits",), ("out",))


def _scales(node: fx.Node, step: str) -> bool:
    """Whether the step multiplies or divides by one positive number: a temperature."""
    numbers = [arg for arg in node.args if isinstance(arg, int | float)]
    return step in SCALING_CALLS and len(numbers) == 1 and numbers[0] > 0


class _Tracer(GraphAppendingTracer):
    """Records operations in a graph; the network's tensors are constants."""

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, Tensor):
            # A single number scales all logits equally.
            return 1.0 if a.numel() == 1 else self.create_node("get_attr", "constant", (), {})
        return super().create_arg(a)


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
        if method.__module__.startswith("torch.nn.modules."):  # children, parameters, …
            return self._wrapped(method(*args, **kwargs))
        path = f"{self._path}.{method.__name__}"
        return self._tracer.create_proxy("call_method", path, args, kwargs)
