import warnings

import pytest
import torch
from torch import nn

from nbdt.classifiers import Head, find_head
from nbdt.classifiers.head import checked_layer, describe_layers, linear_layers
from nbdt.errors import HeadError


def test_rows_and_bias_are_the_layers_own():
    layer = nn.Linear(4, 3)
    head = Head("fc", layer)
    assert torch.equal(head.rows, layer.weight)
    assert head.bias is not None
    assert torch.equal(head.bias, layer.bias)
    assert not head.rows.requires_grad
    assert not head.bias.requires_grad
    assert (head.num_classes, head.num_features) == (3, 4)


def test_rows_follow_the_layer():
    layer = nn.Linear(4, 3, bias=False)
    head = Head("fc", layer)
    layer.to(torch.bfloat16)
    with torch.no_grad():
        layer.weight.fill_(7)
    assert head.rows.dtype is torch.bfloat16
    assert (head.rows == 7).all()
    assert head.bias is None


@pytest.mark.parametrize("convolution", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_rows_of_a_convolution_are_flat(convolution):
    head = Head("conv", convolution(5, 3, 1))
    assert tuple(head.rows.shape) == (3, 5)
    assert (head.num_classes, head.num_features) == (3, 5)


def test_one_output_is_two_classes():
    assert Head("fc", nn.Linear(4, 1)).num_classes == 2


def test_rows_need_weights():
    head = Head("fc", nn.Linear(4, 3, device="meta"))
    assert head.num_classes == 3
    with pytest.raises(HeadError, match=r"'fc' is on the meta device.*load"):
        head.rows  # noqa: B018


def test_a_hook_on_the_module_sees_the_features():
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    head = find_head(network)
    features = []
    head.module.register_forward_hook(lambda _module, args, _output: features.append(args[0]))
    logits = network(torch.randn(2, 4))
    torch.testing.assert_close(features[0] @ head.rows.T + head.bias, logits)


def test_parametrized_weights_are_those_the_forward_uses():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    layer.parametrizations.weight.original0.data.mul_(2)
    torch.testing.assert_close(
        Head("fc", layer).rows @ torch.ones(4) + layer.bias, layer(torch.ones(4))
    )


def test_weights_of_the_older_weight_norm_are_not_stale():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer = nn.utils.weight_norm(nn.Linear(4, 3))
    layer.weight_g.data.mul_(2)  # `layer.weight` only follows with the next forward pass
    rows = Head("fc", layer).rows
    layer(torch.ones(4))
    assert torch.equal(rows, layer.weight)


def test_a_layer_that_saw_no_input_is_refused():
    with pytest.raises(HeadError, match=r"'fc' is a LazyLinear.*run one batch"):
        checked_layer(nn.LazyLinear(3), "fc")


def test_quantised_layers_are_refused():
    quantised = type("Linear", (nn.Module,), {"__module__": "torch.ao.nn.quantized.dynamic"})()
    with pytest.raises(HeadError, match=r"'fc' is quantized \(Linear\).*before quantization"):
        checked_layer(quantised, "fc")
    with pytest.raises(HeadError, match="'1' is quantized"):
        find_head(nn.Sequential(nn.Linear(4, 3), quantised))


@pytest.mark.parametrize(
    "weight", [torch.zeros(3, 4, dtype=torch.int8), torch.zeros(6, 1)], ids=["integers", "packed"]
)
def test_packed_weights_are_refused(weight):
    layer = nn.Linear(4, 3)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    with pytest.raises(HeadError, match=r"'fc' are stored as torch.*before quantization"):
        checked_layer(layer, "fc")


def test_what_is_not_linear_is_refused_with_what_is_inside():
    with pytest.raises(HeadError, match=r"'head' is a Seq.*inside it are 'head.1' \(4 → 3\)"):
        checked_layer(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), "head")
    for other in (nn.Conv2d(4, 3, 3), nn.Conv2d(4, 4, 1, groups=2), nn.ReLU()):
        with pytest.raises(HeadError, match=r"not a linear layer or 1×1 convolution\.$"):
            checked_layer(other, "head")


def test_linear_layers_are_listed_once_and_without_torchs_own():
    shared = nn.Linear(4, 4)
    network = nn.ModuleDict(
        {
            "attention": nn.MultiheadAttention(4, 2),
            "first": shared,
            "encoder": nn.TransformerEncoderLayer(4, 2),
            "block": nn.ModuleList([nn.Conv2d(4, 5, 1), shared]),
        }
    )
    assert list(linear_layers(network)) == ["first", "block.0"]


def test_long_lists_show_the_last():
    layers = linear_layers(nn.Sequential(*[nn.Linear(4, i + 1) for i in range(20)]))
    text = describe_layers(layers, "net")
    assert text.startswith("12 others, … 'net.12' (4 → 13), ")
    assert text.endswith("'net.19' (4 → 20)")
