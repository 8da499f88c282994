"""Whether the explanation is the model: what it says moves the decision does move it.

`evaluate_faithfulness` measures a model. `changed_decisions` shows that a decision rests on nothing
but its children's scores, `delete_features` that what speaks most for a decision carries it, and
`ControlCounter` whether the tree is any better than trees that know nothing of the classes.
"""

from nbdt.evaluation.faithfulness.controls import Control, ControlCounter
from nbdt.evaluation.faithfulness.deletion import Deletion, delete_features
from nbdt.evaluation.faithfulness.locality import Locality, changed_decisions, check_locality
from nbdt.evaluation.faithfulness.measure import Faithfulness, evaluate_faithfulness

__all__ = [
    "Control",
    "ControlCounter",
    "Deletion",
    "Faithfulness",
    "Locality",
    "changed_decisions",
    "check_locality",
    "delete_features",
    "evaluate_faithfulness",
]
