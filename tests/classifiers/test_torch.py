import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from nbdt.classifiers import check_classifier, find_head
from nbdt.errors import HeadError
from tests.classifiers.networks import Hidden, Unreadable, mlp


def test_the_layer_that_forward_returns_is_the_head():
    network = Hidden()
    head = find_head(network)
    assert head.path == "out"
    assert head.module is network.out
    assert head.classes is None


def test_a_linear_layer_is_its_own_head():
    layer = nn.Linear(4, 3)
    assert find_head(layer).path == ""
    assert find_head(layer).module is layer
    assert find_head(layer, "").module is layer


def test_a_sequential_ends_in_its_head():
    assert find_head(mlp(nn.Dropout(), nn.LogSoftmax(1))).path == "2"
    assert find_head(nn.Sequential(nn.Linear(4, 4), mlp())).path == "1.2"


def test_a_convolution_can_be_the_head():
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_head(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 5, 1), pooled)).path == "1"


def test_a_large_kernel_or_groups_are_no_head():
    for convolution in (nn.Conv2d(8, 5, 3), nn.Conv2d(10, 5, 1, groups=5)):
        with pytest.raises(HeadError, match="it ends in a layer of type Conv2d"):
            find_head(nn.Sequential(nn.Conv2d(3, 8, 1), convolution))


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (nn.DataParallel, "module.out"),
        (AveragedModel, "module.out"),
        (torch.compile, "_orig_mod.out"),
        (lambda net: torch.compile(nn.DataParallel(net)), "_orig_mod.module.out"),
        (lambda net: nn.Sequential(nn.Linear(4, 4), nn.DataParallel(net)), "1.module.out"),
    ],
)
def test_wrappers_are_looked_through(wrap, path):
    network = wrap(Hidden())
    head = find_head(network)
    assert head.path == path
    assert network.get_submodule(path) is head.module
    if not isinstance(network, nn.Sequential):
        assert find_head(network, "out").module is head.module


def test_a_wrapper_in_the_manner_of_ddp_is_looked_through():
    class Readable(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *inputs, **options):
            return self.module(*inputs, **options)

    class Engine(Readable):
        def forward(self, x):
            return self.module(x) if len(x) else x

    assert find_head(Readable(Hidden())).path == "module.out"
    assert find_head(Engine(Hidden())).path == "module.out"


def test_a_residual_block_is_no_wrapper():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.module(x)

    with pytest.raises(HeadError, match="it returns the result of 'add'"):
        find_head(nn.Sequential(nn.Linear(4, 4), Residual()))


def test_the_caller_can_name_the_head():
    network = Hidden()
    assert find_head(network, "body").module is network.body


@pytest.mark.parametrize("path", ["nothing", "out.weight", 3])
def test_a_wrong_name_is_an_error_that_lists_the_layers(path):
    with pytest.raises(HeadError, match=r"no layer .*'out' \(6 → 3\), 'body' \(4 → 6\)"):
        find_head(Hidden(), path)


def test_several_candidates_are_listed_and_none_is_guessed():
    with pytest.raises(HeadError) as error:
        find_head(Unreadable())
    message = str(error.value)
    assert "2 layers are candidates" in message
    assert "'out' (6 → 3), 'body' (4 → 6)" in message
    assert "find_head(network, path='body')" in message


def test_the_number_of_classes_tells_layers_apart():
    assert find_head(Unreadable(), num_classes=3).path == "out"
    assert find_head(Unreadable(), num_classes=6).path == "body"
    with pytest.raises(HeadError, match=r"no linear layers have 5 outputs.*'out'.*'body'"):
        find_head(Unreadable(), num_classes=5)


def test_two_classes_may_have_one_output():
    network = Unreadable()
    network.out = nn.Linear(6, 1)
    assert find_head(network, num_classes=2).num_classes == 2
    network.body = nn.Linear(4, 2)
    with pytest.raises(HeadError, match="2 linear layers have 2 outputs"):
        find_head(network, num_classes=2)


