"""torchvision: networks that users built are built again, and its transforms are read."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models as M
from torchvision import transforms as v1
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms._presets import SemanticSegmentation

from nbdt import NBDT
from nbdt.classifiers import Builder, as_input
from nbdt.classifiers.builder import difference, search_builder
from nbdt.errors import InputError, Note
from nbdt.hierarchy import shapes
from nbdt.inputs.image import Preprocessing

FIRST_OF_ITS_CLASS = {
    M.get_model_builder(name).__module__: name for name in M.list_models(module=M)[::-1]
}


def blueprint(name, **arguments):
    return Builder(name=f"torchvision:{name}", arguments=arguments).blueprint()


@pytest.mark.parametrize("name", [
    name if name in FIRST_OF_ITS_CLASS.values() else pytest.param(name, marks=pytest.mark.slow)
    for name in M.list_models(module=M)
])  # fmt: skip
def test_every_classifier_is_found_without_memory(name):
    net = blueprint(name, num_classes=7)
    assert all(parameter.is_meta for parameter in net.parameters())
    assert search_builder(net) == Builder(name=f"torchvision:{name}", arguments={"num_classes": 7})


@pytest.mark.parametrize(("name", "arguments"), [
    ("mobilenet_v2", {"width_mult": 0.35, "num_classes": 5}), ("mobilenet_v2", {"width_mult": 1.4}),
    ("mobilenet_v2", {"width_mult": 0.1}), ("mobilenet_v3_small", {"width_mult": 0.75}),
    ("mobilenet_v3_large", {"width_mult": 1.25, "num_classes": 3, "dropout": 0.5}),
    ("vit_b_16", {"image_size": 384, "dropout": 0.1, "attention_dropout": 0.2}),
    ("swin_t", {"dropout": 0.1, "attention_dropout": 0.3}), ("alexnet", {"dropout": 0.1}),
    ("googlenet", {"aux_logits": False, "num_classes": 4}), ("squeezenet1_1", {"dropout": 0.2}),
    ("googlenet", {"transform_input": True, "dropout": 0.4}), ("densenet121", {"drop_rate": 0.3}),
    ("inception_v3", {"aux_logits": False}), ("convnext_tiny", {"stochastic_depth_prob": 0.3}),
    ("efficientnet_b0", {"dropout": 0.5, "stochastic_depth_prob": 0.4}),
])  # fmt: skip
def test_arguments_are_read_from_the_network(name, arguments):
    found = search_builder(blueprint(name, **arguments))
    assert found == Builder(name=f"torchvision:{name}", arguments=arguments)


@pytest.mark.parametrize(("name", "head", "layer"), [
    ("resnet18", "fc", nn.Linear(512, 12)),
    ("efficientnet_b0", "classifier.1", nn.Linear(1280, 12)),
    ("vit_b_32", "heads.head", nn.Linear(768, 12)),
    ("alexnet", "classifier.6", nn.Linear(4096, 12)),
    ("squeezenet1_0", "classifier.1", nn.Conv2d(512, 12, 1)),
])  # fmt: skip
def test_a_last_layer_for_other_classes_is_no_hindrance(name, head, layer):
    net = blueprint(name)
    net.set_submodule(head, layer)
    expected = Builder(name=f"torchvision:{name}", arguments={"num_classes": 12})
    assert search_builder(net) == expected


def with_stride(net):
    net.conv1.stride = (1, 1)


def with_forward(net):
    net.forward = lambda x: net.fc(x)


@pytest.mark.parametrize(("change", "said"), [
    (lambda net: setattr(net, "fc", nn.Sequential(nn.Dropout(), nn.Linear(512, 12))),
     "torchvision:resnet18 is like it, but here fc is a Sequential, not a Linear"),
    (lambda net: setattr(net, "fc", nn.Linear(512, 12, bias=False)), "fc.bias has shape None"),
    (lambda net: setattr(net, "conv1", nn.Conv2d(1, 64, 7, 2, 3, bias=False)),
     "conv1.in_channels is 1, not 3"),
    (lambda net: setattr(net, "extra", nn.Linear(2, 2)), "extra is there"),
    (with_stride, r"conv1.stride is \(1, 1\), not \(2, 2\)"),
    (with_forward, "forward is <function"),
])  # fmt: skip
def test_a_changed_network_says_what_differs_and_what_to_do(change, said):
    net = blueprint("resnet18")
    change(net)
    with pytest.warns(Note, match=rf"{said}.*pass it, by network=… or, to a command, --network"):
        assert search_builder(net) is None


def test_other_classes_are_not_torchvisions():
    class Mine(M.ResNet):
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert search_builder(Mine(M.resnet.BasicBlock, [1, 1, 1, 1])) is None


@pytest.mark.parametrize("make", [
    partial(M.mobilenet_v2, width_mult=0.25, num_classes=5),
    partial(M.shufflenet_v2_x0_5, num_classes=3),
    partial(M.squeezenet1_1, num_classes=1, dropout=0.1),
])  # fmt: skip
def test_a_users_network_is_saved_and_loads_by_itself(make, tmp_path):
    torch.manual_seed(0)
    net = make().eval()
    x = torch.rand(2, 3, 64, 64)
    classes = max(net(x).shape[1], 2)
    model = NBDT(net, shapes.flat(classes), preprocessing=M.ResNet18_Weights.DEFAULT.transforms())
    model.save_pretrained(tmp_path / "model")
    again = NBDT.from_pretrained(tmp_path / "model")
    assert difference(again.network, net) is None
    assert torch.equal(again.logits(x), model.logits(x))
    assert again.preprocessing == model.preprocessing


# ── transforms ────────────────────────────────────────────────────────────────────────────────

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC, LANCZOS = InterpolationMode.BICUBIC, InterpolationMode.LANCZOS
TO_FLOAT, NORMALIZE = v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)
PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
IMAGES = [Image.fromarray(PIXELS).resize(size) for size in ((60, 41), (300, 500), (9, 9))]


@pytest.mark.parametrize("transform", [
    v1.Compose([v1.Resize(32), v1.CenterCrop(28), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    v1.Compose([v1.Resize((30, 20), BICUBIC), v1.PILToTensor(), v1.ConvertImageDtype(torch.float)]),
    v1.Compose([v1.Compose([v1.CenterCrop((20, 30))]), v1.ToTensor()]), v1.ToTensor(),
    v1.Compose([v1.ToTensor(), v1.Resize([32]), v1.CenterCrop(28), v1.Normalize(0.5, 0.5)]),
    v1.Compose([v1.Resize(32, InterpolationMode.NEAREST_EXACT), v1.ToTensor()]),
    v1.Compose([v1.ToTensor(), v1.Resize((20, 32), antialias=False)]),
    v1.Compose([v1.Resize(32, LANCZOS), v1.ToTensor(), v1.Normalize([0.0] * 3, [2.0] * 3)]),
    v1.Compose([v1.Grayscale(), v1.Resize(32), v1.ToTensor(), v1.Normalize((0.1307,), (0.3081,))]),
    v2.Compose([v2.Resize(32), v2.CenterCrop(28), v2.ToImage(), TO_FLOAT, NORMALIZE]),
    v2.Compose([v2.ToImage(), v2.ToDtype(torch.uint8, scale=True), v2.Resize((32, 24)),
                TO_FLOAT, NORMALIZE, v2.ToPureTensor()]),
    v2.Compose([v2.ToImage(), v2.Resize(32, BICUBIC, antialias=False), v2.ToDtype(torch.float32)]),
    v2.Compose([v2.RGB(), v2.ToImage(), TO_FLOAT, v2.Resize(32), v2.CenterCrop(40)]),
    nn.Sequential(v1.Resize(32), v2.ToImage(), TO_FLOAT),
    SemanticSegmentation(resize_size=40), M.EfficientNet_B3_Weights.DEFAULT.transforms(),
])  # fmt: skip
def test_transforms_are_taken_as_they_are(transform):
    ours = as_input(transform)
    assert Preprocessing.from_dict(ours.to_dict()) == ours
    for image in IMAGES:
        image = image.convert(ours.mode)
        torch.testing.assert_close(
            ours(image), torch.Tensor(transform(image)), rtol=1e-6, atol=1e-6
        )


def test_weights_and_their_transform_before_it_is_called_mean_the_same():
    weights = M.ResNet18_Weights.DEFAULT
    assert as_input(weights) == as_input(weights.transforms) == as_input(weights.transforms())


@pytest.mark.parametrize(("transform", "said"), [
    (v1.Compose([v1.RandomResizedCrop(224), v1.ToTensor()]), "RandomResizedCrop .*for evaluation"),
    (v1.Compose([v1.ToTensor(), v1.Lambda(lambda x: x)]), "Lambda is not understood"),
    (v1.Compose([lambda x: x]), "function is not understood"),
    (v1.Compose([v1.Resize(8)]), "give no floats; add ToTensor"),
    (v1.Compose([v1.CenterCrop(8), v1.Resize(8), v1.ToTensor()]), "Resize is not understood"),
    (v1.Compose([v1.PILToTensor(), v1.Resize(8)]), "Resize is not understood on 8-bit tensors"),
    (v1.Compose([v1.Resize(8, max_size=9), v1.ToTensor()]), "with max_size"),
    (v1.Compose([v1.ToTensor(), NORMALIZE, NORMALIZE]), "Normalize is not"),
    (v1.Compose([v1.ToTensor(), v1.Normalize((0.5,), (0.0,))]), "std must be a positive number"),
    (v1.Compose([v1.Grayscale(3), v1.ToTensor()]), "Grayscale is not understood"),
    (v2.Compose([v2.ToImage(), v2.ToDtype(torch.float16)]), "ToDtype is not understood"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:std evaluated to zero")
def test_transforms_that_are_refused(transform, said):
    with pytest.raises(InputError, match=said):
        as_input(transform)
