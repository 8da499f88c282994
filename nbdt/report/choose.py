"""Which samples are shown: by rules that the report states, so that nobody picked them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nbdt.report.measure import Measurement

EACH = 3
"""How many samples a group has at most."""


@dataclass(frozen=True)
class Group:
    """Samples of one kind.

    Attributes:
        title: the kind.
        rule: how they were chosen.
        indices: their places in the data.
    """

    title: str
    rule: str
    indices: tuple[int, ...]


def choose(found: Measurement) -> list[Group]:
    """Samples drawn by lot, and the surest, barest and worst answers; no sample twice.

    Example:
        >>> import torch
        >>> from nbdt import NBDT
        >>> from nbdt.data import load_dataset
        >>> from nbdt.hierarchy import load_hierarchy
        >>> from nbdt.report.measure import measure
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> digits = load_dataset("digits")
        >>> groups = choose(measure(NBDT(network, load_hierarchy("digits/shape")), digits))
        >>> [len(group.indices) for group in groups][0]
        3
    """
    shown: set[int] = set()
    groups = []
    for title, rule, candidates in (
        (
            "Drawn by lot",
            "The first of the samples as shuffled with the seed 0, whatever was measured.",
            _by_lot(found),
        ),
        (
            "Right, and sure",
            "Of each class the right answer whose closest decision had the largest margin; of "
            "these, those with the highest probability.",
            _of_classes(found, "surest", highest=True),
        ),
        (
            "Barely right",
            "Of each class the right answer whose closest decision had the smallest margin; of "
            "these, those with the lowest probability.",
            _of_classes(found, "barest", highest=False),
        ),
        (
            "Wrong, and sure of it",
            "Of each class the wrong answer furthest from the true path; of these, those with the "
            "highest probability.",
            _of_classes(found, "astray", highest=True),
        ),
    ):
        indices = tuple(islice((one for one in candidates if one not in shown), EACH))
        shown.update(indices)
        if indices:
            groups.append(Group(title, rule, indices))
    return groups


def _by_lot(found: Measurement) -> Iterator[int]:
    # RandomState's numbers are promised to stay what they are.
    order = np.random.RandomState(0).permutation(len(found.data))
    return (index for index in order.tolist() if index not in found.left_out)


def _of_classes(found: Measurement, kind: str, *, highest: bool) -> Iterator[int]:
    """The first prototype of every class that has one, by probability and then by class."""
    prototypes = found.evaluation.prototypes
    firsts = [
        prototypes.of(leaf, kind)[:1]  # type: ignore[arg-type]
        for leaf in range(found.model.hierarchy.num_classes)
    ]
    sign = -1 if highest else 1
    order = sorted(
        (sign * first.probability, leaf, first.index)
        for leaf, of_leaf in enumerate(firsts)
        for first in of_leaf
    )
    return (index for _, _, index in order)
