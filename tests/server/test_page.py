"""The page: what it is made of, and what a person does on it, by mouse and by keyboard."""

import shutil

import pytest

from nbdt.server.page import POLICY
from tests.server.conftest import MARKUP, png

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_browsers_get_the_page_and_programs_do_not(client):
    page = client.get("/", headers=HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        assert client.get("/", headers=headers).json() == {"status": "alive"}


def test_it_needs_nothing_from_elsewhere(client):
    parts = [client.get(path, headers=HTML) for path in ("/", "/page/style.css", "/page/script.js")]
    kinds = [one.headers["content-type"].partition(";")[0] for one in parts]
    assert kinds == ["text/html", "text/css", "text/javascript"]
    for one in parts:
        assert "http://" not in one.text.replace("http://www.w3.org/", "")
        assert "https://" not in one.text
    assert "style=" not in parts[0].text
    assert "<script>" not in parts[0].text


@pytest.mark.parametrize("name", ["three", "seven", "flower", "temple"])
def test_the_samples_are_images(client, name):
    answer = client.get(f"/page/samples/{name}")
    assert answer.headers["content-type"].startswith("image/")
    body = {"image": ("sample", answer.content)}
    told = client.post("/api/v1/models/digits/explain", files=body)
    assert told.status_code == 200
    assert client.get("/page/samples/none").status_code == 404


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="the page needs Playwright")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    """The page, opened; afterwards, nothing was complained of and nobody else was asked."""
    page = browser.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append("a dialog"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    page.wait_for_selector(".outline")
    yield page
    # The browser's own line on an image that was refused is no complaint of the page.
    assert [line for line in said if "status of 415" not in line] == []
    assert asked
    assert all(url.startswith((server.url, "data:", "blob:")) for url in asked)
    page.close()


def answer_of(page):
    page.wait_for_selector(".summary .answer")
    return page.inner_text(".summary .answer")


def expected(model, seed, rule):
    from nbdt.data import decode_image

    batch = model.preprocessing.batch([decode_image(png(seed), "L")])
    return model.explain(batch, rule)[0]


@pytest.mark.slow
def test_by_mouse(page, model, tmp_path):
    # An image is dropped.
    data = png(3)
    page.evaluate(
        """bytes => {
            const moved = new DataTransfer();
            moved.items.add(new File([new Uint8Array(bytes)], "my.png", {type: "image/png"}));
            const event = new DragEvent("drop", {dataTransfer: moved, bubbles: true});
            document.getElementById("drop").dispatchEvent(event);
        }""",
        list(data),
    )
    soft = expected(model, 3, "soft")
    assert soft.prediction_name in answer_of(page)
    assert "my.png" in page.inner_text(".summary")

    # A node of the path is clicked, and its decision is read.
    decision = soft.path[-1]
    page.get_by_role("treeitem").filter(has_text=decision.node_name).first.click()
    assert decision.node_name in page.inner_text(".details h2")
    assert "taken" in page.inner_text(".details table")

    # The rule is switched.
    with page.expect_response(lambda answer: "rule=hard" in answer.url):
        page.get_by_label("hard").check()
    assert expected(model, 3, "hard").prediction_name in answer_of(page)

    # Another model, whose names are markup, is chosen: they stay text.
    page.select_option("#model", "markup")
    page.wait_for_function("name => document.body.innerText.includes(name)", arg=MARKUP)
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.slow
def test_by_keyboard(page, model, tmp_path):
    page.locator("#model").focus()
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        if seen[-1] == "seven":
            break
    assert "files" in seen
    page.keyboard.press("Enter")
    page.wait_for_selector(".summary .answer")
    page.locator("[role=tree]").focus()
    tree = model.hierarchy
    page.keyboard.press("Home")
    assert page.inner_text(".details h2") == tree.name(tree.root)
    page.keyboard.press("ArrowDown")
    below = page.inner_text(".details h2")
    assert below in {tree.name(child) for child in tree.children(tree.root)}
    page.locator("input[name=rule]:checked").focus()
    with page.expect_response(lambda answer: "rule=hard" in answer.url):
        page.keyboard.press("ArrowRight")


def test_what_is_no_image_is_told(page):
    page.set_input_files("#files", {"name": "a.png", "mimeType": "image/png", "buffer": b"x"})
    page.wait_for_selector("#error:not(:empty)")
    assert "not a JPEG, PNG or WebP" in page.inner_text("#error")
