"""The features that the last linear layer reads, computed once for a whole data set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from nbdt.classifiers import find_head
from nbdt.classifiers.head import LinearLayer
from nbdt.data import LabelledImages
from nbdt.errors import InputError
from nbdt.model import NBDT
from nbdt.run import answers, forward_with_inputs_of
from nbdt.training.order import SeededSamples


def head_of(model: NBDT) -> LinearLayer:
    """The model's last linear layer; a HeadError where it cannot be found."""
    return find_head(model.network, model.head, num_classes=model.hierarchy.num_classes).module


def frozen_state(model: NBDT) -> dict[str, Tensor]:
    """The part of the network's state that doesn't change where only the head is trained."""
    head = find_head(model.network, model.head, num_classes=model.hierarchy.num_classes)
    own = {f"{head.path}.{name}".lstrip(".") for name in head.module.state_dict()}
    return {name: v for name, v in model.network.state_dict().items() if name not in own}


def cached_features(
    model: NBDT, dataset: Dataset[Any], *, batch_size: int, workers: int, seed: int
) -> TensorDataset:
    """The head's input for every sample, with the labels; in memory, on the CPU.

    A data set of n samples takes n × features numbers: 50,000 × 512 are 100 MB. Random changes are
    left out of nbdt's own images; other data sets make them once, as in epoch 0 with this seed.

    Raises:
        InputError: the network does more than apply its head to these features, such as scaling
            the head's output or calling it twice.
    """
    head = head_of(model)

    def forward(model: NBDT, inputs: Any) -> tuple[Tensor, Tensor]:
        logits, seen = forward_with_inputs_of(head, model, inputs)
        if len(seen) != 1 or not _is_answer(logits, head, seen[0]):
            raise InputError(
                "the network does more than apply its last linear layer to the features, so "
                "that layer cannot be trained alone; leave head_only out."
            )
        return logits, seen[0].cpu()

    loader = DataLoader(
        SeededSamples(unaugmented(dataset), seed),
        batch_size,
        sampler=[(0, index) for index in range(len(dataset))],  # type: ignore[arg-type]
        num_workers=workers,
        generator=torch.Generator(),  # so that the caller's generator stays as it is
    )
    blocks = list(answers(model, loader, labels="other", forward=forward))
    return TensorDataset(
        torch.cat([block.others[0] for block in blocks]),
        torch.cat([block.labels for block in blocks]),
    )


def unaugmented(dataset: Dataset[Any]) -> Dataset[Any]:
    """The same images without random changes; any other data set as it is."""
    if isinstance(dataset, LabelledImages):
        return dataset.with_augmentation(None)
    if isinstance(dataset, Subset):
        return Subset(unaugmented(dataset.dataset), dataset.indices)
    return dataset


def _is_answer(logits: Tensor, head: LinearLayer, features: Tensor) -> bool:
    # `forward`, as a call would run the hook again.
    expected = head.forward(features)
    if expected.ndim == 2 and expected.shape[1] == 1:
        logits = logits[:, 1:]  # one output z means the logits (0, z)
    return logits.shape == expected.shape and torch.allclose(logits, expected, rtol=1e-4, atol=1e-5)
