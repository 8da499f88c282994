"""A tree in the Newick format, which drawing programs for trees read.

Names, topology and branch lengths are those of the format as Olsen described it in 1990
("Gary Olsen's Interpretation of the Newick's 8:45 Tree Format Standard"). What it has no room
for stands in notes, comments in the New Hampshire X style that other readers skip.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from urllib.parse import quote

from nbdt.documents import json_value
from nbdt.hierarchy.formats.newick_parser import NOTE, NewickNode, parsed_newick
from nbdt.hierarchy.formats.unordered_tree import UnorderedTree
from nbdt.hierarchy.tree import Hierarchy

_PLAIN_NAME = re.compile(r"[^\s()\[\]{}':;,_]+")

_ROUNDING = 1e-6
"""How far the leaves' distances from the root may differ, relative to the largest."""


def to_newick(tree: Hierarchy, *, notes: bool = True) -> str:
    """The tree as one line of Newick, ended by a semicolon.

    Merge heights become branch lengths: that of a node is its parent's height less its own.

    Args:
        tree: the tree.
        notes: whether to add each node's id, exact merge height and attributes as a comment,
            so that `from_newick` gives the very same tree.

    Raises:
        FormatError: an attribute is something that JSON cannot hold.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["tabby cat", "dog", "car", "animal", ""])
        >>> to_newick(tree, notes=False)
        "(car,('tabby cat',dog)animal);"
        >>> to_newick(tree)
        "(car[&&NHX:nbdt_id=2],('tabby cat'[&&NHX:nbdt_id=0],dog[&&NHX:nbdt_id=1])animal...;"
        >>> from_newick(to_newick(tree)) == tree
        True
    """
    parts: list[str] = []
    stack: list[int | str] = [";", tree.root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        label = (
            _quoted(tree.names[item]) + _length(tree, item) + (_note(tree, item) if notes else "")
        )
        children = tree.children(item)
        if not children:
            parts.append(label)
            continue
        parts.append("(")
        stack.append(")" + label)
        for child in reversed(children[1:]):
            stack += [child, ","]
        stack.append(children[0])
    return "".join(parts)


def from_newick(text: str, classes: Sequence[str] | None = None) -> Hierarchy:
    """The tree of one line of Newick.

    The order of the classes is that of `classes`, if given; else of the ids in `to_newick`'s
    notes, if every leaf has one; else of appearance. Inner nodes follow in the order of the
    noted ids, else bottom-up: each after its children, siblings by the lowest class under them.
    So with notes ``from_newick(to_newick(tree)) == tree``; without, and with
    ``classes=tree.classes``, it is the same tree up to the ids of the inner nodes, their
    attributes and the rounding of heights.

    Merge heights are the noted ones, else each node's distance to the leaves under it, if the
    branch lengths put all leaves equally far from the root (to 1e-6); else there are none.
    As in the format's definition an underscore outside quotes is a space.

    Args:
        text: at most 64 million characters, half a million commas and a million brackets.
        classes: the names of the leaves, in the classifier's order.

    Raises:
        FormatError: this is not one Newick tree; the message says at which character.
        HierarchyError: it is no tree of classes: a leaf has no name, an inner node one child.
        InputError: `classes` are not the names of the leaves.

    Example:
        >>> tree = from_newick("((cat:1,dog:1)animal:2,'race car':3)thing;")
        >>> print(tree)
        thing
        ├─ race car
        └─ animal
           ├─ cat
           └─ dog
        >>> tree.merge_heights.tolist()
        [0.0, 0.0, 0.0, 1.0, 3.0]
    """
    nodes = parsed_newick(text)
    parents = [node.parent for node in nodes]
    inner = sorted(set(parents) - {-1})
    draft = UnorderedTree(
        parents=parents,
        names=[node.name for node in nodes],
        heights=_noted_heights(nodes, inner) or _summed_heights(nodes),
        attributes=[node.attributes or {} for node in nodes],
        describe=lambda node: f"the node at character {nodes[node].start + 1}",
    )
    leaves = draft.leaves()
    if classes is not None:
        leaves = draft.leaves_by_class(classes)
    else:
        leaves = _by_noted_id(leaves, nodes) or leaves
    return draft.numbered(leaves, _by_noted_id(inner, nodes) or draft.bottom_up(leaves))


def _quoted(name: str) -> str:
    if not name or _PLAIN_NAME.fullmatch(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def _length(tree: Hierarchy, node: int) -> str:
    heights, parent = tree.merge_heights, tree.parent(node)
    if heights is None or parent < 0:
        return ""
    return f":{float(heights[parent] - heights[node])!r}"


def _note(tree: Hierarchy, node: int) -> str:
    note = f"[{NOTE}nbdt_id={node}"
    if tree.merge_heights is not None and not tree.is_leaf(node):
        note += f":nbdt_height={float(tree.merge_heights[node])!r}"
    if tree.attributes(node):
        values = json_value(tree.attributes(node), f"an attribute of node {node}")
        note += f":nbdt_attributes={quote(json.dumps(values, ensure_ascii=False), safe='')}"
    return note + "]"


def _by_noted_id(positions: Sequence[int], nodes: Sequence[NewickNode]) -> list[int] | None:
    """These nodes in the order of their noted ids; None if one has none or two have the same."""
    known = {noted: v for v in positions if (noted := nodes[v].noted_id) is not None}
    return [known[key] for key in sorted(known)] if len(known) == len(positions) else None


def _noted_heights(nodes: Sequence[NewickNode], inner: Sequence[int]) -> list[float] | None:
    heights = [0.0] * len(nodes)
    for position in inner:
        noted = nodes[position].noted_height
        if noted is None:
            return None
        heights[position] = noted
    return heights


def _summed_heights(nodes: Sequence[NewickNode]) -> list[float] | None:
    """How far each node lies above its leaves, if that is one distance; else None."""
    if any(node.length is None for node in nodes[1:]):
        return None
    highest: list[float] = [-math.inf] * len(nodes)
    lowest: list[float] = [math.inf] * len(nodes)
    for position in range(len(nodes) - 1, -1, -1):
        node = nodes[position]
        if highest[position] == -math.inf:
            highest[position] = lowest[position] = 0.0
        if node.parent >= 0 and node.length is not None:
            above = highest[position] + node.length
            highest[node.parent] = max(highest[node.parent], above)
            lowest[node.parent] = min(lowest[node.parent], above)
    spread = max(high - low for high, low in zip(highest, lowest, strict=True))
    if min(highest) < 0 or not spread <= _ROUNDING * max(highest) < math.inf:
        return None
    return highest
