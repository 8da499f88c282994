"""The notebooks run from a clean kernel, and show what they were committed with."""

import itertools
import json
import os
import resource
import sys
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("captum", reason="imagenet.ipynb needs the extra [attribution]")
run = pytest.importorskip("notebooks.run", reason="notebooks are run by nbclient, of [dev]")

NOTEBOOKS = run.notebooks()
# Of the processor, which a notebook uses with one thread.
MAX_SECONDS = 90
MAX_BYTES = 1_500_000

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def processor_seconds():
    """What the processes that this one started, and that have ended, took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def check(notebook):
    """Every cell ran in order, and none raised, warned or wrote to stderr."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = outputs(notebook)
    assert not [output for output in shown if output.output_type == "error"]
    said = [output.text for output in shown if output.get("name") == "stderr"]
    assert not said, "\n".join(said)


def test_there_are_notebooks():
    names = "audit filetypes imagenet languages own-data quickstart service train trust"
    assert names.split() == sorted(path.stem for path in NOTEBOOKS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@each
def test_it_runs_from_a_clean_kernel(path):
    environment = {key: value for key, value in os.environ.items() if key != "NBDT_DATA"}
    before = processor_seconds()
    notebook = run.execute(path, environment)
    assert processor_seconds() - before < MAX_SECONDS
    check(notebook)
    committed = nbformat.read(path, as_version=4)
    for ran, kept in zip(notebook.cells, committed.cells, strict=True):
        assert kinds(ran) == kinds(kept), f"run notebooks/run.py again: {ran.source}"


def kinds(cell):
    """What a cell shows: the media types of each of its outputs.

    A text may come in one piece or in several, as it happens to be sent.
    """
    shown = [
        (output.get("name"), *sorted(output.get("data", ()))) for output in cell.get("outputs", [])
    ]
    return [kind for kind, _ in itertools.groupby(shown)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_thousand_classes_run_where_they_are(nbdt_data):
    (path,) = (path for path in NOTEBOOKS if path.stem == "imagenet")
    before = processor_seconds()
    notebook = run.execute(path, {**os.environ, "NBDT_DATA": str(nbdt_data)})
    assert processor_seconds() - before < MAX_SECONDS
    check(notebook)
    assert "MobileNetV2, 1,000 classes" in outputs(notebook)[0].text


@each
def test_what_is_committed_is_whole_and_small(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    check(notebook)
    shown = {kind for output in outputs(notebook) for kind in output.get("data", ())}
    assert "image/svg+xml" in shown, "a notebook is there to show pictures"
    assert path.stat().st_size < MAX_BYTES


@each
def test_what_is_committed_tells_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    places = {Path.home(), Path.cwd(), Path(sys.prefix), Path("/tmp")}
    for place in places:
        assert json.dumps(f"{place}/")[1:-1] not in text
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert not any(cell.metadata for cell in notebook.cells)


@each
def test_links_lead_somewhere(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for part in cell.source.split("](")[1:]:
                target = part.partition(")")[0]
                assert target.startswith("https://") or (path.parent / target).exists()


def test_the_thousand_classes_are_committed_as_digits():
    """The sample images are ImageNet's, and not for us to pass on."""
    (path,) = (path for path in NOTEBOOKS if path.stem == "imagenet")
    notebook = nbformat.read(path, as_version=4)
    assert outputs(notebook)[0].text.startswith("NBDT_DATA is not set: digits")
