"""The report as a reader meets it: at both widths and in both colour schemes, and on paper."""

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

import nbdt
from nbdt.classifiers import induce
from nbdt.data import LabelledImages, load_dataset
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.report import Origin, report
from tests.report.conftest import nearest_mean
from tests.strategies import ODD_NAMES

pytestmark = pytest.mark.browser

PHONE, DESKTOP = 390, 1280


@cache
def page_of(classes):
    if classes == 10:
        digits, network = load_dataset("digits"), nearest_mean()
        tree = induce(network, digits.classes)
        return report(NBDT(network, tree), digits, origin=Origin(model="nearest mean"))
    tree = nbdt.load_hierarchy("imagenet1k/mobilenet_v2")
    noise = np.random.default_rng(0).integers(0, 255, (500, 40, 80, 3), np.uint8)
    pictures = [Image.fromarray(one).resize((8, 8)) for one in noise]
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 1000))
    images = LabelledImages(pictures, np.arange(500) * 2, tree.classes, Preprocessing())
    return report(NBDT(network, tree), images)


@pytest.mark.parametrize(
    ("classes", "width", "dark"),
    [(10, PHONE, True), (10, DESKTOP, False), (1000, PHONE, False), (1000, DESKTOP, True)],
)
def test_it_fits_and_is_accessible(opened, classes, width, dark):
    reason = "axe-playwright-python is not installed"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=reason).Axe()
    with opened(page_of(classes), width=width, dark=dark) as page:
        page.locator(".samples details").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("main > section").count() == 10
        found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    told = [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in serious]
    assert not told, "\n".join(told)


def test_it_opens_soon(chromium, tmp_path):
    # Processor time of the page's main thread, as machines that run tests are often busy.
    file = tmp_path / "page.html"
    file.write_text(page_of(1000), encoding="utf-8")
    page = chromium.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(file.as_uri())
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    measured = session.send("Performance.getMetrics")["metrics"]
    page.context.close()
    taken = {one["name"]: one["value"] for one in measured}["TaskDuration"]
    assert 0.005 < taken < 1


def test_no_text_of_a_diagram_lies_on_another(opened):
    with opened(page_of(10)) as page:
        overlaps = page.evaluate(
            """() => [...document.querySelectorAll(".reliability")].flatMap((drawing) => {
                const boxes = [...drawing.querySelectorAll("text")].map((one) =>
                    [one.textContent, one.getBoundingClientRect()]);
                return boxes.flatMap(([a, one], i) => boxes.slice(i + 1)
                    .filter(([, other]) => one.left < other.right - 1 && other.left < one.right - 1
                        && one.top < other.bottom - 2 && other.top < one.bottom - 2)
                    .map(([b]) => [a, b]));
            })"""
        )
        assert page.locator(".reliability").count() == 4
        assert overlaps == []


def test_a_node_shows_what_was_measured_of_it(opened):
    with opened(page_of(10)) as page:
        page.get_by_role("searchbox").fill("seven")
        page.keyboard.press("Enter")
        said = page.get_by_role("region", name="Selected node").inner_text()
        for text in (
            "Accuracy",
            "Samples",
            "95 % interval",
            "Times answered",
            "most confident: seven",
        ):
            assert text in said
        pictures = page.get_by_role("region", name="Selected node").get_by_role("img")
        assert pictures.count() >= 4
        assert pictures.first.evaluate("(image) => image.naturalWidth") == 128


def test_it_can_be_read_without_scripts(opened):
    with opened(page_of(10), java_script_enabled=False) as page:
        assert "├─" in page.locator("#view").inner_text()
        page.get_by_role("link", name="Calibration").click()
        page.locator(".samples summary").first.click()
        assert page.locator(".samples table").first.is_visible()
        assert page.get_by_role("img", name="95 % interval").count() > 10


def test_paper_gets_all_of_it(opened):
    with opened(page_of(10), width=690, dark=True) as page:
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 690
        assert page.locator(".samples table").last.evaluate("(one) => one.clientHeight") > 40
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )


def test_names_lead_to_their_nodes_and_back(opened):
    with opened(page_of(10)) as page:
        heading = page.get_by_role("region", name="Selected node").get_by_role("heading", level=2)
        for key in ("weakest", "mistakes", "calibration", "samples"):
            for by_keyboard in (False, True):
                link = page.locator(f"#{key} a[data-node]").nth(1 + by_keyboard)
                link.scroll_into_view_if_needed()
                before = page.evaluate("scrollY")
                if by_keyboard:
                    link.focus()
                    page.keyboard.press("Enter")
                else:
                    link.click()
                assert heading.inner_text() == link.inner_text()
                assert page.locator("#view").bounding_box()["y"] == pytest.approx(0, abs=20)
                assert page.evaluate("document.activeElement.role") == "tree"
                page.go_back()
                page.wait_for_function("(y) => Math.abs(scrollY - y) < 20", arg=before)


def test_pictures_are_not_cut(opened):
    with opened(page_of(1000)) as page:
        found = page.locator("main img").evaluate_all(
            "(all) => all.map((one) => getComputedStyle(one).objectFit)"
        )
        assert len(found) > 20
        assert set(found) <= {"contain", "scale-down"}


def test_paper_keeps_headings_with_what_they_head(opened):
    with opened(page_of(10), width=690) as page:
        page.emulate_media(media="print")
        # All that stands between a heading and the first of the cards, or the first row.
        kept = page.evaluate(
            """() => {
                const before = [...document.querySelectorAll(".cards, .diagrams, .wide")]
                    .map((one) => one.previousElementSibling)
                    .filter((one) => one && ["P", "H2", "H3"].includes(one.tagName)
                        && !one.closest("details"));
                const above = before.map((one) => one.previousElementSibling)
                    .filter((one) => one && ["H2", "H3"].includes(one.tagName));
                return [...before, ...above, ...document.querySelectorAll("thead")]
                    .filter((one) => getComputedStyle(one).breakAfter !== "avoid")
                    .map((one) => one.textContent);
            }"""
        )
        assert kept == []
        rows = page.locator(".wide tbody tr:first-child").evaluate_all(
            "(all) => all.map((one) => getComputedStyle(one).breakBefore)"
        )
        assert set(rows) == {"avoid"}


def test_paper_gets_the_whole_outline(opened):
    with opened(page_of(1000), width=690) as page:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        bottom = "(one) => one.getBoundingClientRect().bottom"
        last = page.locator("#view .line").last.evaluate(bottom)
        assert page.locator("#view .line").count() > 20
        assert page.locator("#view .details").bounding_box()["y"] >= last


def test_hostile_names_are_shown_and_not_run(opened):
    names = ["</script><img src=x onerror=hacked()>", "<svg onload=hacked()>", *ODD_NAMES][:10]
    names += [f"<b>{index}</b>" for index in range(10 - len(names))]
    digits, network = load_dataset("digits").select(range(200)), nearest_mean()
    pictures = [digits.image(index) for index in range(len(digits))]
    images = LabelledImages(pictures, digits.targets, names, digits.preprocessing)
    model = NBDT(network, induce(network, names))
    model.provenance = {"data": names[0], "training": {"config": {"loss": names[0]}}}
    evil = names[0]
    made = report(model, images, origin=Origin(model=evil, data=evil, notes={evil: evil}))
    with opened(made) as page:
        assert page.title() == f"How {evil} decides"
        assert evil in page.locator("#verdict").inner_text()
        assert page.locator("main b, main svg[onload], main img[onerror]").count() == 0
