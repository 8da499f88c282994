"""Pages in a real browser: Debian's chromium, or the one that the variable CHROME names."""

import os
import shutil
from contextlib import contextmanager

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


# Of a module, not of the session: while it is there, nothing else can run an event loop.
@pytest.fixture(scope="module")
def chromium():
    program = os.environ.get("CHROME") or shutil.which("chromium")
    if not program or not shutil.which(program):
        pytest.skip("no browser: install chromium, or set CHROME to the program")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a page from a file; afterwards it must have complained of nothing, asked for nothing.

    ``with opened(html, width=390, dark=True) as page: …``; other arguments are Playwright's for a
    context, such as ``java_script_enabled``.
    """

    @contextmanager
    def open_page(html, *, width=1280, dark=False, **more):
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 800 if width > 600 else 844},
            color_scheme="dark" if dark else "light",
            **more,
        )
        said = []
        page = context.new_page()
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
        context.on("request", lambda request: said.append(f"asks for {request.url:.80}"))
        page.goto(file.as_uri())
        try:
            yield page
        finally:
            context.close()
        allowed = (f"asks for {file.as_uri():.80}", "asks for data:image/")
        assert [one for one in said if not one.startswith(allowed)] == []

    return open_page
