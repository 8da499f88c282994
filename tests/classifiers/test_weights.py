import pytest
import torch
from torchvision import models
from torchvision.models import GoogLeNet_Weights, ResNet18_Weights

from nbdt.classifiers import Builder, build, builder_of, weights_info
from nbdt.errors import InputError, NotFoundError
from nbdt.inputs.image import Preprocessing


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
        assert builder_of(net) == Builder("torchvision:resnet18", {"num_classes": 3})
        assert not downloads

    def test_weights_by_name(self, downloads):
        net = build("torchvision:resnet18", weights="DEFAULT")
        assert downloads == [ResNet18_Weights.DEFAULT]
        assert builder_of(net) == Builder("torchvision:resnet18")

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
        expected = Preprocessing.from_torchvision(ResNet18_Weights.DEFAULT.transforms())
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
        assert builder_of(net) == Builder("timm:resnet18.a1_in1k")

    def test_unknown_tag(self):
        with pytest.raises(NotFoundError, match=r"resnet18\.a1_in1k.*, not resnet18\.x"):
            build("timm:resnet18", weights="x")

    def test_unknown_network(self):
        with pytest.raises(NotFoundError, match="near names"):
            build("timm:resnet18.nobody", num_classes=3)

    def test_info(self):
        info = weights_info("timm:resnet50", "a1_in1k")
        assert info.classes is None
        assert (info.preprocessing.crop, info.preprocessing.resize) == ((224, 224), 235)
        assert weights_info("timm:resnet50").preprocessing.interpolation == "bicubic"

    def test_preprocessing_is_that_of_timm(self, timm):
        from PIL import Image

        config = timm.data.resolve_data_config(
            pretrained_cfg=timm.get_pretrained_cfg("resnet50.a1_in1k").to_dict()
        )
        image = Image.radial_gradient("L").convert("RGB").resize((300, 280))
        expected = timm.data.create_transform(**config)(image)
        found = Preprocessing.from_timm(config)(image)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
