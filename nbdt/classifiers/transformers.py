"""transformers: its classifiers in folders, what they read, their heads, and what to refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nbdt.classifiers.base import Library
from nbdt.classifiers.head import Head
from nbdt.classifiers.processors import TENSORS, fitted_text, image_input, text_input
from nbdt.classifiers.search import runs_code_of
from nbdt.classifiers.torch import check_classifier, find_head
from nbdt.documents import MAX_DEPTH, described
from nbdt.errors import (
    FormatError,
    HeadError,
    InputError,
    NBDTError,
    NotFoundError,
    missing,
    reason_of,
)
from nbdt.files import read_json
from nbdt.hierarchy.classes import distinct_names
from nbdt.inputs.base import Input
from nbdt.inputs.image import Preprocessing
from nbdt.inputs.processor import AudioInput
from nbdt.inputs.text import TextInput

_MODULE = "transformers."
_PREFIX, _HUB = "transformers:", "hub:"
FOLDER = "network"
"""Where a model folder holds what `save_pretrained` writes."""

# In the order in which a class is looked up; a folder names one of them.
AUTO_CLASSES = (
    "AutoModelForSequenceClassification",
    "AutoModelForImageClassification",
    "AutoModelForAudioClassification",
    "AutoModelForVideoClassification",
    "AutoModelForSemanticSegmentation",
    "AutoModelForZeroShotImageClassification",
)
_SAVED = re.compile(
    r"(config|generation_config|model\.safetensors\.index)\.json|model.*\.safetensors"
)

# Settings that would fetch something, or run code that is not of transformers.
_UNSAFE = ("auto_map", "quantization_config", "use_pretrained_backbone", "custom_pipelines")
MAX_LAYERS = 10_000
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_ATTENTION = ("attn_implementation", "_attn_implementation")

# The first tensor that a network takes, and what makes it.
_MADE_BY: dict[str, type[Input]] = {
    "input_ids": TextInput,
    "pixel_values": Preprocessing,
    "input_values": AudioInput,
    "input_features": AudioInput,
}
_HEADS = ("classifier", "score", "classification_head", "logits_proj", "fc")
_MAP_HEADS = ("decode_head.classifier", "segmentation_head.classifier", "head.head")


class Transformers(Library):
    """The interface to transformers."""

    name = "transformers"

    def recognizes(self, model: object) -> bool:
        return any(cls.__module__.startswith(_MODULE) for cls in type(model).__mro__)

    def check(self, module: nn.Module) -> None:
        kind = type(module).__name__
        as_shipped = runs_code_of(module, _MODULE, "forward")
        for cls in type(module).__mro__:
            task = re.search(r"For([A-Z]\w*)$", cls.__name__)
            if as_shipped and cls.__module__.startswith(_MODULE) and task:
                if not task[1].endswith(("Classification", "SemanticSegmentation")):
                    raise HeadError(
                        f"{kind} is not a classifier; a tree of classes needs one, such as "
                        "transformers' …ForSequenceClassification, …ForImageClassification or "
                        "…ForSemanticSegmentation."
                    )
                break
        config: Any = getattr(module, "config", None)
        problem = getattr(config, "problem_type", None)
        if problem == "multi_label_classification":
            raise HeadError(
                f"{kind} is multi-label (config.problem_type): an input may have several classes "
                "or none, while a path down a tree leads to exactly one."
            )
        if problem == "regression":
            raise HeadError(
                f"{kind} is a regression network (config.problem_type): its outputs are "
                "quantities, not classes."
            )
        if as_shipped and getattr(config, "num_labels", None) == 1:
            raise HeadError(
                f"{kind} has one label (config.num_labels), which transformers treats as "
                "regression; a binary classifier has two labels there."
            )

    # ── what it reads ─────────────────────────────────────────────────────────────────────────

    def module(self, model: Any) -> nn.Module:
        network = getattr(model, "model", None)
        if not _is_a(model, "Pipeline") or not isinstance(network, nn.Module):
            raise HeadError(
                f"transformers' {type(model).__name__} is not a classifier; give the network."
            )
        return check_classifier(network)

    def head(self, model: Any) -> Head:
        return find_head(self.module(model))

    def input(self, model: Any) -> Input | None:
        if _is_a(model, "Pipeline"):
            wanted = _MADE_BY.get(_first_tensor(model.model), Input)
            parts = map(vars(model).get, ("tokenizer", "image_processor", "feature_extractor"))
            made = (self.as_input(part) for part in parts if part is not None)
            return next((one for one in made if isinstance(one, wanted)), None)
        noted = getattr(model, "nbdt_input", None)
        if noted is None and _is_a(model, "PreTrainedModel"):
            origin = Path(model.name_or_path)
            if (origin / "config.json").is_file():
                return _input_in(origin, model)
        return noted if isinstance(noted, Input) else None

    def as_input(self, value: Any) -> Input | None:
        if type(value).__module__.startswith("tokenizers"):
            return TextInput.with_tokenizer(value.from_str(value.to_str()), TENSORS)
        if _is_a(value, "PreTrainedTokenizerBase"):
            return text_input(value)
        if _is_a(value, "ImageProcessingMixin"):
            return image_input(value)
        if _is_a(value, "FeatureExtractionMixin"):
            return AudioInput.with_processor(value)
        if _is_a(value, "ProcessorMixin"):
            parts = map(vars(value).get, ("image_processor", "feature_extractor", "tokenizer"))
            return next((self.as_input(part) for part in parts if part is not None), None)
        return None

    def fitted(self, found: Input, module: nn.Module) -> Input:
        wanted = _MADE_BY.get(_first_tensor(module), Input)
        if not isinstance(found, wanted) and isinstance(found, tuple(_MADE_BY.values())):
            raise InputError(
                f"{type(module).__name__} reads {wanted.reads}, but the preprocessing given reads "
                f"{found.reads}."
            )
        if isinstance(found, TextInput) and found.tokenizer is not None:
            return fitted_text(found, module)
        return found

    # ── folders ───────────────────────────────────────────────────────────────────────────────

    def open(self, source: str) -> Any:
        if not source.startswith(_PREFIX):
            return None
        name = source.removeprefix(_PREFIX)
        is_remote = name.startswith(_HUB)
        place: str | Path = name.removeprefix(_HUB) if is_remote else Path(name)
        if isinstance(place, Path):
            _check_folder(place)
        options = {"local_files_only": not is_remote, "trust_remote_code": False}
        with _reading(str(place)):
            config = _transformers().AutoConfig.from_pretrained(place, **options)
        (kind,) = (config.architectures or [type(config).__name__])[:1]
        auto = _auto_class(config, kind)
        if auto is None:
            raise HeadError(
                f"{place} holds {kind}, which is not a classifier of transformers; a tree of "
                "classes needs one, such as …ForSequenceClassification or …ForImageClassification."
            )
        with _reading(str(place)):
            network, loaded = auto.from_pretrained(
                place, config=config, output_loading_info=True, use_safetensors=True, **options
            )
        if lacking := sorted(loaded["missing_keys"]):
            raise HeadError(
                f"{place} lacks weights of the classifier ({', '.join(lacking[:3])}), so it was "
                "not trained to classify; train it, then save it again."
            )
        network.nbdt_input = _input_in(place, network, **options)
        return network.eval()

    def saves(self, module: nn.Module) -> bool:
        if not _is_a(module, "PreTrainedModel") or "forward" in vars(module):
            return False
        config: Any = module.config
        auto = _auto_class(config, type(module).__name__)
        if auto is None or getattr(config, "quantization_config", None) is not None:
            return False
        with torch.device("meta"):
            built = auto.from_config(deepcopy(config))
        return _outline(built) == _outline(module)

    def save(self, module: nn.Module, folder: Path) -> dict[str, Any]:
        network: Any = module
        auto = _auto_class(network.config, type(module).__name__)
        with _quiet():
            network.save_pretrained(folder / FOLDER, max_shard_size="1000GB")
        return {"class": auto.__name__}

    def load(self, options: Mapping[str, Any], folder: Path) -> nn.Module:
        if set(options) != {"class"} or options["class"] not in AUTO_CLASSES:
            raise FormatError(
                f"the class of a network of transformers must be one of {', '.join(AUTO_CLASSES)}; "
                f"got {described(options.get('class'))}."
            )
        place = folder / FOLDER
        for file in place.iterdir() if place.is_dir() else ():
            if not _SAVED.fullmatch(file.name):
                raise FormatError(f"{FOLDER}/{file.name} does not belong to a saved network.")
        _check_settings(read_json(place / "config.json"))
        auto = getattr(_transformers(), options["class"])
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            with _quiet(), torch.random.fork_rng(devices=[]):
                config = _transformers().AutoConfig.from_pretrained(place, **local)
                _check_size(auto, config, place)
                network, loaded = auto.from_pretrained(
                    place, config=config, output_loading_info=True, use_safetensors=True, **local
                )
        except NBDTError:
            raise
        except Exception as error:  # whatever a config leads to
            raise FormatError(f"{FOLDER} holds no network: {reason_of(error)}") from None
        for what in ("missing", "unexpected", "mismatched"):
            if wrong := sorted(map(str, loaded[f"{what}_keys"])):
                raise FormatError(f"{FOLDER} has {what} weights: {', '.join(wrong[:3])}.")
        module: nn.Module = network
        return module

    # ── the head ──────────────────────────────────────────────────────────────────────────────

    def head_paths(self, module: nn.Module) -> list[str] | None:
        if not runs_code_of(module, _MODULE):
            return None
        present = [n for n in _HEADS if isinstance(getattr(module, n, None), nn.Module)]
        if not present and type(module).__name__.endswith("ForSemanticSegmentation"):
            present = [n for n in _MAP_HEADS if n in dict(module.named_modules())]
        return present[:1] or None  # a `classifier` may follow an `fc`, never the reverse

    def classes(self, module: nn.Module, num_classes: int) -> tuple[str, ...] | None:
        labels = getattr(getattr(module, "config", None), "id2label", None)
        if not isinstance(labels, Mapping) or set(labels) != set(range(num_classes)):
            return None
        names = [str(labels[i]) for i in range(num_classes)]
        if names == [f"LABEL_{i}" for i in range(num_classes)]:
            return None
        return tuple(distinct_names(names))


# ── what transformers keeps ───────────────────────────────────────────────────────────────────


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise missing("transformers", "transformers", "a network of transformers") from None
    return transformers


def _is_a(value: object, name: str) -> bool:
    """Whether a value is of a class of transformers; imports nothing."""
    return any(
        cls.__name__ == name and cls.__module__.startswith(_MODULE) for cls in type(value).__mro__
    )


def _first_tensor(module: Any) -> str:
    return str(getattr(module, "main_input_name", ""))


def _auto_class(config: Any, kind: str) -> Any:
    """The auto class that builds networks of this name for a config; None if none does."""
    for name in AUTO_CLASSES:
        auto = getattr(_transformers(), name, None)
        built = auto._model_mapping.get(type(config), ()) if auto is not None else ()
        if kind in [one.__name__ for one in (built if isinstance(built, tuple) else (built,))]:
            return auto
    return None


def _outline(network: nn.Module) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """What makes two networks the same but for their weights."""
    return (
        # By name, as a parametrized layer is of a class of its own.
        {name: str(type(part)) for name, part in network.named_modules()},
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()},
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and reports that transformers prints."""
    log = _transformers().logging
    level, shows = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if shows:
            log.enable_progress_bar()


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """Quietly, and with errors of ours."""
    try:
        with _quiet():
            yield
    except Exception as error:  # whatever a folder, or the hub, leads to
        raise InputError(f"{place}: transformers cannot load it: {reason_of(error)}") from None


