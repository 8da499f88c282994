"""What transformers' tokenizers, image processors and feature extractors do, as inputs."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from nbdt.errors import InputError, NBDTError
from nbdt.inputs.image import CHANNELS, Preprocessing
from nbdt.inputs.processor import ImageProcessor
from nbdt.inputs.text import TensorName, TextInput

TENSORS: tuple[TensorName, ...] = get_args(TensorName)

_UNLIMITED = 10**9  # transformers says 10**30
_INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # Pillow's order
_LEVELS = 0.01  # of 255


def text_input(tokenizer: Any) -> TextInput:
    """The input of a tokenizer of transformers, which stays unchanged."""
    names = [name for name in TENSORS if name in (*tokenizer.model_input_names, "attention_mask")]
    limit = min(tokenizer.model_max_length, _UNLIMITED)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        made = TextInput.with_tokenizer(tokenizer, names)
        return made if limit == _UNLIMITED else made.limited_to(limit)
    copy = type(backend).from_str(backend.to_str())
    copy.no_padding()
    if tokenizer.pad_token is not None:
        copy.enable_padding(
            direction=tokenizer.padding_side,
            pad_id=tokenizer.pad_token_id,
            pad_type_id=tokenizer.pad_token_type_id,
            pad_token=tokenizer.pad_token,
        )
    copy.no_truncation()
    if limit < _UNLIMITED or tokenizer.truncation_side != "right":
        copy.enable_truncation(limit, direction=tokenizer.truncation_side)
    return TextInput.with_tokenizer(copy, names)


def fitted_text(found: TextInput, network: Any) -> TextInput:
    """The input with the network's maximal length; an InputError if they don't fit together."""
    kind, embeddings = type(network).__name__, _embeddings(network)
    if embeddings is not None and found.vocabulary_size > embeddings.num_embeddings:
        raise InputError(
            f"the tokenizer has {found.vocabulary_size:,} tokens, but {kind} has embeddings for "
            f"{embeddings.num_embeddings:,}; they do not belong together."
        )
    # These read the class from the last token, and find that by the padding.
    padding, known = found.padding_id, getattr(network.config, "pad_token_id", None)
    if padding is not None and padding != known and hasattr(network, "score"):
        raise InputError(
            f"the tokenizer pads with token {padding}, but config.pad_token_id of {kind} is "
            f"{known}; set it to tokenizer.pad_token_id."
        )
    limit = _max_tokens(network)
    return found if limit is None else found.limited_to(limit)


def _embeddings(network: Any) -> nn.Embedding | None:
    try:
        found = network.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Embedding) else None


def _max_tokens(network: Any) -> int | None:
    """The most tokens that the network has positions for."""
    limit = getattr(network.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    for name, part in network.named_modules():
        # RoBERTa and others count from the padding on.
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            first = 0 if part.padding_idx is None else part.padding_idx + 1
            return min(limit, part.num_embeddings - first)
    return limit


def image_input(processor: Any) -> Preprocessing:
    """The steps of an image processor if they give what it gives, as is tried on two pictures.

    Else the processor itself.
    """
    try:
        steps = _steps(processor)
        if all(_agree(steps, processor, picture) for picture in _pictures()):
            return steps
    except (NBDTError, AttributeError, KeyError, TypeError, ValueError, IndexError):
        pass  # it has other steps, or needs other settings
    return ImageProcessor.with_processor(processor)


def _steps(processor: Any) -> Preprocessing:
    """What the settings that most image processors share mean."""
    size, options = processor.size, vars(processor)
    edge = _entry(size, "shortest_edge")
    resize: Any = edge or (_entry(size, "height"), _entry(size, "width"))
    crop: Any = None
    if options.get("do_center_crop"):
        crop = (_entry(processor.crop_size, "height"), _entry(processor.crop_size, "width"))
    share = getattr(processor, "crop_pct", None)
    if share and edge:
        if crop is None and edge >= 384:  # ConvNeXt
            resize = (edge, edge)
        else:
            resize, crop = int(edge / share), crop or (edge, edge)
    means, stds = [0.0] * 3, [1.0] * 3
    if options.get("do_normalize"):
        means, stds = list(processor.image_mean), list(processor.image_std)
    if options.get("rescale_offset"):  # pixels from -1 to 1
        means = [mean + 1 for mean in means]
    if options.get("include_top"):  # EfficientNet divides twice
        stds = [std**2 for std in stds]
    interpolation: Any = _INTERPOLATIONS[int(processor.resample)]
    return Preprocessing(
        mode="RGB" if len(means) == CHANNELS["RGB"] else "L",
        resize=resize if options.get("do_resize") else None,
        interpolation=interpolation,
        resize_as="uint8" if _resizes_tensors(processor) else "image",
        crop=crop,
        scale=processor.rescale_factor if options.get("do_rescale") else 1.0,
        mean=tuple(means),
        std=tuple(stds),
    )


def _resizes_tensors(processor: Any) -> bool:
    """Whether it resizes by torchvision, which rounds in another way than Pillow."""
    by_name = "torchvision" if type(processor).__name__.endswith("Fast") else "pil"
    return getattr(processor, "backend", by_name) == "torchvision"


def _entry(size: Any, key: str) -> Any:
    return size.get(key) if hasattr(size, "get") else getattr(size, key, None)


@cache
def _pictures() -> tuple[Image.Image, ...]:
    noise = np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    return picture, picture.resize((300, 500), Image.Resampling.BICUBIC)


def _agree(steps: Preprocessing, processor: Any, picture: Image.Image) -> bool:
    made = processor(images=[picture], return_tensors="pt")
    if len(made) != 1:
        return False
    (expected,) = made.values()
    found: Tensor = steps(picture)[None]
    stds = torch.tensor(steps.std).reshape(-1, 1, 1)
    return found.shape == expected.shape and bool(
        ((found - expected).abs() * stds / steps.scale <= _LEVELS).all()
    )
