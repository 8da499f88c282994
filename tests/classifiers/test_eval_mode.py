"""Eval mode inside a block, and every module as it was afterwards."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nbdt.classifiers import eval_mode


def layers():
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))


def flags(module):
    return [part.training for part in module.modules()]


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_every_part_is_in_eval_mode_inside_and_in_its_own_afterwards(modes):
    module = layers()
    for part, mode in zip(module.modules(), modes, strict=True):
        part.training = mode
    with eval_mode(module):
        assert flags(module) == [False] * 5
        assert not torch.is_grad_enabled()
    assert flags(module) == modes
    assert torch.is_grad_enabled()


def test_an_error_inside_changes_nothing_of_that():
    module = layers()
    with pytest.raises(ZeroDivisionError), eval_mode(module):
        raise ZeroDivisionError
    assert flags(module) == [True] * 5
    assert torch.is_grad_enabled()


def test_a_module_that_does_more_in_train_is_told():
    class Counting(nn.Module):
        calls = 0

        def train(self, mode=True):
            self.calls += 1
            return super().train(mode)

    module = Counting()
    with eval_mode(module):
        assert module.calls == 1
    assert module.calls == 2
    module.eval()
    module.calls = 0
    with eval_mode(module):
        pass
    assert module.calls == 0


def test_modules_in_eval_mode_can_be_shared_by_threads():
    module = layers().eval()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with eval_mode(module):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with eval_mode(module):
        pass
    assert flags(module) == [False] * 5
    leave.set()
    thread.join()
    assert flags(module) == [False] * 5


def test_blocks_can_be_nested():
    module = layers()
    with eval_mode(module), eval_mode(module[1]), torch.enable_grad():
        assert flags(module) == [False] * 5
    assert flags(module) == [True] * 5
