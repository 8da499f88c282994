"""The library leaves nothing behind in the process, and what watches over that can fail."""

import gc
import logging
import os
import signal
import timeit
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import nbdt
from nbdt import evaluation, training, view
from nbdt.classifiers import build
from nbdt.data import load_dataset
from nbdt.selective import SelectiveNBDT
from tests.process_state import changes, process_state, random_states

TREE = nbdt.Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"])
LOGITS = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (200, 4)))
LABELS = torch.arange(200) % 4
DATA = TensorDataset(LOGITS, LABELS)


def model():
    return nbdt.NBDT(nn.Identity(), TREE)


def network():
    """Weights without chance, so that building it is not what changes the generators."""
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    net[2].weight.data = torch.eye(4, 8)
    return net


NETWORK = network()
POINTS = TensorDataset(LOGITS.float(), LABELS)

CALLS = {
    "induce": lambda _: nbdt.induce(NETWORK, TREE.classes),
    "load_hierarchy": lambda _: nbdt.load_hierarchy("cifar100/wordnet"),
    "load_dataset": lambda _: load_dataset("digits", "test")[0],
    "predict": lambda _: model().predict(LOGITS),
    "predict_proba": lambda _: model().predict_proba(LOGITS),
    "decision_path": lambda _: model().decision_path(LOGITS),
    "explain": lambda _: str(model().explain(LOGITS)[0]),
    "save_pretrained": lambda folder: nbdt.NBDT(NETWORK, TREE).save_pretrained(folder),
    "loss": lambda _: nbdt.TreeSupervisionLoss(TREE)(LOGITS, LABELS),
    "evaluate": lambda _: str(evaluation.evaluate(model(), DATA)),
    "fit_temperature": lambda _: evaluation.fit_temperature(model(), DATA),
    "evaluate_faithfulness": lambda _: evaluation.evaluate_faithfulness(
        nbdt.NBDT(NETWORK, TREE), POINTS, explained=5, trees=2
    ),
    "calibrate": lambda _: SelectiveNBDT(model()).calibrate(DATA).predict(LOGITS),
    "to_svg": lambda _: view.to_svg(TREE, model().explain(LOGITS)[0]),
    "to_html": lambda _: view.to_html(TREE, model().explain(LOGITS[:2])),
    "fit": lambda _: training.fit(
        nbdt.NBDT(NETWORK, TREE), POINTS, POINTS,
        training.TrainingConfig(epochs=1, batch_size=64), progress=False,
    ),
}  # fmt: skip


@pytest.mark.usefixtures("unchecked")  # the check of types draws from Python's generator
@pytest.mark.parametrize("name", CALLS)
def test_a_call_leaves_all_generators_as_they_were(name, tmp_path):
    before = random_states()
    CALLS[name](tmp_path)
    assert random_states() == before


def test_building_a_network_draws_its_weights_as_torch_does():
    """The one call that uses torch's generator: nn.Linear does so itself."""
    before = random_states()
    build("nbdt:digits-cnn")
    after = random_states()
    assert (before[:2], before[2] == after[2]) == (after[:2], False)
    torch.set_rng_state(torch.from_numpy(np.frombuffer(before[2], np.uint8).copy()))


@pytest.mark.usefixtures("unchecked")
def test_a_service_leaves_the_process_as_it_was(tmp_path):
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    from nbdt.server.app import create_app
    from nbdt.server.settings import Settings

    nbdt.NBDT(build("nbdt:digits-cnn"), nbdt.load_hierarchy("digits/shape")).save_pretrained(
        tmp_path / "model"
    )
    threads = torch.get_num_threads() + 1
    before = process_state()
    states = random_states()
    with TestClient(create_app(Settings(models=(tmp_path,), threads=threads))) as client:
        while client.get("/readyz").status_code != 200:
            pass
        inside = process_state()
    assert changes(before, inside) == changes(before, process_state()) == []
    assert random_states()[1:] == states[1:]  # clients draw from Python's


# ── that changes are found ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("change", "said"), [
    (lambda patch: torch.set_num_threads(torch.get_num_threads() + 1), "torch's threads was"),
    (lambda patch: torch.set_default_dtype(torch.float64), "torch.float32, is torch.float64"),
    (lambda patch: signal.signal(signal.SIGUSR1, signal.SIG_IGN), "signal handlers: SIGUSR1 was"),
    (lambda patch: patch.setenv("NBDT_X", "1"), "the environment: NBDT_X was None, is '1'"),
    (lambda patch: patch.delenv("PATH"), "the environment: PATH was"),
    (lambda patch: patch.chdir("/"), "the working directory was"),
    (lambda patch: logging.getLogger().setLevel(logging.DEBUG), "logging: root was"),
    (lambda patch: logging.getLogger("nbdt.made").setLevel(10), "logging: nbdt.made was"),
    (lambda patch: gc.disable(), "the garbage collector was"),
])  # fmt: skip
def test_a_change_is_found(change, said, monkeypatch):
    threads, level = torch.get_num_threads(), logging.getLogger().level
    handler = signal.getsignal(signal.SIGUSR1)
    before = process_state()
    try:
        change(monkeypatch)
        found = changes(before, process_state())
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)
        signal.signal(signal.SIGUSR1, handler)
        logging.getLogger().setLevel(level)
        logging.getLogger("nbdt.made").setLevel(logging.NOTSET)
        gc.enable()
    assert len(found) == 1
    assert said in found[0]


def test_a_test_that_leaves_something_behind_fails(pytester_run):
    output = pytester_run(
        "import os, torch, warnings\n"
        "def test_threads(): torch.set_num_threads(torch.get_num_threads() + 1)\n"
        "def test_after(): pass\n"
        "def test_environment(): os.environ['LEFT'] = 'x'\n"
        "def test_filters(): warnings.simplefilter('ignore')\n"
        "def test_patched(monkeypatch): monkeypatch.setenv('GONE', '1')\n"
    )
    assert "1 failed, 4 passed, 2 errors" in output
    assert "LEFT was None, is 'x'" in output
    assert "the number of torch's threads was" in output


@pytest.fixture
def pytester_run(tmp_path):
    """Runs tests of a text under the plugin, in a process of their own."""
    import subprocess
    import sys

    def run(source):
        (tmp_path / "test_it.py").write_text(source)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.process_state", str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True, text=True, check=False, cwd=tmp_path,
        ).stdout  # fmt: skip

    return run


def test_looking_costs_next_to_nothing():
    assert min(timeit.repeat(process_state, number=20, repeat=5)) / 20 < 2e-3
