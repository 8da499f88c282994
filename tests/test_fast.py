"""Which tests `make fast` runs for which change."""

import json

import pytest

from tests import fast


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    """Times of earlier runs that no real run changes."""
    monkeypatch.setattr(fast, "SECONDS", tmp_path / "seconds")

    def write(**of_rooms):
        files = {
            path.relative_to(fast.ROOT).as_posix(): share
            for room, share in of_rooms.items()
            for path in (fast.ROOT / "tests" / room).rglob("test_*.py")
        }
        fast.SECONDS.write_text(json.dumps(files))

    return write


def test_a_rooms_own_tests_and_doctests_are_run():
    found = fast.chosen(["nbdt/losses/module.py"])
    assert found[:3] == ["tests/test_layers.py", "tests/losses", "nbdt/losses"]
    assert "tests/test_model.py" in fast.chosen(["nbdt/model.py"])
    assert {"tests/server", "server"} <= {*fast.chosen(["server/app.py"])}


def test_rooms_that_import_it_come_with_it_while_they_are_cheap(known):
    known(losses=0.1, training=0.1)
    assert "tests/training" in fast.chosen(["nbdt/losses/module.py"])
    known(losses=0.1, training=100)
    assert "tests/training" not in fast.chosen(["nbdt/losses/module.py"])
    known(losses=1000)  # what is touched is run whatever it takes, and nothing else
    assert "tests/losses" in (found := fast.chosen(["nbdt/losses/module.py"]))
    assert not {"tests/training", "tests/snapshots"} & {*found}


def test_changed_tests_and_pages_are_run_alone():
    assert fast.chosen(["tests/view/test_dot.py"]) == [*fast.ALWAYS, "tests/view/test_dot.py"]
    assert fast.chosen(["tests/view/samples.py"]) == [*fast.ALWAYS, "tests/view"]
    assert fast.chosen(["docs/cli.md"]) == [*fast.ALWAYS, *fast.PAGES]
    assert fast.chosen(["tests/view/test_gone.py"]) == [*fast.ALWAYS]


def test_every_room_has_tests():
    assert [room for room in fast.UPSTREAM if not fast.tests_of(room)] == []
