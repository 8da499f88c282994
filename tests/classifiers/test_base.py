import sys

import pytest

from nbdt.classifiers import list_networks
from nbdt.classifiers.base import split_name
from nbdt.classifiers.own import NETWORKS
from nbdt.errors import MissingDependencyError, NotFoundError


def test_own_networks():
    assert list_networks("nbdt") == sorted(NETWORKS)


def test_torchvision_has_classifiers_only():
    names = list_networks("torchvision")
    assert {"resnet18", "mobilenet_v2", "vit_b_16"} <= set(names)
    assert not any("rcnn" in name or "raft" in name or "quantized" in name for name in names)


def test_unknown_family():
    with pytest.raises(NotFoundError, match="the libraries are nbdt, timm, torchvision, not 'hub'"):
        list_networks("hub")


@pytest.mark.parametrize(
    ("family", "network", "near"),
    [
        ("torchvision", "resnet51", "resnet50"),
        ("torchvision", "fasterrcnn_resnet50_fpn", "resnet50"),
        ("nbdt", "digit-cnn", "digits-cnn"),
        ("nbdt", "x", "cifar-resnet20"),
    ],
)
def test_unknown_network_lists_near_names(family, network, near):
    with pytest.raises(NotFoundError, match=near):
        split_name(f"{family}:{network}")[0].check_network(network)


def test_timm_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"pip install timm, or .* '\.\[timm\]'"):
        list_networks("timm")


def test_timm_lists_networks_and_tags():
    pytest.importorskip("timm", reason="the extra [timm] is not installed")
    assert {"resnet18", "resnet18.a1_in1k"} <= set(list_networks("timm"))
