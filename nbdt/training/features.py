"""The features that the last linear layer reads, computed once for a whole data set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from nbdt.classifiers import eval_mode, find_head
from nbdt.classifiers.base import LinearLayer
from nbdt.data import LabelledImages
from nbdt.data.batches import moved
from nbdt.data.samples import labelled_batches
from nbdt.errors import InputError
from nbdt.model import NBDT
from nbdt.training.order import SeededSamples


def head_of(model: NBDT) -> LinearLayer:
    """The model's last linear layer.

    Raises:
        HeadError: it cannot be found; the message says what to do.
    """
    return find_head(model.network, model.head, num_classes=model.hierarchy.num_classes).module


def frozen_state(model: NBDT) -> dict[str, Tensor]:
    """The part of the network's state that stays as it is where the head alone is trained.

    Raises:
        HeadError: as `head_of`.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2))
        >>> list(frozen_state(NBDT(network, Hierarchy([2, 2, -1], ["cat", "dog"]))))
        ['0.weight']
    """
    head = find_head(model.network, model.head, num_classes=model.hierarchy.num_classes)
    own = {f"{head.path}.{name}".lstrip(".") for name in head.module.state_dict()}
    return {name: v for name, v in model.network.state_dict().items() if name not in own}


def cached_features(
    model: NBDT,
    dataset: Dataset[Any],
    *,
    batch_size: int,
    workers: int,
    seed: int,
    device: torch.device,
) -> TensorDataset:
    """What the head is given for every sample, with the labels; in memory, on the CPU.

    A data set of n samples takes n × features numbers: 50,000 × 512 are 100 MB. If it changes its
    samples at random, which `unaugmented` keeps images of nbdt from, it does so once, as in epoch
    0 of a training with this seed.

    Raises:
        InputError: the network's answer is not that of its head on these features alone, as
            where it scales the head's output or calls the head more than once.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> model = NBDT(network, Hierarchy([2, 2, -1], ["cat", "dog"]))
        >>> images = TensorDataset(torch.zeros(5, 4), torch.zeros(5, dtype=torch.int64))
        >>> cached_features(
        ...     model, images, batch_size=2, workers=0, seed=0, device=torch.device("cpu")
        ... ).tensors[0].shape
        torch.Size([5, 3])
    """
    head = head_of(model)
    seen: list[Tensor] = []
    features: list[Tensor] = []
    labels: list[Tensor] = []
    loader = DataLoader(
        SeededSamples(unaugmented(dataset), seed),
        batch_size,
        sampler=[(0, index) for index in range(len(dataset))],  # type: ignore[arg-type]
        num_workers=workers,
        generator=torch.Generator(),  # or it would take a number from the caller's
    )
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    try:
        with eval_mode(model):
            for x, y in labelled_batches(loader):
                logits = model.logits(moved(x, device))
                if len(seen) != 1 or not _is_answer(logits, head, seen[0]):
                    raise InputError(
                        "the network does more than to apply its last linear layer to the "
                        "features, so that layer cannot be trained alone; leave head_only out."
                    )
                features.append(seen.pop().cpu())
                labels.append(y)
    finally:
        hook.remove()
    return TensorDataset(torch.cat(features), torch.cat(labels))


def unaugmented(dataset: Dataset[Any]) -> Dataset[Any]:
    """The same images without random changes; another data set, which has no such view, as it is.

    Example:
        >>> from nbdt.data import load_dataset
        >>> flipped = load_dataset("digits", "train", augment=True)
        >>> unaugmented(Subset(flipped, [0, 7])).dataset.augmentation is None
        True
    """
    if isinstance(dataset, LabelledImages):
        return dataset.with_augmentation(None)
    if isinstance(dataset, Subset):
        return Subset(unaugmented(dataset.dataset), dataset.indices)
    return dataset


def _is_answer(logits: Tensor, head: LinearLayer, features: Tensor) -> bool:
    """Whether the logits are what the head makes of the features, and nothing else."""
    # `forward`, as a call would run the hook again.
    expected = head.forward(features)
    if expected.ndim == 2 and expected.shape[1] == 1:
        logits = logits[:, 1:]  # one output z means the logits (0, z)
    return logits.shape == expected.shape and torch.allclose(logits, expected, rtol=1e-4, atol=1e-5)
