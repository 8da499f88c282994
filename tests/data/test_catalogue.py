"""The table of data sets."""

from importlib import metadata

import pytest

from nbdt.data import describe_datasets, load_dataset
from nbdt.data.catalogue import DataSet, data_sets
from nbdt.hierarchy.library import list_datasets
from nbdt.registry import registered


def test_each_data_set_is_described_in_a_line() -> None:
    described = describe_datasets()
    assert list(described) == list(data_sets())
    assert set(list_datasets()) <= set(described)
    for sentence in described.values():
        assert sentence.endswith(".")
        assert len(sentence) < 90


@pytest.mark.parametrize("name", data_sets())
def test_each_can_be_had_somehow(name: str) -> None:
    known = data_sets()[name]
    assert set(known.files) <= {"train", "test"}
    assert known.name == name
    ways = [known.torchvision is not None, bool(known.obtain), not any(known.files.values())]
    assert sum(ways) == 1


MORE = DataSet(name="more", about="More.", files={"test": ""}, read=data_sets()["digits"].read)


def test_other_packages_add_data_sets_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("more", "tests.data.test_catalogue:MORE", "nbdt.datasets")
    with monkeypatch.context() as patch:
        patch.setattr(
            metadata, "entry_points", lambda group: [point] if group == point.group else []
        )
        data_sets.cache_clear()
        registered.cache_clear()
        assert list(describe_datasets())[-1] == "more"
        assert len(load_dataset("more")) == 450
    data_sets.cache_clear()
    registered.cache_clear()
