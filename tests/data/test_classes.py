"""Classes compared, filtered and joined."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.data import check_classes
from nbdt.data.classes import bundled_wnids, cut, filtered
from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import collapse
from nbdt.hierarchy.library import load_classes
from tests.strategies import hierarchies

TREE = Hierarchy([4, 4, 5, 6, 5, 6, -1], ["cat", "dog", "fox", "car", "pet", "animal", "thing"])


def data(*classes: str) -> SimpleNamespace:
    return SimpleNamespace(classes=classes)


def test_equal_classes_pass_as_any_sequence() -> None:
    check_classes(data("cat", "dog"), ["cat", "dog"])
    check_classes(data("cat", "dog"), ("cat", "dog"))


def test_another_order_is_refused_and_shown() -> None:
    with pytest.raises(InputError) as caught:
        check_classes(data("cat", "dog", "fox"), ["cat", "fox", "dog"])
    assert "are in another order than the classes of the model" in str(caught.value)
    assert "class 1 is 'dog' in the data set and 'fox' in the model" in str(caught.value)


def test_other_classes_are_refused_and_listed() -> None:
    with pytest.raises(InputError) as caught:
        check_classes(data("cat", "dog"), ["cat", *map(str, range(9))], owner="the tree")
    assert str(caught.value) == (
        "the classes of the data set differ from the classes of the tree: 2 in the data set, 10 in "
        "the tree; only in the data set: dog; only in the tree: 0, 1, 2, 3, …."
    )
    with pytest.raises(InputError, match=r"1 in the data set, 2 in the model; only in the model"):
        check_classes(data("cat"), ["cat", "dog"])


def test_classes_given_several_times_are_not_the_same() -> None:
    with pytest.raises(InputError, match="3 in the data set, 2 in the model"):
        check_classes(data("cat", "dog", "dog"), ["cat", "dog"])


def test_bundled_wnids() -> None:
    rows = load_classes("tiny_imagenet")
    assert bundled_wnids([row.name for row in rows]) == tuple(row.wnid for row in rows)
    assert bundled_wnids([row.name for row in rows][::-1]) == ("",) * 200


class TestFiltered:
    classes, wnids = ["cat", "dog", "car"], ["n1", "", "n3"]

    @pytest.mark.parametrize(
        ("include", "exclude", "left"),
        [
            (None, [], [0, 1, 2]),
            (["car", "cat"], [], [0, 2]),
            (None, ["dog"], [0, 2]),
            (["n3", "dog"], ["n3"], [1]),
            (iter(["cat", "cat"]), (), [0]),
        ],
    )
    def test_names_and_wnids(self, include, exclude, left) -> None:  # type: ignore[no-untyped-def]
        assert filtered(self.classes, self.wnids, include, exclude) == left

    def test_no_class_left(self) -> None:
        with pytest.raises(InputError, match="no class is left"):
            filtered(self.classes, self.wnids, ["cat"], ["cat"])
        with pytest.raises(InputError, match="no class is left"):
            filtered(self.classes, self.wnids, [], [])

    def test_an_unknown_class(self) -> None:
        with pytest.raises(NotFoundError, match=r"no class 'dogs'; did you mean 'dog'\?"):
            filtered(self.classes, self.wnids, ["dogs"], [])
        with pytest.raises(NotFoundError, match=r"no class 'xyz'; it has cat, dog, car\."):
            filtered(self.classes, self.wnids, None, ["xyz"])
        with pytest.raises(NotFoundError, match="no class ''"):
            filtered(self.classes, self.wnids, [""], [])

    @pytest.mark.parametrize("one", ["cat", 3])
    def test_no_list(self, one) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(InputError, match=f"a list of classes is needed, got {one!r}"):
            filtered(self.classes, self.wnids, one, [])
        with pytest.raises(InputError, match="a list of classes is needed"):
            filtered(self.classes, self.wnids, None, one)


class TestCut:
    @pytest.mark.parametrize(
        ("at", "nodes", "places"),
        [
            (1, [3, 5], [1, 1, 1, 0]),
            (2, [2, 3, 4], [2, 2, 0, 1]),
            (3, [0, 1, 2, 3], [0, 1, 2, 3]),
            (9, [0, 1, 2, 3], [0, 1, 2, 3]),
            (["pet", "car", "fox"], [4, 3, 2], [0, 0, 2, 1]),
            ([6], [6], [0, 0, 0, 0]),
        ],
    )
    def test_by_depth_and_by_nodes(self, at, nodes, places) -> None:  # type: ignore[no-untyped-def]
        found, place_of = cut(TREE, at)
        assert (found, place_of.tolist()) == (nodes, places)

    @given(tree=hierarchies(), depth=st.integers(1, 6))
    def test_a_depth_cuts_any_tree_where_its_paths_pass_it(
        self, tree: Hierarchy, depth: int
    ) -> None:
        nodes, place_of = cut(tree, depth)
        for label in range(tree.num_classes):
            path = tree.path(label)
            assert nodes[place_of[label]] == path[min(depth, len(path) - 1)]
        assert len(nodes) >= len(tree.children(tree.root))
        assert np.array_equal(cut(tree, nodes)[1], place_of)
        assert collapse(tree, depth).num_classes == len(place_of)

    def test_a_class_under_two_nodes(self) -> None:
        with pytest.raises(InputError) as caught:
            cut(TREE, ["animal", "pet", "car"])
        assert "class 'cat' lies under node 5 ('animal') and node 4 ('pet')" in str(caught.value)

    def test_a_class_under_none(self) -> None:
        with pytest.raises(InputError, match="2 classes lie under none of the nodes, 'fox' for on"):
            cut(TREE, ["pet"])

    def test_no_depth_no_node_no_order(self) -> None:
        with pytest.raises(InputError, match="a depth to cut at is 1 or more, got 0"):
            cut(TREE, 0)
        with pytest.raises(NotFoundError, match="did you mean 'pet'"):
            cut(TREE, ["pets", "fox", "car"])
        with pytest.raises(InputError, match="a set has none"):
            cut(TREE, {"pet", "fox", "car"})
