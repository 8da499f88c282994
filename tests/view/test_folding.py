from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Identity

from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy import Hierarchy, load_hierarchy
from nbdt.hierarchy.support import support_of
from nbdt.model import NBDT
from nbdt.view.dot import to_graphviz
from nbdt.view.folding import (
    MOST_ITEMS,
    MOST_SIBLINGS,
    Folding,
    Item,
    fold,
    support_legend,
)
from nbdt.view.svg import to_svg
from nbdt.view.terminal import to_rich, to_text
from tests.explain.samples import CAT, THING
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.view.samples import explain, flat, supported

WORDNET = load_hierarchy("imagenet1k/wordnet")


def supports(folding: Folding) -> dict[int, str]:
    return {item.node: item.support for item in folding.items if item.support}


def named(folding: Folding, name: str) -> Item:
    [item] = [item for item in folding.items if item.name == name]
    return item


@given(hierarchies(), st.data())
def test_what_is_folded_hides_what_is_below_it_and_nothing_else(
    tree: Hierarchy, data: st.DataObject
) -> None:
    folded = data.draw(st.sets(st.sampled_from(list(tree.inner))))
    folding = fold(tree, folded=folded)
    hidden = {below for node in folded for below in tree.preorder(node)} - folded
    hidden |= {node for node in folded if folded & set(tree.ancestors(node))}
    assert [item.node for item in folding.items] == [v for v in tree.preorder() if v not in hidden]
    for item in folding.items:
        expected = "class" if tree.is_leaf(item.node) else "open"
        assert item.kind == ("folded" if item.node in folded else expected)
        assert item.classes == len(tree.leaves(item.node))
        above = folding.items[item.parent].node if item.parent >= 0 else -1
        assert above == tree.parent(item.node)
    assert folding.depths == [tree.depth(item.node) for item in folding.items]
    assert len(folding) == len(folding.items)


@given(hierarchies())
@settings(max_examples=30)
def test_all_classes_are_accounted_for_below_every_open_node(tree: Hierarchy) -> None:
    for folding in (fold(tree), fold(tree, explain(tree))):
        below = np.zeros(len(folding), dtype=int)
        for item in folding.items:
            if item.parent >= 0:
                below[item.parent] += item.classes
        for item, held in zip(folding.items, below, strict=True):
            assert held == (item.classes if item.kind == "open" else 0)


@pytest.mark.parametrize(
    "tree", [WORDNET, random_hierarchy(1000), random_hierarchy(21_841, branching=50)]
)
def test_a_large_tree_is_opened_from_the_top(tree: Hierarchy) -> None:
    folding = fold(tree)
    assert MOST_ITEMS / 2 < len(folding) <= MOST_ITEMS
    assert folding.items[0].kind == "open"
    assert all(item.kind != "open" for item in folding.items if tree.is_leaf(item.node))


def test_a_flat_tree_shows_its_first_classes() -> None:
    *_, last = fold(flat(1000)).items
    assert (last.kind, last.name, last.classes) == ("rest", "942 more", 942)
    assert last.contents == "class 58, class 59, …"


def test_small_trees_are_drawn_whole() -> None:
    tree = random_hierarchy(30)
    assert len(tree) == 59 <= MOST_ITEMS
    assert len(fold(tree)) == 59


def test_of_a_large_tree_an_explanation_shows_both_paths_with_siblings() -> None:
    explanation = explain(WORDNET, 1)
    folding = fold(WORDNET, explanation)
    shown = {item.node for item in folding.items if item.kind != "rest"}
    assert shown >= {*WORDNET.path(explanation.prediction), *WORDNET.path(explanation.runner_up)}
    for place, item in enumerate(folding.items):
        children = [below for below in folding.items if below.parent == place]
        assert len(children) <= MOST_SIBLINGS + 1
        if item.kind == "open":
            on_path = item.node in WORDNET.path(explanation.prediction)
            assert on_path or item.node in WORDNET.path(explanation.runner_up)
            assert [c.node for c in children if c.kind != "rest"] == sorted(
                c.node for c in children if c.kind != "rest"
            )


def test_the_likeliest_siblings_are_shown_and_the_others_counted() -> None:
    tree = flat(1000)
    explanation = explain(tree)
    [decision] = explanation.path
    *shown, rest = fold(tree, explanation).items[1:]
    likeliest = np.argsort(decision.probabilities)[::-1][:MOST_SIBLINGS]
    assert {item.node for item in shown} == set(likeliest.tolist())
    assert (rest.kind, rest.classes, rest.name) == ("rest", 996, "996 more")
    total = sum(item.probability or 0 for item in [*shown, rest])
    assert total == pytest.approx(1)


def test_roles_and_probabilities_are_those_of_the_explanation() -> None:
    folding = fold(THING, CAT)
    roles = {item.name: (item.role, item.probability) for item in folding.items}
    assert roles == {
        "thing": ("path", None),
        "car": ("other", 0.02),
        "animal": ("path", 0.98),
        "cat": ("answer", 0.75),
        "dog": ("runner_up", 0.25),
    }


def test_below_an_answer_that_is_no_class_the_path_goes_on() -> None:
    folding = fold(THING, explain(THING, stop=1))
    answered = folding.explanation
    assert answered is not None
    assert named(folding, answered.answer_name).role == "answer"
    below = [item.node for item in folding.items if item.role == "beyond"]
    path = [THING.root, *(decision.child for decision in answered.path)]
    assert below == path[path.index(answered.answer) + 1 :]
    assert below[-1] == answered.prediction


