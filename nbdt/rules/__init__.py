"""How logits walk the tree: scores of nodes, decisions, and soft and hard answers."""

from nbdt.rules.functional import (
    RULES,
    SCORES,
    Rule,
    Score,
    decision_log_probs,
    hard_predict,
    node_scores,
    soft_log_probs,
)
from nbdt.rules.layout import TreeLayout
from nbdt.rules.modules import HardRules, SoftRules
from nbdt.rules.temperature import Temperature

__all__ = [
    "RULES",
    "SCORES",
    "HardRules",
    "Rule",
    "Score",
    "SoftRules",
    "Temperature",
    "TreeLayout",
    "decision_log_probs",
    "hard_predict",
    "node_scores",
    "soft_log_probs",
]
