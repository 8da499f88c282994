"""The page of `to_html` as a reader meets it: at every size, by mouse and by keyboard."""

import base64
import io
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

import nbdt
from nbdt.explain import Explanation, explain_logits
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.shapes import flat
from nbdt.hierarchy.text import one_line
from nbdt.rules import TreeLayout
from nbdt.view.html import NodeDetails, Prototype, to_html
from tests.strategies import ODD_NAMES, random_hierarchy

pytestmark = pytest.mark.browser

PHONE, DESKTOP = 390, 1280


def explained(tree, samples=1, seed=0):
    torch.manual_seed(seed)
    return explain_logits(3 * torch.randn(samples, tree.num_classes), TreeLayout(tree))


@cache
def page_of(classes):
    if classes == 21841:
        tree = random_hierarchy(classes, branching=3)
        return to_html(tree, explained(tree))
    name = {10: "cifar10/resnet20", 100: "cifar100/wordnet", 1000: "imagenet1k/mobilenet_v2"}
    tree = nbdt.load_hierarchy(name[classes])
    images = [Image.new("RGB", (32, 32), colour) for colour in ("teal", "navy")]
    captions = ["first.png", "second.png"]
    return to_html(tree, explained(tree, 2), images=images, captions=captions)


TREE = Hierarchy(
    [5, 5, 6, 6, 7, 7, 8, 8, -1],
    ["cat", "dog", "car", "bus", "cow", "pet", "vehicle", "animal", "thing"],
    attributes={
        7: {"name_source": "taxonomy", "concept": "beast", "precision": 1.0, "recall": 0.5}
    },
)
EXPLAINED = explain_logits(
    torch.tensor([[3.0, 2.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 4.0, 0.0]]), TreeLayout(TREE)
)


def selected(page):
    """The name of the node that the outline says is selected, found as a screen reader does."""
    active = page.get_by_role("tree").get_attribute("aria-activedescendant")
    item = page.locator(f"#{active}")
    assert item.get_attribute("aria-selected") == "true"
    return str(item.get_attribute("title"))


def shown(page):
    """The lines of the outline from top to bottom."""
    return [str(item.get_attribute("title")) for item in page.get_by_role("treeitem").all()]


# ── at every size ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("classes", [10, 100, 1000, 21841])
def test_it_fits_and_is_accessible(opened, classes, width, dark):
    reason = "axe-playwright-python is not installed"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=reason).Axe()
    with opened(page_of(classes), width=width, dark=dark) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert 10 <= page.locator(".line").count() < 100, "only lines in view should exist"
        assert page.locator(".cell.taken").count() >= 3
        found = axe.run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    told = [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in serious]
    assert not told, "\n".join(told)


@pytest.mark.parametrize(("classes", "seconds"), [(1000, 1.0), (21841, 3.0)])
def test_it_opens_soon(chromium, tmp_path, classes, seconds):
    # Processor time of the page's main thread, as machines that run tests are often busy.
    file = tmp_path / "page.html"
    file.write_text(page_of(classes), encoding="utf-8")
    page = chromium.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(file.as_uri())
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    measured = session.send("Performance.getMetrics")["metrics"]
    page.context.close()
    taken = {one["name"]: one["value"] for one in measured}["TaskDuration"]
    assert 0.005 < taken < seconds


# ── what it says ──────────────────────────────────────────────────────────────────────────────


def test_it_says_what_was_predicted_and_why(opened):
    with opened(to_html(TREE, EXPLAINED[0])) as page:
        said = page.get_by_label("Prediction").inner_text()
        assert "Predicted cat 62\xa0%" in said
        assert "The network agrees." in said
        line = page.get_by_role("treeitem", name="cat, 73 %, on the path, predicted")
        assert line.get_attribute("aria-level") == "4"
        assert line.get_attribute("aria-posinset") == "1"
        assert line.get_attribute("aria-setsize") == "2"


def test_another_sample_can_be_chosen(opened):
    with opened(to_html(TREE, EXPLAINED, captions=["a photo", "another"])) as page:
        assert page.locator(".caption").inner_text() == "a photo"
        page.get_by_role("button", name="another").click()
        assert page.locator(".caption").inner_text() == "another"
        assert "Predicted bus" in page.get_by_label("Prediction").inner_text()
        assert page.get_by_role("button", name="another").get_attribute("aria-pressed") == "true"
        assert page.get_by_role("treeitem", name="bus").get_attribute("class") == "line taken"


