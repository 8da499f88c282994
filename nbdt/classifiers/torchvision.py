"""torchvision: its classifiers by name, their published weights and transforms, and their heads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torchvision import models
from torchvision.models import WeightsEnum
from torchvision.ops import StochasticDepth
from torchvision.transforms._presets import ImageClassification, SemanticSegmentation

from nbdt.classifiers.base import MAX_CLASSES, MAX_SIDE, SHARE, Library, Limits, WeightsInfo
from nbdt.classifiers.builder import Builder, first_that_builds, shortest_between
from nbdt.classifiers.search import runs_code_of
from nbdt.errors import HeadError, InputError, NotFoundError
from nbdt.inputs.image import Preprocessing

_MODULE = "torchvision.models."
_TRANSFORMS = "torchvision.transforms."
_HEADS = ("fc", "classifier", "head", "heads")
_OTHER_TASKS = ("detection", "optical_flow")
_CLASSES = 1000
_TRIED = 4  # of one class, those nearest in size
# What builders take and networks keep under the same name.
_ATTRIBUTES = (
    "image_size", "attention_dropout", "drop_rate", "memory_efficient", "aux_logits",
    "transform_input",
)  # fmt: skip
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
        "attention_dropout": SHARE,
        "stochastic_depth_prob": SHARE,
        "drop_rate": SHARE,
        "memory_efficient": bool,
        "aux_logits": bool,
        "aux_loss": bool,
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

    def as_input(self, value: Any) -> Preprocessing | None:
        if isinstance(value, WeightsEnum):
            value = value.transforms()
        if isinstance(value, partial) and _is_transform(value.func):
            value = value()  # weights.transforms, not called
        if isinstance(value, ImageClassification | SemanticSegmentation):
            return preprocessing_of(value)
        kind = type(value)
        if kind is nn.Sequential and len(value) and all(_is_transform(type(v)) for v in value):
            return preprocessing_of_steps(value)
        return preprocessing_of_steps([value]) if _is_transform(kind) else None

    def networks(self) -> list[str]:
        return sorted([*models.list_models(module=models), *_of_maps()])

    def construct(self, network: str, **arguments: Any) -> nn.Module:
        if network in _of_maps() and "weights" not in arguments:
            arguments["weights_backbone"] = None  # else it would be downloaded
        if network in _NEED_INIT_WEIGHTS and "weights" not in arguments:
            arguments["init_weights"] = True
        module: nn.Module = models.get_model(network, **arguments)
        return module

    def rebuilds(self, module: nn.Module) -> tuple[str, dict[str, Any]] | None:
        kind = type(module)
        names = [n for n in self.networks() if _builder(n).__module__ == kind.__module__]
        if not kind.__module__.startswith(_MODULE) or not names:
            return None
        if names[0] in _of_maps() and (last := _last_layer(module)) is not None:
            has_aux = getattr(module, "aux_classifier", None) is not None
            arguments = {"num_classes": len(last.weight)} | ({"aux_loss": True} if has_aux else {})
            return first_that_builds(module, ((name, arguments) for name in names), self)
        size = sum(parameter.numel() for parameter in module.parameters())
        if (head := _last_layer(module)) is not None:
            # As if it had the published networks' 1,000 classes.
            size += (_CLASSES - len(head.weight)) * (head.weight[:1].numel() + 1)
        names.sort(key=lambda name: abs(_published_size(name) - size))
        return first_that_builds(module, self._candidates(names[:_TRIED], module), self)

    def _candidates(
        self, names: Iterable[str], module: nn.Module
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names, the likeliest first, with the arguments that the network's settings speak for."""
        head = _last_layer(module)
        classes = _CLASSES if head is None else len(head.weight)
        for name in names:
            yield name, {} if classes == _CLASSES else {"num_classes": classes}
            usual = Builder(name=f"{self.name}:{name}").blueprint()
            found, expected = _settings(module), _settings(usual)
            width = _width_mult(module, usual) if "mobilenet" in name else 1.0
            changed = {k: v for k, v in found.items() if v != expected.get(k)}
            yield name, changed | ({} if width == 1.0 else {"width_mult": width})
            if _backbone(module) == _backbone(usual):
                return  # no other has these layers

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

    def likely_weights(self, network: str, file: str) -> str | None:
        known = models.get_model_weights(network).__members__
        own = (name for name, one in known.items() if one.url.endswith(f"/{file}"))
        likely: str = next(own, list(known.values())[-1].name)  # the names have an alias too
        return likely

    def set_by_weights(self, module: nn.Module) -> dict[str, Any]:
        # Without these the rebuilt network would scale the input differently.
        flags = {key: getattr(module, key, None) for key in ("aux_logits", "transform_input")}
        return {key: value for key, value in flags.items() if isinstance(value, bool)}


