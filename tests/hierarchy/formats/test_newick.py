import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy.formats import (
    from_newick,
    to_newick,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.hierarchy.formats.samples import bare, bottom_up
from tests.strategies import (
    hierarchies,
)


@given(hierarchies())
def test_newick_round_trip_is_the_identity(tree: Hierarchy) -> None:
    text = to_newick(tree)
    assert from_newick(text) == tree
    assert from_newick(text, classes=tree.classes) == tree


def test_newick_notes_keep_heights_to_the_bit() -> None:
    # 0.29 - 0.03 + 0.03 is not 0.29, so lengths alone would lose the last bit.
    heights = [0, 0, 0, 0, 0.03, 0.03, 0.29]
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], list("abcd"), merge_heights=heights)
    assert from_newick(to_newick(tree)) == tree
    assert from_newick(to_newick(tree, notes=False)) != tree


@given(hierarchies())
def test_newick_without_notes_keeps_all_but_inner_ids_and_attributes(tree: Hierarchy) -> None:
    again = from_newick(to_newick(tree, notes=False), classes=tree.classes)
    expected = bottom_up(tree)
    assert bare(again, heights=False) == bare(expected, heights=False)
    if expected.merge_heights is None:
        assert again.merge_heights is None
    else:
        np.testing.assert_allclose(
            again.merge_heights,  # type: ignore[arg-type]
            expected.merge_heights,
            atol=1e-6 * expected.merge_heights.max(),
        )


@given(hierarchies(), st.randoms(use_true_random=False))
def test_newick_classes_win_over_notes(tree: Hierarchy, random: Any) -> None:
    classes = list(tree.classes)
    random.shuffle(classes)
    again = from_newick(to_newick(tree), classes=classes)
    assert again.classes == tuple(classes)
    for node in tree.inner:
        names = {tree.name(leaf) for leaf in tree.leaves(node)}
        assert {again.name(leaf) for leaf in again.leaves(node)} == names


def test_newick_writes_the_format_that_others_read() -> None:
    tree = Hierarchy(
        [4, 4, 5, 5, 5, -1],
        ["it's", "tabby_cat", "race car, red", "bus", "a(b)", ""],
        merge_heights=[0, 0, 0, 0, 0.5, 2],
    )
    assert to_newick(tree, notes=False) == (
        "('race car, red':2.0,bus:2.0,('it''s':0.5,'tabby_cat':0.5)'a(b)':1.5);"
    )


@pytest.mark.parametrize(
    ("text", "names", "heights"),
    [
        ("(a,b);", ["a", "b", ""], None),
        (" ( a , b ) root ; \n", ["a", "b", "root"], None),
        ("(a_b,'c_d')'it''s';", ["a b", "c_d", "it's"], None),
        ("[&R] (a[x [nested] (,;],b)[y]r[z]; [end]", ["a", "b", "r"], None),
        ("((a:1,b:1)ab:1.5e0,c:2.5)r:9;", ["a", "b", "c", "ab", "r"], [0, 0, 0, 1, 2.5]),
        ("((a:1,b:1):.5,c:+1.50);", ["a", "b", "c", "", ""], [0, 0, 0, 1, 1.5]),
        ("(a:[why]0.5,b:0.5);", ["a", "b", ""], [0, 0, 0.5]),
        ("((a:1,b:1):1,c:5);", ["a", "b", "c", "", ""], None),
        ("((a:1,b:1),c:2);", ["a", "b", "c", "", ""], None),
        ("((a:1,b:1):-3,c:-2);", ["a", "b", "c", "", ""], None),
        ("(a[&&NHX:S=human:nbdt_id=x],b);", ["a", "b", ""], None),
    ],
)
def test_newick_reads_the_format_that_others_write(
    text: str, names: list[str], heights: list[float] | None
) -> None:
    tree = from_newick(text)
    assert list(tree.names) == names
    found = tree.merge_heights
    assert (None if found is None else found.tolist()) == heights


def test_newick_notes_survive_pruning_by_another_program() -> None:
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["a", "b", "c", "d", "ab", "cd", "r"])
    text = to_newick(tree)
    pruned = re.sub(r"\(a[^(]*\)ab", "b", text).replace("b[&&NHX:nbdt_id=4]", "b[&&NHX:nbdt_id=1]")
    assert pruned != text
    again = from_newick(pruned)
    assert again.classes == ("b", "c", "d")
    assert again.names == ("b", "c", "d", "cd", "r")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", FormatError, "without the tree's semicolon"),
        (";", HierarchyError, "at least two classes"),
        ("a;", HierarchyError, "at least two classes"),
        ("(a,b)", FormatError, "cut off"),
        ("(a,b", FormatError, "cut off"),
        ("(a,b;", FormatError, "at character 5 with a parenthesis still open"),
        ("(a,b));", FormatError, r"'\)' at character 6 stands outside"),
        ("a,b;", FormatError, "',' at character 2 stands outside"),
        ("(a,b);(c,d);", FormatError, "more after the tree's semicolon, at character 7"),
        ("(a,b)(c,d);", FormatError, "opens after a name or a group, at character 6"),
        ("(a(b,c));", FormatError, "opens after a name or a group, at character 3"),
        ("(polar bear,b);", FormatError, "'bear' at character 8 follows a name"),
        ("(a:1 b,c);", FormatError, "'b' at character 6 follows a name or length"),
        ("(a:x,b);", FormatError, "branch length is expected at character 4, got 'x'"),
        ("(a:nan,b);", FormatError, "branch length is expected"),
        ("(a:1e999,b);", FormatError, "branch length is expected"),
        ("(a:'1',b);", FormatError, "branch length is expected"),
        ("(a:,b);", FormatError, "branch length is expected at character 4, got ','"),
        ("(a:1:2,b);", FormatError, "second branch length begins at character 5"),
        ("('a,b);", FormatError, "quote after character 1 is not closed"),
        ("(a]b,c);", FormatError, "character 3 does not begin anything"),
        ("(a[b,c);", FormatError, "comment at character 3 does not end"),
        ("((a,b));", HierarchyError, "node at character 1 has only one child"),
        ("(a,(b));", HierarchyError, "node at character 4 has only one child"),
        ("(a,);", HierarchyError, "class 1 has no name"),
        ("(a,a);", HierarchyError, "both called 'a'"),
        ("(a[&&NHX:nbdt_attributes={],b);", FormatError, "note at character 3: is not valid"),
        ("(a[&&NHX:nbdt_attributes=1],b);", FormatError, "note at character 3 are not an object"),
        (b"(a,b);", InputError, "is a text, got a bytes"),
    ],
)
def test_newick_says_where_a_text_is_wrong(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_newick(text)
