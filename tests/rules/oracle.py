"""The rules as DESIGN.md words them: recursive, one sample at a time, in float64."""

import math
from dataclasses import dataclass

import numpy as np

from nbdt.hierarchy import Hierarchy


@dataclass(frozen=True)
class Answer:
    """What a naive reader of the definitions finds for one sample."""

    scores: np.ndarray  # (nodes,)
    decisions: np.ndarray  # (nodes,), log p(v | parent), 0 at the root
    soft: np.ndarray  # (C,), log p(leaf)
    hard: int
    margin: float  # the smallest by which the hard path won a decision


def logsumexp(values):
    highest = max(values)
    if highest == -math.inf:
        return -math.inf
    return highest + math.log(math.fsum(math.exp(value - highest) for value in values))


def node_score(tree: Hierarchy, logits, node, score):
    values = [float(logits[leaf]) for leaf in tree.leaves(node)]
    if score == "logsumexp":
        return logsumexp(values)
    allowed = [value for value in values if value != -math.inf]
    return math.fsum(allowed) / len(allowed) if allowed else -math.inf


def answer(tree: Hierarchy, logits, score) -> Answer:
    scores = np.array([node_score(tree, logits, node, score) for node in range(len(tree))])
    decisions = np.zeros(len(tree))
    for node in tree.inner:
        children = tree.children(node)
        total = logsumexp(scores[list(children)])
        for child in children:
            # A group that is masked whole is never reached; its members share it evenly.
            masked = total == -math.inf
            decisions[child] = -math.log(len(children)) if masked else scores[child] - total
    soft = np.array(
        [sum(decisions[v] for v in tree.path(leaf)) for leaf in range(tree.num_classes)]
    )
    node, margin = tree.root, math.inf
    while not tree.is_leaf(node):
        children = sorted(tree.children(node), key=lambda child: (-scores[child], child))
        margin = min(margin, scores[children[0]] - scores[children[1]])
        node = children[0]
    return Answer(scores, decisions, soft, node, margin)
