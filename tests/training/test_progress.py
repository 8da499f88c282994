"""The bar of a training, on a terminal and where there is none."""

import io

import pytest
from rich.console import Console

from nbdt.training import fit, progress
from nbdt.training.progress import progress_bar
from tests.training.subjects import CONFIG, model, points


@pytest.fixture
def terminal(monkeypatch):
    """What is written to a terminal of 100 columns."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    return text


def test_a_terminal_shows_epoch_steps_loss_and_speed(terminal):
    with progress_bar(3, 10, shown=True) as advance:
        advance(2, 4, 0.1234, 567.8)
    shown = terminal.getvalue()
    assert "Training, epoch 2 of 3" in shown
    assert "14/30" in shown
    assert "loss 0.123, 568 images/s" in shown


def test_the_bar_of_a_training_reaches_its_end(terminal):
    fit(model(), points(), config=CONFIG)
    assert "9/9" in terminal.getvalue()
    assert "epoch 3 of 3" in terminal.getvalue()


def test_nobody_has_to_see_it(terminal):
    fit(model(), points(), config=CONFIG, progress=False)
    assert terminal.getvalue() == ""


def test_a_pipe_gets_nothing(capfd):
    fit(model(), points(), config=CONFIG)
    assert capfd.readouterr() == ("", "")
