"""transformers: its classifiers in folders, what they read, their heads, and what to refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from nbdt.classifiers.base import Library
from nbdt.classifiers.head import Head
from nbdt.classifiers.image_text import ZeroShot, compares_images_with_texts
from nbdt.classifiers.processors import TENSORS, fitted_text, image_input, text_input
from nbdt.classifiers.save_pretrained import is_as_built, opened, part_of, read, write
from nbdt.classifiers.search import runs_code_of
from nbdt.classifiers.torch import check_classifier, find_head
from nbdt.errors import HeadError, InputError
from nbdt.hierarchy.classes import distinct_names
from nbdt.inputs.base import Input
from nbdt.inputs.image import Preprocessing
from nbdt.inputs.processor import AudioInput
from nbdt.inputs.text import TextInput

_MODULE = "transformers."
_PREFIX = "transformers:"

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
        is_ours = isinstance(model, ZeroShot)
        return is_ours or any(cls.__module__.startswith(_MODULE) for cls in type(model).__mro__)

    def check(self, module: nn.Module) -> None:
        kind = type(module).__name__
        if compares_images_with_texts(module):
            raise HeadError(
                f"{kind} compares images with texts; name the classes that it is to choose among: "
                "nbdt.convert(model, classes=[…], prompts='a photo of a {}.')."
            )
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
                return self._input_in(origin, model)
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
        network, place = opened(source.removeprefix(_PREFIX))
        if compares_images_with_texts(network):
            network.nbdt_processor = part_of(place, "AutoProcessor")
        else:
            network.nbdt_input = self._input_in(place, network)
        return network.eval()

    def zero_shot(
        self, model: Any, classes: Sequence[str], prompts: Any = None, processor: Any = None
    ) -> nn.Module | None:
        if _is_a(model, "Pipeline"):
            model, processor = model.model, processor or model
        if not compares_images_with_texts(model):
            return None
        processor = (
            processor
            or getattr(model, "nbdt_processor", None)
            or part_of(Path(model.name_or_path), "AutoProcessor")
        )
        made = ZeroShot.from_prompts(model, classes, prompts, processor)
        made.nbdt_input = self.as_input(processor)  # type: ignore[assignment]
        return made

    def saves(self, module: nn.Module) -> bool:
        inner = module.model if isinstance(module, ZeroShot) else module
        return _is_a(inner, "PreTrainedModel") and is_as_built(inner)

    def save(self, module: nn.Module, folder: Path) -> dict[str, Any]:
        if not isinstance(module, ZeroShot):
            return write(module, folder)
        module.save_rows(folder)
        return write(module.model, folder) | {"classes": list(module.classes)}

    def load(self, options: Mapping[str, Any], folder: Path) -> nn.Module:
        network = read({key: options[key] for key in options if key != "classes"}, folder)
        if "classes" not in options:
            return network
        return ZeroShot.with_rows(network, options["classes"], folder)

    def _input_in(self, place: str | Path, network: Any) -> Input | None:
        """What the tokenizer or processor in a folder makes of samples; None if there is none."""
        wanted = _MADE_BY.get(_first_tensor(network), Input)
        auto = {TextInput: "AutoTokenizer", AudioInput: "AutoFeatureExtractor"}
        part = part_of(place, auto.get(wanted, "AutoImageProcessor"))
        return None if part is None else self.as_input(part)

    # ── the head ──────────────────────────────────────────────────────────────────────────────

    def head_paths(self, module: nn.Module) -> list[str] | None:
        if isinstance(module, ZeroShot):
            return ["head"]
        if not runs_code_of(module, _MODULE):
            return None
        present = [n for n in _HEADS if isinstance(getattr(module, n, None), nn.Module)]
        if not present and type(module).__name__.endswith("ForSemanticSegmentation"):
            present = [n for n in _MAP_HEADS if n in dict(module.named_modules())]
        return present[:1] or None  # a `classifier` may follow an `fc`, never the reverse

    def classes(self, module: nn.Module, num_classes: int) -> tuple[str, ...] | None:
        if isinstance(module, ZeroShot):
            return module.classes
        labels = getattr(getattr(module, "config", None), "id2label", None)
        if not isinstance(labels, Mapping) or set(labels) != set(range(num_classes)):
            return None
        names = [str(labels[i]) for i in range(num_classes)]
        if names == [f"LABEL_{i}" for i in range(num_classes)]:
            return None
        return tuple(distinct_names(names))


def _is_a(value: object, name: str) -> bool:
    """Whether a value is of a class of transformers; imports nothing."""
    return any(
        cls.__name__ == name and cls.__module__.startswith(_MODULE) for cls in type(value).__mro__
    )


def _first_tensor(module: Any) -> str:
    name = "pixel_values" if isinstance(module, ZeroShot) else ""
    return str(getattr(module, "main_input_name", name))
