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


def weights(network):
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def test_a_seed_gives_its_network_whatever_torchs_own_random_numbers(few, monkeypatch):
    monkeypatch.setattr(training, "EPOCHS", 2)
    torch.manual_seed(1)
    first = train(few, 5, lambda *_: None)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = train(few, 5, lambda *_: None)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(train(few, 6, lambda *_: None)))
    assert not any(part.training for part in first.modules())


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
