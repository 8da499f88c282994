"""Trees of classes to and from other formats: object to object, no file is touched.

`nbdt.hierarchy.library` reads and writes the files. Every pair is an identity, ``from_x(to_x(tree))
== tree``, as far as the format has room:

============================  ======================================================================
JSON-able dict                everything
networkx                      everything
Newick                        everything; without its notes the classes' order and the inner ids are
                              lost (give ``classes`` for the former), heights come to rounding
scipy linkage                 topology, ids, merge heights, of binary trees; names are an argument
scikit-learn's ``children_``  the same
the 2020 release              is read only: topology, names, wnids
============================  ======================================================================
"""

from nbdt.hierarchy.formats.document import SCHEMA, from_dict, to_dict
from nbdt.hierarchy.formats.graph import from_networkx, to_networkx
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
    "from_sklearn_children",
    "to_dict",
    "to_linkage",
    "to_networkx",
    "to_newick",
    "to_sklearn_children",
]
