"""The loops of others in docs/examples train the tree, where their packages are installed."""

import importlib.util
import os
from pathlib import Path
from unittest import mock

import pytest

from nbdt.data.digits import load_digits
from nbdt.evaluation import accuracy_by_rule

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(autouse=True)
def own_environment():
    """Both packages set variables of the environment, which are theirs."""
    with mock.patch.dict(os.environ):
        yield


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(model):
    digits = load_digits()
    return accuracy_by_rule(
        [(model.logits(digits.images).detach(), digits.labels)], model.hierarchy
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # both packages warn of what is deprecated in torch
def test_lightning():
    pytest.importorskip("lightning")
    model, metrics = example("lightning_module").main(epochs=2)
    names = {f"accuracy/{row.rule} {row.score}" for row in measured(model).rows[1:]}
    assert set(metrics) == {"accuracy/network", *names}
    assert metrics["accuracy/soft mean"] > 0.3
    assert measured(model).row("soft", "mean").accuracy > 0.3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hugging_face_trainer(monkeypatch):
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    module = example("hugging_face_trainer")
    seen = []
    begin = module.Progress.on_step_begin

    def noted(self, args, state, control, **others):
        begin(self, args, state, control, **others)
        seen.append(self.loss.progress)

    monkeypatch.setattr(module.Progress, "on_step_begin", noted)
    model, metrics = module.main(epochs=2)
    assert metrics["eval_soft"] > 0.2
    assert measured(model).row("soft", "mean").accuracy > 0.2
    assert seen == sorted(seen)
    assert (seen[0], len(set(seen))) == (0.0, len(seen))
    assert 0.9 < seen[-1] < 1
