"""What notebooks show: the drawing as HTML and SVG, and the same in words."""

import base64
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch

import nbdt
from nbdt.errors import InputError
from nbdt.explain import Explanations
from nbdt.view.notebook import MOST_DRAWN, Comparison, compare

TREE = nbdt.Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
OTHER = nbdt.Hierarchy([3, 4, 3, 4, -1], ["cat", "dog", "car", "pair", "thing"])
LOGITS = torch.tensor([[2.0, 2.0, 2.2]])
MODEL = nbdt.NBDT(torch.nn.Identity(), TREE)
SOFT, HARD = (MODEL.explain(LOGITS, rule=rule)[0] for rule in ("soft", "hard"))

SUBJECTS = {
    "tree": TREE,
    "explanation": SOFT,
    "explanations": MODEL.explain(torch.eye(3)),
    "model": MODEL,
    "comparison": compare(SOFT, HARD),
}


class Plain(HTMLParser):
    """What is left where styles, scripts and all attributes but these are taken out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)


@pytest.mark.parametrize("name", SUBJECTS)
def test_it_is_shown_as_html_svg_and_text(name: str) -> None:
    bundle = SUBJECTS[name]._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    assert ElementTree.fromstring(bundle["image/svg+xml"]).tag.endswith("svg")
    html = Plain(bundle["text/html"])
    assert set(html.tags) == {"div", "img", "details", "summary", "pre"}
    kind, _, code = str(html.attributes["src"]).partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(code).decode() == bundle["image/svg+xml"]
    assert html.attributes["alt"] == bundle["text/plain"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tree", str(TREE)),
        ("explanation", str(SOFT)),
        ("model", f"NBDT of Identity: 3 classes, score logsumexp, rule soft\n{TREE}"),
        ("comparison", str(SUBJECTS["comparison"])),
    ],
)
def test_the_text_is_what_print_says(name: str, text: str) -> None:
    assert SUBJECTS[name]._repr_mimebundle_()["text/plain"] == text


def test_several_explanations_are_numbered_and_the_first_are_drawn() -> None:
    many = MODEL.explain(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)))
    bundle = many._repr_mimebundle_()
    assert f"sample {MOST_DRAWN - 1}\n{many[MOST_DRAWN - 1]}" in bundle["text/plain"]
    assert f"sample {MOST_DRAWN}\n" not in bundle["text/plain"]
    assert bundle["text/plain"].endswith("\n\nand 18 more")
    assert "<p>and 18 more</p>" in bundle["text/html"]
    assert "more</p>" not in many[:3]._repr_mimebundle_()["text/html"]


def test_one_explanation_in_a_list_is_shown_as_itself_and_none_in_words() -> None:
    assert Explanations([SOFT])._repr_mimebundle_() == SOFT._repr_mimebundle_()
    assert Explanations()._repr_mimebundle_() == {"text/plain": "no explanations"}


def test_a_comparison_marks_what_differs() -> None:
    lines = str(compare(SOFT, HARD, titles=["all at once", "step by step"])).splitlines()
    assert lines[0] == "all at once"
    marks = [line for line in lines if line.startswith("≠")]
    assert marks == ["≠ not on every path: car", "≠ not on every path: animal, cat"]
    assert "not on every path" in compare(SOFT, HARD).to_svg()


def test_explanations_that_agree_have_no_marks() -> None:
    assert "≠" not in str(compare(SOFT, SOFT))
    assert "not on every path" not in compare(SOFT, SOFT).to_svg()


def test_nodes_of_two_trees_are_the_same_if_they_hold_the_same_classes() -> None:
    logits = torch.tensor([[5.0, 0, 0]])
    mine = nbdt.NBDT(torch.nn.Identity(), TREE).explain(logits)[0]
    theirs = nbdt.NBDT(torch.nn.Identity(), OTHER).explain(logits)[0]
    renamed = nbdt.Hierarchy(TREE.parents, [*TREE.classes, "beast", "all"])
    also = nbdt.NBDT(torch.nn.Identity(), renamed).explain(logits)[0]
    text = str(compare((TREE, mine), (OTHER, theirs)))
    assert [line[-6:] for line in text.splitlines() if "≠" in line] == ["animal", ": pair"]
    assert "≠" not in str(compare((TREE, mine), (renamed, also)))
    assert "≠ not on every path: all, beast" in str(compare(mine, also))


def drawn_as_different(comparison: Comparison) -> list[str]:
    """The names that the drawing marks, of which each group says so in its tooltip."""
    root = ElementTree.fromstring(comparison.to_svg())
    svg = "{http://www.w3.org/2000/svg}"
    return [
        next(text.text or "" for text in group.iter(f"{svg}text"))
        for group in root.iter(f"{svg}g")
        if (title := group.find(f"{svg}title")) is not None
        and "not on every path" in (title.text or "")
    ]


@pytest.mark.parametrize(
    "subjects",
    [
        (SOFT, HARD),
        (SOFT, (TREE, SOFT)),
        ((TREE, SOFT), (TREE, HARD)),
        ((TREE, SOFT), HARD),
        ((TREE, HARD), (OTHER, nbdt.NBDT(torch.nn.Identity(), OTHER).explain(LOGITS)[0])),
    ],
)
def test_the_words_name_what_the_drawing_marks(subjects: tuple) -> None:
    comparison = compare(*subjects)
    lines = [line for line in str(comparison).splitlines() if line.startswith("≠")]
    told = [name for line in lines for name in line.partition(": ")[2].split(", ")]
    assert told == drawn_as_different(comparison)
    assert bool(told) == (len({id(s[-1]) if isinstance(s, tuple) else id(s) for s in subjects}) > 1)


def test_titles_say_rule_and_score_unless_given() -> None:
    comparison = compare(SOFT, HARD)
    assert isinstance(comparison, Comparison)
    assert comparison.titles == ("rule soft, score logsumexp", "rule hard, score logsumexp")
    assert "rule hard, score logsumexp" in comparison.to_svg()


@pytest.mark.parametrize(
    ("subjects", "more", "said"),
    [
        ([SOFT], {}, "at least two explanations, got 1"),
        ([SOFT, TREE], {}, "an Explanation or a pair .*got Hierarchy"),
        ([SOFT, ()], {}, "an Explanation or a pair .*got tuple"),
        ([SOFT, (TREE, TREE, SOFT)], {}, "an Explanation or a pair .*got tuple"),
        ([SOFT, (TREE, None)], {}, "an Explanation or a pair .*got tuple"),
        ([SOFT, (OTHER, SOFT)], {}, "made with another tree"),
        ([SOFT, HARD], {"titles": ["one"]}, "titles needs 2 entries; got 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(subjects: list, more: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare(*subjects, **more)


def test_hostile_names_are_text_in_the_html() -> None:
    evil = "</pre><img src=x onerror=hacked()>\"'"
    tree = nbdt.Hierarchy([2, 2, -1], [evil, "dog", "pet"])
    explanation = nbdt.NBDT(torch.nn.Identity(), tree).explain(torch.tensor([[1.0, 0.0]]))[0]
    for subject in (tree, explanation, compare(explanation, explanation)):
        html = Plain(subject._repr_mimebundle_()["text/html"])
        assert html.tags.count("img") == 1
        assert not any(name.startswith("on") for name in html.attributes)


def test_ipython_shows_it() -> None:
    reason = "IPython is not installed"
    formatters = pytest.importorskip("IPython.core.formatters", reason=reason)
    shown, _ = formatters.DisplayFormatter().format(TREE)
    assert {"text/html", "image/svg+xml", "text/plain"} <= set(shown)
    assert shown["text/plain"] == str(TREE)
