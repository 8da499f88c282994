"""`Temperature`: the rules with logits, or the scores at single nodes, divided by a number.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017), section
4.2: networks are often overconfident, and dividing all logits by one number T, chosen on held-out
data, corrects most of it. `nbdt.evaluation.fit_temperature` finds T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.documents import described
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import scan
from nbdt.rules.functional import decision_log_probs, hard_predict, soft_log_probs
from nbdt.rules.layout import TreeLayout
from nbdt.rules.scores import ScoreName


@dataclass(frozen=True)
class Temperature:
    """What the logits, or the scores at single nodes, are divided by.

    A temperature above 1 makes decisions less confident, one below 1 more confident.

    - `value` divides the logits. Under ``logsumexp`` the soft answers stay; the hard ones can
      change, because a higher temperature favors groups of classes. Under ``mean`` the hard answers
      stay; the soft ones can change.
    - `nodes` divides the scores of single nodes' children. No decision changes, so hard answers
      stay. But class probabilities are then products of decisions at different temperatures: they
      are no longer the network's, and soft answers can change.

    Attributes:
        value: T, which divides all logits; finite and positive.
        nodes: temperatures of single inner nodes' decisions, by node; 1 for all others.

    Example:
        >>> import torch
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> Temperature(2.0).log_probs(logits, layout).exp()
        tensor([[0.5761, 0.2119, 0.2119]])
        >>> Temperature(nodes={3: 2.0}).log_probs(logits, layout).exp()
        tensor([[0.6532, 0.2403, 0.1065]])
    """

    value: float = 1.0
    nodes: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.value, *self.nodes.values()):
            if isinstance(value, bool) or not isinstance(value, float | int) or not 0 < value < 1e9:
                raise InputError(f"a temperature must be a number above 0; got {value!r:.80}.")
        object.__setattr__(self, "value", float(self.value))
        # A read-only view could not be copied, pickled or compiled.
        nodes = {node: float(value) for node, value in self.nodes.items()}
        object.__setattr__(self, "nodes", nodes)

    def __str__(self) -> str:
        text = f"temperature {self.value:.4g}"
        if not self.nodes:
            return text
        values = self.nodes.values()
        at = f"{len(values)} node{'s' * (len(values) != 1)}"
        return (
            f"{text}, times {min(values):.4g} to {max(values):.4g} at {at}: class probabilities "
            "are not the network's"
        )

    @classmethod
    def from_value(cls, value: Temperature | float | None) -> Temperature:
        """A temperature from a number, which divides all logits, or None, which changes nothing."""
        if isinstance(value, Temperature):
            return value
        if value is None:
            return cls()
        if isinstance(value, bool) or not isinstance(value, Real):
            raise InputError(
                f"a temperature must be a number above 0 or a Temperature; got {value!r:.80}."
            )
        return cls(float(value))

    def of(self, node: int) -> float:
        """The total divisor of the scores at a node."""
        return self.value * self.nodes.get(node, 1.0)

    def check_nodes(self, tree: Hierarchy) -> None:
        """Refuses temperatures of nodes that aren't inner nodes of the tree."""
        self._check_range(tree.inner.start, tree.inner.stop)

    def divide(self, logits: Float[Tensor, "*batch classes"]) -> Float[Tensor, "*batch classes"]:
        """The logits over `value`: the input of the functions of `nbdt.rules`."""
        if self.value == 1:
            return logits
        # Half types would round the quotient to three digits, or overflow.
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return wide / self.value

    def decisions(
        self,
        logits: Float[Tensor, "*batch classes"],
        layout: TreeLayout,
        score: ScoreName = "logsumexp",
    ) -> Float[Tensor, "*batch nodes"]:
        """`nbdt.rules.decision_log_probs` at these temperatures."""
        decisions = decision_log_probs(self.divide(logits), layout, score)
        if not self.nodes:
            return decisions
        self._check_range(layout.num_classes, layout.num_nodes)
        nodes = torch.tensor(list(self.nodes), device=decisions.device)
        values = decisions.new_tensor(list(self.nodes.values()))
        of_parent = decisions.new_ones(layout.num_nodes).index_copy(0, nodes, values)
        # The first of the jumps is to each node's parent; at the root, log p = 0 stays.
        divisors = of_parent.index_select(0, layout.jumps[0])
        return scan.decisions(decisions / divisors, layout)

    def log_probs(
        self,
        logits: Float[Tensor, "*batch classes"],
        layout: TreeLayout,
        score: ScoreName = "logsumexp",
    ) -> Float[Tensor, "*batch classes"]:
        """`nbdt.rules.soft_log_probs` at these temperatures."""
        if not self.nodes:
            return soft_log_probs(self.divide(logits), layout, score)
        return scan.path_sums(self.decisions(logits, layout, score), layout)

    def hard_predict(
        self,
        logits: Float[Tensor, "*batch classes"],
        layout: TreeLayout,
        score: ScoreName = "logsumexp",
    ) -> Int[Tensor, "*batch"]:
        """`nbdt.rules.hard_predict` at these temperatures."""
        # A node's own temperature keeps the order of its children.
        return hard_predict(self.divide(logits), layout, score)

    def to_dict(self) -> dict[str, Any]:
        """The temperatures as values that JSON can hold."""
        return {"value": self.value, "nodes": {str(k): v for k, v in sorted(self.nodes.items())}}

    @classmethod
    def from_dict(cls, document: object) -> Temperature:
        """The temperatures of an untrusted `to_dict` document; a FormatError if it is invalid."""
        if not isinstance(document, Mapping) or set(document) != {"value", "nodes"}:
            raise FormatError(
                f"temperatures are an object with value and nodes, got {described(document)}."
            )
        nodes = document["nodes"]
        if not isinstance(nodes, Mapping) or not all(
            isinstance(node, str) and node.isdecimal() and node.isascii() and len(node) < 20
            for node in nodes
        ):
            raise FormatError("nodes must be an object of temperatures by node id.")
        try:
            own = {int(node): _decimal(value) for node, value in nodes.items()}
            return cls(_decimal(document["value"]), own)
        except InputError as error:
            raise FormatError(str(error)) from None

    def _check_range(self, first: int, stop: int) -> None:
        for node in self.nodes:
            if not first <= node < stop:
                raise InputError(
                    f"node {node} has a temperature, but the inner nodes of this tree are {first} "
                    f"to {stop - 1}."
                )


def _decimal(value: Any) -> Any:
    """A small integer (JSON may write 2.0 as 2) as a float; anything else unchanged."""
    return float(value) if type(value) is int and 0 <= value < 2**53 else value
