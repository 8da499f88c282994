"""timm: its networks by name, their weights' tags, and where their heads are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from nbdt.classifiers.base import (
    MAX_CHANNELS,
    MAX_CLASSES,
    MAX_SIDE,
    SHARE,
    Library,
    Limits,
    WeightsInfo,
)
from nbdt.classifiers.search import runs_code_of
from nbdt.errors import InputError, NotFoundError, missing
from nbdt.inputs.image import Preprocessing

_MODULE = "timm."


class Timm(Library):
    """The interface to timm."""

    name = "timm"
    arguments: ClassVar[Mapping[str, Limits]] = {
        "num_classes": MAX_CLASSES,
        "in_chans": MAX_CHANNELS,
        "img_size": MAX_SIDE,
        "drop_rate": SHARE,
        "drop_path_rate": SHARE,
    }

    def recognizes(self, model: object) -> bool:
        return any(cls.__module__.startswith(_MODULE) for cls in type(model).__mro__)

    def head_paths(self, module: nn.Module) -> list[str] | None:
        getter: Any = getattr(module, "get_classifier", None)
        if getter is None or not runs_code_of(module, _MODULE):
            return None
        answer = getter()
        parts = answer if isinstance(answer, tuple | list) else [answer]
        names = {id(part): name for name, part in module.named_modules()}
        return [names[id(part)] for part in parts if id(part) in names] or None

    def networks(self) -> list[str]:
        timm = _import_timm()
        return sorted({*timm.list_models(), *timm.list_pretrained()})

    def construct(self, network: str, **arguments: Any) -> nn.Module:
        module: nn.Module = _import_timm().create_model(network, **arguments)
        return module

    def weights(self, network: str, weights: str) -> tuple[str, dict[str, Any]]:
        tagged = network if weights == "DEFAULT" else f"{network}.{weights}"
        tags = _import_timm().list_pretrained(f"{tagged.partition('.')[0]}.*")
        if "." in tagged and tagged not in tags:
            raise NotFoundError(f"timm:{network} has the weights {', '.join(tags)}, not {tagged}.")
        return tagged, {"pretrained": True}

    def weights_info(self, network: str, weights: str) -> WeightsInfo:
        timm = _import_timm()
        config = timm.get_pretrained_cfg(self.weights(network, weights)[0]).to_dict()
        return WeightsInfo(
            preprocessing_of(timm.data.resolve_data_config(pretrained_cfg=config)), None
        )


def preprocessing_of(config: Mapping[str, Any]) -> Preprocessing:
    """The evaluation transform from ``timm.data.resolve_model_data_config(network)``.

    An InputError if the config is incomplete, or pads the image, which is not supported.
    """
    try:
        channels, *size = config["input_size"]
        mode: Any = {1: "L", 3: "RGB"}[channels]
        resized = tuple(math.floor(side / config["crop_pct"]) for side in size)
        squash = config["crop_mode"] == "squash"
        if config["crop_mode"] not in ("center", "squash"):
            raise InputError(f"timm's crop_mode {config['crop_mode']!r} is not supported.")
        if not squash and resized[0] != resized[1]:
            raise InputError(
                f"timm's crop_mode 'center' is supported for square inputs, got {size}."
            )
        return Preprocessing(
            mode=mode,
            resize=resized if squash else resized[0],
            crop=tuple(size),
            interpolation=config["interpolation"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"this data config of timm is not complete: {error!r}.") from None


def _import_timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError:
        raise missing("timm", "timm", "a network of timm") from None
    return timm
