"""The layer that GradCAM looks at is found in networks of all makes, or asked for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

import nbdt
from nbdt.attribution import decision_saliency
from nbdt.attribution.layers import feature_layer
from nbdt.classifiers import build
from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy.shapes import balanced


def model_of(network, classes=4):
    return nbdt.NBDT(network, balanced(classes)).eval()


def named(name, **arguments):
    return model_of(build(name, num_classes=4, **arguments))


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("nbdt:digits-cnn", 8, "features"),
        ("nbdt:small-cnn", 8, "features"),
        ("nbdt:cifar-resnet20", 32, "layer3"),
        ("torchvision:resnet18", 64, "layer4"),
        ("torchvision:mobilenet_v2", 64, "features"),
        ("torchvision:squeezenet1_1", 64, "classifier.2"),
        ("torchvision:shufflenet_v2_x0_5", 64, "conv5"),
        ("torchvision:swin_t", 64, "permute"),
    ],
)
def test_networks_known_by_name(name, side, layer):
    model = named(name)
    channels = 1 if name in ("nbdt:digits-cnn", "nbdt:small-cnn") else 3
    x = torch.rand(1, channels, side, side)
    assert feature_layer(model, x) == layer
    found = decision_saliency(model, x, model.hierarchy.root, method="grad_cam")
    assert (found.method, found.layer) == ("grad_cam", layer)
    assert found.attribution.shape == (side, side)
    assert found.attribution.isfinite().all()
    assert found.attribution.abs().max() > 0


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet18", "layer4"), ("efficientnet_b0", "bn2")],
)
def test_networks_of_timm(name, layer):
    pytest.importorskip("timm", reason="networks of timm are the extra [timm]")
    assert feature_layer(named(f"timm:{name}"), torch.rand(1, 3, 64, 64)) == layer


def test_tokens_are_no_map():
    network = VisionTransformer(32, 16, 2, 2, hidden_dim=24, mlp_dim=24, num_classes=4)
    model = model_of(network)
    x = torch.rand(1, 3, 32, 32)
    with pytest.raises(InputError) as error:
        feature_layer(model, x)
    message = str(error.value)
    assert "VisionTransformer come from tokens (layer 'encoder', output (1, 5, 24))" in message
    assert "method='integrated_gradients' or 'occlusion'" in message
    assert message.endswith("layer=…: 'conv_proj'.")
    assert feature_layer(model, x, "conv_proj") == "conv_proj"
    found = decision_saliency(model, x, 6, method="grad_cam", layer="conv_proj")
    assert found.attribution.shape == (32, 32)


def test_tokens_of_timm_are_no_map_either():
    pytest.importorskip("timm", reason="networks of timm are the extra [timm]")
    model = named("timm:vit_tiny_patch16_224", img_size=32)
    with pytest.raises(InputError, match="come from tokens"):
        feature_layer(model, torch.rand(1, 3, 32, 32))


def test_channels_that_come_last_are_no_map():
    pytest.importorskip("timm", reason="networks of timm are the extra [timm]")
    model = named("timm:swin_tiny_patch4_window7_224")
    with pytest.raises(
        InputError, match=r"'norm' has the shape \(1, 7, 7, 768\), which is not a map"
    ):
        feature_layer(model, torch.rand(1, 3, 224, 224))


class TwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(1, 3, 3, padding=1)
        self.right = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        parts = [self.left(x), self.right(x)]
        return self.head(torch.cat([part.mean((2, 3)) for part in parts], 1))


def test_two_ends_are_not_told_apart_by_a_guess():
    model, x = model_of(TwoBranches()), torch.rand(1, 1, 6, 6)
    with pytest.raises(InputError) as error:
        feature_layer(model, x)
    message = str(error.value)
    assert "'left'" in message.partition(";")[0]
    assert "'right'" in message.partition(";")[0]
    assert message.endswith("Layers that give a map: 'left', 'right.0', 'right.1', 'right'.")
    left, right = (
        decision_saliency(model, x, 6, method="grad_cam", layer=layer).attribution
        for layer in ("left", "right")
    )
    assert not torch.allclose(left, right)


class OneReLU(nn.Module):
    """The same layer is called for the map and, later, for the features."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 5, 3, padding=1)
        self.relu = nn.ReLU()
        self.hidden, self.head = nn.Linear(5, 6), nn.Linear(6, 4)

    def forward(self, x):
        features = self.relu(self.second(self.relu(self.first(x))))
        return self.head(self.relu(self.hidden(features.mean((2, 3)))))


def test_a_layer_called_again_later_is_not_taken():
    assert feature_layer(model_of(OneReLU()), torch.rand(1, 1, 6, 6)) == "second"


def test_no_map_at_all():
    model = model_of(nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    with pytest.raises(InputError, match=r"not clear \(none\).*Layers that give a map: none"):
        feature_layer(model, torch.rand(1, 1, 4, 4))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pair = nn.Conv2d(1, 4, 3), Pair()
        self.unused = nn.Conv2d(1, 1, 1)
        self.strip = nn.AdaptiveAvgPool2d((1, 4))

    def forward(self, x):
        kept, _ = self.pair(F.relu(self.conv(x)))
        return self.strip(kept).mean((2, 3))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("pair", "'pair' gives no tensor"),
        ("unused", "'unused' gives no tensor when the network is called"),
        ("strip", r"'strip' has the shape \(1, 4, 1, 4\), which is not a map .* of 9×9 pixels"),
    ],
)
def test_a_layer_named_that_gives_no_map(layer, said):
    model, x = model_of(Odd()), torch.rand(1, 1, 9, 9)
    with pytest.raises(InputError, match=said):
        feature_layer(model, x, layer)
    assert feature_layer(model, x, "conv") == "conv"


def test_a_layer_that_is_not_there_is_listed_by_what_is():
    with pytest.raises(NotFoundError, match=r"no layer 'layer5'; its layers are …, .*'fc'\."):
        feature_layer(named("torchvision:resnet18"), torch.rand(1, 3, 64, 64), "layer5")


def test_uneven_inputs_have_uneven_maps():
    model = named("torchvision:resnet18")
    assert feature_layer(model, torch.rand(1, 3, 64, 256)) == "layer4"
    found = decision_saliency(model, torch.rand(1, 3, 64, 256), 6, method="grad_cam")
    assert found.attribution.shape == (64, 256)
