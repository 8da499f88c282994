"""Networks by name: what a model folder stores instead of code.

A name is ``family:network``. The families are ``torchvision`` (its classifiers), ``timm`` (an
extra) and ``nbdt`` (the project's own small networks). A `Builder` is such a name with arguments
from a closed list, so that building what a file asks for imports no code that the file chose,
downloads nothing, opens no file and is bounded in size. `own_network` runs a file, which only a
user may name.
"""

from nbdt.builders.builder import Builder, builder_of
from nbdt.builders.difference import difference
from nbdt.builders.families import list_networks
from nbdt.builders.own import is_own, own_network
from nbdt.builders.weights import WeightsInfo, build, weights_info

__all__ = [
    "Builder",
    "WeightsInfo",
    "build",
    "builder_of",
    "difference",
    "is_own",
    "list_networks",
    "own_network",
    "weights_info",
]
