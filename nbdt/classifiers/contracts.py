"""What libraries promise about their networks: where the head is, and what the outputs mean.

No library is imported here: a network is known by the module that its class or its ``forward``
comes from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import nn

from nbdt.errors import HeadError

TORCHVISION_HEADS = ("fc", "classifier", "head", "heads")
TRANSFORMERS_HEADS = ("classifier", "score", "classification_head", "logits_proj", "fc")
TORCHVISION_OTHER_TASKS = ("detection", "segmentation", "optical_flow")


def unwrapped(network: nn.Module) -> tuple[nn.Module, str]:
    """The network inside torch's wrappers, such as DDP and `torch.compile`, and the way to it."""
    way: list[str] = []
    while True:
        children = dict(network.named_children())
        if list(children) not in (["module"], ["_orig_mod"]) or not _is_torchs(network):
            return network, ".".join(way)
        way.extend(children)
        (network,) = children.values()


def promised_parts(network: nn.Module) -> list[str] | None:
    """The paths of the parts that a network's library calls its classifier.

    Several where a network averages over heads; None where no library made a promise.
    """
    if callable(getter := getattr(network, "get_classifier", None)):  # timm
        answer = getter()
        parts = answer if isinstance(answer, tuple | list) else [answer]
        names = {id(module): name for name, module in network.named_modules()}
        known = [names[id(part)] for part in parts if id(part) in names]
        return known or None
    if _is_from_transformers(network):
        present = [name for name in TRANSFORMERS_HEADS if _has_child(network, name)]
        return present[:1] or None  # a `classifier` may stand on an `fc`, never the other way
    if getattr(type(network).forward, "__module__", "").startswith("torchvision.models."):
        return [name for name in TORCHVISION_HEADS if _has_child(network, name)] or None
    return None


def refuse_other_tasks(network: nn.Module) -> None:
    """Raises `HeadError` for a network that its library made for something else."""
    kind = type(network).__name__
    if _is_from_transformers(network):
        _refuse_transformers_tasks(network, kind)
    for cls in type(network).__mro__:
        task = cls.__module__.removeprefix("torchvision.models.").split(".")[0]
        if cls.__module__.startswith("torchvision.models.") and task in TORCHVISION_OTHER_TASKS:
            raise HeadError(
                f"{kind} is a torchvision model for {task.replace('_', ' ')}; a tree of classes "
                "needs a classifier with one vector of logits an input."
            )


def own_class_names(network: nn.Module, num_classes: int) -> tuple[str, ...] | None:
    """The class names that a transformers network's config holds, if they were ever set.

    Names are made different where the config repeats one, as ImageNet's two cranes.
    """
    if not _is_from_transformers(network):
        return None
    labels = getattr(getattr(network, "config", None), "id2label", None)
    if not isinstance(labels, Mapping) or set(labels) != set(range(num_classes)):
        return None
    names = [str(labels[i]) for i in range(num_classes)]
    if names == [f"LABEL_{i}" for i in range(num_classes)]:
        return None
    counts = Counter(names)
    return tuple(f"{name} ({i})" if counts[name] > 1 else name for i, name in enumerate(names))


def _refuse_transformers_tasks(network: nn.Module, kind: str) -> None:
    for cls in type(network).__mro__:
        task = re.search(r"For([A-Z]\w*)$", cls.__name__)
        if cls.__module__.startswith("transformers.") and task:
            if "Classification" not in task[1]:
                raise HeadError(
                    f"{kind} is not a classifier; a tree of classes needs one, such as "
                    "transformers' …ForSequenceClassification or …ForImageClassification."
                )
            break
    config: Any = getattr(network, "config", None)
    problem = getattr(config, "problem_type", None)
    if problem == "multi_label_classification":
        raise HeadError(
            f"{kind} is multi-label (config.problem_type): an input may have several classes or "
            "none, while a path down a tree leads to exactly one."
        )
    if problem == "regression":
        raise HeadError(
            f"{kind} is a regression network (config.problem_type): its outputs are quantities, "
            "not classes."
        )
    if getattr(config, "num_labels", None) == 1:
        raise HeadError(
            f"{kind} has one label (config.num_labels), which transformers treats as regression; "
            "a binary classifier has two labels there."
        )


def _is_torchs(network: nn.Module) -> bool:
    return type(network).__module__.startswith("torch.")


def _is_from_transformers(network: nn.Module) -> bool:
    return any(cls.__module__.startswith("transformers.") for cls in type(network).__mro__)


def _has_child(network: nn.Module, name: str) -> bool:
    return isinstance(getattr(network, name, None), nn.Module)
