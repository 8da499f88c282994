"""Neural-backed decision trees: any trained classifier, as a tree whose decisions can be read.

    tree = nbdt.induce(net, classes=names)     # from the last layer's weights
    model = nbdt.NBDT(net, tree)               # an nn.Module
    model.explain(images)                      # one Explanation a row

The method is that of Wan et al., "NBDT: Neural-Backed Decision Tree", ICLR 2021.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from nbdt.display import display_with

if TYPE_CHECKING:
    from nbdt.classifiers import find_head, induce
    from nbdt.conversion import convert
    from nbdt.errors import NBDTError
    from nbdt.explain import Decision, Explanation
    from nbdt.hierarchy import Hierarchy, list_hierarchies, load_hierarchy
    from nbdt.losses import Constant, Ramp, TreeSupervisionLoss
    from nbdt.model import NBDT
    from nbdt.rules import HardRules, SoftRules

__all__ = [
    "NBDT",
    "Constant",
    "Decision",
    "Explanation",
    "HardRules",
    "Hierarchy",
    "NBDTError",
    "Ramp",
    "SoftRules",
    "TreeSupervisionLoss",
    "__version__",
    "convert",
    "find_head",
    "induce",
    "list_hierarchies",
    "load_hierarchy",
]

# Names are imported when they are first asked for, so that what needs no torch (trees, the
# command line's help) does not wait for it.
_MODULE_OF = {
    "NBDT": "nbdt.model",
    "Constant": "nbdt.losses",
    "Decision": "nbdt.explain",
    "Explanation": "nbdt.explain",
    "HardRules": "nbdt.rules",
    "Hierarchy": "nbdt.hierarchy",
    "NBDTError": "nbdt.errors",
    "Ramp": "nbdt.losses",
    "SoftRules": "nbdt.rules",
    "TreeSupervisionLoss": "nbdt.losses",
    "convert": "nbdt.conversion",
    "find_head": "nbdt.classifiers",
    "induce": "nbdt.classifiers",
    "list_hierarchies": "nbdt.hierarchy",
    "load_hierarchy": "nbdt.hierarchy",
}
_MODULES = (
    *("attribution", "classifiers", "data", "errors", "evaluation", "explain", "hierarchy"),
    *("inputs", "losses", "model", "report", "rules", "selective", "sklearn", "training", "view"),
)


# What draws trees and explanations in notebooks stands at the end of the flow of data.
display_with(lambda subject: import_module("nbdt.view.notebook").mimebundle(subject))


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("nbdt-toolkit")
    if name in _MODULES:
        return import_module(f"nbdt.{name}")
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'nbdt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
