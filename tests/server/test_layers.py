"""The parts of the service in the order that the package tells."""

import ast
import re
from pathlib import Path

import nbdt.server

FOLDER = Path(nbdt.server.__file__).parent


def imports(file):
    """The modules of the package that one of them imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module] if node.module else [one.name for one in node.names]


def test_each_part_knows_only_those_before_it():
    modules = {file.stem: file for file in FOLDER.glob("*.py") if file.stem != "__init__"}
    modules["protocols"] = FOLDER / "protocols" / "__init__.py"
    told = nbdt.server.__doc__.partition("before it:")[2]
    order = re.findall(r"\w+", re.sub(r"\(.*?\)", "", told))
    assert sorted(order) == sorted(modules)
    for place, name in enumerate(order):
        assert set(imports(modules[name])) <= set(order[:place]), name
