"""One prediction and the decisions that led to it: `Explanation` and its JSON document.

Explanations are plain immutable data. They contain no tensors and hold the names they need, so they
can be read, stored and sent without the tree or the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, SupportsIndex, overload

from nbdt.display import Displayed
from nbdt.explain.decision import Decision, percent
from nbdt.explain.document import SCHEMA, ExplanationDocument, Sites, check_derived, refuse
from nbdt.hierarchy.text import one_line

# Derived values: written into the document for clients, checked on reading.
_DERIVED = (
    "prediction",
    "prediction_name",
    "probability",
    "agrees",
    "diverges_at_name",
    "answer",
    "answer_name",
    "answer_probability",
)
_KEYS = tuple(ExplanationDocument.model_fields)[1:-1]  # without the schema and the path
# Longer paths show only their first two and last two decisions.
_LONGEST_PATH = 6


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Displayed):
    """One prediction: its path through the tree, the runner-up, and where their paths diverge.

    `str` gives a short text for readers, `to_dict` a document for programs.

    Attributes:
        path: the decisions from the root to the predicted class, root first.
        network_prediction: the class with the largest logit, which the network itself predicts.
        runner_up: the second-likeliest class (soft rule), or the likeliest class other than the
            predicted one (hard rule).
        runner_up_probability: the product of the decisions along the runner-up's own path.
        diverges_at: the node where the paths to the predicted class and to the runner-up part.
        stopped_at: the node on the path that is the answer if the tree was too unsure to go on;
            None if the answer is the predicted class. `path` still leads to the class.
        guarantee: the smallest share of answers, on average, that contain the true class, if the
            tree was calibrated to stop when unsure; else None.
        sites: where on a map of classes it is; None for a sample with one answer. Of a region, it
            explains the mean of the sites' logits, which is that of their log-probabilities.
    """

    path: tuple[Decision, ...]
    network_prediction: int
    network_prediction_name: str
    runner_up: int
    runner_up_name: str
    runner_up_probability: float
    diverges_at: int
    score: str
    rule: str
    stopped_at: int | None = None
    guarantee: float | None = None
    sites: Sites | None = None

    @property
    def prediction(self) -> int:
        """The predicted class: the leaf where the path ends."""
        return self.path[-1].child

    @property
    def prediction_name(self) -> str:
        """The name of the predicted class."""
        return self.path[-1].child_name

    @property
    def probability(self) -> float:
        """The product of the decisions on the path."""
        return math.prod(decision.probability for decision in self.path)

    @property
    def agrees(self) -> bool:
        """Whether the tree predicts what the network predicts."""
        return self.prediction == self.network_prediction

    @property
    def diverges_at_name(self) -> str:
        """The name of the node where the paths to the runner-up and the predicted class diverge."""
        return next(d.node_name for d in self.path if d.node == self.diverges_at)

    @property
    def answer(self) -> int:
        """The node that is the answer: `stopped_at`, or else the predicted class."""
        return self.prediction if self.stopped_at is None else self.stopped_at

    @property
    def answer_name(self) -> str:
        """The name of the answer."""
        if self.stopped_at is None:
            return self.prediction_name
        return next(d.node_name for d in self.path if d.node == self.stopped_at)

    @property
    def answer_probability(self) -> float:
        """The product of the decisions from the root down to the answer."""
        return math.prod((decision.probability for decision in self._taken), start=1.0)

    @property
    def closest(self) -> Decision:
        """The decision with the smallest margin; ties go to the one nearest the root."""
        return min(self.path, key=lambda decision: decision.margin)

    # ── as a document ─────────────────────────────────────────────────────────────────────────

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain data: JSON of the schema ``nbdt.explanation/1``.

        Every number is finite, so any JSON writer accepts it. Derived values (names, `agrees`,
        `answer`, …) are included, so clients need not compute them.
        """
        document = {key: getattr(self, key) for key in _KEYS if key != "sites"}
        if self.sites is not None:
            document["sites"] = self.sites.to_dict()
        path = [decision.to_dict() for decision in self.path]
        return {"schema": SCHEMA, **document, "path": path}

    @classmethod
    def from_dict(cls, document: object) -> Explanation:
        """The explanation that `to_dict` wrote; a FormatError names what is invalid."""
        read = ExplanationDocument.from_dict(document)
        path = tuple(Decision.of(step, f"path[{index}]") for index, step in enumerate(read.path))
        for index, (above, below) in enumerate(pairwise(path), start=1):
            if below.node != above.child:
                reason = f"is {below.node}, but the decision before it leads to {above.child}"
                refuse(f"path[{index}].node", reason)
        values = {key: getattr(read, key) for key in _KEYS if key not in _DERIVED}
        explanation = cls(path=path, **values)
        on_path = (*(decision.node for decision in path), None)
        for key in ("diverges_at", "stopped_at"):
            if values[key] not in on_path:
                refuse(key, f"is {values[key]}, which is not on the path")
        if explanation.runner_up == explanation.prediction:
            refuse("runner_up", "is the predicted class itself")
        check_derived(read, explanation, _DERIVED, "")
        return explanation

    # ── as text ───────────────────────────────────────────────────────────────────────────────

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, *, full: bool = False) -> str:
        """A paragraph for a reader.

        `full` gives every decision its own line, with the nearest sibling; otherwise the middle of
        a path of more than six decisions is summarized.
        """
        decisions = list(self._decisions())
        if full and len(self.path) > 1:
            decisions[0] = "Path, decision by decision:"
            taken = len(self._taken)
            decisions[1:1] = [
                f"  {number}. {_told(d)}{'' if number <= taken else '; not taken'}"
                for number, d in enumerate(self.path, 1)
            ]
        return "\n".join([*self._headline(), *decisions])

    def _headline(self) -> Iterator[str]:
        likeliest = _with_percent(self.prediction_name, self.probability)
        if self.sites is not None:
            yield f"For {self.sites}:"
        if self.stopped_at is None:
            says = "agrees" if self.agrees else f"says {_plain(self.network_prediction_name)}"
            yield f"Predicted {likeliest}; the network {says}."
        else:
            answer = _with_percent(self.answer_name, self.answer_probability)
            says = f"the network says {_plain(self.network_prediction_name)}"
            yield f"Stopped at {answer}, too unsure to go on to {likeliest}; {says}."
        if self.guarantee is not None:
            yield promise(self.guarantee)

    def _decisions(self) -> Iterator[str]:
        closest = self.closest
        sibling = closest.nearest_sibling
        taken = _with_percent(closest.child_name, closest.probability)
        other = _with_percent(closest.name_of(sibling), closest.probability_of(sibling))
        if len(self.path) == 1:
            more = len(closest.children) - 2
            others = f"{other}{f' and {more} more' if more else ''}"
            if closest.contrary:
                yield f"One decision: {taken} against {others}, as no class there is as likely."
            else:
                yield f"One decision: {taken} over {others}."
            if sibling == self.runner_up:
                return
        else:
            yield f"Path: {self._steps()}."
            where = _plain(closest.node_name)
            if closest.contrary:
                yield f"At {where} it takes {taken} against {other}, as the whole path is likelier."
            else:
                yield f"Closest decision: {taken} over {other} at {where}."
        rival = _with_percent(self.runner_up_name, self.runner_up_probability)
        yield f"Runner-up: {rival}; the paths diverge at {_plain(self.diverges_at_name)}."

    def _steps(self) -> str:
        """The nodes passed with their probabilities, then those that were not reached."""
        taken = len(self._taken)
        passed = " → ".join([_plain(self.path[0].node_name), *_summed_up(self.path[:taken])])
        beyond = " → ".join(_summed_up(self.path[taken:]))
        return f"{passed}; not taken: {beyond}" if beyond else passed

    @property
    def _taken(self) -> tuple[Decision, ...]:
        """The decisions down to the answer."""
        return tuple(takewhile(lambda decision: decision.node != self.stopped_at, self.path))

    def __repr__(self) -> str:
        stopped = "" if self.stopped_at is None else f", stopped at {self.answer_name!r}"
        return (
            f"Explanation({self.prediction_name!r}, probability {self.probability:.4f}{stopped}, "
            f"{len(self.path)} decisions, network {self.network_prediction_name!r})"
        )


