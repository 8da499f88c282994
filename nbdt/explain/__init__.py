"""Why a prediction was made: its decisions, their probabilities, and how close they were.

`explain_logits` turns a batch of logits into one `Explanation` per row: the path of `Decision`s
from the root to the predicted class, the runner-up, and the node where their paths diverge. Both
are plain data with a JSON document, described by ``explanation.schema.json`` beside this file.
"""

from nbdt.explain.build import explain_logits, explain_predictions, explain_sites
from nbdt.explain.decision import Decision, percent
from nbdt.explain.document import Sites
from nbdt.explain.explanation import Explanation, Explanations, promise
from nbdt.explain.geometry import FeatureGeometry

__all__ = [
    "Decision",
    "Explanation",
    "Explanations",
    "FeatureGeometry",
    "Sites",
    "explain_logits",
    "explain_predictions",
    "explain_sites",
    "percent",
    "promise",
]
