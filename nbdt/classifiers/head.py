"""`Head`: the last linear layer of a classifier, and which layers qualify."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbdt.errors import HeadError, InputError, reason_of

LinearLayer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True, eq=False)
class Head:
    """The last linear layer of a classifier: one row of weights per class.

    `rows` and `bias` are read from the layer each time, so they follow its training and its moves
    between devices.

    Args:
        path: the layer's name, as in ``network.get_submodule(path)``; for a scikit-learn classifier
            the attribute that holds its weights.
        module: the layer; a forward hook on it sees the features as its input. For a scikit-learn
            classifier a `torch.nn.Linear` with the same weights, in float64.
        classes: the classifier's own class names, or None.
        altered: whether the network may return something other than the layer's output (scaled by a
            temperature, clipped by a relu, added to another's), or is not known to return just
            that.
        detached: whether the network holds the weights but no such layer, so that hooks on `module`
            see nothing: scripted and exported modules, sums of layers, other libraries' models.
    """

    path: str
    module: LinearLayer
    classes: tuple[str, ...] | None = None
    altered: bool = False
    detached: bool = False

    @property
    def rows(self) -> Float[Tensor, "outputs features"]:
        """The weights, detached, in the layer's own dtype and on its device.

        A HeadError if the layer is on the meta device, without weights.
        """
        weight = used_tensor(self.module, "weight")
        assert weight is not None
        if weight.is_meta:
            raise HeadError(
                f"the head {self.path!r} is on the meta device, so it has no weights yet; load "
                "the network's weights first."
            )
        return plain_tensor(weight).flatten(1)

    @property
    def bias(self) -> Float[Tensor, " outputs"] | None:
        """The biases, detached; None if the layer has none."""
        bias = used_tensor(self.module, "bias")
        return None if bias is None else plain_tensor(bias)

    @property
    def num_features(self) -> int:
        """How many features the layer reads."""
        return _num_features(self.module)

    @property
    def num_classes(self) -> int:
        """How many classes the layer separates; one output z means the logits (0, z)."""
        return max(2, num_outputs(self.module))


def linear_layer(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer that holds just these weights, a row per output; it shares their memory."""
    outputs, features = weight.flatten(1).shape
    layer = nn.Linear(features, outputs, bias=bias is not None, device="meta")
    for name, tensor in (("weight", weight.flatten(1)), ("bias", bias)):
        if tensor is not None:
            own = isinstance(tensor, nn.Parameter)
            setattr(layer, name, tensor if own else nn.Parameter(tensor.detach(), False))
    return layer


def joined_layer(layers: Sequence[LinearLayer], scales: Sequence[float], same: bool) -> nn.Linear:
    """A sum of layers as one: with the sum of their rows if they read the same features.

    If they read different ones, the features, and so the rows, stand side by side.
    """
    heads = [Head("", layer) for layer in layers]
    rows = [scale * head.rows for head, scale in zip(heads, scales, strict=True)]
    biases = [
        scale * head.bias
        for head, scale in zip(heads, scales, strict=True)
        if head.bias is not None
    ]
    weight = torch.stack(rows).sum(0) if same else torch.cat(rows, dim=1)
    return linear_layer(weight, torch.stack(biases).sum(0) if biases else None)


def used_tensor(layer: nn.Module, name: str) -> Tensor | None:
    """A tensor of a layer as the next forward pass in eval mode uses it; the layer is unchanged.

    Pruning and the older weight and spectral norms set it by a hook in the forward pass, so it is
    stale after other weights are loaded. Parametrizations compute it, and some advance thereby.
    """
    chains = getattr(layer, "parametrizations", None)
    if isinstance(chains, nn.ModuleDict) and name in chains:
        chain = chains[name]
        if any(part.training for part in chain.modules()):
            chain = copy.deepcopy(chain).eval()
        with torch.no_grad():
            computed: Tensor = chain()
        return computed
    if name in vars(layer) and layer._forward_pre_hooks:
        layer = _after_hooks(layer)
    tensor: Tensor | None = getattr(layer, name)
    return tensor


def _after_hooks(layer: nn.Module) -> nn.Module:
    """A copy of a layer on which its forward pre-hooks have run."""
    twin = copy.copy(layer)
    twin.training = False
    for kind in ("_parameters", "_buffers"):
        tensors = vars(layer)[kind].items()
        vars(twin)[kind] = {k: None if t is None else t.detach().clone() for k, t in tensors}
    shape = (1, _num_features(layer), *(1 for _ in getattr(layer, "kernel_size", ())))
    features = torch.zeros(shape, device=next(layer.parameters()).device)
    try:
        with torch.no_grad():
            for key, hook in layer._forward_pre_hooks.items():
                with_kwargs = key in layer._forward_pre_hooks_with_kwargs
                hook(twin, (features,), *([{}] if with_kwargs else []))
    except Exception as error:  # a stranger's code
        raise HeadError(
            f"the weights of this {type(layer).__name__} are set by a forward hook, which failed "
            f"without a real input: {reason_of(error)}"
        ) from None
    return twin


