"""docs/cli.md: what it shows is what a reader gets."""

import importlib.util
import shlex
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from nbdt.cli import app
from tests.cli.test_program import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def render():
    spec = importlib.util.spec_from_file_location("render", DOCS / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(render):
    return render.PAGE.read_text(encoding="utf-8")


def test_commands_print_what_the_page_shows(render, page, run):
    run("demo")
    # Another machine's arithmetic trains another demo.
    of_demo = render.demo_weights() != render.shown_weights(page)
    pairs = zip(render.examples(page), render.examples(render.rendered(page)), strict=True)
    for (command, shown), (_, printed) in pairs:
        if not (of_demo and render.DEMO in command):
            assert printed == shown, command


def test_the_other_examples_can_be_understood(render, page):
    for command, _ in render.examples(page):
        program, *arguments = shlex.split(command)
        if program == "nbdt" and " ".join(arguments).startswith(render.NEED_DATA):
            found = get_command(app)
            context = typer.Context(found)
            while hasattr(found, "resolve_command"):
                _, found, arguments = found.resolve_command(context, arguments)
            found.make_context("nbdt", list(arguments)).close()  # a usage error would raise


def test_every_command_has_an_example(render, page):
    shown = [command for command, _ in render.examples(page)]
    missing = [path for path in COMMANDS if not any(f"nbdt {path}" in one for one in shown)]
    assert not missing
