"""Trees of classes: make, edit, name, compare, convert, read and write them, without torch."""

from nbdt.hierarchy import convert, edit, shapes
from nbdt.hierarchy.classes import distinct_names
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
    "distinct_names",
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
