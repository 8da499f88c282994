"""Networks by name with trained weights, and what is known of those weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision import models

from nbdt.classifiers.builder import Builder
from nbdt.classifiers.families import check_known, import_timm
from nbdt.errors import NotFoundError
from nbdt.inputs.image import Preprocessing


@dataclass(frozen=True)
class WeightsInfo:
    """What is known of trained weights besides the numbers.

    Attributes:
        preprocessing: how their network wants its images.
        classes: the class names in the network's order; None where the publisher gives none.

    Example:
        >>> WeightsInfo(Preprocessing(resize=256, crop=224), None).preprocessing.crop
        224
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...] | None


def build(name: str, *, weights: str | None = None, **arguments: Any) -> nn.Module:
    """A network by name; its `Builder` is noted on it, for `NBDT.save_pretrained`.

    Args:
        name: "torchvision:resnet50", "timm:convnext_tiny", "nbdt:digits-cnn", ….
        weights: None for random weights. A name, such as "DEFAULT", takes trained weights from
            torchvision's or timm's publishers, which **downloads** them unless they are cached;
            for timm a name is the tag, such as "a1_in1k".
        **arguments: as in `Builder`.

    Raises:
        NotFoundError: no network or no weights are called so, or they cannot be fetched.
        InputError: the arguments do not fit the network, or the weights.
        MissingDependencyError: it is a network of timm, which is not installed.

    Example:
        >>> build("torchvision:resnet18", num_classes=10).fc
        Linear(in_features=512, out_features=10, bias=True)
        >>> build("torchvision:resnet19")
        Traceback (most recent call last):
        nbdt.errors.NotFoundError: torchvision has no classifier 'resnet19'; near names: ...
    """
    builder = Builder(name, arguments)
    if weights is None:
        network = builder.build()
    else:
        builder, chosen = _with_weights(builder, weights)
        try:
            network = builder.build(**chosen)
        except (OSError, RuntimeError) as error:
            raise NotFoundError(
                f"the weights {weights} of {name} could not be fetched: {error}"
            ) from error
        # Some weights make torchvision change these; without them the input would be scaled
        # otherwise when the network is built again.
        flags = {key: getattr(network, key, None) for key in ("aux_logits", "transform_input")}
        kept = {key: value for key, value in flags.items() if isinstance(value, bool)}
        if builder.family == "torchvision":
            builder = Builder(builder.name, {**builder.arguments, **kept})
    network.nbdt_builder = builder  # type: ignore[assignment]
    return network


def weights_info(name: str, weights: str = "DEFAULT") -> WeightsInfo:
    """The preprocessing and class names of trained weights; nothing is downloaded.

    Raises:
        NotFoundError: no network or no weights are called so.
        MissingDependencyError: it is a network of timm, which is not installed.

    Example:
        >>> weights_info("torchvision:resnet50").classes[0]
        'tench'
    """
    builder, chosen = _with_weights(Builder(name), weights)
    if builder.family == "torchvision":
        found = chosen["weights"]
        return WeightsInfo(
            Preprocessing.from_torchvision(found.transforms()), tuple(found.meta["categories"])
        )
    timm = import_timm()
    config = timm.get_pretrained_cfg(builder.network).to_dict()
    resolved = timm.data.resolve_data_config(pretrained_cfg=config)
    return WeightsInfo(Preprocessing.from_timm(resolved), None)


def _with_weights(builder: Builder, weights: str) -> tuple[Builder, dict[str, Any]]:
    """The builder for these weights, and what to give the constructor besides its arguments."""
    check_known(builder.family, builder.network)
    if builder.family == "torchvision":
        # Weights without class names are of features only; their last layer is not a number.
        available = {
            name: one
            for name, one in models.get_model_weights(builder.network).__members__.items()
            if one.meta["categories"] is not None
        }
        if weights not in available:
            raise NotFoundError(
                f"{builder.name} has the weights {', '.join(available)}, not {weights!r}."
            )
        return builder, {"weights": available[weights]}
    if builder.family == "nbdt":
        raise NotFoundError(f"{builder.name} has no published weights; train it.")
    network = builder.network if weights == "DEFAULT" else f"{builder.network}.{weights}"
    tags = import_timm().list_pretrained(f"{network.partition('.')[0]}.*")
    if "." in network and network not in tags:
        raise NotFoundError(f"{builder.name} has the weights {', '.join(tags)}, not {network}.")
    return Builder(f"timm:{network}", builder.arguments), {"pretrained": True}
