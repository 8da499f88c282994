import json

from nbdt.hierarchy.library import list_hierarchies
from tests.cli.conftest import Run


def test_every_bundled_tree_is_listed_with_its_size(run: Run) -> None:
    lines = run("tree", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["tree", *list_hierarchies()]
    assert ["imagenet1k/mobilenet_v2", "1,000", "1,999", "18"] in map(str.split, lines)


def test_as_json(run: Run) -> None:
    documents = json.loads(run("tree", "list", "--json").stdout)
    assert [one["name"] for one in documents] == list_hierarchies()
    assert {"name": "digits/shape", "classes": 10, "nodes": 16, "depth": 3} in documents
