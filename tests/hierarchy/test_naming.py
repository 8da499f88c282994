import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import naming
from nbdt.hierarchy.naming import name_by_leaves, name_by_taxonomy
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.timing import cpu_seconds

CLASSES = ["cat", "dog", "frog", "car", "bus"]
TAXONOMY = Hierarchy(
    [5, 5, 6, 7, 7, 6, 8, 8, -1],
    [*CLASSES, "mammal", "animal", "vehicle", "thing"],
    attributes={5: {"wnid": "n00000005", "gloss": "milk"}, 7: {"wnid": "n00000007"}},
)


def tree_of(groups, classes=CLASSES):
    """A tree with these groups of classes as its inner nodes, the last all of them."""
    groups = [frozenset(group) for group in groups]
    sets = [frozenset([name]) for name in classes] + groups
    parents = [
        min(
            (v for v in range(len(classes), len(sets)) if sets[v] > sets[node]),
            key=lambda v: len(sets[v]),
            default=-1,
        )
        for node in range(len(sets))
    ]
    return Hierarchy(parents, classes)


@st.composite
def two_trees(draw):
    """A tree and a taxonomy with a name on each node, over the same classes."""
    tree = draw(hierarchies(max_classes=14))
    other = draw(hierarchies(tree.num_classes, tree.num_classes))
    named = [f"concept {v}" for v in other.inner]
    return tree, Hierarchy(other.parents, [*tree.classes, *named])


class TestByLeaves:
    def test_small_groups_are_listed_and_large_ones_counted(self):
        tree = tree_of([["cat", "dog"], ["cat", "dog", "frog"], ["car", "bus"], CLASSES])
        named = name_by_leaves(tree)
        assert named.names[5:] == ("cat, dog", "frog, cat, dog", "car, bus", "frog, car, +3")

    def test_only_names_and_what_is_known_of_them_change(self):
        tree = Hierarchy(
            [3, 3, 4, 4, -1],
            ["a", "b", "c", "old", ""],
            merge_heights=[0, 0, 0, 1, 2],
            attributes={0: {"wnid": "n00000000"}, 4: {"note": 1, "concept": "x", "recall": 0.5}},
        )
        named = name_by_leaves(tree)
        assert named.names == ("a", "b", "c", "a, b", "c, a, b")
        assert np.array_equal(named.parents, tree.parents)
        assert np.array_equal(named.merge_heights, tree.merge_heights)
        assert dict(named.attributes(0)) == {"wnid": "n00000000"}
        assert dict(named.attributes(4)) == {"note": 1, "name_source": "leaves"}

    def test_first_synonyms_stand_for_classes(self):
        classes = ["tench, Tinca tinca", "Cardigan, Welsh corgi", "cardigan", ", odd"]
        tree = Hierarchy([4, 5, 5, 4, 6, 6, -1], classes)
        assert name_by_leaves(tree).names[4:6] == (
            "tench, , odd",
            "Cardigan, Welsh corgi, cardigan",
        )

    def test_with_rows_the_classes_nearest_the_mean_are_central(self):
        rows = [[0.0], [10.0], [4.0], [5.0], [7.0]]  # mean 5.2
        tree = Hierarchy([5] * 5 + [-1], CLASSES)
        assert name_by_leaves(tree, rows).names[5] == "car, frog, +3"
        assert name_by_leaves(tree).names[5] == "cat, dog, +3"

    def test_two_classes_are_as_far_from_their_mean_on_any_machine(self):
        generator = np.random.default_rng(0)
        tree = Hierarchy([2, 2, -1], ["first", "second"])
        for _ in range(50):
            rows = generator.normal(size=(2, 7)) * 10.0 ** generator.integers(-9, 9)
            assert name_by_leaves(tree, rows).names[2] == "first, second"

    def test_equal_rows_go_by_id(self):
        assert name_by_leaves(Hierarchy([3] * 3 + [-1], list("cba")), np.ones((3, 2))).names[3] == (
            "c, b, a"
        )

    @given(hierarchies(max_classes=30))
    def test_without_rows_the_nearest_leaves_are_central(self, tree):
        for node, central in naming._central_leaves(tree, None):
            leaves = sorted(tree.leaves(node), key=lambda leaf: (tree.distance(node, leaf), leaf))
            assert central == leaves[:3]

    @given(hierarchies(max_classes=30), st.integers(0, 2**32 - 1))
    def test_with_rows_agrees_with_a_plain_search(self, tree, seed):
        rows = np.random.default_rng(seed).normal(size=(tree.num_classes, 3))
        for node, central in naming._central_leaves(tree, rows):
            leaves = np.array(tree.leaves(node))
            away = np.linalg.norm(rows[leaves] - rows[leaves].mean(axis=0), axis=1)
            order = np.argsort(np.round((away / away.max()) ** 2, 6), kind="stable")
            assert central[:3] == leaves[order][:3].tolist()

    @given(hierarchies())
    def test_no_two_names_are_alike(self, tree):
        named = name_by_leaves(tree)
        assert len(set(named.names)) == len(named)
        assert named.classes == tree.classes

    def test_a_label_that_is_a_class_is_told_apart_by_its_size_then_its_id(self):
        tree = Hierarchy([4, 4, 5, 5, 5, -1], ["a", "b", "a, b", "a, b (2 classes)"])
        assert name_by_leaves(tree).names[4] == "a, b (2 classes, node 4)"
        tree = Hierarchy([3, 3, 4, 4, -1], ["a", "b", "a, b"])
        assert name_by_leaves(tree).names[3] == "a, b (2 classes)"

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (np.zeros((4, 2)), r"needs rows of shape \(5, features\); got \(4, 2\)"),
            (np.zeros(5), r"got \(5,\)"),
            ([["x"]] * 5, "array of numbers"),
            ([[1, 2], [1], [1], [1], [1]], "array of numbers"),
            ([[1], [1], [np.nan], [1], [1]], "row 2 contains NaN or infinity"),
            ([[1], [1], [1], [1], [-np.inf]], "row 4 contains NaN or infinity"),
        ],
    )
    def test_refuses_rows_with_a_reason(self, rows, message):
        with pytest.raises(InputError, match=message):
            name_by_leaves(TAXONOMY, rows)

    @pytest.mark.parametrize("make", [random_hierarchy, caterpillar])
    def test_is_quick_for_all_of_imagenet(self, make):
        tree = make(21_841)
        assert cpu_seconds(lambda: name_by_leaves(tree)) < 2, "takes about 0.2 s"


