"""After any edit, what is said of a node's classes is true of those it has."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbdt.hierarchy import edit
from nbdt.hierarchy.library import load_hierarchy
from nbdt.hierarchy.naming import NAMING_KEYS, name_by_leaves, name_by_taxonomy
from nbdt.hierarchy.rebuild import attributes_by_node, relabelled
from nbdt.hierarchy.support import SUPPORT, TREES, support_of, with_support
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import hierarchies

INDUCED = load_hierarchy("cifar10/resnet20")
WORDNET = load_hierarchy("cifar10/wordnet")


def held(tree: Hierarchy, node: int) -> frozenset[str]:
    return frozenset(tree.classes[leaf] for leaf in tree.leaves(node))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Hierarchy, Hierarchy, Hierarchy, Hierarchy]:
    """A tree with names and support, the taxonomy and the tree they are of, and an edit of it."""
    shapes = [draw(hierarchies(3, 10))]
    shapes += [draw(hierarchies(shapes[0].num_classes, shapes[0].num_classes)) for _ in range(2)]
    classes = [f"c{i}" for i in range(shapes[0].num_classes)]
    concepts = [f"concept {node}" for node in shapes[1].inner]
    taxonomy = Hierarchy(shapes[1].parents, [*classes, *concepts])
    bare, other = (Hierarchy(shape.parents, classes) for shape in (shapes[0], shapes[2]))
    named = name_by_taxonomy(bare, taxonomy) if draw(st.booleans()) else name_by_leaves(bare)
    known = attributes_by_node(with_support(named, [other]))
    tree = relabelled(named, attributes={v: {**known[v], "was": v} for v in known})
    node = draw(st.integers(0, tree.root - 1))
    kind = draw(st.sampled_from(["move", "regraft", "restrict", "dissolve", "collapse", "group"]))
    if kind == "restrict":
        order = draw(st.permutations(range(tree.num_classes)))
        edited = edit.restrict(tree, order[: draw(st.integers(2, tree.num_classes))])
    elif kind == "collapse":
        edited = edit.collapse(tree, draw(st.integers(1, 4)))
    elif kind == "dissolve":
        assume(not tree.is_leaf(node))
        edited = edit.dissolve(tree, node)
    elif kind == "group":
        siblings = tree.children(tree.parent(node))
        assume(len(siblings) > 2)
        edited = edit.group(tree, siblings[:2], "group")
    else:
        targets = range(len(tree)) if kind == "regraft" else tree.inner
        target = draw(st.sampled_from([v for v in targets if not tree.is_ancestor(node, v)]))
        edited = getattr(edit, kind)(tree, node, target)
    return edited, tree, taxonomy, other


@given(case=cases())
def test_what_is_said_of_a_node_is_so(
    case: tuple[Hierarchy, Hierarchy, Hierarchy, Hierarchy],
) -> None:
    edited, _, taxonomy, other = case
    left = frozenset(edited.classes)
    concepts = {taxonomy.names[v]: held(taxonomy, v) & left for v in taxonomy.inner}
    groups = {held(other, v) for v in other.inner}
    for node in edited.inner:
        known, mine, name = edited.attributes(node), held(edited, node), edited.names[node]
        if SUPPORT in known:
            assert known[SUPPORT] == (mine in groups)
        if known.get("name_source") == "taxonomy":
            concept = concepts[known["concept"]]
            shared = len(mine & concept)
            assert known["precision"] == round(shared / len(mine), 4)
            assert known["recall"] == round(shared / len(concept), 4)
            assert (name == known["concept"]) == (mine == concept)
            assert name.startswith("mostly ") == (not mine <= concept)
        else:
            assert not set(known) & {*NAMING_KEYS} - {"name_source"}
        told = name.partition(" (")[0].rpartition(": ")[2].split(", ")
        if known.get("name_source") == "leaves" or ": " in name:
            listed = [one for one in told if not one.startswith("+")]
            assert mine.issuperset(listed)
            rest = sum(int(one) for one in told if one.startswith("+"))
            assert len(listed) + rest == len(mine)
    names = [name for name in edited.names if name not in ("", "group")]
    assert len(set(names)) == len(names)


@given(case=cases())
def test_nodes_with_the_classes_they_had_keep_all_that_is_true(
    case: tuple[Hierarchy, Hierarchy, Hierarchy, Hierarchy],
) -> None:
    edited, tree, _, _ = case
    for node in edited.inner:
        old = edited.attributes(node).get("was")
        if old is None or held(edited, node) != held(tree, old):
            continue
        assert support_of(edited).get(node) == support_of(tree).get(old)
        if edited.num_classes == tree.num_classes:
            assert edited.names[node] == tree.names[old]
            assert edited.attributes(node) == tree.attributes(old)


def test_a_concept_with_a_stranger_is_one_no_more() -> None:
    moved = edit.move(INDUCED, "frog", "carnivore")
    node = moved.lca(moved.find("cat"), moved.find("frog"))
    assert held(moved, node) == {"cat", "dog", "frog"}
    assert moved.names[node] == "cat, dog, frog"
    assert moved.attributes(node) == {"name_source": "leaves"}
    assert moved.attributes(moved.find("ungulate"))["concept_wnid"] == "n02370806"
    again = name_by_taxonomy(moved, WORDNET)
    assert again.names[node] == "mostly carnivore: cat, dog, frog"


def test_support_is_of_the_classes_that_were_there() -> None:
    known = with_support(INDUCED, [INDUCED])
    for edited in (
        edit.move(known, "frog", "carnivore"),
        edit.regraft(known, "frog", "cat", "pond"),
        edit.restrict(known, ["cat", "deer", "frog", "dog"]),
    ):
        groups = {held(known, node) for node in known.inner}
        for node in edited.inner:
            attributes = edited.attributes(node)
            assert (SUPPORT in attributes) == (TREES in attributes)
            if SUPPORT in attributes:
                assert held(edited, node) in groups
    moved = edit.move(known, "frog", "carnivore")
    assert moved.attributes(moved.find("ungulate"))[SUPPORT] == 1.0


def test_restricted_to_some_classes_a_part_of_a_concept_may_be_all_of_it() -> None:
    assert INDUCED.attributes(13)["recall"] == 0.75
    for dropped, name in (("automobile", "ship, truck"), ("airplane", "ship, automobile, truck")):
        part = edit.restrict(INDUCED, [one for one in INDUCED.classes if one != dropped])
        node = part.lca(part.find("truck"), part.find("ship"))
        assert "recall" not in part.attributes(node)
        assert part.names[node] == name
        # All placentals that are left are here still.
        assert part.attributes(part.find("placental"))["recall"] == 1


def test_a_concept_stays_one_where_only_its_own_classes_leave() -> None:
    part = edit.restrict(INDUCED, ["horse", "cat", "truck", "deer"])
    assert str(part).splitlines()[0] == "whole"
    assert held(part, part.find("placental")) == {"horse", "cat", "deer"}
    assert part.attributes(part.find("placental"))["precision"] == 1


def test_a_count_of_classes_in_a_name_is_not_kept_where_it_changes() -> None:
    taxonomy = Hierarchy(
        [4, 4, 4, 5, 5, -1],
        ["a", "b", "c", "dog", "dog", "all"],
        attributes={v: {"wnid": f"n0000000{v}"} for v in range(4)},
    )
    named = name_by_taxonomy(
        Hierarchy(
            [4, 4, 4, 5, 5, -1],
            ["a", "b", "c", "dog"],
            attributes={v: taxonomy.attributes(v) for v in range(4)},
        ),
        taxonomy,
    )
    assert named.names[4] == "dog (3 classes)"
    assert edit.restrict(named, ["a", "c", "dog"]).names[3] == "a, c"


@pytest.mark.parametrize("known", [{}, {"name_source": "hand"}, {"name_source": "a tool"}])
def test_names_that_were_given_stay(known: dict[str, str]) -> None:
    tree = relabelled(
        INDUCED,
        names=[*INDUCED.classes, *(f"mine {node}" for node in INDUCED.inner)],
        attributes={
            node: {**known, "wnid": f"n{node}", "gloss": "mine", SUPPORT: 0.5, TREES: 2}
            for node in INDUCED.inner
        },
    )
    moved = edit.move(tree, "frog", "mine 11")
    node = moved.find("mine 11")
    assert moved.attributes(node) == {**known, "wnid": "n11", "gloss": "mine"}
    assert moved.attributes(moved.find("mine 10"))[SUPPORT] == 0.5
    part = edit.restrict(tree, ["truck", "ship", "cat"])
    assert part.names[3:] == ("mine 13", "mine 18")


def test_a_node_renamed_after_the_edit_is_called_so_by_hand() -> None:
    moved = edit.move(INDUCED, "frog", "carnivore")
    named = edit.rename(moved, {"cat, dog, frog": "carnivore"})
    assert named.attributes(named.find("carnivore")) == {"name_source": "hand"}
    again = edit.move(named, "bird", "carnivore")
    assert held(again, again.find("carnivore")) == {"cat", "dog", "frog", "bird"}


def test_classes_keep_what_is_known_of_them() -> None:
    known = {leaf: {"wnid": f"n{leaf}", SUPPORT: "ours"} for leaf in range(10)}
    tree = relabelled(INDUCED, attributes=known)
    moved = edit.move(tree, "frog", "carnivore")
    assert all(moved.attributes(leaf) == known[leaf] for leaf in range(10))
