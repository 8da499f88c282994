"""What gets installed: the wheel, outside the checkout, holds and does all that it should."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import nbdt

ROOT = Path(__file__).parents[1]
SOURCES = [*("nbdt", "hierarchies", "server", "setup.py", "pyproject.toml", "README.md", "LICENSE")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the wheel's contents."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    built = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(built)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    (wheel,) = built.glob("nbdt_toolkit-*.whl")
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(site, folder, *arguments):
    """Runs Python where only the wheel's nbdt is to be had, in an empty folder."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_every_bundled_tree_loads(installed, tmp_path):
    code = (
        "import json, nbdt; names = nbdt.list_hierarchies();"
        "print(json.dumps([nbdt.__file__, {n: len(nbdt.load_hierarchy(n)) for n in names}]))"
    )
    file, sizes = json.loads(run(installed, tmp_path, "-c", code))
    assert Path(file).is_relative_to(installed)
    assert sizes == {name: len(nbdt.load_hierarchy(name)) for name in nbdt.list_hierarchies()}


def test_the_demo_runs(installed, tmp_path):
    code = "import sys; sys.argv = ['nbdt', 'demo', '--json']; from nbdt.cli import main; main()"
    result = json.loads(run(installed, tmp_path, "-c", code))
    assert result
    assert (tmp_path / "nbdt-demo" / "model.safetensors").is_file()


def test_types_schema_and_licences_are_shipped(installed):
    assert (installed / "nbdt" / "py.typed").is_file()
    assert (installed / "nbdt" / "explain" / "explanation.schema.json").is_file()
    assert len(list(installed.glob("nbdt_toolkit-*.dist-info/licenses/**/LICENSE*"))) == 2


def test_nothing_else_lands_in_site_packages(installed):
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"nbdt", "nbdt_toolkit"}
