"""The support of groups in a drawn tree: small numbers at the nodes, and a line on what they are.

Where an explanation is drawn, the percentages at the nodes are those of its decisions, so support
is told of trees alone.
"""

from __future__ import annotations

from nbdt.explain.percent import percent
from nbdt.hierarchy.support import TREES, support_of
from nbdt.view.folding import Folding


def supports(folding: Folding) -> dict[int, str]:
    """The support of the inner nodes that are drawn, in percent, by node, where it is known.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> from nbdt.hierarchy.support import with_support
        >>> from nbdt.view.folding import fold
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> supports(fold(with_support(tree, [tree])))
        {3: '100 %'}
    """
    if folding.tree is None or folding.explanation is not None:
        return {}
    known = support_of(folding.tree)
    drawn = (item.node for item in folding.items if item.kind in ("open", "folded"))
    return {node: percent(known[node]) for node in drawn if node in known}


def meaning(folding: Folding) -> str:
    """What the numbers at the nodes say; nothing where there are none."""
    drawn = supports(folding)
    if not drawn or folding.tree is None:
        return ""
    counts = [folding.tree.attributes(node).get(TREES) for node in drawn]
    same = isinstance(counts[0], int) and counts.count(counts[0]) == len(counts)
    trees = "other trees"
    if same:
        trees = "1 tree" if counts[0] == 1 else f"{counts[0]:,} trees"
    return f"number at a node: its support, the percentage of {trees} with the same group"
