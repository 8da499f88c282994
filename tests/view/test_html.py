"""The page of `to_html` as a text; how it looks and works is tested in tests/browser."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nbdt
from nbdt.errors import InputError, NotFoundError
from nbdt.explain import Explanation, explain_logits
from nbdt.hierarchy.text import one_line
from nbdt.rules import TreeLayout
from nbdt.view.html import (
    NodeDetails,
    Prototype,
    content_security_policy,
    page_data,
    script,
    style,
    to_html,
)
from nbdt.view.html.page import as_json
from tests.strategies import hierarchies, random_hierarchy

TREE = nbdt.Hierarchy(
    [3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"], merge_heights=[0, 0, 0, 1, 2]
)
EXPLAINED = explain_logits(torch.tensor([[3.0, 2, 0], [0, 1, 5]]), TreeLayout(TREE))
RED = Image.new("RGB", (40, 20), "red")


class Page(HTMLParser):
    """The elements of a page with their attributes and texts, as an HTML parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("", {}, []))  # for the text behind it

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1][2].append(data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attrs, "".join(texts)) for name, attrs, texts in self.found if name == tag]

    def data(self) -> Any:
        ((_, text),) = [one for one in self.of("script") if one[0].get("type")]
        return json.loads(text)


def explained(tree: nbdt.Hierarchy, samples: int = 1) -> list[Explanation]:
    torch.manual_seed(0)
    return explain_logits(3 * torch.randn(samples, tree.num_classes), TreeLayout(tree))


# ── one file, closed to the world ─────────────────────────────────────────────────────────────


def test_the_policy_allows_its_own_style_and_script_only() -> None:
    page = Page(to_html(TREE, EXPLAINED))
    ((_, css),) = page.of("style")
    ((_, js),) = [one for one in page.of("script") if not one[0]]
    policy = next(
        str(attrs["content"])
        for attrs, _ in page.of("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (css, js)
    ]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src {hashes[0]}",
        f"script-src {hashes[1]}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    # It must stand before what it should stop.
    assert [tag for tag, _, _ in page.found][:4] == ["html", "head", "meta", "meta"]


def test_a_policy_can_allow_several() -> None:
    policy = content_security_policy(["a", "b"], [])
    assert policy.count("sha256-") == 2
    assert "script-src 'none'" in policy


def test_nothing_in_it_points_anywhere() -> None:
    text = to_html(TREE, EXPLAINED, images=[RED, RED])
    assert "//" not in re.sub(r"^\s*//.*$|; //.*$|, //.*$| // .*$", "", text, flags=re.M)
    assert not re.search(r"url\(|@import|\bsrc=\"(?!data:)|<link|<iframe|eval\(|innerHTML", text)


def test_style_and_script_can_stand_in_a_page() -> None:
    assert "</" not in style()
    assert "</script" not in script().lower()
    assert "<!--" not in script()


@pytest.mark.parametrize("classes", [10, 1000])
def test_it_is_small(classes: int) -> None:
    name = {10: "cifar10/resnet20", 1000: "imagenet1k/mobilenet_v2"}[classes]
    tree = nbdt.load_hierarchy(name)
    size = len(to_html(tree, explained(tree)).encode())
    assert size < {10: 60_000, 1000: 300_000}[classes]


# ── the data ──────────────────────────────────────────────────────────────────────────────────


@given(hierarchies(), st.text())
def test_the_tree_comes_through_whatever_its_names(tree: nbdt.Hierarchy, title: str) -> None:
    page = Page(to_html(tree, title=f"{title}!"))
    assert {tag for tag, _, _ in page.found if tag} == {
        *("html", "head", "meta", "title", "style", "body", "div"),
        *("header", "h1", "p", "main", "pre", "footer", "script"),
    }
    shown = page.data()["tree"]
    assert shown["names"] == [None if name is None else one_line(name) for name in tree.names]
    assert shown["parents"] == tree.parents.tolist()


@given(st.recursive(st.text() | st.integers() | st.none(), lambda x: st.dictionaries(st.text(), x)))
def test_json_in_a_page_is_json_without_markup(value: Any) -> None:
    text = as_json({"value": value})
    assert json.loads(text) == {"value": value}
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_what_is_not_known_is_left_out() -> None:
    assert set(page_data(TREE)) == {"tree", "explanations"}
    assert "merge_heights" not in page_data(TREE)["tree"]


def test_explanations_stand_in_it_as_documents() -> None:
    data = Page(to_html(TREE, EXPLAINED, captions=["first", "second\nline"])).data()
    assert [Explanation.from_dict(one) for one in data["explanations"]] == EXPLAINED
    assert data["captions"] == ["first", "second\\nline"]


def test_no_name_commands_the_page_or_turns_it_around() -> None:
    names = ["ab\u202ecd", "\x00\x1b[31m", "\u2067car", "two\nlines", "all\u2028"]
    tree = nbdt.Hierarchy(
        [3, 3, 4, 4, -1], names, attributes={0: {"gloss": "\u202ea gloss"}, 3: {"list": ["\x07"]}}
    )
    known = NodeDetails(facts={"\u202efact": "\x1b"}, prototypes=(Prototype(RED, "\u2066p"),))
    text = to_html(
        tree, explained(tree, 2), captions=["\u202da", "\x9bb"], title="\u202etitle",
        details={0: known},
    )  # fmt: skip
    turning = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]
    forbidden = {*map(chr, [*range(32), *range(127, 160), *turning])} - {"\n"}
    page = Page(text)
    assert not forbidden & set(text)
    assert not forbidden & set(json.dumps(page.data(), ensure_ascii=False))
    assert page.data()["explanations"][0]["path"][0]["node_name"] == "all\\u2028"
    assert page.data()["tree"]["attributes"]["0"]["gloss"] == "\\u202ea gloss"


