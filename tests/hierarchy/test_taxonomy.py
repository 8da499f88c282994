import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.hierarchy import wordnet as wordnet_module
from nbdt.hierarchy.taxonomy import from_parents, from_wordnet, read_parents
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.wordnet import WordNet
from tests.hierarchy.small_wordnet import ANIMALS, write_wordnet
from tests.strategies import hierarchies


@pytest.fixture
def wnids(tmp_path):
    return write_wordnet(tmp_path)


@pytest.fixture
def wordnet(wnids, tmp_path):
    return WordNet(tmp_path)


def shape(tree, node=None):
    """The tree as nested tuples of names, for comparing without regard to ids."""
    node = tree.root if node is None else node
    children = tree.children(node)
    if not children:
        return tree.name(node)
    return (tree.name(node), frozenset(shape(tree, child) for child in children))


class TestFromWordnet:
    def test_nouns_and_wnids_become_leaves_in_their_order(self, wordnet, wnids):
        tree = from_wordnet([wnids["wolf"], "bus", "beagle"], wordnet)
        assert tree.classes == ("wolf", "bus", "beagle")
        assert shape(tree) == (
            "entity",
            frozenset({"bus", ("canine", frozenset(tree.classes[::2]))}),
        )

    def test_single_chains_are_dropped_down_to_the_deepest_common_concept(self, wordnet):
        tree = from_wordnet(["beagle", "pug"], wordnet)
        assert shape(tree) == ("dog", frozenset({"beagle", "pug"}))

    def test_the_first_hypernym_is_the_parent(self, wordnet, wnids):
        # A dog is listed as a canine first, then as a domestic animal.
        tree = from_wordnet(["dog", "domestic animal", "wolf"], wordnet)
        assert tree.name(tree.parent(0)) == tree.name(tree.parent(2)) == "canine"

    def test_every_node_has_its_wnid_and_gloss(self, wordnet, wnids):
        tree = from_wordnet(["beagle", "wolf", "bus"], wordnet)
        entries = ["beagle", "wolf", "bus", "canine", "entity"]
        assert [dict(tree.attributes(v)) for v in range(len(tree))] == [
            {"wnid": wnids[entry], "gloss": ANIMALS[entry][2]} for entry in entries
        ]

    def test_a_class_above_other_classes_is_a_leaf_beside_them(self, wordnet, wnids):
        tree = from_wordnet(["dog", "beagle", "pug", "animal", "bus"], wordnet)
        assert shape(tree) == (
            "entity",
            frozenset(
                {
                    "bus",
                    (
                        "animal (all kinds)",
                        frozenset(
                            {"animal", ("dog (all kinds)", frozenset({"dog", "beagle", "pug"}))}
                        ),
                    ),
                }
            ),
        )
        assert tree.attributes(tree.find("dog (all kinds)"))["wnid"] == wnids["dog"]

    def test_two_classes_of_one_synset_are_siblings(self, wordnet, wnids):
        tree = from_wordnet(["pug", "pug-dog", "wolf"], wordnet)
        assert tree.classes == ("pug", "pug-dog", "wolf")
        assert tree.parent(0) == tree.parent(1) != tree.parent(2)
        assert tree.name(tree.parent(0)) == "pug (all kinds)"

    def test_wnids_of_one_lemma_are_told_apart_by_their_hypernyms(self, wordnet, wnids):
        tree = from_wordnet([wnids["crane bird"], wnids["crane machine"]], wordnet)
        assert tree.classes == ("crane (bird)", "crane (lifting device)")

    def test_names_given_are_used(self, wordnet, wnids):
        tree = from_wordnet([wnids["dog"], "wolf"], wordnet, ["Hund", "Wolf"])
        assert tree.names == ("Hund", "Wolf", "canine")

    def test_an_inner_node_is_not_called_like_a_class(self, wordnet, wnids):
        tree = from_wordnet(["wolf", "beagle", "bus"], wordnet, ["canine", "x", "canine (animal)"])
        assert tree.name(3) == f"canine (animal) ({wnids['canine']})"

    def test_inner_nodes_of_one_lemma_are_told_apart(self, tmp_path):
        entries = {
            "thing": (["thing"], [], "a thing"),
            "flora": (["plant"], ["thing"], "it grows"),
            "tool": (["tool"], ["thing"], "a tool"),
            "works": (["plant"], ["tool"], "it produces"),
            **{
                name: ([name], [above], "something")
                for above, names in (("flora", "ab"), ("works", "cd"))
                for name in names
            },
        }
        write_wordnet(tmp_path, entries)
        tree = from_wordnet(list("abcd"), WordNet(tmp_path))
        assert (
            from_wordnet(list("abcd"), tmp_path)
            == from_wordnet(list("abcd"), str(tmp_path))
            == tree
        )
        assert tree.names[4:] == ("plant (thing)", "plant (tool)", "thing")

    def test_a_tree_over_fewer_classes_is_the_tree_restricted(self, wordnet, wnids):
        nouns = ["beagle", "pug", "wolf", "man", "bus", "machine"]
        whole = from_wordnet(nouns, wordnet)
        for dropped in range(len(nouns)):
            kept = [noun for i, noun in enumerate(nouns) if i != dropped]
            tree = from_wordnet(kept, wordnet)
            for a in range(len(kept)):
                for b in range(a):
                    concepts = [
                        t.attributes(t.lca(t.find(kept[a]), t.find(kept[b])))["wnid"]
                        for t in (whole, tree)
                    ]
                    assert concepts[0] == concepts[1]

    def test_looks_for_the_database_itself(self, wnids, tmp_path, monkeypatch):
        monkeypatch.setattr(wordnet_module, "USUAL_FOLDERS", (str(tmp_path),))
        assert from_wordnet(["pug", "beagle"]).name(2) == "dog"

    @pytest.mark.parametrize(
        ("classes", "error", "message"),
        [
            (["dog", "unicorn"], NotFoundError, "no noun 'unicorn'"),
            (["dog", "crane"], InputError, "may mean 2 things"),
            (["dog"], InputError, "at least two classes; got 1"),
            ([], InputError, "at least two classes; got 0"),
            ("dog", InputError, "list of names, got one text"),
            (3, InputError, "list of names, got 3"),
            (["dog", ""], InputError, "not blank; got ''"),
            (["dog", None], InputError, "not blank; got None"),
        ],
    )
    def test_refuses_classes_with_a_reason(self, wordnet, classes, error, message):
        with pytest.raises(error, match=message):
            from_wordnet(classes, wordnet)

    def test_refuses_a_wrong_number_of_names(self, wordnet):
        with pytest.raises(InputError, match="2 classes need 2 names; got 1"):
            from_wordnet(["dog", "wolf"], wordnet, ["x"])

    def test_a_database_with_a_cycle_is_damaged(self, tmp_path):
        entries = {
            "one": (["one"], ["two"], "1"),
            "two": (["two"], ["one"], "2"),
            "leaf": (["leaf"], ["two"], "3"),
        }
        wnids = write_wordnet(tmp_path, entries)
        with pytest.raises(FormatError, match=f"damaged: {wnids['two']} is its own ancestor"):
            from_wordnet(["leaf", "one"], WordNet(tmp_path))

    def test_a_database_with_a_hypernym_missing_is_damaged(self, tmp_path):
        write_wordnet(tmp_path, {"pug": (["pug"], [], "it snores")})
        data = (tmp_path / "data.noun").read_text(encoding="utf-8")
        (tmp_path / "data.noun").write_text(data.replace("%p 0", "@  0"), encoding="utf-8")
        with pytest.raises(FormatError, match=r"damaged: .* is a kind of n00000000"):
            from_wordnet(["pug", "pug"], WordNet(tmp_path))

    def test_a_thousand_classes(self, nbdt_data):
        wordnet = WordNet(nbdt_data / "wordnet30")
        classes = [line.split(",")[1] for line in _imagenet(nbdt_data)]
        tree = from_wordnet(classes, wordnet)
        assert tree.num_classes == 1000
        assert len(set(tree.names)) == len(tree)
        assert tree.classes[134] == "crane (wading bird)"
        dogs = tree.leaves(tree.find("dog"))
        assert len(dogs) == 118
        assert tree.name(tree.lca(tree.find("Egyptian cat"), dogs[0])) == "carnivore"


