"""Whole drawings: what they say, that nothing overlaps, and that no name can break them."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nbdt.errors import InputError
from nbdt.explain import Explanation, percent
from nbdt.hierarchy import Hierarchy, induce, load_hierarchy
from nbdt.hierarchy.support import support_of
from nbdt.view.folding import fold
from nbdt.view.svg.frame import NARROWEST, Panel, compose, to_svg
from nbdt.view.svg.shapes import Box, Group, Stroke, Text, texts
from tests.explain.samples import CAT, THING
from tests.strategies import caterpillar, random_hierarchy
from tests.timing import cpu_seconds
from tests.view.samples import drawn_from, explain, flat, subjects, supported

CIFAR10 = load_hierarchy("cifar10/resnet20")
CIFAR100 = load_hierarchy("cifar100/wordnet")
IMAGENET = load_hierarchy("imagenet1k/mobilenet_v2")
WORDNET = load_hierarchy("imagenet1k/wordnet")
SVG = "{http://www.w3.org/2000/svg}"

KINDS: list[dict[str, Any]] = [
    {},
    {"kind": "tidy"},
    {"kind": "tidy", "orientation": "vertical"},
    {"kind": "indented"},
    {"kind": "indented", "width": 350},
    {"kind": "dendrogram"},
    {"kind": "dendrogram", "orientation": "vertical"},
]


def overlapping(boxes: list[tuple[Box, str]]) -> Iterator[tuple[str, str]]:
    """The pairs of texts whose boxes overlap; a sweep from top to bottom."""
    active: list[tuple[Box, str]] = []
    for box, said in sorted(boxes, key=lambda pair: pair[0].y):
        active = [pair for pair in active if pair[0].bottom > box.y + 0.01]
        for other, its in active:
            if other.x < box.right - 0.01 and box.x < other.right - 0.01:
                yield its, said
        active.append((box, said))


def text_boxes(panel: Panel) -> list[tuple[Box, str]]:
    return [(text.box, text.text) for text in texts(panel.shapes)]


def assert_legible(panel: Panel) -> None:
    boxes = text_boxes(panel)
    assert not list(overlapping(boxes))
    for box, said in boxes:
        assert box.x >= 0, said
        assert box.y >= 0, said
        assert box.right <= panel.width, said
        assert box.bottom <= panel.height, said


EXPLAINED = [
    (tree, explain(tree, 1, scale=4))
    for tree in (CIFAR10, CIFAR100, IMAGENET, WORDNET, caterpillar(60))
]


@pytest.mark.parametrize("arguments", KINDS, ids=str)
@pytest.mark.parametrize(("tree", "explanation"), [(CIFAR10, None), *EXPLAINED], ids=repr)
def test_no_label_overlaps_another(
    tree: Hierarchy, explanation: Explanation | None, arguments: dict[str, Any]
) -> None:
    panel = compose(fold(tree, explanation, folded=None), title="Of classes", **arguments)
    assert_legible(panel)
    names = {text.text for text in texts(panel.shapes)}
    if arguments.get("kind") in (None, "tidy"):
        assert len(names & set(tree.classes)) > tree.num_classes * 0.9


HEIGHTS: list[dict[str, Any]] = [
    {"heights": True},
    {"heights": True, "orientation": "vertical"},
]
INDUCED_100 = induce(np.random.default_rng(0).normal(size=(100, 24)), CIFAR100.classes)
SUPPORTED = [supported(CIFAR10), supported(INDUCED_100)]


@pytest.mark.parametrize("arguments", [*KINDS, *HEIGHTS], ids=str)
@pytest.mark.parametrize("tree", SUPPORTED, ids=repr)
def test_support_stands_at_its_node_and_overlaps_nothing(
    tree: Hierarchy, arguments: dict[str, Any]
) -> None:
    panel = compose(fold(tree, folded=None), **arguments)
    assert_legible(panel)
    groups = [shape for shape in panel.shapes if isinstance(shape, Group)]
    told = [text.text for text in texts(groups)]
    expected = Counter(percent(share) for share in support_of(tree).values())
    shown = Counter({said: told.count(said) + told.count(said.removesuffix(" %"))
                     for said in expected})  # fmt: skip
    if "heights" in arguments:  # some branches are too short
        assert not shown - expected
        assert shown.total() >= 0.7 * expected.total()
    else:
        assert shown == expected
    numbers = [text.box for text in texts(groups) if text.text.strip("<> %").isdigit()]
    assert_no_branch_through(numbers, panel)


def test_what_numbers_at_nodes_mean_is_said_below() -> None:
    drawn = " ".join(shown(to_svg(supported(CIFAR10), width=300)))
    assert "its support, the percentage of 1,000 trees with the same group" in drawn
    assert "support" not in to_svg(CIFAR10)
    # With an explanation, the percentages are those of its decisions.
    assert "support" not in to_svg(supported(CIFAR10), explain(CIFAR10))
    one = CIFAR10.inner[0]
    mixed = Hierarchy(CIFAR10.parents, CIFAR10.names, attributes={one: {"support": 0.5}})
    assert "the percentage of other trees with" in to_svg(mixed)
    assert "support 50 %" in to_svg(mixed, folded={one})


def points(stroke: Stroke) -> np.ndarray:
    """Points along a line, its curves too (by de Casteljau); shape (points, 2)."""
    t = np.linspace(0, 1, 150)[:, None]
    here: tuple[float, ...] = ()
    pieces = []
    for _, numbers in stroke.steps:
        control = [here, *zip(numbers[::2], numbers[1::2], strict=True)] if here else [numbers]
        rest = [np.array([point]) for point in control]
        while len(rest) > 1:
            rest = [a + t * (b - a) for a, b in pairwise(rest)]
        pieces.append(rest[0])
        here = tuple(control[-1])
    return np.concatenate(pieces)


def assert_no_branch_through(boxes: list[Box], panel: Panel) -> None:
    edges = [s for s in panel.shapes if isinstance(s, Stroke) and s.css.startswith("nb-edge")]
    assert len(edges) > 10
    sides = np.array([(b.x, b.right, b.y + 1, b.bottom - 1) for b in boxes])
    left, right, top, bottom = sides.T[:, None, :]
    for edge in edges:
        x, y = points(edge).T[:, :, None]
        assert not ((left < x) & (x < right) & (top < y) & (y < bottom)).any()


@pytest.mark.parametrize("arguments", KINDS, ids=str)
@pytest.mark.parametrize(("tree", "explanation"), EXPLAINED[:2], ids=repr)
def test_no_branch_runs_through_a_name(
    tree: Hierarchy, explanation: Explanation, arguments: dict[str, Any]
) -> None:
    panel = compose(fold(tree, explanation), **arguments)
    assert_no_branch_through([box for box, _ in text_boxes(panel)], panel)


@pytest.mark.parametrize("tree", [CIFAR10, CIFAR100, IMAGENET, WORDNET, flat(1000)], ids=repr)
@pytest.mark.parametrize("width", [NARROWEST, 390, 960])
def test_a_folded_tree_fits_the_width(tree: Hierarchy, width: int) -> None:
    for explanation in (None, explain(tree, 1, scale=4), explain(tree, 1, stop=1)):
        panel = compose(fold(tree, explanation), width=width)
        assert panel.width <= width
        assert panel.height < 2500
        assert_legible(panel)


@given(subjects(), st.sampled_from(KINDS), st.booleans())
@settings(max_examples=40)
def test_hostile_names_do_no_harm(subject: Any, arguments: dict[str, Any], alone: bool) -> None:
    tree, explanation = drawn_from(subject)
    drawn = (explanation,) if alone and explanation else (tree, explanation)
    title = tree.name(0)
    assert_legible(compose(fold(*drawn), title=title, **arguments))
    root = ET.fromstring(to_svg(*drawn, title=title, **arguments))
    allowed = {"svg", "style", "title", "desc", "g", "path", "rect", "text"}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in allowed
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]
        assert "id" not in element.attrib
    [style] = root.iter(f"{SVG}style")
    assert "<" not in (style.text or "")


def test_names_are_shown_as_they_are() -> None:
    name = "</script><img src=x onerror=alert(1)>"
    tree = Hierarchy([2, 2, -1], [name, "other", "root"])
    drawn = to_svg(tree)
    assert name not in drawn
    assert name in {text.text for text in ET.fromstring(drawn).iter(f"{SVG}text")}


def test_it_says_what_it_shows_to_who_cannot_see_it() -> None:
    root = ET.fromstring(to_svg(THING, CAT))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "Decision path to cat (74 %)" == root[0].text
    assert root[1].text == (
        "Decision path to cat (74 %): thing → animal → cat. The network agrees. "
        "Runner-up: dog (25 %); the paths diverge at animal."
    )
    assert [child.tag for child in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert ET.fromstring(to_svg(THING)).attrib["aria-label"] == "A tree of 3 classes"
    assert ET.fromstring(to_svg(THING, title="Mine")).attrib["aria-label"] == "Mine"
    named = ET.fromstring(to_svg(THING, CAT, title="Mine")).attrib["aria-label"]
    assert named == "Mine: Decision path to cat (74 %)"


def shown(drawing: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(drawing).iter(f"{SVG}text")]


def test_the_headline_names_the_answer_and_the_runner_up() -> None:
    assert shown(to_svg(THING, CAT))[:3] == [
        "cat  74 %",
        "The network agrees.",
        "Runner-up: dog (25 %); the paths diverge at animal.",
    ]


def test_an_answer_above_the_classes_says_so() -> None:
    seed = next(seed for seed in range(99) if len(explain(THING, seed).path) == 2)
    said = " ".join(shown(to_svg(THING, explain(THING, seed, stop=1))))
    assert said.startswith("animal  ")
    assert "Stopped here, too unsure to go on to " in said
    assert "At least 95 % of such answers hold the true class" in said
    assert "not taken (too unsure)" in said


def thickness_of(drawing: str, css: str) -> list[float]:
    widths = re.findall(rf'class="nb-edge{css}" d="[^"]*" stroke-width="([\d.]+)"', drawing)
    return [float(width) for width in widths]


def test_the_likelier_a_branch_the_thicker() -> None:
    tree = flat(4)
    drawn = to_svg(tree, explain(tree, 3))
    [path] = thickness_of(drawn, " nb-e-answer")
    [rival] = thickness_of(drawn, " nb-e-runner_up")
    others = thickness_of(drawn, "")
    assert path > rival > min(others)
    assert len(others) == 2


def test_path_and_runner_up_differ_by_more_than_colour() -> None:
    drawn = to_svg(THING, CAT)
    assert ".nb-e-runner_up{stroke-dasharray" in drawn
    for role in ("path", "answer", "runner_up"):
        group = re.search(rf'<g class="nb-{role}">.*?</g>', drawn)
        assert group is not None
        assert 'class="nb-icon' in group[0]
        assert "nb-bold" in group[0]


def test_a_wide_tree_is_drawn_with_a_row_a_node() -> None:
    assert "C" in re.findall(r'd="([^"]*)"', to_svg(CIFAR10))[0]
    assert "Q" in re.findall(r'd="([^"]*)"', to_svg(CIFAR10, width=300))[0]
    assert "Q" in re.findall(r'd="([^"]*)"', to_svg(WORDNET))[0]


def test_images_are_put_into_it() -> None:
    cat, sample = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (300, 200), "blue")
    drawn = to_svg(THING, CAT, image=sample, images={0: cat})
    images = list(ET.fromstring(drawn).iter(f"{SVG}image"))
    assert [image.attrib["href"].partition(",")[0] for image in images] == [
        "data:image/jpeg;base64",
        "data:image/png;base64",
    ]
    for kind in KINDS:
        panel = compose(fold(THING, CAT), image=sample, images={0: cat}, **kind)
        assert_legible(panel)
    with pytest.raises(InputError, match=r"node 3 .'animal'. is a group"):
        to_svg(THING, images={3: cat})


@pytest.mark.parametrize("arguments", [*KINDS, *HEIGHTS], ids=str)
def test_every_kind_draws_the_images_of_its_classes(arguments: dict[str, Any]) -> None:
    high = Hierarchy(THING.parents, THING.names, merge_heights=[0, 0, 0, 1, 4])
    sample = Image.new("RGB", (8, 8), "red")
    for images in ({0: sample, 2: sample}, {"cat": sample, "car": sample}):
        for drawn in ((high,), (high, CAT)):
            assert_legible(compose(fold(*drawn), images=images, **arguments))
            drawing = ET.fromstring(to_svg(*drawn, images=images, **arguments))
            assert len(list(drawing.iter(f"{SVG}image"))) == 2


@pytest.mark.parametrize("images", [{"cat": ""}, {0: ""}], ids=str)
def test_an_explanation_alone_draws_the_images_that_it_can(images: dict[Any, str]) -> None:
    named = {key: Image.new("L", (4, 4)) for key in images} | {"absent": Image.new("L", (4, 4))}
    assert to_svg(CAT, images=named).count("<image") == 1


def test_without_a_title_there_is_none() -> None:
    assert to_svg(THING, title=None) == to_svg(THING) == to_svg(THING, title="")


@pytest.mark.parametrize("arguments", KINDS[2:], ids=str)
def test_no_drawing_gets_higher_for_being_wider(arguments: dict[str, Any]) -> None:
    tree = induce(np.random.default_rng(0).normal(size=(30, 8)), [f"class {i}" for i in range(30)])
    narrow, wide = (compose(fold(tree), **arguments | {"width": w}) for w in (300, 2000))
    assert wide.height <= narrow.height


def test_inner_nodes_are_called_by_one_name() -> None:
    tree = Hierarchy(THING.parents, ["cat", "dog", "car", "beast", "all"])
    drawn = to_svg(tree, CAT)
    assert "the paths diverge at beast" in drawn
    assert "animal" not in drawn
    assert "thing" not in drawn


def test_a_full_drawing_of_a_thousand_classes_is_made_in_a_second() -> None:
    path = explain(WORDNET)
    assert len(to_svg(WORDNET, path, folded=None)) < 500_000
    assert cpu_seconds(lambda: to_svg(WORDNET, path, folded=None), times=3) < 1


@pytest.mark.parametrize("kind", ["tidy", "indented", "dendrogram"])
def test_trees_may_be_large_and_deep(kind: Any) -> None:
    for tree in (random_hierarchy(3000), caterpillar(1200)):
        drawn = to_svg(tree, folded=None, kind=kind)
        assert drawn.count(">class ") >= tree.num_classes


def test_the_same_is_drawn_the_same() -> None:
    assert to_svg(WORDNET, explain(WORDNET)) == to_svg(WORDNET, explain(WORDNET))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"kind": "radial"},
            "kind must be one of tidy, dendrogram, indented or None; got 'radial'",
        ),
        ({"orientation": "up"}, "orientation must be horizontal or vertical; got 'up'"),
        ({"kind": "indented", "orientation": "vertical"}, "always grows down"),
        ({"kind": "tidy", "heights": True}, 'only kind "dendrogram" has branch heights'),
        ({"heights": True}, "needs a tree with merge heights"),
        ({"width": 100}, "at least 240 pixels, got 100"),
        ({"width": float("nan")}, "at least 240 pixels, got nan"),
        ({"width": "wide"}, "at least 240 pixels, got 'wide'"),
        ({"images": {99: "data:image/png;base64,"}}, "there is no node 99"),
        ({"images": {"cow": "data:image/png;base64,"}}, "no node is called 'cow'"),
        ({"images": ["data:image/png;base64,"]}, "images must be a dictionary from classes"),
        ({"title": 3}, "title must be a text or None, got 3"),
        ({"folded": ["pets"]}, "no node is called 'pets'"),
        ({"kind": ["tidy"]}, "kind must be one of tidy"),
        ({"image": "https://example.com/cat.png"}, "data:image/… address"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, LookupError), match=re.escape(said)):
        to_svg(THING, **arguments)


def test_an_explanation_alone_has_no_heights() -> None:
    with pytest.raises(InputError, match="needs a tree with merge heights"):
        to_svg(CAT, heights=True)
    assert isinstance(CAT, Explanation)
    assert isinstance(next(texts(compose(fold(CAT)).shapes)), Text)
