"""Other names and attributes for the same tree."""

from hypothesis import given

from nbdt.hierarchy.rebuild import attributes_by_node, relabelled
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import hierarchies


@given(hierarchies())
def test_what_is_left_out_stays(tree: Hierarchy) -> None:
    assert relabelled(tree) == tree
    names = [*tree.classes, *(f"new {node}" for node in tree.inner)]
    renamed = relabelled(tree, names=names)
    assert renamed.names == tuple(names)
    assert relabelled(renamed, names=tree.names) == tree
    known = {node: {"id": node} for node in range(len(tree))}
    noted = relabelled(tree, attributes=known)
    assert attributes_by_node(noted) == known
    assert relabelled(noted, attributes=attributes_by_node(tree)) == tree


def test_what_is_known_is_copied() -> None:
    tree = Hierarchy([2, 2, -1], ["cat", "dog"], attributes={0: {"legs": 4}})
    attributes_by_node(tree)[0]["legs"] = 3
    assert tree.attributes(0) == {"legs": 4}