def _imagenet(data):
    path = data / "imagenet_samples" / "classes.csv"
    return path.read_text(encoding="utf-8").splitlines()[1:]


TABLE = {"cat": "animal", "dog": "animal", "pug": "dog", "car": "thing", "animal": "thing"}


class TestFromParents:
    def test_leaves_are_what_nothing_is_a_kind_of_in_order_of_appearance(self):
        tree = from_parents(TABLE)
        assert tree.classes == ("cat", "pug", "car")
        assert shape(tree) == ("thing", frozenset({"car", ("animal", frozenset({"cat", "pug"}))}))

    def test_pairs_are_a_table_too(self):
        assert from_parents(list(TABLE.items())) == from_parents(TABLE)
        assert from_parents([*TABLE.items(), ("cat", "animal")]) == from_parents(TABLE)

    @pytest.mark.parametrize("root", [None, ""])
    def test_a_root_may_be_listed(self, root):
        assert from_parents({"thing": root, **TABLE}) == from_parents(TABLE)
        assert from_parents({**TABLE, "thing": root}) == from_parents(TABLE)

    def test_classes_may_be_any_things_of_the_table(self):
        tree = from_parents(TABLE, ["car", "animal", "cat", "dog"])
        assert shape(tree) == (
            "thing",
            frozenset({"car", ("animal (all kinds)", frozenset({"animal", "cat", "dog"}))}),
        )

    def test_parents_come_after_their_children_and_siblings_in_order(self):
        table = {"d": "B", "e": "B", "a": "A", "b": "A", "A": "top", "B": "top"}
        tree = from_parents(table)
        assert tree.names == ("d", "e", "a", "b", "B", "A", "top")
        parents = tree.parents[:-1]
        assert np.all(parents > np.arange(len(parents)))

    def test_a_name_taken_by_a_class_is_made_another(self):
        table = {"dog": "animal", "pug": "dog", "dog (all kinds)": "animal"}
        tree = from_parents(table, ["dog", "pug", "dog (all kinds)"])
        assert tree.names[3:] == ("dog (all kinds) (dog)", "animal")

    @pytest.mark.parametrize(
        ("table", "classes", "message"),
        [
            ([("a", "x"), ("b", "x"), ("a", "y")], None, "'a' has two parents, 'x' and 'y'"),
            ({"a": "x", "b": "y"}, None, r"no common root; found 2: 'x' \(over 'a'\), 'y'"),
            ({"a": "x", "b": "x", "x": "y", "y": "x"}, None, "'[xy]' is its own ancestor"),
            ({"a": "r", "b": "r", "x": "y", "y": "x"}, None, "'[xy]' is its own ancestor"),
            ({"a": "a", "b": "a"}, None, "'a' is its own ancestor"),
            ({"a": "x", "b": "x"}, ["a", "c", "d"], "lacks the classes 'c', 'd'"),
            ({"a": "x", "b": "x"}, ["a"], "at least two classes; got 1"),
            ({"a": "x", "b": "x"}, "ab", "list of names, got one text"),
            ({"a": "x"}, None, "at least two classes; got 1"),
            ({}, None, "at least two classes; got 0"),
            ({"a": 3, "b": 3}, None, "not blank; got 3"),
            ({1: "x", 2: "x"}, None, "not blank; got 1"),
            ({"a": float("nan")}, None, "not blank; got nan"),
            ({" ": "x"}, None, "not blank; got ' '"),
            ([("a", "b", "c")], None, "pairs of a child and its parent"),
            ([3], None, "pairs of a child and its parent"),
            (3, None, "pairs of a child and its parent"),
        ],
    )
    def test_refuses_what_is_no_tree_with_a_reason(self, table, classes, message):
        with pytest.raises(InputError, match=message):
            from_parents(table, classes)

    def test_a_long_chain_takes_no_recursion(self):
        table = {f"v{i}": f"v{i + 1}" for i in range(100_000)} | {"leaf": "v7", "other": "v99999"}
        tree = from_parents(table)
        assert tree.classes == ("v0", "leaf", "other")
        assert tree.names[3:] == ("v7", "v99999")

    def test_a_long_caterpillar_is_quick(self):
        table = {}
        for i in range(20_000):
            table |= {f"leaf {i}": f"v{i}", f"v{i}": f"v{i + 1}"}
        tree = from_parents(table)
        assert tree.height(tree.root) == 19_999

    @given(hierarchies(max_classes=12, attributes=False), st.randoms())
    def test_any_tree_comes_back_from_its_table(self, tree, random):
        keys = [*tree.classes, *(f"node {v} of {len(tree)}" for v in tree.inner)]
        pairs = [(keys[v], keys[tree.parent(v)]) for v in range(tree.root)]
        random.shuffle(pairs)
        named = Hierarchy(tree.parents, keys)
        assert shape(from_parents(pairs, tree.classes)) == shape(named)


