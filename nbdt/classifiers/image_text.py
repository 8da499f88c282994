"""Models that compare images with texts, such as CLIP and SigLIP, as classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from nbdt.classifiers.eval_mode import eval_mode
from nbdt.documents import described
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.validation import class_list

PROMPT = "a photo of a {}."
ROWS = "classes.safetensors"

_BATCH = 256


def compares_images_with_texts(model: object) -> bool:
    """Whether this is an image-text model of transformers; imports nothing."""
    kind = type(model)
    return kind.__module__.startswith("transformers.") and all(
        hasattr(kind, name) for name in ("get_image_features", "get_text_features")
    )


class ZeroShot(nn.Module):
    """An image-text model whose head has the features of the classes' names as rows.

    The logits are the model's own, ``scale · ⟨image, text⟩``, with normalized features. Several
    prompts for a class are averaged, as in Radford et al. (arXiv 2103.00020), section 3.1.4.

    Attributes:
        model: the image-text model.
        head: a linear layer with a row per class.
        classes: their names.
    """

    def __init__(self, model: Any, classes: Sequence[str], rows: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.model = model
        self.classes = tuple(class_list(classes))
        self.head = nn.Linear(rows.shape[1], rows.shape[0], device="meta")
        self.head.weight, self.head.bias = nn.Parameter(rows), nn.Parameter(bias)

    def forward(self, pixel_values: Tensor) -> Float[Tensor, "batch classes"]:
        """The logits of images, as the model's own processor prepares them."""
        found = self.model.get_image_features(pixel_values=pixel_values)
        logits: Tensor = self.head(normalize(_features(found), dim=-1))
        return logits

    @classmethod
    def from_prompts(
        cls, model: Any, classes: Sequence[str], prompts: str | Sequence[str] | None, processor: Any
    ) -> Self:
        """The classifier of these classes; ``{}`` in a prompt stands for the name."""
        templates = [prompts] if isinstance(prompts, str) else list(prompts or [PROMPT])
        for template in templates:
            if not isinstance(template, str) or "{}" not in template:
                raise InputError(
                    f"a prompt is a text with {{}} where the name of a class goes, such as "
                    f"{PROMPT!r}; got {described(template)}."
                )
        names = class_list(classes)
        tokenizer = getattr(processor, "tokenizer", None)
        if tokenizer is None:
            raise InputError(
                f"{type(model).__name__} needs its processor, with a tokenizer, to read the names "
                "of classes; give preprocessing=AutoProcessor.from_pretrained(…)."
            )
        texts = [template.replace("{}", name) for name in names for template in templates]
        with eval_mode(model) as still:
            parts = (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
            units = torch.cat([_text_features(still, tokenizer, part) for part in parts])
            means = units.reshape(len(names), len(templates), -1).mean(1)
            rows = normalize(means, dim=-1) * _scale(model)
            bias = getattr(model, "logit_bias", None)
            shift = rows.new_zeros(len(names)) if bias is None else bias.expand(len(names)).clone()
        return cls(model, names, rows.detach(), shift.detach())

    def save_rows(self, folder: Path) -> None:
        """Writes the rows into a model folder."""
        rows = self.head.state_dict()
        save_file({name: row.cpu().contiguous() for name, row in rows.items()}, folder / ROWS)

    @classmethod
    def with_rows(cls, model: Any, classes: Any, folder: Path) -> Self:
        """The classifier with the rows that `save_rows` wrote; a FormatError if they don't fit."""
        try:
            stored = load_file(folder / ROWS)
            rows, bias = stored["weight"], stored["bias"]
            names = class_list(classes)
        except (OSError, SafetensorError, KeyError, InputError, TypeError) as error:
            raise FormatError(f"{ROWS} holds no rows of classes: {error}.") from None
        if rows.ndim != 2 or not len(rows) == len(bias) == len(names):
            raise FormatError(f"{ROWS} does not hold a row for each of {len(names)} classes.")
        if not compares_images_with_texts(model):
            raise FormatError(f"{type(model).__name__} does not compare images with texts.")
        return cls(model, names, rows, bias)


def _text_features(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    config = getattr(model.config, "text_config", model.config)
    limit = getattr(config, "max_position_embeddings", None)
    # SigLIP is trained with padded texts.
    fixed = str(model.config.model_type).startswith("siglip")
    padding = {"padding": "max_length", "max_length": limit} if fixed else {"padding": True}
    tokens = tokenizer(texts, return_tensors="pt", **padding)
    length = tokens["input_ids"].shape[1]
    if limit is not None and length > limit:
        longest = max(texts, key=len)
        raise InputError(
            f"the model reads {limit} tokens, but the prompt {described(longest)} has {length}; "
            "shorten the prompt or the name."
        )
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    taken = signature(model.get_text_features).parameters
    device = next(model.parameters()).device
    found = model.get_text_features(
        **{name: tokens[name].to(device) for name in names if name in tokens and name in taken}
    )
    return normalize(_features(found), dim=-1)


def _features(found: Any) -> Tensor:
    """The features themselves; later versions of transformers wrap them."""
    features: Tensor = getattr(found, "pooler_output", found)
    return features


def _scale(model: Any) -> Tensor | float:
    """What the model multiplies similarities by."""
    if (log_scale := getattr(model, "logit_scale", None)) is not None:
        scale: Tensor = log_scale.exp()
        return scale
    temperature: Tensor | float = getattr(model, "temperature", 1.0)  # ALIGN's
    return 1 / temperature
