"""What is explained, by whatever parts: the difference of two scores at a node."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, SupportsIndex, overload

from jaxtyping import Float
from torch import Tensor

from nbdt.display import Displayed
from nbdt.errors import InputError
from nbdt.explain import Decision, Explanation, percent
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.inputs import Preview
from nbdt.model import NBDT
from nbdt.rules import is_map
from nbdt.rules.sites import logits_at

_NOTHING = Preview()

Path = Explanation | Iterable[Decision | Node]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Attribution(Displayed):
    """What parts of one sample contributed to preferring one child of a node over another.

    Attributes:
        node: the node that decided.
        child: the child taken.
        rival: the nearest sibling of the child: the most likely of those not taken.
        probability: of the child among all children of the node.
        difference: the score of the child minus that of its rival, at the model's temperature.
        method: by name, or the name of the class of Captum.
        baseline_difference: the same difference at the baseline; None where the method does not
            share out the rise from there.
        preview: the sample, where it can be shown.
    """

    node: int
    node_name: str
    child: int
    child_name: str
    rival: int
    rival_name: str
    probability: float
    difference: float
    method: str
    baseline_difference: float | None = None
    preview: Preview = _NOTHING

    @property
    @abstractmethod
    def total(self) -> float:
        """The sum of all contributions."""

    @property
    def convergence_delta(self) -> float | None:
        """By how much the contributions miss what they share out, in the units of the scores.

        Their sum minus the rise of the difference from the baseline to the sample: 0 for exact
        Integrated Gradients (completeness: Sundararajan et al., ICML 2017, proposition 1) and for
        Shapley values. None where the method makes no such promise.
        """
        if self.baseline_difference is None:
            return None
        return self.total - self.difference + self.baseline_difference

    def to_dict(self) -> dict[str, Any]:
        """The attribution as plain data that any JSON writer accepts."""
        return {
            "node": self.node,
            "node_name": self.node_name,
            "child": self.child,
            "child_name": self.child_name,
            "rival": self.rival,
            "rival_name": self.rival_name,
            "probability": self.probability,
            "difference": self.difference,
            "baseline_difference": self.baseline_difference,
            "method": self.method,
        }

    def __str__(self) -> str:
        return (
            f"{self.node_name}: {self.child_name} ({percent(self.probability)}), not "
            f"{self.rival_name}; the scores differ by {self.difference:.2f}"
        )


class Attributions(list[Attribution], Displayed):
    """The attributions of a path, root first; a notebook draws them below each other."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex) -> Attribution: ...

    @overload
    def __getitem__(self, index: slice) -> Attributions: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Attribution | Attributions:
        got = super().__getitem__(index)
        return Attributions(got) if isinstance(got, list) else got

    def __str__(self) -> str:
        return "\n\n".join(map(str, self))


class Choice(NamedTuple):
    """A child of a node, its rival, and the child's probability among all children."""

    node: int
    child: int
    rival: int
    probability: float

    def named(self, model: NBDT) -> dict[str, Any]:
        """The fields of an `Attribution` that say what was chosen."""
        tree = model.hierarchy
        names = {f"{key}_name": tree.name(getattr(self, key)) for key in ("node", "child", "rival")}
        return self._asdict() | names


def checked_model(model: object) -> NBDT:
    """The model; an InputError if it is not an NBDT."""
    if not isinstance(model, NBDT):
        raise InputError(f"model must be an NBDT, got {type(model).__name__}.")
    return model


def choices_on(model: NBDT, path: Path, log_probs: Float[Tensor, " nodes"]) -> list[Choice]:
    """What was chosen at each node of a path, given what `decision_log_probs` gives."""
    decisions = path.path if isinstance(path, Explanation) else path
    return [_choice(model, decision, log_probs) for decision in decisions]


def site_on(path: Path) -> tuple[int, ...] | None:
    """The site of a map that a path belongs to, if its explanation is of one."""
    sites = path.sites if isinstance(path, Explanation) else None
    if sites is not None and sites.count > 1:
        raise InputError(
            "attribution explains one site of a map, got a region; explain at=(row, column)."
        )
    return None if sites is None else sites.first


def decision_log_probs(
    model: NBDT,
    logits: Float[Tensor, "batch classes *sites"],
    site: tuple[int, ...] | None = None,
) -> Float[Tensor, "batch nodes"]:
    """The log-probability of each node given its parent, of a map at one site."""
    if site is not None:
        logits, _ = logits_at(logits, site)
    elif is_map(logits):
        raise InputError(
            "attribution of a model of maps is by pixels and needs the explanation of one site, as "
            "model.explain(x, at=(row, column))[0]."
        )
    return model.temperature.decisions(logits, model.layout, model.score)


def differences(
    log_probs: Float[Tensor, "batch nodes"], choices: list[Choice]
) -> Float[Tensor, "batch decisions"]:
    """The score of each child minus that of its rival; a column a decision."""
    # Siblings' scores differ as their log-probabilities do.
    rivals = log_probs[:, [choice.rival for choice in choices]]
    return log_probs[:, [choice.child for choice in choices]] - rivals


def check_finite(found: Tensor, where: str) -> list[float]:
    """The first row of differences; an InputError unless all are finite."""
    values: list[float] = found[0].tolist()
    if not found.isfinite().all():
        raise InputError(
            f"the scores at {where} do not differ by a finite number ({values}): it holds NaN, or "
            "a class is masked out, which leaves nothing to explain."
        )
    return values


def _choice(model: NBDT, decision: Decision | Node, log_probs: Tensor) -> Choice:
    tree = model.hierarchy
    node = decision.node if isinstance(decision, Decision) else node_ids(tree, [decision])[0]
    children = tree.children(node)
    if not children:
        raise InputError(
            f"node {node} is the class {tree.name(node)!r}, which decides nothing; give an inner "
            "node."
        )
    probabilities = log_probs[list(children)].exp()
    if isinstance(decision, Decision):
        if decision.children != children:
            raise InputError(
                f"the decision at node {node} is of another tree: its children are "
                f"{decision.children}, here they are {children}."
            )
        child, rival = decision.child, decision.nearest_sibling
    else:
        order = probabilities.argsort(descending=True, stable=True).tolist()
        child, rival = (children[place] for place in order[:2])
    return Choice(node, child, rival, probabilities[children.index(child)].item())
