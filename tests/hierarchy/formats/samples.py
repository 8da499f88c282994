"""Trees that the tests of several formats use."""

from typing import Any

from nbdt.hierarchy.tree import Hierarchy


def pets(**more: Any) -> Hierarchy:
    return Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", ""], **more)


def bottom_up(tree: Hierarchy) -> Hierarchy:
    """The tree with its inner nodes numbered after their children, siblings by lowest class."""
    order: list[int] = []

    def visit(node: int) -> None:
        for child in sorted(tree.children(node), key=lambda v: min(tree.leaves(v))):
            visit(child)
        if not tree.is_leaf(node):
            order.append(node)

    visit(tree.root)
    return tree.select([*range(tree.num_classes), *order])


def bare(tree: Hierarchy, names: bool = True, heights: bool = True) -> Hierarchy:
    """The tree without attributes, and without its inner nodes' names or heights if so asked."""
    return Hierarchy(
        tree.parents,
        tree.names if names else tree.classes,
        merge_heights=tree.merge_heights if heights else None,
    )
