"""Trained classifiers of every library: where their classes lie, and networks by name.

A *head* is a classifier's last linear layer: a `torch.nn.Linear`, or a convolution with a 1×1
kernel, with one output row per class (or a single row, the logit of the second of two classes).
`find_head` finds it, `check_classifier` refuses a network that does not choose one class among
many, and `induce` clusters the rows into a tree.

A network's name is ``library:network``, such as ``torchvision:resnet18``, ``timm:vit_small`` or
``nbdt:lenet``; `own_network` runs a file, which only a user may name. Everything specific to a
library is in one module here; see `nbdt.classifiers.base.Library`.
"""

from nbdt.classifiers.base import (
    Adapter,
    Library,
    WeightsInfo,
    as_input,
    input_of,
    libraries_of,
    library_named,
    list_networks,
    open_classifier,
    zero_shot,
)
from nbdt.classifiers.builder import (
    Builder,
    build,
    builder_of,
    difference,
    likely_info,
    search_builder,
    weights_info,
)
from nbdt.classifiers.eval_mode import eval_mode
from nbdt.classifiers.head import Head
from nbdt.classifiers.outputs import OUTPUTS, OutputKind, as_logits, check_outputs
from nbdt.classifiers.own import is_own, own_network, own_source
from nbdt.classifiers.search import unwrap
from nbdt.classifiers.source import induce
from nbdt.classifiers.torch import (
    as_batch,
    check_classifier,
    find_head,
    fitted_input,
    moved,
    network_logits,
    weights_device,
)

__all__ = [
    "OUTPUTS",
    "Adapter",
    "Builder",
    "Head",
    "Library",
    "OutputKind",
    "WeightsInfo",
    "as_batch",
    "as_input",
    "as_logits",
    "build",
    "builder_of",
    "check_classifier",
    "check_outputs",
    "difference",
    "eval_mode",
    "find_head",
    "fitted_input",
    "induce",
    "input_of",
    "is_own",
    "libraries_of",
    "library_named",
    "likely_info",
    "list_networks",
    "moved",
    "network_logits",
    "open_classifier",
    "own_network",
    "own_source",
    "search_builder",
    "unwrap",
    "weights_device",
    "weights_info",
    "zero_shot",
]
