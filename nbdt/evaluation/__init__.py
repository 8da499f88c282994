"""How good a tree is, measured on labelled samples in one pass and bounded memory.

`evaluate` measures a model; `Evaluator` is the same for logits. Both are made of small measures
that can be used alone: each counter is updated with the `nbdt.rules.Predictions` of a batch.
`fit_temperature` calibrates, and `evaluate_faithfulness` asks whether
explanations are what the model does. An `EditSession` tries edits of the tree before they are made.
"""

from nbdt.evaluation.accuracy import AccuracyByRule, accuracy_by_rule
from nbdt.evaluation.calibration import CalibrationCounter, CalibrationErrors, Reliability
from nbdt.evaluation.editing import EditSession
from nbdt.evaluation.edits import Edit
from nbdt.evaluation.evaluation import Evaluation
from nbdt.evaluation.evaluator import Evaluator, evaluate
from nbdt.evaluation.faithfulness import Faithfulness, evaluate_faithfulness
from nbdt.evaluation.fitting import TemperatureFit, fit_temperature, fit_temperature_to_logits
from nbdt.evaluation.interval import wilson_interval
from nbdt.evaluation.mistakes import Confusion, CostlyNode, MistakeCounter, Mistakes
from nbdt.evaluation.moves import MoveSuggestions, SuggestedMove, suggest_moves
from nbdt.evaluation.ood import (
    OutlierCounter,
    OutlierRow,
    OutlierTable,
    evaluate_outliers,
    outlier_scores,
)
from nbdt.evaluation.paired import PairedCounts
from nbdt.evaluation.prototypes import Prototype, PrototypeFinder, Prototypes
from nbdt.evaluation.shares import NodeAccuracy, ShareCounter
from nbdt.evaluation.superclasses import (
    SuperclassCounter,
    SuperclassShare,
    SuperclassTable,
    evaluate_superclasses,
    nodes_of_unseen,
)
from nbdt.evaluation.table import AccuracyRow, AccuracyTable
from nbdt.evaluation.trial import AccuracyChange, NodeChange, Trial
from nbdt.evaluation.uncertainty import UncertainSample, Uncertainty, UncertaintyCounter
from nbdt.rules import Predictions, Temperature

__all__ = [
    "AccuracyByRule",
    "AccuracyChange",
    "AccuracyRow",
    "AccuracyTable",
    "CalibrationCounter",
    "CalibrationErrors",
    "Confusion",
    "CostlyNode",
    "Edit",
    "EditSession",
    "Evaluation",
    "Evaluator",
    "Faithfulness",
    "MistakeCounter",
    "Mistakes",
    "MoveSuggestions",
    "NodeAccuracy",
    "NodeChange",
    "OutlierCounter",
    "OutlierRow",
    "OutlierTable",
    "PairedCounts",
    "Predictions",
    "Prototype",
    "PrototypeFinder",
    "Prototypes",
    "Reliability",
    "ShareCounter",
    "SuggestedMove",
    "SuperclassCounter",
    "SuperclassShare",
    "SuperclassTable",
    "Temperature",
    "TemperatureFit",
    "Trial",
    "UncertainSample",
    "Uncertainty",
    "UncertaintyCounter",
    "accuracy_by_rule",
    "evaluate",
    "evaluate_faithfulness",
    "evaluate_outliers",
    "evaluate_superclasses",
    "fit_temperature",
    "fit_temperature_to_logits",
    "nodes_of_unseen",
    "outlier_scores",
    "suggest_moves",
    "wilson_interval",
]
