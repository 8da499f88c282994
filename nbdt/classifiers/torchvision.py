"""torchvision: its classifiers by name, their published weights, and where their heads are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn
from torchvision import models

from nbdt.classifiers.base import MAX_CLASSES, MAX_SIDE, SHARE, Library, Limits, WeightsInfo
from nbdt.classifiers.search import runs_code_of
from nbdt.errors import HeadError, InputError, NotFoundError
from nbdt.inputs.image import Preprocessing

_MODULE = "torchvision.models."
_HEADS = ("fc", "classifier", "head", "heads")
_OTHER_TASKS = ("detection", "optical_flow")
# These warn without an explicit initialization.
_NEED_INIT_WEIGHTS = ("googlenet", "inception_v3")


class Torchvision(Library):
    """The interface to torchvision."""

    name = "torchvision"
    arguments: ClassVar[Mapping[str, Limits]] = {
        "num_classes": MAX_CLASSES,
        "image_size": MAX_SIDE,
        "width_mult": (0.01, 4.0),
        "dropout": SHARE,
        "aux_logits": bool,
        "transform_input": bool,
    }

    def recognizes(self, model: object) -> bool:
        return any(cls.__module__.startswith(_MODULE) for cls in type(model).__mro__)

    def check(self, module: nn.Module) -> None:
        if not runs_code_of(module, _MODULE, "forward"):
            return
        for cls in type(module).__mro__:
            task = cls.__module__.removeprefix(_MODULE).split(".")[0]
            if cls.__module__.startswith(_MODULE) and task in _OTHER_TASKS:
                raise HeadError(
                    f"{type(module).__name__} is a torchvision model for {task.replace('_', ' ')}; "
                    "a tree of classes needs a classifier with logits for each image or pixel."
                )

    def head_paths(self, module: nn.Module) -> list[str] | None:
        if not runs_code_of(module, _MODULE):
            return None
        return [n for n in _HEADS if isinstance(getattr(module, n, None), nn.Module)] or None

    def networks(self) -> list[str]:
        return sorted(models.list_models(module=models))

    def construct(self, network: str, **arguments: Any) -> nn.Module:
        if network in _NEED_INIT_WEIGHTS and "weights" not in arguments:
            arguments["init_weights"] = True
        module: nn.Module = models.get_model(network, **arguments)
        return module

    def weights(self, network: str, weights: str) -> tuple[str, dict[str, Any]]:
        # Weights without class names cover features only; their last layer is random.
        available = {
            name: one
            for name, one in models.get_model_weights(network).__members__.items()
            if one.meta["categories"] is not None
        }
        if weights not in available:
            raise NotFoundError(
                f"torchvision:{network} has the weights {', '.join(available)}, not {weights!r}."
            )
        return network, {"weights": available[weights]}

    def weights_info(self, network: str, weights: str) -> WeightsInfo:
        chosen = self.weights(network, weights)[1]["weights"]
        return WeightsInfo(preprocessing_of(chosen.transforms()), tuple(chosen.meta["categories"]))

    def set_by_weights(self, module: nn.Module) -> dict[str, Any]:
        # Without these the rebuilt network would scale the input differently.
        flags = {key: getattr(module, key, None) for key in ("aux_logits", "transform_input")}
        return {key: value for key, value in flags.items() if isinstance(value, bool)}


def preprocessing_of(transforms: Any) -> Preprocessing:
    """The preprocessing that ``weights.transforms()`` of a torchvision classifier does.

    An InputError unless it is torchvision's ImageClassification transform.
    """
    try:
        # torchvision keeps both sides as lists of one.
        (resize,), (crop,) = transforms.resize_size, transforms.crop_size
        return Preprocessing(
            resize=resize,
            crop=crop,
            interpolation=transforms.interpolation.value,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
        )
    except (AttributeError, TypeError):
        raise InputError(
            "expected the ImageClassification transform of torchvision's weights, got "
            f"{type(transforms).__name__}."
        ) from None
