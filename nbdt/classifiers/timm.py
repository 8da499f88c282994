"""timm: its networks by name, their weights' tags, and where their heads are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
from nbdt.classifiers.builder import Builder, first_that_builds
from nbdt.classifiers.search import runs_code_of
from nbdt.errors import InputError, NotFoundError, missing
from nbdt.hierarchy.library import load_classes
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

    def input(self, model: nn.Module) -> Preprocessing | None:
        config = _config(model)
        stem = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        size = config.get("input_size", ())
        if stem is None or not size or stem.in_channels != size[0]:
            return None
        try:
            return self.as_input(config | {"input_size": (size[0], *_image_size(model, size[1:]))})
        except InputError:
            return None

    def as_input(self, value: Any) -> Preprocessing | None:
        if type(value).__module__.startswith("timm.") and hasattr(value, "to_dict"):
            value = value.to_dict()  # a PretrainedCfg
        if not isinstance(value, Mapping) or not value.keys() >= {"input_size", "crop_pct", "mean"}:
            return None
        return preprocessing_of(value)

    def rebuilds(self, module: nn.Module) -> tuple[str, dict[str, Any]] | None:
        config = _config(module)
        name, tag = config.get("architecture"), config.get("tag")
        if not isinstance(name, str) or not type(module).__module__.startswith("timm."):
            return None
        names = [one for one in (name, f"{name}.{tag}") if one in self.networks()]
        return first_that_builds(module, self._candidates(names, module), self)

    def _candidates(
        self, names: list[str], module: nn.Module
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in names:
            builder = Builder(name=f"{self.name}:{name}")
            found, expected = _settings(module), _settings(builder.blueprint())
            if rate := found.get("drop_path_rate"):
                # Not every network reaches the rate that it is built with.
                tenth = _settings(builder.replace(arguments={"drop_path_rate": 0.1}).blueprint())
                found["drop_path_rate"] = round(0.1 * rate / tenth["drop_path_rate"], 6)
            yield name, {k: v for k, v in found.items() if v != expected.get(k)}

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
        classes = None
        if config["num_classes"] == len(names := load_classes("imagenet1k")):
            classes = tuple(row.name for row in names)
        return WeightsInfo(
            preprocessing_of(timm.data.resolve_data_config(pretrained_cfg=config)), classes
        )

    def likely_weights(self, network: str, file: str) -> str | None:
        return "DEFAULT"


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


def _config(module: nn.Module) -> dict[str, Any]:
    config = getattr(module, "pretrained_cfg", None)
    return dict(config) if isinstance(config, Mapping) else {}


def _settings(module: nn.Module) -> dict[str, Any]:
    """The arguments of its builder that a network's attributes and layers tell."""
    found: dict[str, Any] = {}
    layers = list(module.modules())
    heads = module.get_classifier()  # type: ignore[operator]
    head = heads[0] if isinstance(heads, tuple | list) else heads
    if last := [m for m in head.modules() if isinstance(m, nn.Linear | nn.Conv2d)]:
        found["num_classes"] = len(last[-1].weight)
    if stems := [m for m in layers if isinstance(m, nn.Conv2d)]:
        found["in_chans"] = stems[0].in_channels
    if isinstance(rate := getattr(module, "drop_rate", None), int | float):
        found["drop_rate"] = float(rate)
    if paths := [
        float(getattr(m, "drop_prob", 0)) for m in layers if type(m).__name__ == "DropPath"
    ]:
        found["drop_path_rate"] = max(paths)
    height, width = _image_size(module, (0, 0))
    return found | ({"img_size": height} if height == width != 0 else {})


def _image_size(module: nn.Module, usual: tuple[int, int]) -> tuple[int, int]:
    size = getattr(getattr(module, "patch_embed", None), "img_size", None)
    return size if isinstance(size, tuple) and len(size) == 2 else usual


def _import_timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError:
        raise missing("timm", "timm", "a network of timm") from None
    return timm