def plain_tensor(tensor: Tensor) -> Tensor:
    """The values of a tensor of any subclass or layout (sharded, quantized, sparse, nested, …).

    It is detached; an InputError if there is no way to an ordinary tensor.
    """
    found, kind = tensor.detach(), type(tensor).__name__
    if found.is_nested:
        parts = found.unbind()
        if len({part.shape for part in parts}) != 1:
            raise InputError("the rows of this nested tensor have different lengths.")
        found = torch.stack(parts)
    for _ in range(4):  # a sharded tensor may hold quantized ones
        if type(found) in (Tensor, nn.Parameter):
            dense = found.dequantize() if found.is_quantized else found
            return dense if dense.layout == torch.strided else dense.to_dense()
        found = _unwrapped(found)
    raise InputError(f"the values of a {kind} cannot be read; convert it to an ordinary tensor.")


def _unwrapped(tensor: Tensor) -> Tensor:
    for name in ("full_tensor", "dequantize"):
        way = getattr(type(tensor), name, None)
        if way is not None and way is not getattr(Tensor, name, None):
            values: Tensor = way(tensor)
            return values.detach()
    try:
        # Without a memory of its own, it computes what torch asks of it.
        tensor.untyped_storage().data_ptr()
        return tensor.as_subclass(Tensor)
    except RuntimeError:
        if tensor.ndim != 2:
            return tensor
        with torch.no_grad():
            eye = torch.eye(tensor.shape[1], dtype=tensor.dtype, device=tensor.device)
            return F.linear(eye, tensor).T


def num_outputs(layer: LinearLayer) -> int:
    """The number of rows: 1 in a binary classifier with one logit."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _num_features(layer: nn.Module) -> int:
    """The number of features that a layer reads."""
    name = "in_features" if isinstance(layer, nn.Linear) else "in_channels"
    return int(getattr(layer, name))


def is_linear(module: object) -> TypeGuard[LinearLayer]:
    """Whether a module is a linear layer or a 1×1 convolution that reads all channels."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return set(module.kernel_size) == {1} and module.groups == 1
    return isinstance(module, nn.Linear)


def scripted_layer(module: nn.Module) -> nn.Linear | None:
    """A linear layer of a scripted or traced network, with its weights; None if it is another."""
    if not isinstance(module, torch.jit.ScriptModule) or module.original_name != "Linear":
        return None
    return linear_layer(module.weight, module.bias)


def checked_layer(module: nn.Module, path: str) -> LinearLayer:
    """The module as a layer with readable weights; a `HeadError` says why it is not one."""
    kind = type(module).__name__
    if is_quantized(module):
        raise HeadError(
            f"the layer {path!r} is quantized ({kind}), which nbdt does not read; use the network "
            "as it was before quantization."
        )
    if not is_linear(module):
        inside = linear_layers(module)
        raise HeadError(
            f"{path!r} is a {kind}, not a linear layer or 1×1 convolution"
            + (f"; inside it are {describe_layers(inside, path)}." if inside else ".")
        )
    weight = used_tensor(module, "weight")
    assert weight is not None
    if nn.parameter.is_lazy(weight):
        raise HeadError(
            f"the layer {path!r} is a {kind} that has not seen an input, so it has no weights; "
            "run one batch through the network first."
        )
    # Layers with packed weights (8 and 4 bits) are also named Linear.
    if not weight.is_floating_point() or weight.shape[0] != num_outputs(module):
        raise HeadError(
            f"the weights of {path!r} are stored as {weight.dtype} of shape "
            f"{tuple(weight.shape)}, which nbdt does not read; use the network as it was before "
            "quantization."
        )
    return module


def linear_layers(module: nn.Module) -> dict[str, LinearLayer]:
    """The linear layers in a module by name, in its order, each once.

    Layers inside torch's own blocks (attention, transformer layers) cannot be heads.
    """
    found: dict[str, LinearLayer] = {}
    seen: set[int] = set()
    stack = [("", module)]
    while stack:
        name, current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if is_linear(current):
            found[name] = current
        elif (scripted := scripted_layer(current)) is not None:
            found[name] = scripted
        elif hasattr(current, "base_layer"):
            continue  # an adapter, whose layers give parts of a sum
        elif current is module or not is_torch_block(current):
            children = [(f"{name}.{key}".lstrip("."), m) for key, m in current.named_children()]
            stack.extend(reversed(children))
    return found


def is_quantized(module: nn.Module) -> bool:
    """Whether a module is one of torch's quantized layers."""
    layer = hasattr(module, "weight") or not list(module.children())
    return layer and "quantized" in type(module).__module__


def is_torch_block(module: nn.Module) -> bool:
    """Whether a module is one of torch's own layers, and not a container of others."""
    containers = nn.Sequential | nn.ModuleList | nn.ModuleDict
    return type(module).__module__.startswith("torch.nn.modules.") and not isinstance(
        module, containers
    )


def describe_layers(layers: dict[str, LinearLayer], prefix: str = "", most: int = 8) -> str:
    """The layers as text, ``'fc' (512 → 10)``; of many, the last ones, where most heads are."""
    texts = []
    for name, layer in list(layers.items())[-most:]:
        path = f"{prefix}.{name}".strip(".")
        texts.append(f"{path!r} ({_num_features(layer)} → {num_outputs(layer)})")
    omitted = len(layers) - len(texts)
    return (f"{omitted} others, … " if omitted else "") + ", ".join(texts)
