"""`Decision`: what was decided at one inner node, and how close it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nbdt.explain.document import DecisionDocument, check_decision, check_derived

# Derived values: written into the document for clients, checked on reading.
_DERIVED = ("child_name", "probability", "contrary")


def percent(probability: float) -> str:
    """A whole percentage that shows only certain events as 100 % and impossible ones as 0 %.

    Halves are rounded up, as in the pages' scripts.

    Example:
        >>> percent(0.713), percent(0.125), percent(0.001), percent(0.999), percent(1.0)
        ('71 %', '13 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < probability < 0.005:
        return "<1 %"
    if 0.995 <= probability < 1:
        return ">99 %"
    return f"{math.floor(100 * probability + 0.5)} %"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at one inner node.

    Attributes:
        children: all children, lowest id first; `children_names` are in the same order.
        probabilities: one for each child; they sum to 1.
        margin: the score of the child taken minus its nearest sibling's, in units of the logits,
            divided by the model's temperature. Negative if a soft path takes a child that is not
            the likeliest; see `contrary`. Infinite (null in JSON, which has no infinity) if every
            sibling is masked out, so nothing could change the decision.
        entropy: the entropy of `probabilities` over the logarithm of their number: 0 is certain, 1
            is even.
        feature_distance: how far the features would have to move to flip the decision, in their own
            units; negative if `margin` is. None if undefined: the score is not ``mean``, the head
            is not linear, or no movement can flip the decision.
    """

    node: int
    node_name: str
    child: int
    children: tuple[int, ...]
    children_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    margin: float
    entropy: float
    feature_distance: float | None = None

    @property
    def probability(self) -> float:
        """The probability of the child taken."""
        return self.probability_of(self.child)

    @property
    def child_name(self) -> str:
        """The name of the child taken."""
        return self.name_of(self.child)

    @property
    def contrary(self) -> bool:
        """Whether a sibling is likelier than the child taken.

        A soft path is chosen as a whole, so a class can win although one decision on its path
        favors another child.
        """
        return self.margin < 0

    @property
    def nearest_sibling(self) -> int:
        """The likeliest of the children not taken; ties go to the lower id."""
        pairs = zip(self.children, self.probabilities, strict=True)
        return max((pair for pair in pairs if pair[0] != self.child), key=lambda pair: pair[1])[0]

    def probability_of(self, child: int) -> float:
        """The probability of one of the children."""
        return self.probabilities[self.children.index(child)]

    def name_of(self, child: int) -> str:
        """The name of one of the children."""
        return self.children_names[self.children.index(child)]

    def to_dict(self) -> dict[str, Any]:
        """The decision as plain data, a part of the document of `Explanation.to_dict`."""
        return {
            "node": self.node,
            "node_name": self.node_name,
            "child": self.child,
            "child_name": self.child_name,
            "probability": self.probability,
            "children": list(self.children),
            "children_names": list(self.children_names),
            "probabilities": list(self.probabilities),
            "margin": self.margin if math.isfinite(self.margin) else None,
            "contrary": self.contrary,
            "entropy": self.entropy,
            "feature_distance": self.feature_distance,
        }

    @classmethod
    def of(cls, read: DecisionDocument, place: str) -> Decision:
        """The decision of a document; refuses with a FormatError what contradicts itself."""
        check_decision(read, place)
        decision = cls(
            node=read.node,
            node_name=read.node_name,
            child=read.child,
            children=read.children,
            children_names=read.children_names,
            probabilities=read.probabilities,
            margin=math.inf if read.margin is None else read.margin,
            entropy=read.entropy,
            feature_distance=read.feature_distance,
        )
        check_derived(read, decision, _DERIVED, f"{place}.")
        return decision
