import json

import pytest

from nbdt.cli import demo as command
from nbdt.demo import DEFAULT_OUTPUT
from nbdt.errors import InputError
from tests.cli.conftest import refused


class Shown:
    """What a demo might have shown."""

    def to_dict(self):
        return {"folder": "x"}

    def __str__(self):
        return "a tree"


@pytest.fixture
def calls(monkeypatch):
    """The demo's arguments; nothing is trained, but one epoch is told of."""
    made = []

    def run(output, *, seed, progress):
        if output == "taken":
            raise InputError("taken: the folder holds something else.")
        made.append((output, seed))
        progress(20, 20, 0.5)
        return Shown()

    monkeypatch.setattr(command, "run", run)
    return made


def test_the_demo_is_run_with_the_given_seed_and_folder(calls, run):
    result = run("demo")
    assert (result.exit_code, result.stdout) == (0, "a tree\n")
    assert "20" in result.stderr
    run("demo", "--output", "here", "--seed", 7)
    assert calls == [(DEFAULT_OUTPUT, 0), ("here", 7)]


def test_json_holds_the_result_and_nothing_else(calls, run):
    assert json.loads(run("demo", "--json").stdout) == {"folder": "x"}
    assert len(calls) == 1


@pytest.mark.usefixtures("calls")
def test_a_folder_that_is_taken(run):
    refused(run("demo", "-o", "taken"))
