"""The page: what it is made of, and what a person does on it, by mouse and by keyboard."""

import asyncio
import shutil

import pytest

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import load_hierarchy
from nbdt.server.page import POLICY
from nbdt.server.settings import Settings
from tests.server.conftest import MARKUP, png, save_model, serving

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


@pytest.mark.slow
def test_what_is_shown_is_of_the_model_that_was_chosen_last(page):
    """However long the service takes to tell of another one meanwhile."""
    held = []
    page.route("**/api/v1/models/markup", lambda route: held.append(route))
    page.select_option("#model", "markup")
    assert page.inner_text("#status") == "Loading …"
    assert page.get_attribute("#view", "aria-busy") == "true"
    page.select_option("#model", "digits")
    page.wait_for_selector("#view[aria-busy=false]")
    with page.expect_response("**/api/v1/models/markup"):
        held[0].continue_()
    page.wait_for_function("document.getElementById('status').textContent === ''")
    assert "with a loop" in page.inner_text(".outline")
    assert page.get_attribute("#view", "aria-busy") == "false"


@pytest.mark.slow
def test_a_path_is_drawn_in_the_tree_of_the_version_that_answered(browser, tmp_path):
    """However often the model was replaced since the page was opened."""
    folder = tmp_path / "digits"
    save_model(folder)
    with serving(Settings(models=(tmp_path,))) as running:
        page = browser.new_page()
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(running.url)
        page.get_by_role("button", name="seven").click()
        assert answer_of(page) not in ("", None)
        for names in (["a", "b", "c", "pair", "top"], ["d", "e", "f", "two", "all"]):
            tree = Hierarchy([3, 3, 4, 4, -1], names)
            save_model(folder, tree=tree)
            reload = running.worker.app.state.reload()
            asyncio.run_coroutine_threadsafe(reload, running.loop).result(20)
            page.get_by_role("button", name="three").click()
            page.wait_for_function(
                "name => document.querySelector('.outline').innerText.includes(name)",
                arg=names[-1],
                timeout=10_000,
            )
            assert any(name in answer_of(page) for name in names[:3])
            assert page.inner_text("#error") == ""
        assert said == []
        page.close()


@pytest.mark.slow
def test_a_model_of_arrays_says_that_the_page_cannot_ask_it(browser, tmp_path):
    save_model(tmp_path / "arrays", preprocessing=None)
    with serving(Settings(models=(tmp_path,))) as running:
        page = browser.new_page()
        page.goto(running.url)
        page.wait_for_selector(".outline")
        assert "takes only arrays" in page.inner_text("#error")
        assert page.locator("#samples").is_hidden()
        page.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A service with a model of 100 classes, and one of 1,000."""
    folder = tmp_path_factory.mktemp("many")
    for name in ("cifar100", "imagenet1k"):
        save_model(folder / name, tree=load_hierarchy(f"{name}/wordnet"))
    with serving(Settings(models=(folder,))) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar100", "imagenet1k"])
@pytest.mark.parametrize("width", [1280, 390])
def test_many_classes_fit_into_the_page(browser, many, name, width):
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme="dark")
    page.goto(many.url)
    page.wait_for_selector(".outline")
    page.select_option("#model", name)
    page.get_by_role("button", name="seven").click()
    tree = many.worker.service.model(name).model.hierarchy
    assert any(leaf in answer_of(page) for leaf in tree.classes)
    assert page.inner_text(".outline").startswith(f"▾\n{tree.name(tree.root)}")
    # Nothing reaches out of its place: neither the page, nor what stands in a column.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    reaching = page.evaluate(
        """() => [...document.querySelectorAll(".summary, .outline, .map, .details, .ask")]
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5
                || one.scrollWidth > one.clientWidth + 1).map((one) => one.className)"""
    )
    assert reaching == []
    for part in (".summary", ".outline", ".map", ".details"):
        assert page.locator(part).bounding_box()["height"] > 80
    page.close()


def test_an_image_that_is_refused_takes_no_other_with_it(page):
    good = [{"name": f"{i}.png", "mimeType": "image/png", "buffer": png(i)} for i in (3, 4)]
    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"x"}
    text = {"name": "names.txt", "mimeType": "text/plain", "buffer": b"a"}
    page.set_input_files("#files", [good[0], bad, text, good[1]])
    page.wait_for_selector("#error:not(:empty)")
    said = page.inner_text("#error")
    assert said.startswith("names.txt is not an image. bad.png: this is not a JPEG, PNG or WebP")
    assert page.inner_text("#status").count(",") == 1  # two answers
    assert "3.png" in page.inner_text("#view")
    page.set_input_files("#files", good[0])
    page.wait_for_function("!document.getElementById('status').textContent.includes(',')")
    assert page.inner_text("#error") == ""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A service of a text model, a table and images, in this order, and of one that is broken."""
    pytest.importorskip("skops", reason="estimators are stored by the extra [sklearn]")
    from tests.server.test_kinds import table_model, text_model

    folder = tmp_path_factory.mktemp("kinds")
    text_model().save_pretrained(folder / "texts")
    table_model().save_pretrained(folder / "table")
    save_model(folder / "digits")
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("{}")
    order = tuple(folder / name for name in ("texts", "table", "digits", "broken"))
    with serving(Settings(models=order)) as running:
        yield running


