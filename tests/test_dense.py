"""A small segmentation network, from training to maps, explanations and measures."""

import math

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

import nbdt
from nbdt.errors import InputError
from nbdt.evaluation import evaluate_maps

SIDE = 24
NAMES = [*map(str, range(10)), "background"]


def canvases(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits pasted on canvases, and what each pixel shows: 0 to 9, or 10 for the background."""
    digits, generator = load_digits(), np.random.default_rng(seed)
    images = np.zeros((count, 1, SIDE, SIDE), dtype=np.float32)
    labels = np.full((count, SIDE, SIDE), 10)
    for image, label in zip(images[:, 0], labels, strict=True):
        for corner in ((0, 0), (0, 12), (12, 0), (12, 12)):
            chosen = generator.integers(len(digits.target))
            top, left = np.array(corner) + generator.integers(0, 5, 2)
            place = slice(top, top + 8), slice(left, left + 8)
            image[place] = digits.images[chosen] / 16
            label[place][digits.images[chosen] > 3] = digits.target[chosen]
    return torch.from_numpy(images), torch.from_numpy(labels)


class SmallNet(nn.Module):
    """Three convolutions at half the size, a 1×1 convolution, and linear upsampling."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, kernel, stride in ((1, 16, 5, 2), (16, 32, 5, 1), (32, 32, 3, 1)):
            layers.append(nn.Conv2d(before, after, kernel, stride, kernel // 2))
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.classify = nn.Conv2d(32, 11, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": interpolate(self.classify(self.body(x)), x.shape[-2:], mode="bilinear")}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SmallNet()
    images, labels = canvases(1500, seed=0)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=150)
    for x, y in zip(images.split(10), labels.split(10), strict=True):
        cross_entropy(network(x)["out"], y).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return network.eval()


@pytest.fixture(scope="module")
def model(network: nn.Module) -> nbdt.NBDT:
    return nbdt.NBDT(network, nbdt.induce(network, NAMES))


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    return canvases(30, seed=1)


def test_the_head_is_the_last_convolution(network: nn.Module) -> None:
    head = nbdt.find_head(network)
    assert (head.path, head.num_classes, head.altered) == ("classify", 11, False)


def test_predicts_maps_by_rule(model: nbdt.NBDT, pictures) -> None:
    images, _ = pictures
    probabilities = model.predict_proba(images)
    assert probabilities.shape == (30, 11, SIDE, SIDE)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(30, SIDE, SIDE))
    torch.testing.assert_close(model(images).exp(), probabilities)
    with torch.no_grad():
        own = model.network(images)["out"]
    assert model.predict(images).equal(own.max(1).indices)
    agreement = (model.predict(images, "hard") == own.argmax(1)).float().mean().item()
    assert agreement > 0.9


def test_the_trees_answers_are_far_better_than_chance(model: nbdt.NBDT, pictures) -> None:
    images, labels = pictures
    table = evaluate_maps(model, [(images, labels)])
    for rule in ("soft", "hard"):
        row = table.row(rule, "logsumexp")
        assert row.mean_iou > 0.35
        assert row.nodes[10] > 0.8  # the background
    # A group contains its classes' confusions with each other.
    assert max(one for one in table.row("hard", "logsumexp").nodes[11:-1]) > table.network.mean_iou


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_a_site_is_explained_as_the_map_answers_it(model: nbdt.NBDT, pictures, rule: str) -> None:
    images, _ = pictures
    answers, probabilities = model.predict(images, rule), model.predict_proba(images)
    for sample, found in enumerate(model.explain(images, rule, at=(5, 6))):
        assert found.prediction == answers[sample, 5, 6]
        expected = probabilities[sample, found.prediction, 5, 6].item()
        assert found.probability == pytest.approx(expected, abs=1e-6)
        assert found.to_dict()["sites"] == {
            "shape": [SIDE, SIDE], "count": 1, "first": [5, 6], "last": [5, 6]
        }  # fmt: skip
        assert nbdt.Explanation.from_dict(found.to_dict()) == found
        assert str(found).startswith("For row 5, column 6 of a map of 24 × 24 sites:\nPredicted")


def test_a_region_is_explained_by_its_mean_logits(model: nbdt.NBDT, pictures) -> None:
    images, labels = pictures
    digits = labels != 10
    found = model.explain(images, region=digits)
    whole = nbdt.NBDT(nn.Identity(), model.hierarchy)
    for sample, explanation in enumerate(found):
        logits = model.logits(images)[sample][:, digits[sample]]
        [expected] = whole.explain(logits.double().mean(1)[None])
        assert explanation.prediction == expected.prediction
        assert explanation.probability == pytest.approx(expected.probability, abs=1e-5)
        assert explanation.sites.count == digits[sample].sum()
    [background] = model.explain(images[:1], region=~digits[0].numpy())
    assert background.prediction_name == "background"


def test_paths_have_a_row_for_each_site(model: nbdt.NBDT, pictures) -> None:
    images, _ = pictures
    paths = model.decision_path(images[:2], "hard")
    answers = model.predict(images[:2], "hard").flatten().tolist()
    assert paths.shape == (2 * SIDE * SIDE, len(model.hierarchy))
    for row in (0, 300, 1000):
        assert set(paths[row].indices) == set(model.hierarchy.path(answers[row]))


@pytest.mark.parametrize("where", [{}, {"at": (0, 0), "region": np.ones((SIDE, SIDE), dtype=bool)}])
def test_a_map_is_explained_somewhere(model: nbdt.NBDT, where: dict) -> None:
    said = r"24 × 24 sites a sample, so explain needs at=\(row, column\) or region=mask"
    with pytest.raises(InputError, match=said):
        model.explain(torch.zeros(1, 1, SIDE, SIDE), **where)


def test_only_maps_have_sites() -> None:
    model = nbdt.NBDT(nn.Identity(), nbdt.Hierarchy([2, 2, -1], ["cat", "dog"]))
    with pytest.raises(InputError, match="this network gives one answer a sample; leave at out"):
        model.explain(torch.zeros(1, 2), at=(0, 0))


@pytest.mark.parametrize("call", ["predict", "predict_proba", "decision_path"])
def test_nan_and_maps_without_sites_are_refused(call: str) -> None:
    model = nbdt.NBDT(nn.Identity(), nbdt.Hierarchy([2, 2, -1], ["cat", "dog"]))
    logits = torch.zeros(1, 2, 3, 3)
    logits[0, 1, 2, 0] = math.nan
    with pytest.raises(InputError, match=r"NaN at site \(2, 0\) of sample 0"):
        getattr(model, call)(logits)
    with pytest.raises(InputError, match="a map needs sites"):
        getattr(model, call)(torch.zeros(1, 2, 0, 3))


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"])
def test_networks_of_torchvision_are_saved_alone(name: str, tmp_path) -> None:
    network = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=3
    ).eval()
    model = nbdt.NBDT(network, nbdt.induce(network, ["sky", "road", "car"]))
    x = torch.rand(1, 3, 32, 48)
    assert model.predict(x, "hard").shape == (1, 32, 48)
    model.save_pretrained(tmp_path / "model")
    again = nbdt.NBDT.from_pretrained(tmp_path / "model")
    assert again.predict_proba(x).equal(model.predict_proba(x))


SEGFORMER = {"depths": [1] * 4, "hidden_sizes": [8] * 4, "num_attention_heads": [1] * 4}
SMALL = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
IMAGE = {"intermediate_size": 16, "image_size": 32, "patch_size": 4}
OTHERS = [
    ("Segformer", SEGFORMER | {"decoder_hidden_size": 8}, "decode_head.classifier"),
    ("Beit", SMALL | IMAGE | {"out_indices": [0, 1, 2, 3]}, "decode_head.classifier"),
    (
        "DPT",
        SMALL | IMAGE | {"backbone_out_indices": [0, 1, 2, 3], "fusion_hidden_size": 8,
                         "neck_hidden_sizes": [8] * 4, "is_hybrid": False},
        "head.head.4",
    ),
    ("MobileViT", {"image_size": 32}, "segmentation_head.classifier.convolution"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "path"), OTHERS, ids=[one[0] for one in OTHERS])
def test_networks_of_transformers_name_their_classes(kind: str, options: dict, path: str) -> None:
    transformers = pytest.importorskip("transformers")
    names = {0: "sky", 1: "road", 2: "car"}
    config = getattr(transformers, f"{kind}Config")(id2label=names, **options)
    network = getattr(transformers, f"{kind}ForSemanticSegmentation")(config).eval()
    assert nbdt.find_head(network).path == path
    model = nbdt.NBDT(network, nbdt.induce(network))
    assert model.classes == tuple(names.values())
    answers = model.predict(torch.rand(1, 3, 32, 32))
    assert answers.ndim == 3
    [found] = model.explain(torch.rand(1, 3, 32, 32), at=(0, 0))
    assert found.sites.shape == answers.shape[1:]


def test_labels_of_tokens_are_maps_with_one_axis() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.classifier(x).movedim(-1, 1)

    network = Tokens()
    model = nbdt.NBDT(network, nbdt.induce(network, ["noun", "verb", "other"]))
    assert model.predict(torch.rand(2, 7, 4)).shape == (2, 7)
    assert model.explain(torch.rand(2, 7, 4), at=5)[1].sites.first == (5,)
