"""Trained classifiers of every library: where their classes lie, and networks by name.

A *head* is a classifier's last linear layer: a `torch.nn.Linear`, or a convolution with a 1×1
kernel, with one output row per class (or a single row, the logit of the second of two classes).
`find_head` finds it, `check_classifier` refuses a network that does not choose one class among
many, and `induce` clusters the rows into a tree.

A network's name is ``library:network``, such as ``torchvision:resnet18``, ``timm:vit_small`` or
``nbdt:lenet``; `own_network` runs a file, which only a user may name. Everything specific to a
library is in one module here; see `nbdt.classifiers.base.Library`.
"""

from nbdt.classifiers.base import Library, WeightsInfo, list_networks
from nbdt.classifiers.builder import Builder, build, builder_of, difference, weights_info
from nbdt.classifiers.head import Head
from nbdt.classifiers.own import is_own, own_network
from nbdt.classifiers.source import induce
from nbdt.classifiers.torch import check_classifier, eval_mode, find_head, network_logits, unwrap

__all__ = [
    "Builder",
    "Head",
    "Library",
    "WeightsInfo",
    "build",
    "builder_of",
    "check_classifier",
    "difference",
    "eval_mode",
    "find_head",
    "induce",
    "is_own",
    "list_networks",
    "network_logits",
    "own_network",
    "unwrap",
    "weights_info",
]