def opened(browser, url, said, **options):
    page = browser.new_page(**options)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda one: said.append(one.url) if "://127.0.0.1" not in one.url else None)
    page.goto(url)
    return page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_texts_and_rows_are_asked_in_a_form_of_their_own(browser, kinds, width):
    said = []
    page = opened(browser, kinds.url, said, viewport={"width": width, "height": 844})
    page.wait_for_selector(".outline")
    assert page.input_value("#model") == "texts"
    assert "broken cannot be loaded: config.json" in page.inner_text("#failed")
    page.select_option("#top", "3")
    page.check("#attribution")
    page.fill("#text", "a good film,\nbut <b>cold</b> rain 🌧 lost")
    page.click("#text-field .go")
    assert answer_of(page).startswith("Predicted ")
    assert page.locator("#more dt").all_inner_texts() != []
    marked = page.locator("#more .words").first
    assert marked.inner_text() == "a good film,\nbut <b>cold</b> rain 🌧 lost"
    assert "good" in marked.locator("mark").all_inner_texts()

    page.select_option("#model", "table")
    page.wait_for_selector("#columns input")
    assert page.locator("#text-field, #drop").filter(visible=True).count() == 0
    page.fill("#columns input >> nth=0", "70")
    with page.expect_request("**/explain*") as asked:
        page.click("#row-field .go")
    (row,) = asked.value.post_data_json["instances"]
    assert row["age"] == 70
    assert isinstance(row["at, work"], bool)
    page.locator("#more dt", has_text="age = 70").first.wait_for()
    page.fill("#columns input >> nth=0", "7.5")
    page.evaluate("document.getElementById('ask').noValidate = true")
    page.click("#row-field .go")
    page.wait_for_selector("#error:not(:empty)")
    assert "column 'age' takes a whole number; got 7.5" in page.inner_text("#error")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.select_option("#model", "digits")
    page.get_by_role("button", name="seven").click()
    assert answer_of(page).startswith("Predicted ")
    page.close()
    assert [line for line in said if "status of 400" not in line and "data:" not in line[:5]
            and "blob:" not in line[:5]] == []  # fmt: skip


@pytest.mark.slow
def test_swagger_ui_tries_the_service_under_the_pages_policy(browser, kinds):
    pytest.importorskip("fastapi_offline", reason="the files of Swagger UI are not installed")
    said = []
    page = opened(browser, f"{kinds.url}/docs", said)
    page.locator(".opblock-summary-path", has_text="explain").first.click()
    page.get_by_role("button", name="Try it out").first.click()
    with page.expect_response("**:explain") as answered:
        page.get_by_role("button", name="Execute").first.click()
    assert answered.value.status == 200
    page.close()
    assert [line for line in said if not line.startswith("data:")] == []


def test_without_swagger_uis_files_it_says_what_to_install(client, monkeypatch):
    from nbdt.server import page

    monkeypatch.setattr(page, "find_spec", lambda name: None)
    page._swagger_file.cache_clear()
    answer = client.get("/docs")
    assert answer.status_code == 404
    assert "pip install fastapi-offline" in answer.text
    assert client.get("/docs/other.js").status_code == 404
