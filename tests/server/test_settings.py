"""Settings: from arguments and the environment, checked."""

import pytest

from nbdt.errors import InputError
from nbdt.server.settings import Settings, read_settings


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NBDT_MODELS", f"{tmp_path}/a:{tmp_path}/b")
    monkeypatch.setenv("NBDT_QUEUE_ROWS", "100")
    monkeypatch.setenv("NBDT_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("NBDT_NETWORKS", "a=one.py:build,two.py:build")
    settings = read_settings(port=1234)
    assert settings.networks == ("a=one.py:build", "two.py:build")
    assert [one.name for one in settings.models] == ["a", "b"]
    assert (settings.queue_rows, settings.port, settings.host) == (100, 1234, "127.0.0.1")
    assert settings.origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 99_999}, r"port \(NBDT_PORT\): .*, got 99999"),
        ({"deadline": 0}, r"deadline \(NBDT_DEADLINE\)"),
        ({"admin": True}, "admin needs keys"),
        ({"queue_rows": 10}, "queue_rows must be at least request_rows"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_settings_that_are_not_valid(given, said):
    with pytest.raises(InputError, match=said):
        read_settings(**given)


@pytest.mark.parametrize("text", ["", " ", ","])
def test_no_origin_is_none(monkeypatch, text):
    monkeypatch.setenv("NBDT_ORIGINS", text)
    assert read_settings().origins == ()


def test_the_queue_holds_four_batches_or_the_longest_request():
    assert Settings().capacity_rows == 128
    assert Settings(batch_rows=100).capacity_rows == 400
    assert Settings(batch_rows=1, request_rows=500).capacity_rows == 500
    assert Settings(queue_rows=70).capacity_rows == 70


def test_threads_are_shared_among_workers(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert Settings(workers=3).torch_threads == 2
    assert Settings(workers=16).torch_threads == 1
    assert Settings(threads=5).torch_threads == 5
