import xml.etree.ElementTree as ET
from typing import Any

import pytest

from nbdt.errors import InputError
from nbdt.explain import Explanation, explain_logits
from nbdt.hierarchy import Hierarchy, load_hierarchy
from nbdt.rules import TreeLayout
from nbdt.view.comparison import compare_svg, with_differences
from nbdt.view.folding import fold
from tests.explain.samples import CAT, THING, random_logits
from tests.view.samples import explain

WORDNET = load_hierarchy("cifar10/wordnet")
INDUCED = load_hierarchy("cifar10/resnet20")
FIRST = explain(WORDNET, 0)
# One that parts from it at the root, and so with a class of its own.
SECOND = next(
    other
    for other in (explain(WORDNET, seed) for seed in range(99))
    if WORDNET.lca(other.prediction, FIRST.prediction) == WORDNET.root
)
SVG = "{http://www.w3.org/2000/svg}"


def of_one_sample(tree: Hierarchy, seed: int) -> tuple[Hierarchy, Explanation]:
    """What a tree says of the logits that the seed gives."""
    [explanation] = explain_logits(random_logits(1, tree.num_classes, seed), TreeLayout(tree))
    return tree, explanation


def differing(*foldings: Any) -> list[list[str]]:
    marked = with_differences([fold(*pair) for pair in foldings])
    return [[item.name for item in folding.items if item.differs] for folding in marked]


def held(tree: Hierarchy, node: int) -> frozenset[str]:
    return frozenset(tree.name(leaf) for leaf in tree.leaves(node))


def test_nodes_are_the_same_if_they_hold_the_same_classes() -> None:
    seed = 0
    pairs = [of_one_sample(WORDNET, seed), of_one_sample(INDUCED, seed)]
    classes = [{held(tree, node) for node in tree.path(e.prediction)} for tree, e in pairs]
    for (tree, _), marked, mine, others in zip(
        pairs, differing(*pairs), classes, classes[::-1], strict=True
    ):
        expected = {
            tree.name(node) for node in range(len(tree)) if held(tree, node) in mine - others
        }
        assert set(marked) == expected


def test_of_two_rules_the_paths_differ_from_where_they_part() -> None:
    first, second = FIRST, SECOND
    parting = WORDNET.lca(first.prediction, second.prediction)
    expected = [
        [WORDNET.name(node) for node in WORDNET.path(e.prediction) if node not in shared]
        for e, shared in ((e, WORDNET.path(parting)) for e in (first, second))
    ]
    assert differing((WORDNET, first), (WORDNET, second)) == expected
    assert differing((first,), (second,)) == expected


def test_equal_paths_do_not_differ() -> None:
    assert differing((THING, CAT), (CAT,)) == [[], []]


def test_of_three_a_node_is_marked_unless_all_pass_it_and_that_is_what_is_said() -> None:
    answers = {WORDNET.classes.index(name) for name in ("cat", "dog", "airplane")}
    of_class = {explain(WORDNET, seed).prediction: explain(WORDNET, seed) for seed in range(99)}
    cat, dog, airplane = (of_class[answer] for answer in sorted(answers, reverse=True))
    paths = [set(WORDNET.path(e.prediction)) for e in (cat, dog, airplane)]
    everywhere = set.intersection(*paths)
    marked = differing(*((WORDNET, e) for e in (cat, dog, airplane)))
    for path, names in zip(paths, marked, strict=True):
        assert set(names) == {WORDNET.name(node) for node in path - everywhere}
    assert {"vertebrate", "carnivore"} <= set(marked[0]) & set(marked[1])
    drawn = compare_svg([cat, dog, airplane], same_sample=True, width=1500)
    assert "not on every path" in drawn
    assert "other paths" not in drawn


def test_differences_are_marked_where_asked_for() -> None:
    pairs = [(WORDNET, FIRST), (WORDNET, SECOND)]
    assert "nb-differs" not in compare_svg(pairs).partition("</style>")[2]
    marked = compare_svg(pairs, same_sample=True)
    assert "nb-differs" in marked.partition("</style>")[2]
    assert "2 decision paths of one sample" in marked
    assert marked.count("not on every path") > 2


def cards(drawing: str) -> list[tuple[float, ...]]:
    return [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in ET.fromstring(drawing).iter(f"{SVG}rect")
        if rect.attrib.get("class") == "nb-card"
    ]


@pytest.mark.parametrize(("width", "columns"), [(390, 1), (960, 2), (1500, 3)])
def test_panels_stand_side_by_side_as_far_as_they_fit(width: int, columns: int) -> None:
    explanations = [explain(WORDNET, seed) for seed in range(4)]
    drawing = compare_svg(explanations, titles=["a", "b", "c", "d"], width=width)
    placed = cards(drawing)
    assert len({x for x, *_ in placed}) == columns
    assert max(x + w for x, _, w, _ in placed) <= width
    for i, (x, y, w, h) in enumerate(placed):
        for x2, y2, *_ in placed[i + 1 :]:
            assert x2 >= x + w or y2 >= y + h or x2 < x
    root = ET.fromstring(drawing)
    assert [t.text for t in root.iter(f"{SVG}text") if t.text in "abcd"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("subjects", "arguments", "said"),
    [
        ([], {}, "nothing to compare"),
        ([CAT], {"titles": ["a", "b"]}, "titles needs 1 entries, one per explanation; got 2"),
        ([CAT, CAT], {"images": [None]}, "images needs 2 entries, one per explanation; got 1"),
        ([THING], {}, "an Explanation or a pair .tree, explanation., got Hierarchy"),
        ([(WORDNET, CAT)], {}, "another tree"),
        ([CAT], {"width": 100}, "at least 240 pixels"),
        ([CAT], {"width": "wide"}, "at least 240 pixels, got 'wide'"),
        (CAT, {}, "subjects must be a list of explanations, got Explanation"),
        (None, {}, "subjects must be a list of explanations, got NoneType"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    subjects: list[Any], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        compare_svg(subjects, **arguments)
