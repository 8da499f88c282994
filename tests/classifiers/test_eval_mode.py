"""Eval mode inside a block, and no module changed by it, whatever others do meanwhile."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, prune

from nbdt.classifiers import eval_mode
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT


def layers():
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))


def flags(module):
    return [part.training for part in module.modules()]


class Overriding(nn.Sequential):
    """Does more in `train` than set the flag, so it has no view."""

    calls = 0

    def train(self, mode=True):
        self.calls += 1
        return super().train(mode)


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_every_part_is_in_eval_mode_inside_and_none_is_changed(modes):
    module = layers()
    for part, mode in zip(module.modules(), modes, strict=True):
        part.training = mode
    with eval_mode(module) as still:
        assert flags(still) == [False] * 5
        assert flags(module) == modes
        assert not torch.is_grad_enabled()
        assert list(still.parameters()) == list(module.parameters())
    assert torch.is_grad_enabled()


def test_a_module_in_eval_mode_is_given_as_it_is():
    module = Overriding(layers()).eval()
    module.calls = 0
    with eval_mode(module) as still:
        assert still is module
    assert module.calls == 0


@pytest.mark.parametrize("switched", [False, True])
def test_errors_and_nested_blocks(switched):
    module = (Overriding if switched else nn.Sequential)(*layers())
    with pytest.raises(ZeroDivisionError), eval_mode(module):
        raise ZeroDivisionError
    assert flags(module) == [True] * 5
    with eval_mode(module), eval_mode(module[1]) as inner, torch.enable_grad():
        assert flags(inner) == [False] * 3
    assert flags(module) == [True] * 5


def test_a_module_that_does_more_in_train_is_told():
    module = Overriding(nn.Dropout())
    module[0].eval()
    with eval_mode(module):
        assert module.calls == 1
        assert flags(module) == [False, False]
    assert module.calls == 2
    assert flags(module) == [True, False]


class Aliased(nn.Module):
    """Reaches its parts by other ways than their names."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.9)
        self.order = [self.drop]
        self.named = {"drop": self.drop}
        self.forward = self.run

    def run(self, x):
        return self.named["drop"](self.order[0](self.drop(x)))


def before_dropout(layer):
    return nn.Sequential(layer, nn.Dropout(0.9))


MODULES = {
    "aliases": Aliased,
    "tied": lambda: nn.Sequential(*[nn.Dropout(0.9)] * 2),
    "weight norm": lambda: before_dropout(parametrizations.weight_norm(nn.Linear(2, 2))),
    "spectral norm": lambda: before_dropout(nn.utils.spectral_norm(nn.Linear(2, 2))),
    "pruned": lambda: before_dropout(prune.l1_unstructured(nn.Linear(2, 2), "weight", 2)),
    "batch norm": lambda: before_dropout(nn.BatchNorm1d(2)),
    "data parallel": lambda: nn.DataParallel(before_dropout(nn.Linear(2, 2))),
    "wrapped forward": lambda: wrapped(before_dropout(nn.Linear(2, 2))),
    "overriding": lambda: Overriding(nn.Linear(2, 2), nn.Dropout()),
    "compiled": lambda: torch.compile(before_dropout(nn.Linear(2, 2)), backend="eager"),
}


def wrapped(module):
    before = module.forward
    module.forward = lambda x: before(x) + 1
    return module


@pytest.mark.parametrize("name", MODULES)
def test_the_answer_is_that_of_eval_mode(name):
    torch.manual_seed(0)
    module = MODULES[name]()
    x = torch.randn(4, 2)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with eval_mode(module) as still:
        found = still(x)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    torch.testing.assert_close(module.eval()(x), found)


@pytest.mark.parametrize("kind", [nn.Sequential, Overriding])
@pytest.mark.parametrize("mode", [True, False])
def test_threads_get_the_right_answers_and_change_nothing(kind, mode):
    torch.manual_seed(0)
    network = kind(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
    model = NBDT(network, Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])).train(mode)
    samples = [torch.randn(4, 4) for _ in range(60)]
    expected = [model.predict_proba(x) for x in samples]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(model.predict_proba, samples))
    assert all(map(torch.equal, found, expected))
    assert flags(model) == [mode] * len(flags(model))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_predictions_leave_a_training_alone():
    """Another thread's predictions change no gradient and no statistic of a training."""

    def train(network):
        torch.manual_seed(0)
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
        for _ in range(100):
            optimizer.zero_grad()
            network(torch.randn(8, 4)).square().sum().backward()
            optimizer.step()
        return network.state_dict()

    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    alone = copy.deepcopy(train(copy.deepcopy(network)))
    model = NBDT(network, Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])).train()
    stop = threading.Event()

    def predict():
        while not stop.is_set():
            model.explain(torch.zeros(2, 4))

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        beside = train(network)
    finally:
        stop.set()
        thread.join()
    assert all(torch.equal(beside[key], value) for key, value in alone.items())
