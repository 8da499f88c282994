"""Networks of transformers in folders: those of others, and those in a folder of ours.

Both are what `save_pretrained` writes. Code that a folder names is never run, and nothing is
fetched unless asked; a folder of ours, which strangers may have made, is also checked before
anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

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

FOLDER = "network"
"""Where a model folder holds what `save_pretrained` writes."""

AUTO_CLASSES = (
    "AutoModelForSequenceClassification",
    "AutoModelForImageClassification",
    "AutoModelForAudioClassification",
    "AutoModelForVideoClassification",
    "AutoModelForSemanticSegmentation",
    "AutoModelForZeroShotImageClassification",
)
MAX_LAYERS = 10_000

_HUB = "hub:"
_SAVED = re.compile(r"(generation_)?config\.json|model[\w.-]*\.safetensors(\.index\.json)?")

# Settings that would fetch something, or run code that is not of transformers.
_UNSAFE = ("auto_map", "quantization_config", "use_pretrained_backbone", "custom_pipelines")
_ATTENTION = ("attn_implementation", "_attn_implementation")

# Without these, transformers would make an empty tokenizer.
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json")


# ── folders of others ─────────────────────────────────────────────────────────────────────────


def opened(name: str) -> tuple[Any, str | Path]:
    """The network in a folder or, after "hub:", of the hub, and where its other parts are."""
    place: str | Path = name.removeprefix(_HUB) if name.startswith(_HUB) else Path(name)
    if isinstance(place, Path):
        _check_folder(place)
    options = _options(place)
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
    return network, place


def part_of(place: str | Path, auto_class: str) -> Any:
    """The tokenizer or processor that goes with a network; None if there is none."""
    files = _TOKENIZERS if auto_class == "AutoTokenizer" else _PROCESSORS
    if isinstance(place, Path) and not any((place / name).is_file() for name in files):
        return None
    try:
        with _quiet():
            return getattr(_transformers(), auto_class).from_pretrained(place, **_options(place))
    except (OSError, ValueError):
        return None


def _options(place: str | Path) -> dict[str, bool]:
    return {"local_files_only": isinstance(place, Path), "trust_remote_code": False}


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


# ── folders of ours ───────────────────────────────────────────────────────────────────────────


def is_as_built(network: Any) -> bool:
    """Whether transformers would build the network again from its config."""
    auto = _auto_class(network.config, type(network).__name__)
    if auto is None or "forward" in vars(network) or hasattr(network.config, "quantization_config"):
        return False
    with torch.device("meta"):
        built = auto.from_config(deepcopy(network.config))
    return _outline(built) == _outline(network)


def write(network: Any, folder: Path) -> dict[str, Any]:
    """Writes a network into a model folder; gives what `read` needs."""
    auto = _auto_class(network.config, type(network).__name__)
    with _quiet():
        network.save_pretrained(folder / FOLDER, max_shard_size="1000GB")
    return {"class": auto.__name__}


def read(options: Mapping[str, Any], folder: Path) -> nn.Module:
    """The network that `write` wrote; a FormatError if anything is not as it writes it."""
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
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            config = _transformers().AutoConfig.from_pretrained(place, **_options(place))
            _check_size(auto, config, place)
            network, loaded = auto.from_pretrained(
                place,
                config=config,
                output_loading_info=True,
                use_safetensors=True,
                **_options(place),
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


def _outline(network: nn.Module) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """What makes two networks the same but for their weights."""
    return (
        # By name, as a parametrized layer is of a class of its own.
        {name: str(type(part)) for name, part in network.named_modules()},
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()},
    )


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


# ── transformers itself ───────────────────────────────────────────────────────────────────────


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise missing("transformers", "transformers", "a network of transformers") from None
    return transformers


def _auto_class(config: Any, kind: str) -> Any:
    """The auto class that builds networks of this name for a config; None if none does."""
    for name in AUTO_CLASSES:
        auto = getattr(_transformers(), name, None)
        built = auto._model_mapping.get(type(config), ()) if auto is not None else ()
        if kind in [one.__name__ for one in (built if isinstance(built, tuple) else (built,))]:
            return auto
    return None


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