def test_the_only_linear_layer_after_the_convolutions_is_the_head():
    class Net(nn.Module):
        def __init__(self, *layers):
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, x):
            return self.layers[int(x.sum())](x)

    assert find_head(Net(nn.Linear(4, 3))).path == "layers.0"
    assert find_head(Net(nn.Conv2d(3, 4, 1))).path == "layers.0"
    assert find_head(Net(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 3))).path == (
        "layers.2"
    )
    for layers in ([nn.Linear(4, 4), nn.Conv2d(4, 3, 1)], [nn.Conv2d(4, 3, 1), nn.Conv2d(3, 3, 1)]):
        with pytest.raises(HeadError, match="2 layers are candidates"):
            find_head(Net(*layers))


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (nn.Identity(), "ends in a layer of type Identity"),
        (nn.Sequential(), "returns what it was given"),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), "ends in a layer of type Conv2d"),
        (nn.ModuleList([nn.ReLU()]), "ModuleList has no linear layer"),
        (nn.LSTM(3, 4), "ends in a layer of type LSTM"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_absence_is_an_error_that_says_what_to_do(network, problem):
    with pytest.raises(HeadError, match=f"{problem}.*no linear layer to name.*array of class rows"):
        find_head(network)


def test_a_layer_after_the_last_linear_one_is_named():
    with pytest.raises(HeadError, match=r"ends in a layer of type Tanh.*Name the one.*path='2'"):
        find_head(mlp(nn.Tanh()))


@pytest.mark.parametrize("check", [check_classifier, find_head])
def test_probabilities_are_refused(check):
    for network in (mlp(nn.Softmax(1)), nn.Sequential(mlp(), nn.Sequential(nn.Softmax(1)))):
        with pytest.raises(HeadError, match=r"ends in a softmax.*log_softmax may stay"):
            check(network)


@pytest.mark.parametrize("check", [check_classifier, find_head])
def test_multi_label_networks_are_refused(check):
    class Functional(Hidden):
        def forward(self, x):
            return F.sigmoid(super().forward(x))

    for network in (mlp(nn.Sigmoid()), Functional(), nn.DataParallel(Functional())):
        with pytest.raises(HeadError, match=r"ends in a sigmoid over 3 outputs.*multi-label"):
            check(network)
    with pytest.raises(HeadError, match="ends in a sigmoid, which makes it multi-label"):
        check(nn.Sequential(nn.Tanh(), nn.Sigmoid()))


def test_one_probability_is_refused_with_the_way_out():
    with pytest.raises(HeadError, match=r"over one output.*logits \(0, z\)"):
        check_classifier(mlp(nn.Sigmoid(), outputs=1))


def test_a_named_head_is_taken_whatever_follows_it():
    assert find_head(mlp(nn.Softmax(1)), "2").num_classes == 3


def test_a_network_of_which_nothing_is_known_passes():
    for network in (Unreadable(), nn.Identity(), mlp(), nn.Sequential(), mlp(nn.Tanh())):
        check_classifier(network)


@pytest.mark.parametrize("check", [check_classifier, find_head])
@pytest.mark.parametrize(
    ("value", "got"), [(3, "object of type int"), (nn.Linear, "the class Linear itself")]
)
def test_what_is_no_network_is_refused(check, value, got):
    with pytest.raises(HeadError, match=f"is needed; got .*{got}"):
        check(value)


@pytest.mark.parametrize("path", [None, "0"])
def test_what_is_done_to_the_output_is_known_of_a_named_layer_too(path: str | None) -> None:
    class Scaled(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[0](x) * 10

    assert find_head(Scaled(nn.Linear(4, 3)), path).altered
    assert not find_head(nn.Sequential(nn.Linear(4, 3)), path).altered


def test_what_is_not_known_to_leave_the_output_alone_may_alter_it() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) * 10 if x.sum() > 0 else self.fc(x)

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) + self.b(x)

    assert find_head(Branching()).altered
    assert find_head(Branching(), "fc").altered
    assert find_head(Sum(), "a").altered
