"""`Head`: the last linear layer of a classifier, and which layers qualify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.weight_norm import WeightNorm

from nbdt.errors import HeadError

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
    """

    path: str
    module: LinearLayer
    classes: tuple[str, ...] | None = None
    altered: bool = False

    @property
    def rows(self) -> Float[Tensor, "outputs features"]:
        """The weights, detached, in the layer's own dtype and on its device.

        A HeadError if the layer is on the meta device, without weights.
        """
        weight = self.module.weight
        for hook in self.module._forward_pre_hooks.values():
            # torch's older weight_norm sets `weight` only in the forward pass, so it is stale
            # after other weights are loaded.
            if isinstance(hook, WeightNorm):
                weight = hook.compute_weight(self.module)
        if weight.is_meta:
            raise HeadError(
                f"the head {self.path!r} is on the meta device, so it has no weights yet; load "
                "the network's weights first."
            )
        return weight.detach().flatten(1)

    @property
    def bias(self) -> Float[Tensor, " outputs"] | None:
        """The biases, detached; None if the layer has none."""
        return None if self.module.bias is None else self.module.bias.detach()

    @property
    def num_features(self) -> int:
        """How many features the layer reads."""
        layer = self.module
        return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels

    @property
    def num_classes(self) -> int:
        """How many classes the layer separates; one output z means the logits (0, z)."""
        return max(2, num_outputs(self.module))


def num_outputs(layer: LinearLayer) -> int:
    """The number of rows: 1 in a binary classifier with one logit."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def is_linear(module: object) -> TypeGuard[LinearLayer]:
    """Whether a module is a linear layer or a 1×1 convolution that reads all channels."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return set(module.kernel_size) == {1} and module.groups == 1
    return isinstance(module, nn.Linear)


def checked_layer(module: nn.Module, path: str) -> LinearLayer:
    """The module as a layer with readable weights; a `HeadError` says why it is not one."""
    kind = type(module).__name__
    if "quantized" in type(module).__module__:
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
    if nn.parameter.is_lazy(module.weight):
        raise HeadError(
            f"the layer {path!r} is a {kind} that has not seen an input, so it has no weights; "
            "run one batch through the network first."
        )
    weight = module.weight
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
        elif current is module or not is_torch_block(current):
            children = [(f"{name}.{key}".lstrip("."), m) for key, m in current.named_children()]
            stack.extend(reversed(children))
    return found


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
        features = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
        path = f"{prefix}.{name}".strip(".")
        texts.append(f"{path!r} ({features} → {num_outputs(layer)})")
    omitted = len(layers) - len(texts)
    return (f"{omitted} others, … " if omitted else "") + ", ".join(texts)
