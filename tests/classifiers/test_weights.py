import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.models import EfficientNet_B1_Weights, GoogLeNet_Weights, ResNet18_Weights
from torchvision.transforms._presets import ImageClassification

from nbdt.classifiers import Builder, build, builder_of, weights_info
from nbdt.classifiers.timm import preprocessing_of as timm_preprocessing
from nbdt.classifiers.torchvision import preprocessing_of as torchvision_preprocessing
from nbdt.errors import InputError, NotFoundError


@pytest.fixture
def downloads(monkeypatch):
    """What torchvision would have downloaded; answers with random weights of the right shape."""
    asked = []

    def state_dict(weights, *args, **kwargs):
        asked.append(weights)
        name = {ResNet18_Weights: "resnet18", GoogLeNet_Weights: "googlenet"}[type(weights)]
        extra = {"init_weights": False} if name == "googlenet" else {}
        return models.get_model(name, **extra).state_dict()

    monkeypatch.setattr(models._api.WeightsEnum, "get_state_dict", state_dict)
    return asked


class TestBuild:
    def test_random_weights_download_nothing(self, downloads):
        net = build("torchvision:resnet18", num_classes=3)
        assert net.fc.out_features == 3
        assert builder_of(net) == Builder(name="torchvision:resnet18", arguments={"num_classes": 3})
        assert not downloads

    def test_weights_by_name(self, downloads):
        net = build("torchvision:resnet18", weights="DEFAULT")
        assert downloads == [ResNet18_Weights.DEFAULT]
        assert builder_of(net) == Builder(name="torchvision:resnet18")

    def test_notes_what_the_weights_changed(self, downloads):
        net = build("torchvision:googlenet", weights="IMAGENET1K_V1").eval()
        again = builder_of(net).build().eval()
        again.load_state_dict(net.state_dict())
        x = torch.rand(1, 3, 64, 64)
        assert again.transform_input
        assert torch.equal(again(x), net(x))

    def test_unknown_weights(self):
        with pytest.raises(NotFoundError, match="has the weights IMAGENET1K_V1, DEFAULT, not 'X'"):
            build("torchvision:resnet18", weights="X")

    def test_classes_of_the_weights_are_fixed(self, downloads):
        with pytest.raises(InputError, match="resnet18 cannot be built"):
            build("torchvision:resnet18", weights="DEFAULT", num_classes=3)

    def test_own_networks_have_none(self):
        with pytest.raises(NotFoundError, match="no published weights"):
            build("nbdt:digits-cnn", weights="DEFAULT")

    def test_unknown_network(self):
        with pytest.raises(NotFoundError, match="near names"):
            build("torchvision:resnet19", weights="DEFAULT")

    def test_no_connection(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise OSError("no route to host")

        monkeypatch.setattr(models._api.WeightsEnum, "get_state_dict", refuse)
        with pytest.raises(NotFoundError, match="could not be fetched: no route to host"):
            build("torchvision:resnet18", weights="DEFAULT")


class TestWeightsInfo:
    def test_torchvision(self, downloads):
        info = weights_info("torchvision:resnet18")
        assert len(info.classes) == 1000
        expected = torchvision_preprocessing(ResNet18_Weights.DEFAULT.transforms())
        assert info.preprocessing == expected
        assert not downloads

    @pytest.mark.parametrize("name", models.list_models(module=models))
    def test_every_network_of_torchvision(self, name):
        for weights in models.get_model_weights(name).__members__:
            if weights == "IMAGENET1K_FEATURES":
                with pytest.raises(NotFoundError, match="has the weights IMAGENET1K_V1, DEFAULT"):
                    weights_info(f"torchvision:{name}", weights)
                continue
            info = weights_info(f"torchvision:{name}", weights)
            assert info.preprocessing.crop
            assert len(set(info.classes)) == 1000


TIMM = {
    "input_size": (3, 224, 224),
    "interpolation": "bicubic",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "crop_pct": 0.95,
    "crop_mode": "center",
}


class TestAgainstTorchvision:
    @pytest.mark.parametrize("size", [(61, 47), (300, 400), (500, 231), (10, 10)])
    @pytest.mark.parametrize(
        "transforms",
        [
            ResNet18_Weights.DEFAULT.transforms(),
            EfficientNet_B1_Weights.DEFAULT.transforms(),
            ImageClassification(crop_size=20, resize_size=30, mean=(0.1,) * 3),
        ],
        ids=["resnet", "efficientnet", "small"],
    )
    def test_gives_the_tensor_of_its_transform(self, transforms, size):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        ours = torchvision_preprocessing(transforms)
        torch.testing.assert_close(ours(image), transforms(image), rtol=1e-6, atol=1e-6)

    def test_refuses_another_transform(self):
        with pytest.raises(InputError, match=r"ImageClassification.*got Identity"):
            torchvision_preprocessing(torch.nn.Identity())


class TestFromTimm:
    def test_center(self):
        found = timm_preprocessing(TIMM)
        assert (found.resize, found.crop, found.interpolation) == (235, (224, 224), "bicubic")

    def test_squash_resizes_both_sides(self):
        found = timm_preprocessing({**TIMM, "input_size": (3, 100, 80), "crop_mode": "squash"})
        assert found.resize == (105, 84)

    def test_one_channel_is_grey(self):
        grey = {**TIMM, "input_size": (1, 28, 28), "mean": (0.5,), "std": (0.5,)}
        assert timm_preprocessing(grey).mode == "L"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"crop_mode": "border"}, "crop_mode 'border' is not supported"),
            ({"input_size": (3, 224, 192)}, "for square inputs"),
            ({"input_size": (5, 224, 224)}, "is not complete"),
            ({"crop_pct": 0}, "is not complete"),
            ({"mean": None}, "is not complete"),
            ({"interpolation": "random"}, "interpolation: Input should be"),
        ],
    )
    def test_refuses(self, change, message):
        with pytest.raises(InputError, match=message):
            timm_preprocessing({**TIMM, **change})

    def test_refuses_what_is_incomplete(self):
        with pytest.raises(InputError, match="input_size"):
            timm_preprocessing({})


