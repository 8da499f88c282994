"""The table of data sets."""

import pytest

from nbdt.data import describe_datasets
from nbdt.data.catalogue import data_sets
from nbdt.hierarchy.library import list_datasets


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