class TestByTaxonomy:
    def test_a_node_that_is_a_concept_gets_its_name(self):
        groups = [["cat", "dog"], ["cat", "dog", "frog"], ["car", "bus"], CLASSES]
        named = name_by_taxonomy(tree_of(groups), TAXONOMY)
        assert named.names[5:] == ("mammal", "animal", "vehicle", "thing")
        assert dict(named.attributes(5)) == {
            "name_source": "taxonomy",
            "concept": "mammal",
            "concept_wnid": "n00000005",
            "precision": 1.0,
            "recall": 1.0,
        }
        assert dict(named.attributes(6)) == {
            "name_source": "taxonomy",
            "concept": "animal",
            "precision": 1.0,
            "recall": 1.0,
        }

    def test_a_part_of_a_concept_lists_its_classes(self):
        named = name_by_taxonomy(tree_of([["cat", "frog"], CLASSES]), TAXONOMY)
        assert named.name(5) == "animal: cat, frog"
        assert named.attributes(5)["precision"] == 1
        assert named.attributes(5)["recall"] == 0.6667

    def test_a_concept_with_strangers_is_mostly_it(self):
        named = name_by_taxonomy(tree_of([["dog", "car", "bus"], CLASSES]), TAXONOMY)
        assert named.name(5) == "mostly vehicle: dog, car, bus"
        assert named.attributes(5)["concept_wnid"] == "n00000007"
        assert named.attributes(5)["precision"] == 0.6667
        assert named.attributes(5)["recall"] == 1

    def test_where_only_the_root_covers_a_node_its_classes_name_it(self):
        named = name_by_taxonomy(tree_of([["cat", "bus"], CLASSES]), TAXONOMY)
        assert named.name(5) == "cat, bus"
        assert dict(named.attributes(5)) == {"name_source": "leaves"}

    def test_a_tiny_part_of_a_large_concept_is_named_by_its_classes(self):
        classes = [f"c{i}" for i in range(60)]
        taxonomy = Hierarchy([60] * 50 + [61] * 11 + [-1], [*classes, "big", "all"])
        groups = [classes[:2], classes[:30], classes]
        tree = tree_of(groups, classes)
        names = name_by_taxonomy(tree, taxonomy).names[60:]
        assert names == ("c0, c1", "big: c2, c3, +28", "all")

    def test_rows_choose_the_classes_listed(self):
        tree = tree_of([["dog", "car", "bus"], CLASSES])
        rows = [[0.0], [9.0], [0.0], [3.0], [1.0]]
        assert name_by_taxonomy(tree, TAXONOMY, rows).name(5) == "mostly vehicle: car, bus, dog"

    def test_classes_are_matched_by_wnid_where_all_have_one(self):
        leaf_wnids = {v: {"wnid": f"n0000010{v}"} for v in range(5)}
        taxonomy = Hierarchy(TAXONOMY.parents, TAXONOMY.names, attributes=leaf_wnids)
        order = [3, 4, 0, 1, 2]
        tree = Hierarchy(
            [5, 5, 6, 6, 6, 6, -1],
            ["Auto", "Bus", "Katze", "Hund", "Frosch"],
            attributes={v: leaf_wnids[other] for v, other in enumerate(order)},
        )
        assert name_by_taxonomy(tree, taxonomy).names[5:] == ("vehicle", "thing")
        with pytest.raises(InputError, match="lacks 5 of the tree's 5 classes: 'Auto', 'Bus'"):
            name_by_taxonomy(tree, TAXONOMY)

    def test_wnids_that_are_no_texts_or_not_unique_match_nothing(self):
        for wnid in (["n1"], 1, "n00000001"):
            known = {v: {"wnid": wnid} for v in range(5)}
            taxonomy = Hierarchy(TAXONOMY.parents, TAXONOMY.names, attributes=known)
            tree = Hierarchy([5, 5, 6, 6, 6, 6, -1], CLASSES, attributes=known)
            assert name_by_taxonomy(tree, taxonomy).names[5:] == ("mammal", "thing")

    def test_the_taxonomy_may_have_more_classes(self):
        tree = Hierarchy([3, 3, 4, 4, -1], ["dog", "frog", "bus"])
        named = name_by_taxonomy(tree, TAXONOMY)
        # Of the concepts over dog and frog the deepest; cats and cars are no concern of this tree.
        assert named.names[3:] == ("animal", "thing")
        assert named.attributes(3)["recall"] == 1

    def test_a_taxonomy_that_lacks_classes_is_refused(self):
        tree = Hierarchy([7] * 7 + [-1], [*CLASSES, "unicorn", "kelpie"])
        with pytest.raises(
            InputError, match="lacks 2 of the tree's 7 classes: 'unicorn', 'kelpie'"
        ):
            name_by_taxonomy(tree, TAXONOMY)

    def test_concepts_without_a_name_name_nothing(self):
        nameless = Hierarchy(TAXONOMY.parents, [*CLASSES, "", "animal", "", ""])
        groups = [["cat", "dog"], ["cat", "dog", "frog"], ["car", "bus"], CLASSES]
        named = name_by_taxonomy(tree_of(groups), nameless)
        assert named.names[5:8] == ("animal: cat, dog", "animal", "car, bus")

    def test_a_concept_called_like_a_class_is_told_apart(self):
        taxonomy = Hierarchy(
            [5, 5, 6, 6, 6, 6, -1],
            ["x1", "x2", "x3", "x4", "x5", "dog", "all"],
            attributes={v: {"wnid": f"n0000000{v}"} for v in range(5)},
        )
        tree = Hierarchy(
            [5, 5, 6, 6, 6, 6, -1],
            CLASSES,
            attributes={v: taxonomy.attributes(v) for v in range(5)},
        )
        assert name_by_taxonomy(tree, taxonomy).name(5) == "dog (2 classes)"

    @given(two_trees())
    def test_agrees_with_a_plain_search(self, trees):
        tree, taxonomy = trees
        named = name_by_taxonomy(tree, taxonomy)
        concept_leaves = {c: set(taxonomy.leaves(c)) for c in taxonomy.inner}
        for node in tree.inner:
            mine = set(tree.leaves(node))
            best = None
            for concept, theirs in concept_leaves.items():
                shared = len(mine & theirs)
                if 2 * shared <= len(mine):
                    continue
                precision, recall = shared / len(mine), shared / len(theirs)
                f1 = 2 * shared / (len(mine) + len(theirs))
                rank = (round(f1, 12), shared, taxonomy.depth(concept), -concept)
                if best is None or rank > best[0]:
                    best = (rank, concept, precision, recall)
            assert best is not None, "the root covers every node"
            (f1, *_), concept, precision, recall = best
            known = named.attributes(node)
            if mine == concept_leaves[concept]:
                assert named.name(node) == taxonomy.name(concept)
            elif concept == taxonomy.root or f1 < naming.WORST_FIT:
                assert known["name_source"] == "leaves"
                continue
            assert known["concept"] == taxonomy.name(concept)
            assert known["precision"] == round(precision, 4)
            assert known["recall"] == round(recall, 4)
            assert named.name(node).startswith("mostly ") == (precision < 1)

    @given(two_trees())
    def test_no_two_names_are_alike(self, trees):
        named = name_by_taxonomy(*trees)
        assert len(set(named.names)) == len(named)

    def test_blocks_of_nodes_give_the_same(self, monkeypatch):
        tree, taxonomy = random_hierarchy(50, seed=1), name_by_leaves(random_hierarchy(50, seed=2))
        whole = name_by_taxonomy(tree, taxonomy)
        monkeypatch.setattr(naming, "BLOCK_ENTRIES", 7)
        assert name_by_taxonomy(tree, taxonomy) == whole

    def test_is_quick_for_a_thousand_classes(self):
        tree = caterpillar(1000)
        taxonomy = name_by_leaves(random_hierarchy(1000, seed=2))
        assert cpu_seconds(lambda: name_by_taxonomy(tree, taxonomy)) < 2, "takes about 0.1 s"