class TestTimm:
    @pytest.fixture(autouse=True)
    def timm(self):
        return pytest.importorskip("timm", reason="the extra [timm] is not installed")

    def test_random_weights(self):
        net = build("timm:resnet18", num_classes=3, in_chans=1).eval()
        assert net(torch.zeros(1, 1, 32, 32)).shape == (1, 3)
        assert builder_of(net).build().fc.out_features == 3

    def test_weights_by_tag(self, timm, monkeypatch):
        asked = {}
        create = timm.create_model

        def create_model(name, pretrained=False, **arguments):
            asked[name] = pretrained
            return create(name, **arguments)

        monkeypatch.setattr(timm, "create_model", create_model)
        net = build("timm:resnet18", weights="a1_in1k")
        assert asked == {"resnet18.a1_in1k": True}
        assert builder_of(net) == Builder(name="timm:resnet18.a1_in1k")

    def test_unknown_tag(self):
        with pytest.raises(NotFoundError, match=r"resnet18\.a1_in1k.*, not resnet18\.x"):
            build("timm:resnet18", weights="x")

    def test_unknown_network(self):
        with pytest.raises(NotFoundError, match="near names"):
            build("timm:resnet18.nobody", num_classes=3)

    def test_info(self):
        info = weights_info("timm:resnet50", "a1_in1k")
        assert info.classes == weights_info("torchvision:resnet50").classes
        assert (info.preprocessing.crop, info.preprocessing.resize) == ((224, 224), 235)
        assert weights_info("timm:resnet50").preprocessing.interpolation == "bicubic"

    def test_preprocessing_is_that_of_timm(self, timm):
        config = timm.data.resolve_data_config(
            pretrained_cfg=timm.get_pretrained_cfg("resnet50.a1_in1k").to_dict()
        )
        image = Image.radial_gradient("L").convert("RGB").resize((300, 280))
        expected = timm.data.create_transform(**config)(image)
        found = timm_preprocessing(config)(image)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