# ── folders ───────────────────────────────────────────────────────────────────────────────────


def _check_folder(place: Path) -> None:
    if not place.is_dir():
        raise NotFoundError(
            f"{place}: no such folder; transformers:FOLDER is what save_pretrained wrote, and "
            "transformers:hub:NAME is fetched from the hub."
        )
    if (place / "adapter_config.json").is_file():
        raise HeadError(
            f"{place} holds an adapter, such as LoRA's; merge it first, by "
            "model.merge_and_unload().save_pretrained(…)."
        )
    if not (place / "config.json").is_file():
        raise NotFoundError(f"{place}: this folder has no config.json, as save_pretrained writes.")
    if not any(place.glob("*.safetensors")):
        raise NotFoundError(
            f"{place}: this folder has no safetensors; load the network where you trust it, and "
            "save it again by save_pretrained."
        )


def _input_in(place: str | Path, network: Any, **options: Any) -> Input | None:
    """What the tokenizer or processor in a folder makes of samples; None if there is none."""
    options = options or {"local_files_only": True, "trust_remote_code": False}
    wanted = _MADE_BY.get(_first_tensor(network))
    names = {TextInput: "AutoTokenizer", AudioInput: "AutoFeatureExtractor"}
    files = ("tokenizer.json", "tokenizer_config.json") if wanted is TextInput else _PROCESSORS
    has_none = isinstance(place, Path) and not any((place / name).is_file() for name in files)
    if wanted is None or has_none:
        return None  # transformers would make an empty tokenizer
    auto = getattr(_transformers(), names.get(wanted, "AutoImageProcessor"))
    try:
        with _quiet():
            return Transformers().as_input(auto.from_pretrained(place, **options))
    except (OSError, ValueError):
        return None


def _check_settings(document: Any, depth: int = 0) -> None:
    """Refuses a config that would fetch something, run others' code, or build without end."""
    if isinstance(document, list) and depth < MAX_DEPTH:
        for value in document:
            _check_settings(value, depth + 1)
    for key, value in document.items() if isinstance(document, dict) else ():
        is_remote = key in _ATTENTION and "/" in str(value)
        if (key in _UNSAFE and value) or is_remote:
            raise FormatError(f"{FOLDER}/config.json asks for {key}, which a saved model may not.")
        if "layers" in key and isinstance(value, int) and value > MAX_LAYERS:
            raise FormatError(f"{FOLDER}/config.json asks for {value:,} layers.")
        _check_settings(value, depth + 1)


def _check_size(auto: Any, config: Any, place: Path) -> None:
    """Refuses a network that is larger than the weights that are stored for it."""
    with torch.device("meta"):
        built = auto.from_config(config)
    needed = sum(tensor.numel() * tensor.element_size() for tensor in built.parameters())
    stored = sum(file.stat().st_size for file in place.glob("*.safetensors"))
    if needed > 4 * stored:
        raise FormatError(
            f"{FOLDER} holds {stored:,} bytes of weights, but its config.json needs {needed:,}."
        )
