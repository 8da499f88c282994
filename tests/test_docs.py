"""What the documentation says is true: its Python runs, its tree is the bundled one."""

import re
from pathlib import Path

import pytest

import nbdt

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


# The 2020 guide reads files of that release; tests/hierarchy/test_convert.py makes them for it.
RUNNABLE = [page for page in PAGES if page.name != "from-2020.md"]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_python_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), scope)  # our own pages


def test_the_readme_shows_the_bundled_tree():
    (tree,) = (block for block in blocks(ROOT / "README.md", "text") if "airplane" in block)
    assert tree.rstrip() == str(nbdt.load_hierarchy("cifar10/resnet20"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
