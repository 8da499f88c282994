"""How logits walk the tree: scores of nodes, decisions, and soft and hard answers.

A new score is one object in `nbdt.rules.scores`, a new rule one in `nbdt.rules.predictions`.
"""

from nbdt.rules.functional import (
    HardRules,
    SoftRules,
    decision_log_probs,
    hard_predict,
    node_scores,
    soft_log_probs,
)
from nbdt.rules.layout import TreeLayout
from nbdt.rules.paths import PathDecisions
from nbdt.rules.predictions import (
    RULE_SCORES,
    RULES,
    Predictions,
    Rule,
    RuleName,
    get_rule,
    keeps_network_answer,
)
from nbdt.rules.scores import SCORES, Score, ScoreName, get_score
from nbdt.rules.temperature import Temperature

__all__ = [
    "RULES",
    "RULE_SCORES",
    "SCORES",
    "HardRules",
    "PathDecisions",
    "Predictions",
    "Rule",
    "RuleName",
    "Score",
    "ScoreName",
    "SoftRules",
    "Temperature",
    "TreeLayout",
    "decision_log_probs",
    "get_rule",
    "get_score",
    "hard_predict",
    "keeps_network_answer",
    "node_scores",
    "soft_log_probs",
]
