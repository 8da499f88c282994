import json
import pickle
import re

import pytest
import torch
from torch import nn

from nbdt.classifiers import Builder, builder_of, difference
from nbdt.classifiers.own import CifarResNet, SmallCNN
from nbdt.errors import FormatError, InputError, NotFoundError


class TestBuild:
    @pytest.mark.parametrize(
        ("name", "kind", "shape"),
        [
            ("nbdt:digits-cnn", SmallCNN, (1, 8, 8)),
            ("nbdt:small-cnn", SmallCNN, (1, 28, 28)),
            ("nbdt:cifar-resnet20", CifarResNet, (3, 32, 32)),
        ],
    )
    def test_own_networks(self, name, kind, shape):
        net = Builder(name=name, arguments={"num_classes": 4}).build()
        assert isinstance(net, kind)
        assert net(torch.zeros(2, *shape)).shape == (2, 4)

    def test_in_channels(self):
        net = Builder(name="nbdt:digits-cnn", arguments={"in_channels": 3}).build()
        assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 10)

    @pytest.mark.parametrize(
        ("name", "arguments", "path"),
        [
            ("torchvision:resnet18", {"num_classes": 7}, "fc"),
            ("torchvision:mobilenet_v2", {"num_classes": 7, "width_mult": 0.35}, "classifier.1"),
            ("torchvision:vit_b_32", {"num_classes": 7, "image_size": 32}, "heads.head"),
        ],
    )
    def test_torchvision(self, name, arguments, path):
        net = Builder(name=name, arguments=arguments).blueprint()
        assert net.get_submodule(path).out_features == 7

    # Building them without further ado warns that their initialisation will change.
    @pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
    def test_says_how_to_initialise(self, name):
        assert Builder(name=f"torchvision:{name}", arguments={"aux_logits": False}).blueprint().fc

    def test_unknown(self):
        with pytest.raises(NotFoundError, match="near names: resnet50"):
            Builder(name="torchvision:resnet5o").build()

    def test_argument_that_the_network_does_not_take(self):
        with pytest.raises(InputError, match=r"resnet18 cannot be built with \{'dropout': 0\.5\}"):
            Builder(name="torchvision:resnet18", arguments={"dropout": 0.5}).build()


class TestBlueprint:
    def test_takes_no_memory(self):
        assert all(p.is_meta for p in Builder(name="nbdt:digits-cnn").blueprint().parameters())

    def test_takes_none_even_where_sizes_are_worked_out_with_tensors(self):
        net = Builder(name="torchvision:regnet_y_400mf", arguments={"num_classes": 3}).blueprint()
        assert net.fc.out_features == 3
        assert all(p.is_meta for p in net.parameters())


class TestValidation:
    @pytest.mark.parametrize(
        "name",
        [
            "resnet18",
            "torchvision:",
            "hub:pytorch/vision",
            "timm:hf-hub:someone/model",
            "timm:../../weights",
            "nbdt:os.path/..",
            "torchvision:resnet18\n",
            "nbdt:" + "x" * 101,
        ],
    )
    def test_names(self, name):
        with pytest.raises(InputError, match="name must be"):
            Builder(name=name)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("torchvision:resnet18", {"weights": "DEFAULT"}),
            ("torchvision:resnet18", {"norm_layer": "eval"}),
            ("torchvision:resnet18", {"num_classes": 0}),
            ("torchvision:resnet18", {"num_classes": 10**12}),
            ("torchvision:resnet18", {"num_classes": True}),
            ("torchvision:resnet18", {"num_classes": 10.0}),
            ("torchvision:vit_b_16", {"image_size": 10**6}),
            ("torchvision:mobilenet_v2", {"width_mult": 1e9}),
            ("torchvision:mobilenet_v2", {"width_mult": float("nan")}),
            ("torchvision:googlenet", {"aux_logits": 1}),
            ("timm:resnet18", {"pretrained": True}),
            ("timm:resnet18", {"checkpoint_path": "x.pth"}),
            ("nbdt:digits-cnn", {"widths": [10**9]}),
            ("nbdt:digits-cnn", {1: 2}),
            ("nbdt:digits-cnn", None),
            ("nbdt:digits-cnn", [1]),
        ],
    )
    def test_arguments(self, name, arguments):
        with pytest.raises(InputError):
            Builder(name=name, arguments=arguments)
        with pytest.raises(FormatError):
            Builder.from_dict({"name": name, "arguments": arguments})

    def test_whole_numbers_may_stand_for_shares(self):
        assert (
            Builder(name="torchvision:alexnet", arguments={"dropout": 0})
            .blueprint()
            .classifier[0]
            .p
            == 0
        )


class TestDocument:
    def test_round_trip_through_json(self):
        builder = Builder(
            name="torchvision:googlenet", arguments={"aux_logits": False, "dropout": 0.25}
        )
        assert Builder.from_dict(json.loads(json.dumps(builder.to_dict()))) == builder

    @pytest.mark.parametrize(
        "document", [None, "nbdt:digits-cnn", {}, {"name": "x"}, {"name": 1, "a": 2}, []]
    )
    def test_refuses(self, document):
        with pytest.raises(FormatError):
            Builder.from_dict(document)

    def test_does_not_share_its_arguments(self):
        arguments = {"num_classes": 3}
        builder = Builder(name="nbdt:digits-cnn", arguments=arguments)
        arguments["num_classes"] = 4
        assert builder.arguments == {"num_classes": 3}

    def test_pickles(self):
        builder = Builder(name="nbdt:digits-cnn", arguments={"num_classes": 3})
        assert pickle.loads(pickle.dumps(builder)) == builder


def test_builder_of_reads_the_note():
    net = nn.Linear(2, 2)
    assert builder_of(net) is None
    net.nbdt_builder = "resnet18"
    assert builder_of(net) is None
    net.nbdt_builder = Builder(name="nbdt:digits-cnn")
    assert builder_of(net) == Builder(name="nbdt:digits-cnn")


class TestDifference:
    def test_none_between_twins(self):
        builder = Builder(name="torchvision:mobilenet_v3_small", arguments={"num_classes": 3})
        assert difference(builder.build().eval(), builder.blueprint()) is None

    @pytest.mark.parametrize(
        ("change", "phrase"),
        [
            (lambda net: setattr(net, "fc", nn.Linear(512, 9)), "fc.out_features is 9, not 3"),
            (lambda net: setattr(net, "relu", nn.SiLU()), "relu is a SiLU, not a ReLU"),
            (lambda net: delattr(net, "avgpool"), "avgpool is missing"),
            (lambda net: setattr(net, "extra", nn.ReLU()), "extra is there"),
            (lambda net: setattr(net.bn1, "eps", 0.5), "bn1.eps is 0.5, not 1e-05"),
            (lambda net: setattr(net, "flag", True), "flag is True, not None"),
            (
                lambda net: setattr(net.fc, "bias", nn.Parameter(torch.zeros(1))),
                r"fc.bias has shape \(1,\), not \(3,\)",
            ),
        ],
    )
    def test_names_the_first(self, change, phrase):
        builder = Builder(name="torchvision:resnet18", arguments={"num_classes": 3})
        net = builder.blueprint()
        change(net)
        assert re.fullmatch(phrase, difference(net, builder.blueprint()))

    def test_in_place_is_no_difference(self):
        assert difference(nn.ReLU(inplace=True), nn.ReLU().eval()) is None

    def test_the_whole_is_another(self):
        assert difference(nn.ReLU(), nn.SiLU()) == "it is a ReLU, not a SiLU"