# ── how a user's network was built ────────────────────────────────────────────────────────────


def _of_maps() -> list[str]:
    """The names of the networks for segmentation."""
    return list(models.list_models(module=models.segmentation))


def _builder(name: str) -> Any:
    return models.get_model_builder(name)


def _published_size(name: str) -> int:
    return int(next(iter(models.get_model_weights(name))).meta["num_params"])


def _settings(module: nn.Module) -> dict[str, Any]:
    """The arguments of its builder that a network's attributes and layers tell."""
    found: dict[str, Any] = {}
    dropouts, depths = [], []
    for name, part in module.named_modules():
        for key in _ATTRIBUTES:
            if isinstance(value := getattr(part, key, None), bool | int | float):
                found.setdefault(key, value)
        if isinstance(part, nn.MultiheadAttention):
            found.setdefault("attention_dropout", part.dropout)
        if isinstance(part, nn.Dropout) and not name.startswith("aux"):
            dropouts.append(part.p)
        if isinstance(part, StochasticDepth):
            depths.append(part.p)
    if dropouts:
        found["dropout"] = float(dropouts[-1])  # the classifier's
    if depths:
        # EfficientNet never reaches the probability that it is built with.
        last = len(depths) / (len(depths) - 1) if isinstance(module, models.EfficientNet) else 1.0
        found["stochastic_depth_prob"] = round(max(depths) * last, 9)
    if (head := _last_layer(module)) is not None:
        found["num_classes"] = len(head.weight)
    return found