def test_none_is_as_good_as_nothing() -> None:
    assert to_html(TREE, None, images=None, captions=None, details=None) == to_html(TREE)
    assert to_html(TREE, EXPLAINED, images=None) == to_html(TREE, EXPLAINED)


def test_one_explanation_needs_no_list() -> None:
    assert to_html(TREE, EXPLAINED[0]) == to_html(TREE, iter(EXPLAINED[:1]))


def test_images_stand_in_it() -> None:
    data = page_data(TREE, EXPLAINED, images=[RED, None])
    assert data["images"][1] is None
    kind, _, code = data["images"][0].partition(",")
    assert kind.startswith("data:image/")
    with Image.open(io.BytesIO(base64.b64decode(code))) as image:
        assert max(image.size) >= 132
        assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_details_stand_in_it() -> None:
    known = NodeDetails(
        accuracy=0.5, samples=7, facts={"one": "two"}, prototypes=(Prototype(RED, "a"),)
    )
    details = page_data(TREE, details={3: known, 0: NodeDetails()})["details"]
    assert details["0"] == {}
    assert details["3"] | {"prototypes": 0} == {
        "accuracy": "50.0 %",
        "samples": 7,
        "facts": [["one", "two"]],
        "prototypes": 0,
    }
    assert details["3"]["prototypes"][0]["caption"] == "a"


# ── what it refuses ───────────────────────────────────────────────────────────────────────────


def test_explanations_of_another_tree_are_refused() -> None:
    other = nbdt.Hierarchy([4, 3, 3, 4, -1], ["cat", "dog", "car"])
    with pytest.raises(InputError, match=r"explanation 1: .*made with another tree"):
        page_data(TREE, [EXPLAINED[0], explained(other)[0]])
    with pytest.raises(InputError, match=r"explanation 0: .*made with another tree"):
        page_data(TREE, explained(random_hierarchy(50)))


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"explanations": ["cat"]}, InputError, "explanation 0: .*an Explanation, got str"),
        ({"captions": ["one"]}, InputError, "captions needs 2 entries, one per explanation; got 1"),
        ({"images": [RED] * 3}, InputError, "images needs 2 entries.*got 3"),
        ({"images": [RED, "http://localhost/x.png"]}, InputError, "data:image"),
        ({"images": RED}, InputError, "images must be a list, got Image"),
        ({"captions": "ab"}, InputError, "captions must be a list, got str"),
        ({"explanations": 3}, InputError, "one Explanation or several, got int"),
        ({"details": {9: NodeDetails()}}, NotFoundError, "there is no node 9"),
        ({"details": {3: {"accuracy": 1}}}, InputError, "NodeDetails by node; node 3 has dict"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        to_html(TREE, **({"explanations": EXPLAINED} | arguments))


@pytest.mark.parametrize(
    "subject", [EXPLAINED[0], EXPLAINED, nbdt.NBDT(torch.nn.Identity(), TREE), None]
)
def test_what_is_no_tree_is_refused_with_what_to_pass(subject: Any) -> None:
    said = rf"pass a Hierarchy first, such as model.hierarchy, .*got {type(subject).__name__}\."
    with pytest.raises(InputError, match=said):
        to_html(subject)
    with pytest.raises(InputError, match=said):
        page_data(subject, EXPLAINED)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"accuracy": 1.01}, "from 0 to 1"),
        ({"accuracy": float("nan")}, "from 0 to 1"),
        ({"samples": -1}, "must be a count"),
        ({"samples": float("inf")}, "must be a count"),
    ],
)
def test_impossible_details_are_refused(known: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        NodeDetails(**known)


# ── what is read where scripts are blocked ────────────────────────────────────────────────────


def test_without_scripts_the_path_stands_in_words() -> None:
    page = Page(to_html(TREE, EXPLAINED, captions=["<first>", "second"]))
    texts = [text for _, text in page.of("pre")]
    assert texts[0].splitlines() == EXPLAINED[0].to_text(full=True).splitlines()
    assert [text.strip() for _, text in page.of("h2")] == ["<first>", "second"]


def test_without_scripts_a_tree_is_drawn_as_text() -> None:
    ((_, text),) = Page(to_html(TREE)).of("pre")
    assert text.strip() == str(TREE)
    large = random_hierarchy(5000)
    ((_, text),) = Page(to_html(large)).of("pre")
    assert len(text.splitlines()) <= 200


@pytest.mark.parametrize(
    ("explanations", "more", "title"),
    [
        ((), {}, "A tree of classes"),
        (EXPLAINED[0], {}, "Why “cat”?"),
        (EXPLAINED, {}, "2 predictions, explained"),
        (EXPLAINED, {"title": "Two & three"}, "Two & three"),
    ],
)
def test_the_title_says_what_the_page_holds(explanations: Any, more: Any, title: str) -> None:
    page = Page(to_html(TREE, explanations, **more))
    assert page.of("title")[0][1].strip() == title
    assert page.of("h1")[0][1] == title


def test_the_footer_says_how_answers_came_about() -> None:
    ((_, text),) = Page(to_html(TREE, EXPLAINED)).of("footer")
    assert "rule soft · score logsumexp" in text
    ((_, text),) = Page(to_html(TREE)).of("footer")
    assert "rule" not in text
