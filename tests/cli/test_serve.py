"""`nbdt serve`: settings from the command line, sentences where something is wrong."""

import json
import socket
import sys

import pytest

from tests.cli.conftest import is_one_sentence, refused

pytest.importorskip("fastapi", reason="the service needs the extra [serve]")

from nbdt.server import logs, supervisor
from nbdt.server.keys import Key, KeyRing


@pytest.fixture
def logged(monkeypatch):
    """The levels at which the logs of this process would have been configured."""
    levels = []
    monkeypatch.setattr(logs, "configure", levels.append)
    return levels


@pytest.fixture
def started(monkeypatch, logged):
    """What supervisors were started with; none serves."""
    settings = []

    def run(one):
        assert logged == [one.settings.log_level]  # before anything can be logged
        settings.append(one.settings)
        one.listener.close()
        one._on_ready(f"http://{one.settings.host}")

    monkeypatch.setattr(supervisor.Supervisor, "run", run)
    return settings


def test_options_become_settings(run, started, model):
    result = run(
        *("serve", model, model, "--port", 0, "--workers", 3, "--threads", 2),
        *("--host", "127.0.0.1", "--network", "a.py:build", "--network", "m=b.py:build"),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "Serving at http://127.0.0.1 (Ctrl+C stops)\n"
    (settings,) = started
    assert settings.models == (model, model)
    assert (settings.port, settings.workers, settings.torch_threads) == (0, 3, 2)
    assert settings.networks == ("a.py:build", "m=b.py:build")


def test_what_is_not_given_comes_from_the_environment(run, started, model, monkeypatch):
    monkeypatch.setenv("NBDT_MODELS", str(model))
    monkeypatch.setenv("NBDT_PORT", "0")
    monkeypatch.setenv("NBDT_DEADLINE", "5")
    assert run("serve").exit_code == 0
    assert started[0].models == (model,)
    assert started[0].deadline == 5


def test_a_new_key(run, started):
    result = run("serve", "--new-key", "team-a")
    secret = result.stdout.strip()
    entry = json.loads(result.stderr[result.stderr.index("{") :])
    assert KeyRing([Key(**entry)]).find(secret).name == "team-a"
    assert not started


@pytest.mark.parametrize(("arguments", "said"), [
    (["--port", "99999"], "port (NBDT_PORT)"),
    (["--workers", "0"], "workers (NBDT_WORKERS)"),
    (["--port", "x"], "Invalid value for '--port'"),
])  # fmt: skip
def test_settings_that_are_not_valid_are_one_sentence(run, started, model, arguments, said):
    refused(run("serve", model, *arguments), said)
    assert not started


def test_a_port_that_is_taken_is_one_sentence(run, model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("serve", model, "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr)
    assert "choose another" in result.stderr


def test_without_the_extra_it_says_what_to_install(run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbdt.server.supervisor", None)
    refused(run("serve", model), "pip install '.[serve]'")
