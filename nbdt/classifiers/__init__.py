"""Trained classifiers: where their classes stand, and how their networks are built by name.

A *head* is a classifier's last linear layer: a `torch.nn.Linear`, or a convolution with a 1×1
kernel, with one output row a class (or a single row, the logit of the second of two classes).
`find_head` finds it in a network or a fitted scikit-learn classifier, `check_classifier` says when
a network does not give one class among many, and `induce` clusters the rows into a tree.

A network's name is ``library:network``, such as ``torchvision:resnet18``, ``timm:vit_small`` or
``nbdt:lenet``. A `Builder` is such a name with arguments from a closed list, so that building what
a file asks for imports no code that the file chose, downloads nothing, opens no file and is bounded
in size. `own_network` runs a file, which only a user may name.
"""

from nbdt.classifiers.builder import Builder, builder_of
from nbdt.classifiers.difference import difference
from nbdt.classifiers.families import list_networks
from nbdt.classifiers.find import check_classifier, find_head
from nbdt.classifiers.head import Head
from nbdt.classifiers.source import induce
from nbdt.classifiers.user_file import is_own, own_network
from nbdt.classifiers.weights import WeightsInfo, build, weights_info

__all__ = [
    "Builder",
    "Head",
    "WeightsInfo",
    "build",
    "builder_of",
    "check_classifier",
    "difference",
    "find_head",
    "induce",
    "is_own",
    "list_networks",
    "own_network",
    "weights_info",
]
