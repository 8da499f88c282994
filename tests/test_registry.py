"""Things that a package's modules hold, and those that other distributions name."""

from importlib import metadata

import pytest

from nbdt.classifiers.base import Library
from nbdt.registry import registered, registered_classes


class Stranger(Library):
    name = "stranger"


@pytest.fixture
def points(monkeypatch):
    """Entry points of the group `toys`, made of "module:object"; others have none."""

    def declare(**values):
        found = [metadata.EntryPoint(name, value, "toys") for name, value in values.items()]
        monkeypatch.setattr(
            metadata, "entry_points", lambda group: found if group == "toys" else []
        )

    registered.cache_clear()
    yield declare
    registered.cache_clear()


def test_classes_of_modules_come_once_and_without_their_base():
    found = registered_classes("nbdt.classifiers", Library)
    assert Library not in found
    assert len(set(found)) == len(found) > 3


def test_others_come_after_in_the_order_of_their_names(points):
    points(b="tests.timing:__name__", a="tests.test_registry:Stranger")
    found = registered("nbdt.inputs", type, "toys")
    assert found[-1] is Stranger
    assert "tests.timing" not in found


def test_what_cannot_be_loaded_is_left_out_with_a_warning(points):
    points(a="tests.nowhere:LIBRARY", b="tests.test_registry:Stranger")
    with pytest.warns(UserWarning, match=r"tests\.nowhere:LIBRARY was not loaded: No module named"):
        assert registered("nbdt.inputs", type, "toys")[-1] is Stranger
