"""The bar of a training, on a terminal and where there is none."""

import csv
import io

import pytest
from rich.console import Console

from nbdt.training import fit, progress
from nbdt.training.progress import RULE_SCORES, EpochRecord, as_csv, progress_bar
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


ACCURACY = {way: (i + 1) / 7 for i, way in enumerate(RULE_SCORES)}


def test_a_spreadsheet_reads_the_numbers_back_exactly():
    records = [
        EpochRecord(1, 0.1 + 0.2, 1e-5, 1 / 3, 100 / 3, ACCURACY),
        EpochRecord(2, 2.5, 0.0, 1.0, 100.0, {}, moved=0.25),
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(records))))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["loss"]) == 0.1 + 0.2
    assert float(rows[0]["images_per_second"]) == 100 / 3
    for way, share in ACCURACY.items():
        assert float(rows[0][way.replace(" ", "_")]) == share
        assert rows[1][way.replace(" ", "_")] == ""
    assert (rows[0]["moved"], rows[1]["moved"]) == ("", "0.25")


@pytest.mark.parametrize(("record", "line"), [
    (EpochRecord(7, 0.25, 0.1, 2.0, 1234.5), "epoch 7: loss 0.2500, 1234 images/s"),
    (EpochRecord(7, 0.25, 0.1, 2.0, 9.0, {"network": 0.12345}, 0.5),
     "epoch 7: loss 0.2500, network 12.35 %, 9 images/s, tree moved by 50 %"),
])  # fmt: skip
def test_a_record_is_a_line(record, line):
    assert str(record) == line
