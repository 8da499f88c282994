"""Trees, logits and explanations that the tests of nbdt.explain share."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import jsonschema
import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

import nbdt.explain
from nbdt.explain import Decision, Explanation, explain_logits
from nbdt.hierarchy import Hierarchy
from nbdt.rules import RuleName, ScoreName, TreeLayout
from tests.strategies import hierarchies

SCORES: tuple[ScoreName, ...] = get_args(ScoreName)
RULES: tuple[RuleName, ...] = get_args(RuleName)

THING = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(nbdt.explain.__file__).parent / "explanation.schema.json").read_text("utf-8"))
)


def random_logits(batch: int, num_classes: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    """Normal logits in float64, so that ties are out of the question."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0, scale, (batch, num_classes)))


@dataclass(frozen=True)
class Recipe:
    """What an explanation is made from, drawn apart from making it: strategies run no checks."""

    tree: Hierarchy
    seed: int
    score: ScoreName
    rule: RuleName
    masked: list[int]
    stop: int | None
    guarantee: float | None

    def explain(self) -> Explanation:
        logits = random_logits(1, self.tree.num_classes, self.seed)
        logits[:, self.masked] = -torch.inf
        layout = TreeLayout(self.tree)
        [explanation] = explain_logits(logits, layout, score=self.score, rule=self.rule)
        stopped_at = None
        if self.stop is not None:
            stopped_at = explanation.path[self.stop % len(explanation.path)].node
        return replace(explanation, stopped_at=stopped_at, guarantee=self.guarantee)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any explanation that the library makes: trees, scores, rules, masked classes, stops."""
    tree = draw(hierarchies(max_classes=12, heights=False, attributes=False))
    return Recipe(
        tree=tree,
        seed=draw(st.integers(0, 2**32 - 1)),
        score=draw(st.sampled_from(SCORES)),
        rule=draw(st.sampled_from(RULES)),
        masked=draw(st.lists(st.integers(1, tree.num_classes - 1), unique=True)),
        stop=draw(st.none() | st.integers(0, 12)),
        guarantee=draw(st.none() | st.floats(0, 1)),
    )


def decision(
    node: tuple[int, str],
    children: dict[int, tuple[str, float]],
    child: int,
    margin: float = 1.0,
    entropy: float = 0.5,
) -> Decision:
    """A decision made by hand: ``{id: (name, probability)}`` for the children."""
    names, probabilities = zip(*children.values(), strict=True)
    return Decision(*node, child, tuple(children), names, probabilities, margin, entropy)


CAT = Explanation(
    path=(
        decision((4, "thing"), {2: ("car", 0.02), 3: ("animal", 0.98)}, 3, 3.9, 0.14),
        decision((3, "animal"), {0: ("cat", 0.75), 1: ("dog", 0.25)}, 0, 1.1, 0.81),
    ),
    network_prediction=0,
    network_prediction_name="cat",
    runner_up=1,
    runner_up_name="dog",
    runner_up_probability=0.245,
    diverges_at=3,
    score="logsumexp",
    rule="soft",
)
