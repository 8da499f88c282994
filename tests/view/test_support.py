from nbdt.hierarchy import Hierarchy, load_hierarchy
from nbdt.hierarchy.support import support_of
from nbdt.view.folding import fold
from nbdt.view.support import meaning, supports
from tests.explain.samples import CAT, THING
from tests.view.samples import supported

WORDNET = load_hierarchy("imagenet1k/wordnet")


def test_support_is_that_of_the_nodes_that_are_drawn() -> None:
    folding = fold(supported(WORDNET))
    inner = {item.node for item in folding.items if item.kind in ("open", "folded")}
    assert supports(folding).keys() == inner - {WORDNET.root}
    assert set(supports(folding).values()) <= {"0 %", "<1 %", "5 %", "87 %", ">99 %", "100 %"}


def test_the_rest_of_many_groups_has_no_support_though_its_first_has() -> None:
    pairs = [node for pair in range(200, 300) for node in (pair, pair)]
    folding = fold(supported(Hierarchy([*pairs, *[300] * 100, -1], list(map(str, range(200))))))
    rest = folding.items[-1]
    assert rest.kind == "rest"
    assert support_of(folding.tree)[rest.node] >= 0  # type: ignore[arg-type]
    assert rest.node not in supports(folding)


def test_a_tree_without_support_and_an_explanation_have_none() -> None:
    known = supported(THING)
    for folding in (fold(THING), fold(known, CAT), fold(CAT), fold(known, folded=set())):
        assert bool(supports(folding)) == bool(meaning(folding))
    assert not supports(fold(THING))
    assert not supports(fold(known, CAT))
    assert not supports(fold(CAT))
    assert supports(fold(known))


def test_what_a_file_calls_support_may_be_none() -> None:
    for odd in ("87", True, -0.1, 1.5, None, [1]):
        tree = Hierarchy(THING.parents, THING.names, attributes={3: {"support": odd}})
        assert not supports(fold(tree))


def test_how_many_trees_is_said_where_it_is_known() -> None:
    one = Hierarchy(THING.parents, THING.names, attributes={3: {"support": 1, "support_trees": 7}})
    assert "of 7 trees with the same group" in meaning(fold(one))
    single = Hierarchy(
        THING.parents, THING.names, attributes={3: {"support": 1, "support_trees": 1}}
    )
    assert "the percentage of 1 tree with the same group" in meaning(fold(single))
    odd = Hierarchy(THING.parents, THING.names, attributes={3: {"support": 1, "support_trees": ""}})
    assert "of other trees with the same group" in meaning(fold(odd))