def test_an_early_stop_and_a_disagreement_are_told(opened):
    document = EXPLAINED[0].to_dict() | {
        "stopped_at": 7, "guarantee": 0.95, "answer": 7, "answer_name": "animal",
        "answer_probability": EXPLAINED[0].path[0].probability,
        "network_prediction": 4, "network_prediction_name": "cow", "agrees": False,
    }  # fmt: skip
    with opened(to_html(TREE, Explanation.from_dict(document))) as page:
        said = page.get_by_label("Prediction").inner_text()
        assert "Stopped at animal 94\xa0%" in said
        assert "Too unsure to go on to cat (62\xa0%); the network says cow." in said
        assert "At least 95 % of such answers hold the true class" in said
        labels = [item.get_attribute("aria-label") for item in page.get_by_role("treeitem").all()]
        assert any(label.startswith("animal") and label.endswith("answer") for label in labels)
        assert any(label.startswith("cow") and "network’s own" in label for label in labels)


def test_a_node_tells_its_details(opened):
    prototype = Prototype(Image.new("RGB", (20, 10), "red"), "a sure one")
    known = NodeDetails(
        accuracy=0.9321, samples=1200, facts={"Odd": "yes"}, prototypes=(prototype,)
    )
    with opened(to_html(TREE, EXPLAINED[0], details={7: known})) as page:
        page.get_by_role("treeitem", name="animal").click()
        said = page.get_by_role("region", name="Selected node").inner_text()
        for text in ("93.2 %", "1,200", "Odd", "3 classes", "Decision here", "a sure one"):
            assert text in said
        assert "nearest concept beast: 100\xa0% of the classes here" in said
        picture = page.get_by_role("img", name="a sure one")
        assert picture.evaluate("(image) => image.naturalWidth") > 20
        first, second = page.get_by_role("row").all_inner_texts()
        assert first.startswith("pet")
        assert "taken" in first
        assert second.startswith("cow")


@pytest.mark.parametrize(("width", "height", "look"), [
    (300, 90, ["scale-down", "auto"]),
    (90, 300, ["scale-down", "auto"]),
    (8, 8, ["contain", "pixelated"]),
])  # fmt: skip
def test_pictures_are_neither_cut_nor_blurred(opened, width, height, look):
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    address = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    prototype = Prototype(address, "typical")
    details = {v: NodeDetails(prototypes=(prototype,)) for v in range(len(TREE))}
    with opened(to_html(TREE, EXPLAINED, images=[address] * 2, details=details)) as page:
        for place in (".summary img", ".samples img", ".details img"):
            shown = page.locator(place).first
            shown.scroll_into_view_if_needed()
            page.wait_for_function("(one) => one.complete", arg=shown.element_handle())
            style = shown.evaluate(
                "(one) => [getComputedStyle(one).objectFit, getComputedStyle(one).imageRendering]"
            )
            assert style == look, place


def test_a_tree_alone_opens_its_first_levels(opened):
    with opened(to_html(nbdt.load_hierarchy("imagenet1k/wordnet"))) as page:
        assert page.get_by_label("Prediction").count() == 0
        assert {"entity", "physical entity", "object"} <= set(shown(page))
        assert page.locator(".cell").count() > 50


def test_without_scripts_the_path_can_be_read(opened):
    with opened(to_html(TREE, EXPLAINED[0]), java_script_enabled=False) as page:
        assert "at animal: pet" in page.locator("main").inner_text()


# ── by hand ───────────────────────────────────────────────────────────────────────────────────


def test_the_tree_can_be_walked_by_keyboard(opened):
    with opened(to_html(TREE, EXPLAINED[0])) as page:
        page.get_by_role("tree").focus()
        page.keyboard.press("Home")
        walked = [selected(page)]
        for _ in range(len(TREE) - 1):
            page.keyboard.press("ArrowDown")
            walked.append(selected(page))
        assert walked == [TREE.name(node) for node in TREE.preorder()] == shown(page)
        for key, expected, lines in [
            ("ArrowLeft", "pet", 9),  # from a class to the node over it
            ("ArrowLeft", "pet", 7),  # which folds,
            ("ArrowRight", "pet", 9),  # unfolds,
            ("ArrowRight", "cat", 9),  # and leads to its first child
            ("ArrowUp", "pet", 9),
            ("Enter", "pet", 7),
            ("Space", "pet", 9),
            ("b", "bus", 9),
            ("ArrowUp", "car", 9),
            ("Home", "thing", 9),
            ("ArrowLeft", "thing", 1),
            ("ArrowUp", "thing", 1),
            ("*", "thing", 9),
            ("ArrowDown", "vehicle", 9),
            ("ArrowLeft", "vehicle", 7),
            ("ArrowDown", "animal", 7),
            ("*", "animal", 9),  # with its siblings
            ("PageDown", "dog", 9),
            ("PageUp", "thing", 9),
        ]:
            page.keyboard.press(key)
            assert (selected(page), len(shown(page))) == (expected, lines), key
            said = page.get_by_role("region", name="Selected node").get_by_role("heading", level=2)
            assert said.inner_text() == expected


