"""Trees of classes: made, changed, named, compared, converted, read and written, without torch.

A `Hierarchy` (`tree`) comes from the rows of an array (`induce`), from WordNet or a table of
parents (`taxonomy`), from a regular shape (`shapes`) or from a file (`library`, `formats`).
`edit` and `naming` return changed copies.
"""

from nbdt.hierarchy import convert, edit, shapes
from nbdt.hierarchy.induce import induce
from nbdt.hierarchy.library import (
    list_hierarchies,
    load_classes,
    load_hierarchy,
    save_hierarchy,
)
from nbdt.hierarchy.naming import name_by_leaves, name_by_taxonomy
from nbdt.hierarchy.taxonomy import from_parents, from_wordnet, read_parents
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.wordnet import WordNet

__all__ = [
    "Hierarchy",
    "WordNet",
    "convert",
    "edit",
    "from_parents",
    "from_wordnet",
    "induce",
    "list_hierarchies",
    "load_classes",
    "load_hierarchy",
    "name_by_leaves",
    "name_by_taxonomy",
    "read_parents",
    "save_hierarchy",
    "shapes",
]
