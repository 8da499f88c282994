from functools import partial
from types import MethodType, SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nbdt.classifiers.output_trace import THE_INPUT, OutputTrace, trace_output
from tests.classifiers.networks import Hidden, Unreadable, mlp


class WithForward(Hidden):
    """`Hidden` with another forward, given as a function of the network and x."""

    def __init__(self, forward, **children):
        super().__init__()
        self.calculate = forward
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x):
        return self.calculate(self, x)


def end_of(forward, **children):
    return trace_output(WithForward(forward, **children))


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.out(net.body(x)),
        lambda net, x: net.out.forward(net.body(x)),
        lambda net, x: F.log_softmax(net.out(x), dim=-1),
        lambda net, x: net.out(x).log_softmax(-1),
        lambda net, x: F.dropout(net.out(x), 0.1, net.training).flatten(1),
        lambda net, x: net.out(x).view(x.size(0), -1).squeeze().float(),
        lambda net, x: {"logits": net.out(x), "features": x},
        lambda net, x: SimpleNamespace(logits=net.out(x)),
        lambda net, x: (net.out(x), x) if net.training else net.out(x),
        lambda net, x: net.out(x.to(next(net.parameters()).dtype)),
        lambda net, x: net.out(x + sum(p.norm() for p in net.body.parameters())),
        lambda net, x: net.out(x) if isinstance(net.body, nn.Linear) else net.body(x),
        lambda net, x: net.out(x) if net.body.in_features == 4 else net.body(x),
    ],
)
def test_the_way_back_passes_neutral_steps(forward):
    assert end_of(forward) == OutputTrace("out")


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.out(x) / 0.07,
        lambda net, x: (2.5 * net.out(x)).flatten(1),
        lambda net, x: torch.tensor(3.0).exp() * net.out(x),
        lambda net, x: F.relu(net.out(x)),
    ],
)
def test_scales_and_relu_are_passed_and_told(forward):
    assert end_of(forward) == OutputTrace("out", altered=True)
    assert trace_output(mlp(nn.ReLU(), nn.Flatten())) == OutputTrace("2", altered=True)


@pytest.mark.parametrize(
    ("forward", "otherwise"),
    [
        (lambda net, x: x, THE_INPUT),
        (lambda net, x: net.out(x) + net.body(x), "the result of 'add'"),
        (lambda net, x: net.out(x).tanh(), "the result of 'tanh'"),
        (lambda net, x: -1 * net.out(x), "the result of 'mul'"),
        (lambda net, x: net.out(x) * torch.arange(3.0), "the result of 'mul'"),
        (lambda net, x: net.out(x)[:, :2], "the result of 'getitem'"),
        (lambda net, x: F.linear(x, net.out.weight), "the result of 'linear'"),
        (lambda net, x: (net.out(x), x), "a tuple, not the output of a layer"),
        (lambda net, x: net.out.weight, "a Parameter, not the output of a layer"),
        (lambda net, x: net.out.weight @ x, "the result of 'matmul'"),
        (lambda net, x: net.body.extra_repr_of(x), "the result of 'body.extra_repr_of'"),
    ],
)
def test_what_no_single_layer_made_is_said(forward, otherwise):
    class Body(nn.Linear):
        def extra_repr_of(self, x):
            raise AssertionError("no submodule runs")

    assert end_of(forward, body=Body(4, 6)) == OutputTrace(None, otherwise)


@pytest.mark.parametrize(
    ("squash", "kind"),
    [
        (lambda z: F.softmax(z, dim=1), "softmax"),
        (lambda z: z.softmax(1), "softmax"),
        (torch.sigmoid, "sigmoid"),
        (lambda z: z.sigmoid().squeeze(), "sigmoid"),
        (F.logsigmoid, "sigmoid"),
        (torch.special.expit, "sigmoid"),
    ],
)
def test_squashing_calls_are_seen(squash, kind):
    assert end_of(lambda net, x: squash(net.out(x))) == OutputTrace("out", squashing=kind)