def _width_mult(module: nn.Module, usual: nn.Module) -> float:
    """What the widths of a MobileNet were multiplied by, before they were rounded."""
    mine, theirs = (
        [m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (module, usual)
    )
    low, high = 0.0, 9.0
    version_3 = isinstance(usual, models.MobileNetV3)
    for one, other in list(zip(mine, theirs, strict=False))[:-1]:
        # In version 2, layers that widen are multiples of rounded widths, as is the last in both.
        if other.bias is None and (version_3 or other.out_channels < other.in_channels):
            # Rounded to a multiple of 8, but never down by more than a tenth.
            width, base = one.out_channels, other.out_channels
            low = max(low, min(width - 4, (width - 8) / 0.9) / base)
            high = min(high, min(width + 4, width / 0.9) / base)
    return 1.0 if low <= 1 <= high else shortest_between(low, high)


def _backbone(module: nn.Module) -> list[str]:
    return [key for key in module.state_dict() if key.partition(".")[0] not in _HEADS]


def _last_layer(module: nn.Module) -> nn.Linear | nn.Conv2d | None:
    parts = [part for n in _HEADS if isinstance(part := getattr(module, n, None), nn.Module)]
    layers = [m for m in nn.ModuleList(parts).modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return layers[-1] if layers else None


# ── transforms ────────────────────────────────────────────────────────────────────────────────


def preprocessing_of(transforms: Any) -> Preprocessing:
    """The preprocessing that ``weights.transforms()`` of a torchvision classifier does.

    An InputError unless it is torchvision's transform for classification or segmentation.
    """
    try:
        # torchvision keeps both sides as lists of one.
        crop = getattr(transforms, "crop_size", None)
        return Preprocessing(
            resize=_side(transforms.resize_size),
            crop=_side(crop),
            interpolation=transforms.interpolation.value,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
        )
    except (AttributeError, TypeError):
        raise InputError(
            "expected the ImageClassification transform of torchvision's weights, got "
            f"{type(transforms).__name__}."
        ) from None


def preprocessing_of_steps(steps: Iterable[Any]) -> Preprocessing:
    """The preprocessing that these transforms of torchvision (v1 or v2) or timm do in turn.

    Resize, CenterCrop, Grayscale, the conversions to a tensor, and Normalize; an InputError names
    any other, such as a random one.

    Example:
        >>> from torchvision import transforms as T
        >>> preprocessing_of_steps([T.CenterCrop(8), T.ToTensor(), T.Normalize(0.5, 0.5)]).crop
        (8, 8)
    """
    fields: dict[str, Any] = {}
    form = "image"
    for step in _flat(steps):
        name, dtype = type(step).__name__, getattr(step, "dtype", None)
        if name == "Resize" and not fields.keys() & {"resize", "crop", "mean"}:
            fields |= _resizing(step, form)
        elif name == "CenterCrop" and not fields.keys() & {"crop", "mean"}:
            fields["crop"] = _side(step.size)
        elif name == "Grayscale" and form == "image" and step.num_output_channels == 1:
            fields["mode"] = "L"
        elif name in ("ToTensor", "MaybeToTensor") and form == "image":
            form, fields["scale"] = "float", 1 / 255
        elif name in ("PILToTensor", "MaybePILToTensor", "ToImage") and form == "image":
            form, fields["scale"] = "uint8", 1.0
        elif name in ("ConvertImageDtype", "ToDtype") and dtype in (torch.float32, torch.uint8):
            if form == "uint8" and dtype == torch.float32:
                form, scales = "float", getattr(step, "scale", name == "ConvertImageDtype")
                fields["scale"] = 1 / 255 if scales else 1.0
            elif form == "float" and dtype == torch.uint8:
                raise _unread(step, "after floats")
        elif name == "Normalize" and form == "float" and "mean" not in fields:
            fields |= {"mean": _numbers(step.mean), "std": _numbers(step.std)}
        elif name not in ("RGB", "Identity", "ToPureTensor"):
            raise _unread(step, "here")
    if form != "float":
        raise InputError("these transforms give no floats; add ToTensor() or the like.")
    if isinstance(mean := fields.get("mean"), tuple) and len(mean) == 1:
        fields["mode"] = "L"
    return Preprocessing(**fields)


def _is_transform(kind: Any) -> bool:
    return f"{getattr(kind, '__module__', '')}.".startswith((_TRANSFORMS, "timm.data."))


def _flat(steps: Iterable[Any]) -> Iterator[Any]:
    for step in steps:
        if type(step).__name__ == "Compose" and _is_transform(type(step)):
            yield from _flat(step.transforms)
        elif isinstance(step, nn.Sequential):
            yield from _flat(step)
        elif not _is_transform(type(step)):
            raise _unread(step, "")
        else:
            yield step


def _resizing(step: Any, form: str) -> dict[str, Any]:
    interpolation = getattr(step.interpolation, "value", step.interpolation)
    if interpolation == "nearest-exact" and form == "image":
        interpolation = "nearest"  # to Pillow, the same
    if getattr(step, "max_size", None) is not None or step.size is None:
        raise _unread(step, "with max_size")
    if form == "uint8" and not type(step).__module__.startswith(f"{_TRANSFORMS}v2"):
        raise _unread(step, "on 8-bit tensors")
    return {
        "resize": _side(step.size),
        "interpolation": interpolation,
        "antialias": form == "image" or bool(step.antialias),
        "resize_as": form,
    }


def _unread(step: Any, where: str) -> InputError:
    name = type(step).__name__
    random = "Random" in name or name in ("ColorJitter", "AutoAugment", "TrivialAugmentWide")
    advice = "pass the transform for evaluation" if random else "describe it as a Preprocessing"
    return InputError(
        f"the transform {name} is not understood{f' {where}' * bool(where)}; expected Resize, "
        f"CenterCrop, ToTensor and Normalize, in this order: {advice}, or pass tensors."
    )


def _side(size: Any) -> Any:
    sides = list(size) if isinstance(size, list | tuple) else [size]
    return sides[0] if len(sides) == 1 else tuple(sides)


def _numbers(values: Any) -> Any:
    return tuple(torch.as_tensor(values).reshape(-1).tolist()) if _is_many(values) else values


def _is_many(values: Any) -> bool:
    return isinstance(values, list | tuple | torch.Tensor)