class TestReadParents:
    def read(self, tmp_path, text):
        path = tmp_path / "parents.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_parents(path)

    def test_reads_the_two_columns(self, tmp_path):
        text = 'note,parent,child\n1,animal,cat\n2,"animal",dog\n\n3,thing,"car, old"\n4,,thing\n'
        assert self.read(tmp_path, text) == [
            ("cat", "animal"),
            ("dog", "animal"),
            ("car, old", "thing"),
            ("thing", None),
        ]

    def test_what_it_reads_makes_a_tree(self, tmp_path):
        pairs = self.read(tmp_path, "child,parent\r\ncat,animal\r\ndog,animal\r\n")
        assert from_parents(pairs).names == ("cat", "dog", "animal")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "first line must name the columns, including 'child' and 'parent'"),
            ("kid,parent\na,b\n", "it has 'kid', 'parent'"),
            ("child:parent\na:b\n", "it has 'child:parent'"),
            ("child,parent\na\n", "line 2: expected 2 values"),
            ("child,parent\na,b\na,b,c\n", "line 3: expected 2 values"),
            ("child,parent\n,b\n", "line 2: expected a child"),
            ('child,parent\n"a,b\n', "not valid CSV at line 2: unexpected end of data"),
            (b"child,parent\n\xe9,b\n", "not UTF-8"),
            ("child,parent\na,b\n".encode("utf-16"), "UTF-16"),
        ],
    )
    def test_refuses_another_file_with_a_reason(self, tmp_path, text, message):
        with pytest.raises(FormatError, match=message) as error:
            self.read(tmp_path, text)
        assert "parents.csv" in str(error.value)

    def test_a_missing_file_is_not_found(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such file"):
            read_parents(tmp_path / "nowhere.csv")
