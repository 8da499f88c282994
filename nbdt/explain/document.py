"""The JSON document of an explanation: what it contains, and whether its parts agree.

Its schema, ``explanation.schema.json`` beside this file, is generated from these classes by `make
schemas`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, model_validator

from nbdt.documents import Document, described, json_schema
from nbdt.errors import FormatError
from nbdt.rules import RuleName, ScoreName

SCHEMA = "nbdt.explanation/1"
SCHEMA_FILE = Path(__file__).with_name("explanation.schema.json")

# The rounding difference between two writers of the same number.
_TOLERANCE = 1e-6

Node = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1)]


def _says(text: str, **more: Any) -> Any:
    return Field(description=text, **more)


class DecisionDocument(Document):
    """What was decided at one inner node."""

    node: Node = _says("The inner node.")
    node_name: Name
    child: Node = _says("The child taken, one of children.")
    child_name: Name
    probability: Share = _says("The probability of the child taken, one of probabilities.")
    children: tuple[Node, ...] = Field(min_length=2, json_schema_extra={"uniqueItems": True})
    children_names: tuple[Name, ...] = _says("The names of the children, in their order.")
    probabilities: tuple[Share, ...] = _says(
        "The probability of each child, in their order; they sum to 1."
    )
    margin: float | None = _says(
        "The score of the child taken minus the score of its nearest sibling, in the units of the "
        "logits; null where every sibling is masked out, so that nothing could turn the decision."
    )
    contrary: bool = _says(
        "Whether a sibling is likelier than the child taken (a negative margin), as can happen on "
        "a soft path."
    )
    entropy: Share = _says(
        "The entropy of probabilities over the logarithm of their number: 0 is sure, 1 is even."
    )
    feature_distance: float | None = _says(
        "How far the features would have to move to flip the decision; null where that is not "
        "defined."
    )


class Sites(Document):
    """The sites of a map that an explanation is about: one site, or a region."""

    shape: tuple[Side, ...] = _says("How many sites the map has along each axis.", min_length=1)
    count: Side = _says("How many sites it is about; 1 for a single site.")
    first: tuple[Node, ...] = _says(
        "The lowest row, column, … among these sites: a corner of the box that holds them."
    )
    last: tuple[Node, ...] = _says("The highest row, column, …, itself in the box.")

    @classmethod
    def one(cls, shape: tuple[int, ...], site: tuple[int, ...]) -> Sites:
        """A single site of a map of this shape."""
        return cls(shape=shape, count=1, first=site, last=site)

    @model_validator(mode="after")
    def _check_box(self) -> Sites:
        if not len(self.shape) == len(self.first) == len(self.last):
            raise ValueError("shape, first and last need one number for each axis.")
        edges = list(zip(self.first, self.last, self.shape, strict=True))
        if not all(first <= last < side for first, last, side in edges):
            raise ValueError("first must not lie after last, nor last outside the map.")
        room = math.prod(last - first + 1 for first, last, _ in edges)
        if not min(room, 2) <= self.count <= room:
            raise ValueError(
                f"count must be {min(room, 2)} to {room} in this box, got {self.count}."
            )
        return self

    def __str__(self) -> str:
        whole = f"a map of {' × '.join(map(str, self.shape))} sites"
        if self.count == 1:
            return f"{_place(self.first)} of {whole}"
        box = f"between {_place(self.first)} and {_place(self.last)}"
        return f"a region of {self.count:,} sites {box} of {whole}"


def _place(site: tuple[int, ...]) -> str:
    if len(site) == 2:
        return f"row {site[0]}, column {site[1]}"
    places = ", ".join(map(str, site))
    return f"site {places}" if len(site) == 1 else f"site ({places})"


class ExplanationDocument(Document):
    """One prediction of a neural-backed decision tree.

    It holds the decisions on the path, the runner-up, and where their paths diverge. Nodes are
    numbered as the tree numbers them: 0 to C-1 are the classes in the classifier's order, the inner
    nodes follow. Every number is finite.
    """

    version: Literal["nbdt.explanation/1"] = Field(alias="schema")
    prediction: Node = _says("The predicted class: the leaf where the path ends.")
    prediction_name: Name
    probability: Share = _says("The product of the decisions on the path.")
    network_prediction: Node = _says(
        "The class with the largest logit: what the network says by itself."
    )
    network_prediction_name: Name
    agrees: bool = _says("Whether prediction and network_prediction are the same class.")
    answer: Node = _says(
        "The node answered: stopped_at, or the predicted class where that is null."
    )
    answer_name: Name
    answer_probability: Share = _says(
        "The product of the decisions from the root down to the answer."
    )
    stopped_at: Node | None = _says(
        "The inner node on the path that is the answer because the tree was too unsure to go on; "
        "null where the answer is the predicted class. The path goes on to the class either way."
    )
    guarantee: Share | None = _says(
        "The least share of answers, on average, that hold the true class, where the tree was "
        "calibrated to stop when unsure; else null."
    )
    runner_up: Node = _says(
        "The second-likeliest class (soft rule), or the likeliest class but the predicted one "
        "(hard rule)."
    )
    runner_up_name: Name
    runner_up_probability: Share = _says(
        "The product of the decisions on the runner-up's own path."
    )
    diverges_at: Node = _says(
        "The node where the paths to the predicted class and to the runner-up diverge."
    )
    diverges_at_name: Name
    score: ScoreName = _says("How a node is scored from the logits of the classes under it.")
    rule: RuleName = _says(
        "soft: the class with the likeliest path; hard: the likeliest child at each node."
    )
    sites: Sites | None = _says(
        "Where in the sample; only of explanations of a map, whose every site has an answer.",
        default=None,
    )
    path: tuple[DecisionDocument, ...] = _says(
        "The decisions from the root to the predicted class, root first; each one's node is the "
        "child of the one before.",
        min_length=1,
    )


def check_decision(decision: DecisionDocument, place: str) -> None:
    """Refuses a decision whose lists do not fit together."""
    count = len(decision.children)
    if len(set(decision.children)) < count:
        refuse(f"{place}.children", "names a node twice")
    for key in ("children_names", "probabilities"):
        if len(getattr(decision, key)) != count:
            got = len(getattr(decision, key))
            refuse(f"{place}.{key}", f"needs one entry a child, {count}; got {got}")
    total = math.fsum(decision.probabilities)
    if abs(total - 1) > _TOLERANCE:
        refuse(f"{place}.probabilities", f"must sum to 1, got {total}")
    if decision.child not in decision.children:
        refuse(f"{place}.child", "is not among the children")


def check_derived(document: Document, built: object, keys: tuple[str, ...], place: str) -> None:
    """Refuses a document at `place` whose `keys` differ from those `built` from the rest."""
    for key in keys:
        value, expected = getattr(document, key), getattr(built, key)
        if isinstance(expected, float):
            same = abs(value - expected) <= _TOLERANCE
        else:
            same = value == expected
        if not same:
            refuse(
                f"{place}{key}",
                f"is {described(value)}, but the rest of the document makes it "
                f"{described(expected)}",
            )


def refuse(place: str, reason: str) -> NoReturn:
    """Raises a FormatError that says what is wrong, and where."""
    raise FormatError(f"{place} {reason}.")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return json_schema(ExplanationDocument, "urn:nbdt:explanation:1", SCHEMA)


def write_schema() -> None:
    """Writes the schema to its file."""
    SCHEMA_FILE.write_text(json.dumps(schema(), indent=2) + "\n", "utf-8")
