"""Trees of classes to and from other formats, one module a format.

The functions convert objects and touch no files; `nbdt.hierarchy.library` reads and writes those in
every `Format` of this package. Every pair is an identity, ``from_x(to_x(tree)) == tree``, as far as
the format has room:

============================  ======================================================================
JSON-able dict                everything
networkx, node-link data      everything
Newick                        everything; without its notes the classes' order and the inner ids are
                              lost (give ``classes`` for the former), and heights are rounded
scipy linkage                 topology, ids, merge heights, of binary trees; names are an argument
scikit-learn's ``children_``  the same
the 2020 release              read only: topology, names, wnids
============================  ======================================================================
"""

from nbdt.hierarchy.formats.document import SCHEMA, from_dict, to_dict
from nbdt.hierarchy.formats.graph import from_networkx, from_node_link, to_networkx, to_node_link
from nbdt.hierarchy.formats.linkage import (
    from_linkage,
    from_sklearn_children,
    to_linkage,
    to_sklearn_children,
)
from nbdt.hierarchy.formats.newick import from_newick, to_newick
from nbdt.hierarchy.formats.release_2020 import from_2020

__all__ = [
    "SCHEMA",
    "from_2020",
    "from_dict",
    "from_linkage",
    "from_networkx",
    "from_newick",
    "from_node_link",
    "from_sklearn_children",
    "to_dict",
    "to_linkage",
    "to_networkx",
    "to_newick",
    "to_node_link",
    "to_sklearn_children",
]