@pytest.mark.parametrize(
    ("squash", "kind"),
    [(nn.Softmax(dim=1), "softmax"), (nn.Sigmoid(), "sigmoid"), (nn.LogSigmoid(), "sigmoid")],
)
def test_squashing_modules_are_seen(squash, kind):
    assert trace_output(mlp(nn.Dropout(), squash, nn.Flatten())) == OutputTrace("2", squashing=kind)


@pytest.mark.parametrize(
    "last",
    [
        nn.Identity(),
        nn.Dropout(),
        nn.AlphaDropout(),
        nn.Flatten(),
        nn.LogSoftmax(1),
        nn.AdaptiveAvgPool2d(1),
        nn.AvgPool1d(2),
        nn.Unflatten(1, (3, 1)),
        nn.Sequential(nn.Dropout(), nn.Sequential()),
    ],
    ids=lambda module: type(module).__name__,
)
def test_neutral_modules_are_passed(last):
    assert trace_output(mlp(last)) == OutputTrace("2")


def test_a_module_that_only_passes_on_is_passed():
    class Squeeze(nn.Module):
        def forward(self, x):
            return x.squeeze(-1)

    assert trace_output(mlp(Squeeze(), nn.Dropout())) == OutputTrace("2")


def test_a_module_that_changes_its_input_is_the_maker():
    assert trace_output(mlp(nn.BatchNorm1d(3))) == OutputTrace("3")
    assert trace_output(mlp(nn.Tanh())) == OutputTrace("3")


def test_containers_can_be_walked():
    def forward(net, x):
        assert len(net.layers) == 2
        for layer in net.layers:
            x = net.layers[-1](layer(x))
        for name, layer in net.named.items():
            x = layer(x) if name == "a" else x
        return x

    layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    named = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3)})
    assert end_of(forward, layers=layers, named=named) == OutputTrace("named.a")
    named.pop("a")
    assert end_of(forward, layers=layers, named=named) == OutputTrace("layers.1")


def test_a_slice_made_in_forward_is_not_taken_for_a_layer():
    net = mlp()
    assert end_of(lambda net, x: net.layers[:2](x), layers=net) == OutputTrace(
        None, "the result of 'Sequential'"
    )
    assert end_of(lambda net, x: list(net.layers[1:])[-1](x), layers=net) == OutputTrace("layers.2")


def test_forward_may_ask_for_more_inputs():
    class TwoInputs(Hidden):
        def forward(self, x, mask, *rest, scale, bias=None, **options):
            assert bias is None
            return self.out(x * mask * scale)

    assert trace_output(TwoInputs()) == OutputTrace("out")


def test_a_forward_that_looks_at_values_is_not_read():
    assert trace_output(Unreadable()) is None
    assert trace_output(nn.ModuleList([nn.Linear(4, 3)])) is None


def test_the_network_is_left_as_it_was():
    class Keeps(Hidden):
        def __init__(self):
            super().__init__()
            self.seen = []
            self.register_buffer("calls", torch.zeros(()))
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            self.calls += 1
            self.last = self.norm(x)
            self.seen.append(self.last)
            return self.out(self.last)

    network = Keeps()
    network.register_forward_hook(lambda *_: pytest.fail("no hook runs"))
    network.out.register_forward_hook(lambda *_: pytest.fail("no hook runs"))
    before = dict(network.__dict__)
    assert trace_output(network) == OutputTrace("out")
    assert network.__dict__ == before
    assert network.seen == []
    assert network.calls == 0
    assert network.norm.num_batches_tracked == 0
    assert network.training


def test_what_cannot_or_should_not_be_copied_is_shared():
    class Trainer:
        def __deepcopy__(self, memo):
            raise AssertionError("not copied")

    network = Hidden()
    network.trainer = Trainer()
    network.attention = network.out(torch.ones(6)) * 2  # copying it would be an error in torch
    assert trace_output(network) == OutputTrace("out")


def test_a_forward_put_on_the_object_is_the_one_read():
    network = Hidden()
    network.forward = MethodType(lambda self, x: self.body(x), network)
    assert trace_output(network) == OutputTrace("body")
    network.forward = partial(lambda self, x: self.out(x), network)
    assert trace_output(network) == OutputTrace("out")
