"""Trees and explanations that the tests of nbdt.view share."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from nbdt.explain import Explanation, explain_logits
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.support import SUPPORT, TREES
from nbdt.rules import RuleName, ScoreName, TreeLayout
from tests.explain.samples import THING, random_logits
from tests.strategies import hierarchies

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '"><style>*{display:none}</style>',
    "]]>",
    "<!--",
    "&lt;&#x41;&bogus;",
    "\x00\x01\x1b[31m\x7f",
    "\ufffe\uffff\U0001fffe",
    "\u202eright to left\u202c",
    "two\nlines\r\n\ttab",
    "\\N \\G \\l",
    "<<b>html</b>>",
    'quote " and \\',
    "日本の猫 🐈‍⬛ e\u0301",
    "x" * 500,
    "ﷺ" * 40,
]


def explain(
    tree: Hierarchy,
    seed: int = 0,
    *,
    scale: float = 2.5,
    rule: RuleName = "soft",
    score: ScoreName = "logsumexp",
    stop: int | None = None,
) -> Explanation:
    """An explanation of random logits; with `stop`, one that ends after so many decisions."""
    logits = random_logits(1, tree.num_classes, seed, scale)
    [explanation] = explain_logits(logits, TreeLayout(tree), score=score, rule=rule)
    if stop is None:
        return explanation
    stopped_at = explanation.path[stop % len(explanation.path)].node
    return replace(explanation, stopped_at=stopped_at, guarantee=0.95)


def renamed(tree: Hierarchy, names: list[str]) -> Hierarchy:
    """The tree with its first nodes called so."""
    rest = [f"node {node}" for node in range(len(names), len(tree))]
    return Hierarchy(tree.parents, [*names[: len(tree)], *rest], merge_heights=tree.merge_heights)


@st.composite
def subjects(draw: st.DrawFn) -> tuple[Hierarchy, int | None, int | None]:
    """Any tree with hostile names, and the seed and the stop of an explanation or None."""
    tree = draw(hierarchies(max_classes=12, attributes=False))
    odd = draw(st.lists(st.sampled_from(HOSTILE), unique=True, max_size=len(tree)))
    seed = draw(st.none() | st.integers(0, 2**32 - 1))
    stop = draw(st.none() | st.integers(0, 12))
    return renamed(tree, odd), seed, stop


def drawn_from(
    subject: tuple[Hierarchy, int | None, int | None],
) -> tuple[Hierarchy, Explanation | None]:
    """The tree and the explanation of what `subjects` drew: strategies run no checks."""
    tree, seed, stop = subject
    return tree, None if seed is None else explain(tree, seed, stop=stop)


CAT = explain(THING, 0)


def flat(num_classes: int) -> Hierarchy:
    """All classes right below the root."""
    parents = np.append(np.full(num_classes, num_classes), -1)
    return Hierarchy(parents, [f"class {i}" for i in range(num_classes)])


def supported(tree: Hierarchy, seed: int = 0) -> Hierarchy:
    """The tree with some support of each of its inner nodes but the root."""
    shares = np.random.default_rng(seed).choice([0, 0.003, 0.05, 0.87, 0.999, 1], len(tree))
    attributes = {node: dict(tree.attributes(node)) for node in range(len(tree))}
    for node in tree.inner[:-1]:
        attributes[node] |= {SUPPORT: float(shares[node]), TREES: 1000}
    return Hierarchy(
        tree.parents, tree.names, merge_heights=tree.merge_heights, attributes=attributes
    )
