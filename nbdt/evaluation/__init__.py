"""How good a tree is, measured on labelled samples in one pass and bounded memory.

`evaluate` measures a model, `Evaluator` logits from elsewhere; both update every registered
`Measure` with `Predictions`. `fit_temperature` calibrates, `evaluate_faithfulness` checks whether
explanations are what the model does, and an `EditSession` tries edits of the tree.
"""

from nbdt.evaluation.accuracy import (
    AccuracyByRule,
    AccuracyRow,
    AccuracyTable,
    NodeAccuracy,
    NodeAccuracyCounter,
    accuracy_by_rule,
)
from nbdt.evaluation.calibration import CalibrationCounter, CalibrationErrors, Reliability
from nbdt.evaluation.editing import EditSession
from nbdt.evaluation.edits import Edit, Trial
from nbdt.evaluation.evaluation import Evaluation, Evaluator, evaluate
from nbdt.evaluation.faithfulness import Faithfulness, evaluate_faithfulness
from nbdt.evaluation.fitting import TemperatureFit, fit_temperature, fit_temperature_to_logits
from nbdt.evaluation.intervals import PairedCounts, wilson_interval
from nbdt.evaluation.jobs import Assessment, Source, assess
from nbdt.evaluation.maps import IoUCounter, IoURow, IoUTable, evaluate_maps
from nbdt.evaluation.measure import Measure, Result, measures
from nbdt.evaluation.mistakes import Confusion, MistakeCounter, Mistakes
from nbdt.evaluation.moves import MoveSuggestions, suggest_moves
from nbdt.evaluation.prototypes import PrototypeFinder, Prototypes
from nbdt.evaluation.uncertainty import Uncertainty, UncertaintyCounter
from nbdt.evaluation.unseen import (
    OodScorer,
    OodTable,
    UnseenCounter,
    UnseenTable,
    evaluate_ood,
    evaluate_unseen,
    nodes_of_unseen,
    ood_scores,
)
from nbdt.rules import Predictions, Temperature

__all__ = [
    "AccuracyByRule",
    "AccuracyRow",
    "AccuracyTable",
    "Assessment",
    "CalibrationCounter",
    "CalibrationErrors",
    "Confusion",
    "Edit",
    "EditSession",
    "Evaluation",
    "Evaluator",
    "Faithfulness",
    "IoUCounter",
    "IoURow",
    "IoUTable",
    "Measure",
    "MistakeCounter",
    "Mistakes",
    "MoveSuggestions",
    "NodeAccuracy",
    "NodeAccuracyCounter",
    "OodScorer",
    "OodTable",
    "PairedCounts",
    "Predictions",
    "PrototypeFinder",
    "Prototypes",
    "Reliability",
    "Result",
    "Source",
    "Temperature",
    "TemperatureFit",
    "Trial",
    "Uncertainty",
    "UncertaintyCounter",
    "UnseenCounter",
    "UnseenTable",
    "accuracy_by_rule",
    "assess",
    "evaluate",
    "evaluate_faithfulness",
    "evaluate_maps",
    "evaluate_ood",
    "evaluate_unseen",
    "fit_temperature",
    "fit_temperature_to_logits",
    "measures",
    "nodes_of_unseen",
    "ood_scores",
    "suggest_moves",
    "wilson_interval",
]
