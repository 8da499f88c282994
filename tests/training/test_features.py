"""The head alone is trained, on features of the rest that are computed once."""

import pytest
import torch
from torch import nn
from torch.utils.data import Subset, TensorDataset

from nbdt.data import Augmentation, load_dataset
from nbdt.errors import HeadError, InputError
from nbdt.hierarchy import Hierarchy
from nbdt.losses import TreeSupervisionLoss
from nbdt.model import NBDT
from nbdt.training import fit
from nbdt.training.features import cached_features
from tests.training.subjects import (
    CONFIG,
    TREE,
    Noisy,
    assert_same_weights,
    by_hand,
    convolutional,
    digest,
    model,
    network,
    points,
    trained,
    weights,
)  # fmt: skip


def test_the_head_alone_is_trained_on_features_of_the_rest():
    config = CONFIG.replace(head_only=True)
    found, whole = model(dropout=0.5, norm=True), network(dropout=0.5, norm=True).eval()
    records = fit(found, points(), points(9), config, progress=False)
    with torch.no_grad():
        features = torch.cat([whole[:4](x) for x in points().tensors[0].split(8)])
    data = TensorDataset(features, points().tensors[1])
    by_hand(config, whole[4], data, TreeSupervisionLoss(TREE, tree_weight=1.0))
    assert_same_weights(found, NBDT(whole, TREE))
    before = weights(model(dropout=0.5, norm=True))
    changed = {n for n, value in weights(found).items() if not torch.equal(value, before[n])}
    assert changed == {"4.weight", "4.bias"}
    answers = found.logits(points(9).tensors[0]).argmax(1)
    assert records[-1].accuracy["network"] == (answers == points(9).tensors[1]).double().mean()
    # Random changes of images are made once, by the seed.
    first, second, other = (
        digest(trained(config.replace(seed=seed), train=Noisy())) for seed in (0, 0, 1)
    )
    assert first == second != other


def test_the_head_alone_sees_images_without_their_random_changes():
    digits = load_dataset("digits", "train").select(range(200))
    changed = digits.with_augmentation(Augmentation(shift=3))

    def features(data):
        found = cached_features(convolutional(), data, batch_size=50, workers=0, seed=0)
        return found.tensors[0]

    four = digits.select(digits.targets < 4)
    assert torch.equal(features(changed), features(digits))
    assert torch.equal(features(Subset(changed, [3, 5])), features(digits)[[3, 5]])
    # Only there: whoever trains all of the network trains it on changed images.
    config, plain = CONFIG.replace(epochs=1), four.filter_classes(four.classes[:4])
    moving = plain.with_augmentation(Augmentation(shift=3))
    tree = Hierarchy(TREE.parents, plain.classes)
    for head_only in (True, False):
        ends = [
            digest(
                trained(
                    config.replace(head_only=head_only),
                    NBDT(convolutional().network, tree),
                    train=of,
                )
            )
            for of in (plain, moving)
        ]
        assert (ends[0] == ends[1]) == head_only


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = network()

    def forward(self, x):
        return 2 * self.layers(x)


class Twice(Scaled):
    def forward(self, x):
        self.layers(x)
        return self.layers(x)


@pytest.mark.parametrize("network", [Scaled(), Twice()], ids=["scaled", "twice"])
def test_a_network_that_does_more_than_its_head_is_not_trained_by_it(network):
    of = NBDT(network, TREE, head="layers.3")
    with pytest.raises(InputError, match="that layer cannot be trained alone; leave head_only out"):
        trained(CONFIG.replace(head_only=True), of)
    assert not network.layers[3]._forward_pre_hooks
    trained(CONFIG, of)


def test_one_output_for_two_classes_is_a_head_too():
    tree = Hierarchy([2, 2, -1], ["no", "yes"])
    of = NBDT(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)), tree)
    x, y = points().tensors
    records = fit(
        of, TensorDataset(x, y % 2), TensorDataset(x, y % 2), CONFIG.replace(head_only=True),
        progress=False,
    )  # fmt: skip
    assert records[-1].loss < records[0].loss


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x):
        return self.one(x) if x.sum() > 1e9 else self.other(x)


@pytest.mark.parametrize("settings", [{"head_only": True}, {"head_multiplier": 2.0}], ids=str)
def test_the_head_is_found_or_has_to_be_named(settings):
    config = CONFIG.replace(**settings)
    with pytest.raises(HeadError, match=r"'one' .*'other'"):
        trained(config, NBDT(Two(), TREE))
    of = NBDT(Two(), TREE, head="other")
    before = weights(of)
    trained(config, of)
    changed = {n for n, value in weights(of).items() if not torch.equal(value, before[n])}
    assert changed == {"other.weight", "other.bias"}
