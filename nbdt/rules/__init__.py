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
from nbdt.rules.paths import PathDecisions, path_indicator
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
from nbdt.rules.sites import (
    check_answerable,
    children_taken,
    is_map,
    map_answers,
    map_log_probs,
    nodes_at_depth,
)
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
    "check_answerable",
    "children_taken",
    "decision_log_probs",
    "get_rule",
    "get_score",
    "hard_predict",
    "is_map",
    "keeps_network_answer",
    "map_answers",
    "map_log_probs",
    "node_scores",
    "nodes_at_depth",
    "path_indicator",
    "soft_log_probs",
]
