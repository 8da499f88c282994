"""What a page says of a node beside what the tree and the explanations say: `NodeDetails`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbdt.errors import InputError
from nbdt.evaluation.text import percent
from nbdt.hierarchy.text import one_line
from nbdt.view.svg.pictures import Picturable, data_uri

PROTOTYPE_SIZE = 96  # as page.css shows it, in pixels


@dataclass(frozen=True)
class Prototype:
    """A picture that shows what a node is about, such as the sample that travels it most surely.

    Args:
        image: the picture, or a ``data:`` address of one.
        caption: what it is and how sure the node was of it, in a few words.

    Example:
        >>> from PIL import Image
        >>> Prototype(Image.new("RGB", (32, 32)), "cat, 99 %").caption
        'cat, 99 %'
    """

    image: Picturable
    caption: str


@dataclass(frozen=True, kw_only=True)
class NodeDetails:
    """What a page says of one node when it is selected; whatever is not known is left out.

    Args:
        accuracy: how often the node is right, in [0, 1]: of a class, the share of its samples
            that are predicted; of an inner node, the share of the samples whose class lies under
            it that are sent to the right child.
        samples: how many samples that was measured on.
        facts: anything else, as {what: how much} in the order of reading, both as text.
        prototypes: pictures of typical samples.

    Raises:
        InputError: the accuracy is not from 0 to 1, or the samples are no count.

    Example:
        >>> details = NodeDetails(accuracy=0.93, samples=1000, facts={"Calibration error": "2.1 %"})
        >>> details.to_dict()
        {'accuracy': '93.0 %', 'samples': 1000, 'facts': [['Calibration error', '2.1 %']]}
    """

    accuracy: float | None = None
    samples: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    prototypes: tuple[Prototype, ...] = ()

    def __post_init__(self) -> None:
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise InputError(f"an accuracy is from 0 to 1, got {self.accuracy!r:.60}.")
        if self.samples is not None and not (0 <= self.samples < math.inf):
            raise InputError(f"samples is how many there were, got {self.samples!r:.60}.")

    def to_dict(self) -> dict[str, Any]:
        """The details as the plain data that the page's script reads."""
        known: dict[str, Any] = {}
        if self.accuracy is not None:
            known["accuracy"] = percent(float(self.accuracy))
        if self.samples is not None:
            known["samples"] = int(self.samples)
        if self.facts:
            known["facts"] = [[one_line(str(k)), one_line(str(v))] for k, v in self.facts.items()]
        if self.prototypes:
            known["prototypes"] = [
                {"image": data_uri(shown.image, PROTOTYPE_SIZE), "caption": one_line(shown.caption)}
                for shown in self.prototypes
            ]
        return known