class Explanations(list[Explanation], Displayed):
    """A list of explanations; in a notebook it, and any slice of it, draws them side by side."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex) -> Explanation: ...

    @overload
    def __getitem__(self, index: slice) -> Explanations: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Explanation | Explanations:
        got = super().__getitem__(index)
        return Explanations(got) if isinstance(got, list) else got


def _plain(name: str) -> str:
    """The name on one line, whatever it contains."""
    return one_line(" ".join(name.split()))


def _summed_up(decisions: Sequence[Decision]) -> list[str]:
    """The children of these decisions; the middle of a long list is summarized."""
    steps = [_with_percent(d.child_name, d.probability) for d in decisions]
    if len(steps) > _LONGEST_PATH:
        middle = math.prod(d.probability for d in decisions[2:-2])
        steps[2:-2] = [f"… {len(steps) - 4} more, together {percent(middle)} …"]
    return steps


def _told(decision: Decision) -> str:
    sibling = decision.nearest_sibling
    taken = _with_percent(decision.child_name, decision.probability)
    other = _with_percent(decision.name_of(sibling), decision.probability_of(sibling))
    return f"at {_plain(decision.node_name)}: {taken} over {other}"


def _with_percent(name: str, probability: float) -> str:
    # In parentheses, as names may end in numbers of their own ("cat, dog, +3").
    return f"{_plain(name)} ({percent(probability)})"


def promise(guarantee: float) -> str:
    """A guarantee and its assumption in one sentence."""
    return (
        f"At least {100 * guarantee:.10g} % of such answers hold the true class, on average, if "
        "samples are drawn like the calibration samples."
    )
