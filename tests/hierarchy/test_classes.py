import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbdt.errors import HierarchyError, Note, NotFoundError
from nbdt.hierarchy import Hierarchy, distinct_names, edit, from_parents, induce
from nbdt.hierarchy.classes import candidates, canonical, note_told_apart
from nbdt.hierarchy.compare import compare
from nbdt.hierarchy.formats.linkage import from_linkage
from nbdt.hierarchy.formats.newick import from_newick
from tests.strategies import names

FORMS = [unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD")]


@given(
    st.lists(st.sampled_from(["crane", "crane (1)", "crane (2)", "", " ", *FORMS]) | names()),
    st.data(),
)
@example(["crane", "crane", "crane (1)", "crane (0) (1)"], None)
def test_distinct_names_are_distinct_and_a_second_pass_changes_nothing(given_names, data):
    size = len(given_names)
    wnids = [] if data is None else data.draw(
        st.just([]) | st.lists(st.sampled_from(["", "n1", "n2"]), min_size=size, max_size=size)
    )  # fmt: skip
    found = distinct_names(given_names, wnids)
    assert len(set(map(canonical, found))) == size
    assert all(name.strip() for name in found)
    assert distinct_names(found, wnids) == distinct_names(found) == found
    for old, new in zip(given_names, found, strict=True):
        alone = [canonical(name) for name in given_names].count(canonical(old)) == 1
        assert new == old or not alone or not old.strip()
        assert old.strip() == "" or new.startswith(old)


def test_equal_names_get_their_wnid_where_all_have_one():
    assert distinct_names(["crane"] * 2, ["n1", "n2"]) == ["crane (n1)", "crane (n2)"]
    assert distinct_names(["crane"] * 2, ["n1", ""]) == ["crane (0)", "crane (1)"]
    assert distinct_names(["crane"] * 2, ["n1", "n1"]) == ["crane (0)", "crane (1)"]
    assert distinct_names(["", "dog", ""], ["", "", "n1"]) == ["class 0", "dog", "n1"]


CRANES = ("crane (0)", "dog", "crane (2)")


@pytest.mark.parametrize("made", [
    lambda names: induce([[1, 0], [0, 1], [1, 0.5]], names),
    lambda names: from_linkage([[0, 2, 0.1, 2], [1, 3, 0.5, 3]], names),
])  # fmt: skip
def test_lists_of_classes_are_made_distinct_with_a_note(made):
    with pytest.warns(Note, match=r"are now 'crane \(0\)' and 'crane \(2\)'\.$"):
        tree = made(["crane", "dog", "crane"])
    assert tree.classes == made(list(CRANES)).classes == CRANES
    assert candidates("crane", tree.classes) == ["crane (0)", "crane (2)"]
    with pytest.raises(NotFoundError, match=r"may mean 'crane \(0\)' or 'crane \(2\)'"):
        tree.find("crane")
    with pytest.raises(
        HierarchyError, match=r"both called 'crane'; nbdt\.hierarchy\.distinct_names"
    ):
        Hierarchy(tree.parents, ["crane", "dog", "crane"])


def test_names_that_a_classifier_tells_apart_by_index_get_a_note():
    with pytest.warns(Note, match=r"'crane'; they are now 'crane \(0\)' and 'crane \(2\)'\.$"):
        note_told_apart(CRANES)
    for own in (("boeing (737)", "boeing (747)"), ("cat", "dog (1)"), ()):
        note_told_apart(own)


def test_names_are_found_in_every_unicode_form():
    here, there = FORMS
    trees = [Hierarchy([3, 3, 4, 4, -1], ["cat", name, "dog"]) for name in FORMS]
    for tree, other in zip(trees, FORMS[::-1], strict=True):
        assert tree.find(other) == tree.find(canonical(other)) == 1
        assert edit.reorder(tree, ["dog", other, "cat"]).name(1) == tree.name(1)
        assert edit.restrict(tree, [other, "dog"]).classes == (tree.name(1), "dog")
    assert compare(*trees).triplet_distance == 0
    assert from_newick(f"(cat,'{here}',dog);", ["dog", there, "cat"]).num_classes == 3
    kinds = {"cat": "thing", here: "thing", "thing": None}
    assert from_parents(kinds, [there, "cat"]).classes == (here, "cat")
    with pytest.raises(HierarchyError, match="classes 0 and 1 are both called"):
        Hierarchy([2, 2, -1], FORMS)