def test_a_runner_up_elsewhere_has_a_way_of_its_own() -> None:
    tree = load_hierarchy("cifar10/wordnet")
    seed = next(s for s in range(99) if explain(tree, s).diverges_at == tree.root)
    explanation = explain(tree, seed)
    way = [item.node for item in fold(tree, explanation).items if item.role == "rival"]
    assert way == list(tree.path(explanation.runner_up)[1:-1])


@given(hierarchies(attributes=False), st.integers(0, 99))
@settings(max_examples=30)
def test_an_explanation_alone_is_its_path_with_the_siblings(tree: Hierarchy, seed: int) -> None:
    explanation = explain(tree, seed)
    folding = fold(explanation)
    with_tree = fold(tree, explanation, folded=set(tree.inner) - {d.node for d in explanation.path})
    assert folding.tree is None
    if any(item.kind == "rest" for item in folding.items):
        return
    for alone, whole in zip(folding.items, with_tree.items, strict=True):
        assert (alone.node, alone.parent, alone.name) == (whole.node, whole.parent, whole.name)
        assert (alone.probability, alone.classes) == (whole.probability, None)
        if whole.role != "rival":
            assert alone.role == whole.role


def test_parents_stand_before_their_children() -> None:
    folding = fold(caterpillar(2000), folded=None)
    assert folding.parents[0] == -1
    assert all(parent < place for place, parent in enumerate(folding.parents.tolist()))
    assert len(folding) == 3999
    assert all(a != b for a, b in pairwise(item.node for item in folding.items))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tree",), "a Hierarchy or an Explanation, got str; nbdt.load_hierarchy reads one"),
        ((None,), "draws a Hierarchy or an Explanation, got NoneType"),
        ((THING.parents,), "draws a Hierarchy or an Explanation, got ndarray"),
        (([CAT],), "got list; draw one of them at a time, or several by nbdt.view.compare_svg"),
        ((NBDT(Identity(), THING),), "got NBDT; pass its hierarchy, or one of the explanations"),
        ((THING, [CAT]), "got list; draw one of them at a time"),
        ((THING, "why"), "explanation must be an Explanation, got str"),
        ((CAT, CAT), "pass the tree first"),
        ((WORDNET, CAT), "'cat' was made with another tree than this one .Hierarchy.1000"),
        ((flat(3), CAT), "another tree"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fold(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("view", [to_svg, to_text, to_rich, to_graphviz])
@pytest.mark.parametrize("subject", [None, "x", NBDT(Identity(), THING), [CAT], THING.names])
def test_no_view_draws_it(view: Callable[[object], object], subject: object) -> None:
    with pytest.raises(InputError, match="a view draws a Hierarchy or an Explanation, got "):
        view(subject)


@pytest.mark.parametrize(
    ("folded", "said"),
    [
        ("all", "\"auto\", None or the inner nodes to close; got 'all'"),
        (3, "got 3"),
        ({0}, "node 0 .'cat'. is a class"),
        (["cat"], "node 0 .'cat'. is a class"),
        ([9], "there is no node 9"),
        ([None], "there is no node None"),
        (["pet"], "no node is called 'pet'"),
    ],
)
def test_only_inner_nodes_can_be_folded(folded: object, said: str) -> None:
    with pytest.raises((InputError, NotFoundError), match=said):
        fold(THING, folded=folded)  # type: ignore[arg-type]


def test_nodes_to_fold_are_given_by_id_or_name() -> None:
    assert fold(THING, folded=["animal"]) == fold(THING, folded={3})
    assert [item.kind for item in fold(THING, folded=["animal"]).items] == [
        "open",
        "class",
        "folded",
    ]


def test_an_explanation_alone_draws_all_siblings_where_nothing_is_to_be_folded() -> None:
    explanation = explain(flat(1000))
    assert len(fold(explanation, folded=None)) == 1001
    assert len(fold(explanation)) == MOST_SIBLINGS + 2


@pytest.mark.parametrize("folded", [{3}, [], "all", 3])
def test_an_explanation_alone_has_nothing_to_fold(folded: object) -> None:
    with pytest.raises(InputError, match="knows only the nodes of its path; pass its tree first"):
        fold(CAT, folded=folded)  # type: ignore[arg-type]


def test_inner_nodes_are_called_as_the_tree_calls_them() -> None:
    tree = Hierarchy(THING.parents, ["cat", "dog", "car", "beast", "all"])
    folding = fold(tree, CAT)
    told = folding.explanation
    assert told is not None
    assert [item.name for item in folding.items] == ["all", "car", "beast", "cat", "dog"]
    assert [decision.node_name for decision in told.path] == ["all", "beast"]
    assert told.diverges_at_name == "beast"


# ── support ───────────────────────────────────────────────────────────────────────────────────


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
        assert bool(supports(folding)) == bool(support_legend(folding))
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
    assert "of 7 trees with the same group" in support_legend(fold(one))
    single = Hierarchy(
        THING.parents, THING.names, attributes={3: {"support": 1, "support_trees": 1}}
    )
    assert "the percentage of 1 tree with the same group" in support_legend(fold(single))
    odd = Hierarchy(THING.parents, THING.names, attributes={3: {"support": 1, "support_trees": ""}})
    assert "of other trees with the same group" in support_legend(fold(odd))