def test_a_large_tree_unfolds_and_scrolls(opened):
    with opened(page_of(21841)) as page:
        page.get_by_role("button", name="Unfold all").click()
        page.get_by_role("tree").focus()
        page.keyboard.press("End")
        last = page.locator(f"#{page.get_by_role('tree').get_attribute('aria-activedescendant')}")
        assert last.is_visible()
        assert page.locator(".line").count() < 100
        page.get_by_role("tree").evaluate("(tree) => { tree.scrollTop = 0; }")
        page.get_by_role("treeitem", name="node 36461").wait_for(timeout=2000)
        page.get_by_role("button", name="Fold all", exact=True).click()
        assert page.locator(".line").count() == 1 + page.locator(".line[aria-level='2']").count()


def test_a_class_can_be_found(opened):
    with opened(page_of(1000)) as page:
        page.get_by_role("searchbox").fill("TIGER")
        hits = page.locator(".hits button").all_inner_texts()
        assert hits[0].startswith("tiger")
        assert page.get_by_role("status").inner_text() == f"{len(hits)} found"
        page.keyboard.press("Enter")
        assert selected(page).startswith("tiger")
        assert page.locator(".hits button").count() == 0
        page.get_by_role("button", name="Show path").click()
        assert not any(name.startswith("tiger") for name in shown(page))
        page.get_by_role("searchbox").fill("no such thing")
        assert page.get_by_role("status").inner_text() == "0 found"
        page.keyboard.press("Escape")
        assert page.get_by_role("searchbox").input_value() == ""


def test_the_map_zooms_moves_and_selects(opened):
    with opened(page_of(1000)) as page:

        def texts():
            return page.locator(".cell").all_inner_texts()

        whole = texts()
        page.get_by_role("button", name="Zoom in").click()
        zoomed = texts()
        assert zoomed != whole
        pane = page.locator(".pane")
        box = pane.bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 100, box["y"] + 200, steps=3)
        page.mouse.up()
        assert texts() not in (zoomed, whole)
        page.get_by_role("button", name="Show the whole tree").click()
        assert texts() == whole
        cell = page.locator(".cell").filter(has_text="mostly artifact").first
        name = cell.inner_text()
        cell.click()
        assert selected(page) == name
        cell = page.locator(".cell.selected")
        narrow = cell.bounding_box()["width"]
        page.get_by_role("button", name="Zoom to the selected node").click()
        assert page.locator(".cell.selected").bounding_box()["width"] > narrow
        pane.focus()
        page.keyboard.press("0")
        assert len(texts()) == len(whole)
        page.locator(".cell.selected").dblclick()
        assert page.locator(".cell.selected").bounding_box()["width"] > narrow
        page.keyboard.press("0")
        page.keyboard.press("+")
        page.keyboard.press("ArrowRight")
        moved = texts()
        page.keyboard.press("ArrowLeft")
        assert texts() != moved
        page.keyboard.down("Control")
        page.mouse.wheel(0, 100)
        page.keyboard.up("Control")
        assert texts() != moved


def test_a_group_of_many_classes_lists_them_on_demand(opened):
    with opened(page_of(100)) as page:
        page.get_by_role("treeitem", name="entity", exact=True).click()
        assert page.locator(".classes a").count() == 40
        page.get_by_role("button", name="show 60 more").click()
        assert page.locator(".classes a").count() == 100
        page.locator(".classes a").last.click()
        assert page.get_by_role("region", name="Selected node").get_by_role(
            "heading", level=2
        ).inner_text() in (nbdt.load_hierarchy("cifar100/wordnet").classes)


