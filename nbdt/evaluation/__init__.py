"""How good a tree is, measured on labelled samples."""

from nbdt.evaluation.accuracy import AccuracyByRule, accuracy_by_rule
from nbdt.evaluation.interval import wilson_interval
from nbdt.evaluation.table import AccuracyRow, AccuracyTable

__all__ = [
    "AccuracyByRule",
    "AccuracyRow",
    "AccuracyTable",
    "accuracy_by_rule",
    "wilson_interval",
]
