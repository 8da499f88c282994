"""Tree supervision as DESIGN.md words it: class by class, one sample at a time, in float64."""

import math

import numpy as np

from tests.rules.oracle import answer, logsumexp


def class_loss(tree, logits, leaf, rule, score, compat=None):
    found = answer(tree, logits, score)
    path = tree.path(leaf)
    if rule == "soft" and compat:
        probabilities = [math.exp(value) for value in found.soft]
        return logsumexp(probabilities) - probabilities[leaf]
    total = -math.fsum(found.decisions[node] for node in path[1:])
    if rule == "soft":
        return total
    return total / (len(tree.inner) / 2 if compat else len(path) - 1)


def sample_loss(tree, logits, target, settings, *, network=1.0, tree_weight=1.0, **labels):
    """β · CE + ω · ℓ of one sample whose target is a class index or a list of probabilities."""
    smoothing, weight = labels.get("label_smoothing", 0.0), labels.get("weight")
    classes = range(tree.num_classes)
    shares = [float(c == target) for c in classes] if np.ndim(target) == 0 else target
    shares = [(1 - smoothing) * share + smoothing / tree.num_classes for share in shares]
    weights = [1.0] * tree.num_classes if weight is None else weight
    cross = [logsumexp(logits) - logits[c] for c in classes]
    losses = [class_loss(tree, logits, c, *settings) for c in classes]
    return math.fsum(
        shares[c] * weights[c] * (network * cross[c] + tree_weight * losses[c]) for c in classes
    )
