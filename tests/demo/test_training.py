"""Training the demo's network: the same for a seed, and without traces in torch's settings."""

import io

import pytest
import torch
from rich.console import Console
from torch import nn

from nbdt.data.digits import load_digits
from nbdt.demo import training
from nbdt.demo.training import one_thread, train, training_progress


@pytest.fixture(scope="module")
def few():
    return load_digits().select(torch.arange(70))


def test_each_epoch_is_reported_with_its_mean_loss(few, monkeypatch):
    monkeypatch.setattr(training, "EPOCHS", 3)
    reports = []
    train(few, 0, lambda *report: reports.append(report))
    assert [report[:2] for report in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[-1][2] < reports[0][2] < 5

    # Where nothing is learned, the loss is that of one look at all samples.
    monkeypatch.setattr(training, "LEARNING_RATE", 1e-30)
    monkeypatch.setattr(training, "BATCH_SIZE", 70)
    network = train(few, 0, lambda *report: reports.append(report))
    assert not any(part.training for part in network.modules())
    expected = nn.functional.cross_entropy(network.train()(few.images), few.labels)
    assert reports[-1][2] == pytest.approx(expected.item(), abs=1e-4)


def test_the_number_of_threads_is_restored_even_after_an_error():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_without_a_terminal_progress_is_a_few_plain_lines():
    console = Console(file=io.StringIO(), force_terminal=False)
    with training_progress(console) as progress:
        for epoch in range(1, 13):
            progress(epoch, 12, 1 / epoch)
    assert console.file.getvalue().splitlines() == [
        "training: epoch 5 of 12, loss 0.200",
        "training: epoch 10 of 12, loss 0.100",
        "training: epoch 12 of 12, loss 0.083",
    ]


def test_on_a_terminal_it_is_a_bar_that_goes_away():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with training_progress(console) as progress:
        progress(10, 20, 0.5)
        console.print("between")
    shown = console.file.getvalue()
    assert "50%" in shown
    assert "loss 0.500" in shown
    assert shown.endswith("\x1b[2K")
