"""transformers: where its classifiers' heads are, their class names, and which models to refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from nbdt.classifiers.base import Library
from nbdt.classifiers.search import runs_code_of
from nbdt.errors import HeadError
from nbdt.hierarchy.classes import distinct_names

_MODULE = "transformers."
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
