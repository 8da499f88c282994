"""timm: networks that users built are built again; data configs and transforms are read."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nbdt import NBDT
from nbdt.classifiers import Builder, as_input
from nbdt.classifiers.base import input_of
from nbdt.classifiers.builder import search_builder
from nbdt.errors import InputError, Note
from nbdt.hierarchy import shapes

timm = pytest.importorskip("timm")


def blueprint(name, **arguments):
    return Builder(name=f"timm:{name}", arguments=arguments).blueprint()


@pytest.mark.parametrize(("name", "arguments"), [
    ("resnet18", {}), ("resnet18", {"num_classes": 7, "in_chans": 1}), ("test_vit", {}),
    ("vit_tiny_patch16_224", {"num_classes": 3, "drop_path_rate": 0.1, "img_size": 64}),
    ("efficientnet_b0", {"num_classes": 5, "drop_rate": 0.3, "drop_path_rate": 0.2}),
    ("levit_128s", {"num_classes": 3}), ("swin_tiny_patch4_window7_224", {"img_size": 448}),
    ("deit_tiny_distilled_patch16_224", {"num_classes": 4}),
])  # fmt: skip
def test_arguments_are_read_from_the_network(name, arguments):
    expected = blueprint(name, **arguments)
    found = search_builder(expected)
    # What is as usual may be given or not.
    assert found.name == f"timm:{name}"
    assert dict(found.arguments) | arguments == dict(found.arguments)


def test_a_replaced_last_layer():
    net = blueprint("resnet18")
    net.fc = nn.Linear(512, 12)
    assert search_builder(net) == Builder(name="timm:resnet18", arguments={"num_classes": 12})
    net.fc = nn.Sequential(nn.Linear(512, 12))
    with pytest.warns(Note, match="fc is a Sequential, not a Linear"):
        assert search_builder(net) is None


def test_a_users_network_is_saved_and_loads_by_itself(tmp_path):
    net = timm.create_model("test_resnet", num_classes=3).eval()
    model = NBDT(net, shapes.flat(3))
    model.save_pretrained(tmp_path / "model")
    again = NBDT.from_pretrained(tmp_path / "model")
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(again.logits(x), model.logits(x))
    assert again.preprocessing == model.preprocessing == as_input(net.pretrained_cfg)
    assert model.predict(Image.new("RGB", (70, 50))).shape == (1,)


@pytest.mark.parametrize("changes", [
    {}, {"crop_mode": "squash", "input_size": (3, 48, 32)}, {"interpolation": "bilinear"},
    {"crop_pct": 1.0, "input_size": (3, 32, 32)}, {"mean": (0.1, 0.2, 0.3)},
])  # fmt: skip
def test_a_data_config_and_its_transform_mean_the_same(changes):
    net = timm.create_model("test_resnet")
    config = timm.data.resolve_model_data_config(net) | changes
    transform = timm.data.create_transform(**config)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((200, 150))
    for ours in (as_input(config), as_input(transform)):
        torch.testing.assert_close(ours(image), transform(image), rtol=1e-6, atol=1e-6)
    with pytest.raises(InputError, match="Random"):
        as_input(timm.data.create_transform(**config, is_training=True))


def test_what_a_network_reads_is_known_unless_its_input_is_another():
    assert input_of(timm.create_model("test_vit", img_size=64)).shape == (3, 64, 64)
    assert input_of(timm.create_model("test_resnet", in_chans=1)) is None