def test_paper_gets_every_line(opened):
    with opened(page_of(1000)) as page:
        page.get_by_role("button", name="Unfold all").click()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert page.locator(".line").count() == 1999
        assert not page.get_by_role("searchbox").is_visible()
        assert page.locator(".outline").evaluate("(one) => one.clientHeight") > 50000
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator(".line").count() < 100


def test_paper_says_where_it_stops(opened):
    with opened(to_html(flat([f"class {i}" for i in range(3000)]))) as page:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert page.locator(".line").count() == 2000
        assert page.locator(".outline").inner_text().endswith("\nand 1,001 more")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert "more" not in page.locator(".outline").inner_text()


def test_support_is_told_in_good_english(opened):
    for trees, said in ((1, "in 100 % of 1 tree"), (1200, "in 100 % of 1,200 trees")):
        tree = Hierarchy(
            [2, 2, -1],
            ["cat", "dog", "pet"],
            attributes={2: {"support": 1.0, "support_trees": trees}},
        )
        with opened(to_html(tree)) as page:
            details = page.get_by_role("region", name="Selected node").inner_text()
        assert said in details.replace("\xa0", " ").splitlines()


# ── names out of hostile files ────────────────────────────────────────────────────────────────

HOSTILE = [
    "</script><img src=x onerror=hacked()>",
    "<script>hacked()</script>",
    "<!--<script>",
    "' onmouseover='hacked()",
    '" onfocus="hacked()" autofocus="',
    "javascript:hacked()",
    "</title></style></pre><svg onload=hacked()>",
    "&lt;b&gt;&#60;b>",
    "\u202e\u2066turned\u2028\u2029",
    "${hacked()}{{hacked()}}",
    *ODD_NAMES,
]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_hostile_names_are_shown_and_not_run(opened, scripts):
    count = len(HOSTILE)
    parents = [count if i % 2 else count + 1 for i in range(count)] + [count + 2, count + 2, -1]
    evil = HOSTILE[0]
    tree = Hierarchy(
        parents,
        [*HOSTILE, evil, HOSTILE[3], HOSTILE[6]],
        attributes={0: {"gloss": evil, "wnid": evil, "name_source": evil},
                    count: {"name_source": "taxonomy", "concept": evil, "concept_wnid": evil}},
    )  # fmt: skip
    page_text = to_html(
        tree,
        explained(tree, count),
        captions=HOSTILE,
        title=evil,
        details={
            node: NodeDetails(
                facts={evil: evil}, prototypes=(Prototype(Image.new("L", (4, 4)), evil),)
            )
            for node in range(len(tree))
        },
    )
    with opened(page_text, java_script_enabled=scripts) as page:
        assert page.title() == evil
        if not scripts:
            assert evil in page.locator("main").inner_text()
            return
        page.evaluate("() => { window.hacked = () => { throw new Error('hacked'); }; }")
        for name in map(one_line, HOSTILE[:10]):
            page.get_by_role("searchbox").fill(name)
            page.keyboard.press("Enter")
        page.get_by_role("tree").focus()
        for index in range(len(tree)):
            page.keyboard.press("Home" if index == 0 else "ArrowDown")
        for index in range(10):
            page.locator(".samples button").nth(index).click()
        assert set(shown(page)) == {one_line(name) for name in HOSTILE}
        tags = {tag.lower() for tag in page.evaluate(
            "Array.from(document.querySelectorAll('main *'), (one) => one.localName)"
        )}  # fmt: skip
        assert not tags & {"script", "svg", "b", "style", "iframe"}
        attributes = page.evaluate(
            "Array.from(document.querySelectorAll('main *')).flatMap((e) => e.getAttributeNames())"
        )
        assert not [name for name in attributes if name.startswith("on")]


def test_the_policy_stops_what_would_get_in(chromium, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(to_html(TREE), encoding="utf-8")
    page = chromium.new_page()
    page.goto(file.as_uri())
    page.evaluate(
        """() => {
            window.blocked = [];
            document.addEventListener("securitypolicyviolation",
                (event) => blocked.push(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.hacked = true";
            const holder = document.createElement("div");
            holder.innerHTML = '<img src="http://localhost:9/x"><b style="color:red">'
                + '<img src="data:," onerror="window.hacked = true">';
            document.body.append(script, holder);
        }"""
    )
    page.wait_for_timeout(200)
    blocked, hacked = page.evaluate("[window.blocked, window.hacked]")
    page.context.close()
    assert {"script-src-elem", "script-src-attr", "style-src-attr", "img-src"} <= set(blocked)
    assert hacked is None
