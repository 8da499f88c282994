"""What `fit` does to a network, against loops written by hand."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from nbdt.classifiers import build, induce
from nbdt.data.digits import load_digits
from nbdt.errors import InputError
from nbdt.evaluation import accuracy_by_rule
from nbdt.hierarchy import Hierarchy
from nbdt.losses import Ramp, TreeSupervisionLoss
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.training import TrainingConfig, fit
from nbdt.training import learner as learner_module
from nbdt.training import run as run_module
from nbdt.training.checkpoint import Checkpoint
from nbdt.training.learner import Learner
from nbdt.training.order import Batches
from nbdt.training.output import CHECKPOINT
from tests.process_state import random_states
from tests.training.subjects import (
    CLASSES,
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
    scripted,
    trained,
    weights,
)  # fmt: skip

SEEN = points(120, seed=1)


def test_without_the_tree_it_is_an_ordinary_loop_to_the_bit():
    config = CONFIG.replace(loss="cross_entropy")
    found, expected = model(norm=True), network(norm=True)
    records = fit(found, points(), config=config, progress=False)
    losses = by_hand(config, expected, points(), lambda z, y, _: F.cross_entropy(z, y))
    assert_same_weights(found, NBDT(expected, TREE))
    for record, of_epoch in zip(records, [losses[:3], losses[3:6], losses[6:]], strict=True):
        mean = sum(loss * size for loss, size in of_epoch) / 21
        assert record.loss == pytest.approx(mean, rel=1e-6)
    assert found.score == "logsumexp"


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_with_the_tree_it_is_the_loop_of_the_loss_itself(rule):
    config = CONFIG.replace(loss=rule, tree_weight=Ramp(0.5, 3), label_smoothing=0.1)
    loss = TreeSupervisionLoss(TREE, rule=rule, tree_weight=Ramp(0.5, 3), label_smoothing=0.1)
    found, expected = model(), network()
    fit(found, points(), config=config, progress=False)
    by_hand(config, expected, points(), loss)
    assert_same_weights(found, NBDT(expected, TREE))
    assert found.score == "mean"
    assert not found.training


def test_the_average_is_the_plain_recursion():
    expected = network()
    steps = []
    by_hand(
        CONFIG.replace(loss="cross_entropy"), expected, points(),
        lambda z, y, _: F.cross_entropy(z, y),
        lambda of: steps.append({n: v.clone() for n, v in of.state_dict().items()}),
    )  # fmt: skip
    mean = steps[0]
    decays = []
    for taken, state in enumerate(steps[1:], start=1):
        decays.append(min(0.3, (1 + taken) / (10 + taken)))
        mean = {n: decays[-1] * mean[n] + (1 - decays[-1]) * state[n] for n in mean}
    assert decays[:4] == [2 / 11, 3 / 12, 0.3, 0.3]
    found = trained(CONFIG.replace(loss="cross_entropy", average=0.3))
    for name, value in weights(found).items():
        torch.testing.assert_close(value, mean[name], rtol=1e-5, atol=1e-6)
    assert digest(found) != digest(trained(CONFIG.replace(loss="cross_entropy")))


def test_a_short_trainings_average_is_not_that_of_its_first_weights():
    """Nine steps with a decay of 0.999 would leave 99 % of the random start."""
    plain, average = (
        fit(model(), points(), SEEN, CONFIG.replace(average=average), progress=False)[-1]
        for average in (None, 0.999)
    )
    assert average.accuracy["network"] >= plain.accuracy["network"] - 0.1
    start = fit(model(), points(), SEEN, CONFIG.replace(learning_rate=1e-9), progress=False)
    assert average.accuracy["network"] > start[-1].accuracy["network"] + 0.2


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_of_a_batch_give_what_the_whole_does(parts):
    # The last batch of five leaves some of eight parts without a sample.
    assert_same_weights(trained(CONFIG.replace(accumulate=parts)), trained(), atol=2e-6)


def test_clipped_gradients_take_shorter_steps():
    sgd = CONFIG.replace(epochs=1, batch_size=21, momentum=0.0, weight_decay=0.0)
    start, free = weights(model()), weights(trained(sgd))
    short = weights(trained(sgd.replace(clip_norm=0.01)))
    steps = [
        torch.cat([(end[name] - start[name]).flatten() for name in start]) for end in (free, short)
    ]
    assert steps[1].norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)
    torch.testing.assert_close(steps[0] / steps[0].norm(), steps[1] / steps[1].norm(), rtol=0,
                               atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_rate_of_the_head_is_that_of_torchs_groups(optimizer):
    """Against a loop with torch's own parameter groups, over several steps."""
    config = CONFIG.replace(optimizer=optimizer, learning_rate=0.01, head_multiplier=5.0,
                     weight_decay=0.0, schedule="constant")  # fmt: skip
    found, by = trained(config), model()
    groups = [{"params": by.network[0].parameters()},
              {"params": by.network[3].parameters(), "lr": 0.05}]  # fmt: skip
    made = {
        "sgd": lambda: torch.optim.SGD(groups, 0.01, momentum=0.9),
        "adamw": lambda: torch.optim.AdamW(groups, 0.01, betas=(0.9, 0.999), weight_decay=0.0),
    }
    own, loss = made[optimizer](), TreeSupervisionLoss(TREE, tree_weight=1.0)
    batches = Batches(21, 8, seed=0)
    x, y = points().tensors
    by.network.train()
    for epoch in range(3):
        batches.epoch = epoch
        for keys in batches:
            chosen = [index for _, index in keys]
            own.zero_grad()
            loss(by.network(x[chosen]), y[chosen]).backward()
            own.step()
    assert_same_weights(found, by, atol=1e-6)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_norms_keep_their_statistics(frozen):
    of = trained(CONFIG.replace(frozen_norms=frozen), model(norm=True))
    before, after = weights(model(norm=True)), weights(of)
    for name in ("1.running_mean", "1.running_var", "1.num_batches_tracked"):
        assert torch.equal(before[name], after[name]) == frozen
    # Their scales are weights like others.
    assert not torch.equal(before["1.weight"], after["1.weight"])


@pytest.mark.parametrize("change", [
    {"optimizer": "adamw"}, {"momentum": 0.5}, {"weight_decay": 0.1}, {"schedule": "step"},
    {"warmup": 1.0}, {"label_smoothing": 0.1}, {"compat": "2020"}, {"loss": "hard"},
    {"tree_weight": 2.0}, {"network_weight": 0.5}, {"seed": 1}, {"batch_size": 7},
    {"precision": "bfloat16"}, {"head_multiplier": 2.0},
], ids=str)  # fmt: skip
def test_every_setting_changes_what_comes_out(change):
    assert digest(trained(CONFIG.replace(**change))) != digest(trained())


def test_equal_trainings_give_equal_bits_whatever_the_workers():
    first, second, shared = (
        trained(CONFIG, model(dropout=0.3), train=Noisy(), workers=workers) for workers in (0, 0, 2)
    )
    assert digest(first) == digest(second) == digest(shared)
    other = trained(CONFIG.replace(seed=1), model(dropout=0.3), train=Noisy())
    assert digest(other) != digest(first)


# Unchecked, as beartype draws from Python's generator.
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("head_only", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_caller_finds_everything_as_it_was(head_only, deterministic):
    config = CONFIG.replace(head_only=head_only, deterministic=deterministic)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        before = random_states()
        trained(config, model(dropout=0.3), train=Noisy(), val=points())
        assert random_states() == before
        assert torch.get_deterministic_debug_mode() == 1
    finally:
        torch.use_deterministic_algorithms(False)


def test_deterministic_algorithms_are_in_force_while_it_trains():
    seen = []

    class Watched(Noisy):
        def __getitem__(self, index):
            seen.append(torch.get_deterministic_debug_mode())
            return super().__getitem__(index)

    trained(CONFIG.replace(deterministic=True), train=Watched())
    assert set(seen) == {2}
    assert torch.get_deterministic_debug_mode() == 0
    with pytest.raises(InputError):
        trained(CONFIG.replace(deterministic=True), train=TensorDataset(*nan_points()))
    assert torch.get_deterministic_debug_mode() == 0


# ── what is measured ──────────────────────────────────────────────────────────────────────────


def test_supervision_makes_the_tree_decide_better():
    """A network that cross-entropy trained goes on, with and without its tree."""
    found = load_digits()
    train = TensorDataset(found.images[:800], found.labels[:800])
    val = TensorDataset(found.images[800:], found.labels[800:])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build("nbdt:digits-cnn", num_classes=10, in_channels=1)
    config = TrainingConfig(
        epochs=6, loss="cross_entropy", optimizer="adamw", learning_rate=1e-2, batch_size=64
    )
    fit(NBDT(net, induce(net, found.classes)), train, config=config, progress=False)
    of = NBDT(net, induce(net, found.classes))
    start, accuracy = weights(of), {}
    for loss in ("cross_entropy", "soft", "hard"):
        of.network.load_state_dict(start)
        config = config.replace(epochs=2, loss=loss, tree_weight=2.0, learning_rate=3e-3)
        accuracy[loss] = fit(of, train, val, config, progress=False)[-1].accuracy
    control = accuracy["cross_entropy"]
    # A difference of accuracies on 997 digits has a standard error of about 0.01. Supervision
    # gains 0.07 to 0.13, whatever the seed and the number of threads.
    assert control["network"] > 0.85
    assert control["soft logsumexp"] == control["network"]
    for loss in ("soft", "hard"):
        for way in ("soft mean", "hard mean"):
            assert accuracy[loss][way] > control[way] + 0.01
        assert accuracy[loss]["network"] > control["network"] - 0.05


def test_records_say_what_was_measured():
    of, val, seen = model(), points(100, seed=1), []
    config = CONFIG.replace(epochs=2, schedule="step")
    records = fit(of, points(), val, config, progress=False, on_epoch=seen.append)
    table = accuracy_by_rule([(of.logits(val.tensors[0]).detach(), val.tensors[1])], of.hierarchy)
    assert seen == records
    assert [record.epoch for record in records] == [1, 2]
    assert records[-1].accuracy == {
        "network": table.network.accuracy,
        **{f"{rule} {score}": table.row(rule, score).accuracy
           for score in ("logsumexp", "mean") for rule in ("soft", "hard")},
    }  # fmt: skip
    assert [record.learning_rate for record in records] == pytest.approx([0.1, 0.001])
    for record in records:
        assert record.images_per_second == pytest.approx(21 / record.seconds)
        assert record.moved is None
    assert records[1].loss < records[0].loss


# ── patience, and trees that move ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("average", [None, 0.5])
def test_patience_ends_it_and_brings_the_best_back(monkeypatch, average):
    seen = []
    scripted(monkeypatch, [0.9, 0.1, 0.1], lambda run: seen.append(weights(run.kept)))
    of = trained(CONFIG.replace(average=average), val=points())
    # Without patience the last weights stay.
    assert all(torch.equal(value, seen[2][name]) for name, value in weights(of).items())
    assert of.provenance["training"]["epoch"] == 3

    seen.clear()
    scripted(monkeypatch, [0.5, 0.7, 0.7, 0.6, 0.9], lambda run: seen.append(weights(run.kept)))
    config = CONFIG.replace(epochs=5, patience=2, average=average)
    of = model()
    records = fit(of, points(), points(), config, progress=False)
    # 0.7 in the third epoch is no better, so the second is the best and the fourth the last.
    assert [record.epoch for record in records] == [1, 2, 3, 4]
    assert all(torch.equal(value, seen[1][name]) for name, value in weights(of).items())
    assert not torch.equal(seen[1]["0.weight"], seen[3]["0.weight"])
    assert of.provenance["training"]["epoch"] == 2
    assert of.provenance["training"]["accuracy"]["soft mean"] == 0.7


@pytest.mark.parametrize(("loss", "judge"), [("soft", "soft mean"), ("hard", "hard mean"),
                                             ("cross_entropy", "network")])  # fmt: skip
def test_the_best_epoch_is_that_of_what_the_loss_trains(monkeypatch, loss, judge):
    left = iter([0.2, 0.8, 0.5])

    def accuracy(run):
        value = next(left)
        ways = ("network", "soft mean", "hard mean")
        return {way: value if way == judge else 1 - value for way in ways}

    monkeypatch.setattr(run_module.Run, "_accuracy", accuracy)
    of = trained(CONFIG.replace(loss=loss, patience=5), val=points())
    assert of.provenance["training"]["epoch"] == 2


WRONG = Hierarchy([4, 5, 4, 5, 6, 6, -1], CLASSES)


def crossed(seed=0):
    """A network whose rows pair cat with dog, under a tree that pairs cat with car."""
    net = network(seed)
    with torch.no_grad():
        net[3].weight.zero_()
        net[3].weight[:2, 0] = 1.0
        net[3].weight[2:, 1] = 1.0
        net[3].weight += 0.01 * torch.randn(4, 8, generator=torch.Generator().manual_seed(seed))
    return NBDT(net, WRONG)


def test_the_tree_is_rebuilt_between_epochs():
    of = crossed()
    config = CONFIG.replace(retree_every=2, epochs=5, learning_rate=0.001)
    trees = []
    records = fit(
        of, points(), config=config, progress=False,
        on_epoch=lambda record: trees.append(of.hierarchy),
    )  # fmt: skip
    assert [record.moved for record in records] == [None, None, 1.0, None, 0.0]
    assert trees[0] is trees[1] is WRONG
    assert {trees[2].leaves(4), trees[2].leaves(5)} == {(0, 1), (2, 3)}
    assert of.hierarchy.classes == CLASSES
    # The loss follows the tree: the same training without a new tree ends elsewhere.
    other = trained(config.replace(retree_every=None), crossed())
    assert not torch.equal(weights(of)["3.weight"], weights(other)["3.weight"])


def test_the_best_weights_come_with_the_tree_they_had(monkeypatch):
    scripted(monkeypatch, [0.9, 0.1, 0.1, 0.1])
    config = CONFIG.replace(retree_every=1, patience=2, epochs=4, learning_rate=0.001)
    of = crossed()
    records = fit(of, points(), points(), config, progress=False)
    assert records[1].moved == 1.0
    assert of.hierarchy == WRONG


def test_a_tree_that_no_epoch_is_trained_with_is_that_of_the_measured_weights():
    of, val, seen = crossed(), points(40, seed=1), []
    config = CONFIG.replace(loss="cross_entropy", retree_every=2, epochs=4, average=0.5)
    unmoved = trained(config.replace(retree_every=None), crossed())

    def check(record):
        if record.epoch % 2:
            return
        # Within fit the network holds the weights that are trained, not those that are measured.
        seen.append((of.hierarchy, record))

    fit(of, points(), val, config, progress=False, on_epoch=check)
    (_, second), (tree, last) = seen
    assert (second.moved, last.epoch) == (1.0, 4)
    assert of.hierarchy == tree == induce(of.network, CLASSES)
    logits = of.logits(val.tensors[0]).detach()
    table = accuracy_by_rule([(logits, val.tensors[1])], tree)
    assert last.accuracy["hard mean"] == table.row("hard", "mean").accuracy
    assert of.provenance["training"]["accuracy"] == last.accuracy
    # It has no part in the loss.
    assert_same_weights(of, unmoved)


def test_the_trees_of_a_training_are_as_wide_as_the_first_may_be(monkeypatch):
    """Widths are not handed on, or after a tree that happens to be narrow all would be so."""
    wide, narrow = (induce(network()[3], CLASSES, branching=width) for width in (4, 2))
    given = []
    monkeypatch.setattr(
        learner_module, "induce", lambda *_, **options: given.append(options["branching"]) or narrow
    )
    of = trained(CONFIG.replace(retree_every=1), NBDT(network(), wide))
    assert given == [4, 4]
    assert of.hierarchy == narrow
    assert of.provenance["training"]["config"]["branching"] == 4


# ── ways to compute ───────────────────────────────────────────────────────────────────────────


class Pictures(Dataset):
    classes = CLASSES

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.randn(1, 8, 8) + index % 4, index % 4


def test_channels_last_stores_otherwise_and_computes_the_same():
    config = CONFIG.replace(learning_rate=0.01)
    found = trained(config.replace(channels_last=True), convolutional(), train=Pictures())
    plain = trained(config, convolutional(), train=Pictures())
    last = [
        parameter.is_contiguous(memory_format=torch.channels_last)
        for parameter in found.network.parameters()
        if parameter.ndim == 4
    ]
    assert all(last)
    assert_same_weights(found, plain, atol=1e-4)


def test_bfloat16_is_what_layers_compute_in_on_any_device():
    seen = []
    of = model()
    of.network[0].register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    records = fit(of, points(), SEEN, CONFIG.replace(precision="bfloat16"), progress=False)
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in weights(of).values()} == {torch.float32}
    assert records[-1].accuracy["network"] > 0.5
    assert_same_weights(of, trained(), atol=0.05)


def test_mappings_are_passed_as_keyword_arguments():
    class Text(Dataset):
        def __len__(self):
            return 21

        def __getitem__(self, index):
            x, y = points()[index]
            return {"values": x}, int(y)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = network()

        def forward(self, values):
            return {"logits": self.layers(values)}

    for head_only in (False, True):
        config = CONFIG.replace(head_only=head_only)
        found = trained(config, NBDT(Network(), TREE, head="layers.3"), train=Text(), val=Text())
        expected = weights(trained(config))
        for name, value in found.network.layers.state_dict().items():
            assert torch.equal(value, expected[name])


# ── what is refused ───────────────────────────────────────────────────────────────────────────


def nan_points():
    x, y = points().tensors
    return x.index_fill(0, torch.tensor([17]), torch.nan), y


class Stream(IterableDataset):
    def __iter__(self):
        return iter(points())


class Empty(Pictures):
    def __len__(self):
        return 0


class Reordered(Pictures):
    classes = ("dog", "cat", "car", "bus")


class Triples(Noisy):
    def __getitem__(self, index):
        return (*super().__getitem__(index), 0)


class Dicts(Noisy):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return {"x": x, "y": y}


X, Y = points().tensors


@pytest.mark.parametrize(("data", "said"), [
    (Stream(), r"train must be a data set with a length of at least 1"),
    (Empty(), "length of at least 1"),
    (Reordered(), "another order than the classes of the model: class 0 is 'dog' in the data set"),
    (Triples(), r"data must give pairs \(inputs, labels\); got list of 3"),
    (Dicts(), r"data must give pairs \(inputs, labels\); got dict"),
    (TensorDataset(X, Y + 1), r"epoch 1, step \d: a label is 4; with 4 classes .* from 0 to 3"),
    (TensorDataset(X, Y - 1), r"epoch 1, step \d: a label is -1; with 4 classes"),
    # torch's cross-entropy ignores it, but each part of a batch counts with all of its samples.
    (TensorDataset(X, Y.where(Y > 0, -100)), r"a label is -100; .* Leave out samples"),
    (TensorDataset(X, Y == 1), "got torch.bool"),
    (DataLoader(points()), "train is a DataLoader, .* pass loader.dataset"),
    (TensorDataset(X, Y.float()), "epoch 1, step 1: .*probabilities of shape"),
    (TensorDataset(*nan_points()), r"epoch 1, step \d: the loss became nan; lower the learning "
                                   r"rate \(now 0\.\d+\) or the tree's weight, or set clip_norm"),
], ids=lambda value: type(value).__name__ if not isinstance(value, str) else "")  # fmt: skip
def test_data_that_do_not_fit_are_refused(data, said):
    with pytest.raises(InputError, match=said):
        trained(train=data)


def test_validation_data_are_checked_before_training():
    of = model()
    with pytest.raises(InputError, match="class 0 is 'dog' in the data set"):
        trained(of=of, val=Reordered())
    assert_same_weights(of, model())
    with pytest.raises(InputError, match="length of at least 1"):
        trained(val=Empty())
    with pytest.raises(InputError, match="val is a DataLoader"):
        trained(val=DataLoader(points()))


@pytest.mark.parametrize("parts", [1, 3])
def test_probabilities_are_targets_too(parts):
    x, y = points().tensors
    soft = TensorDataset(x, F.one_hot(y, 4).float())
    config = CONFIG.replace(accumulate=parts)
    assert_same_weights(trained(config, train=soft), trained(), atol=2e-6)


def test_a_single_sample_that_is_left_over_is_no_batch_of_its_own():
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, len(CLASSES)))
    data = TensorDataset(torch.randn(9, 4), torch.randint(len(CLASSES), (9,)))
    (record,) = fit(NBDT(network, TREE), data, config=CONFIG.replace(epochs=1, batch_size=4))
    assert np.isfinite(record.loss)


def test_a_temperature_of_the_old_weights_is_forgotten():
    tempered = NBDT(network(), TREE, temperature=Temperature(3.0, {TREE.root: 2.0}))
    trained(CONFIG.replace(epochs=1), tempered)
    assert tempered.temperature == Temperature()


def test_a_loss_beyond_all_bounds_ends_it():
    of = model()
    with pytest.raises(InputError, match=r"epoch \d, step \d: the loss became (nan|inf)"):
        trained(CONFIG.replace(learning_rate=1e20), of)
    assert not of.training


class Rooted(nn.Module):
    """A network whose loss is finite, and whose gradient is not from a certain call on."""

    def __init__(self, good):
        super().__init__()
        self.head, self.left = nn.Linear(6, 4), good
        nn.init.eye_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        # In eval mode for the measuring after an epoch.
        self.left -= self.training
        small = 0.0 * self.head.weight.sum()
        return self.head(x) + small.sqrt() if self.left < 0 else self.head(x)


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_gradient_beyond_all_bounds_ends_it_before_its_step(clip_norm, tmp_path):
    of = NBDT(Rooted(good=4), TREE, head="head")
    config = CONFIG.replace(clip_norm=clip_norm, checkpoint_every=1)
    with pytest.raises(
        InputError, match=r"epoch 2, step 2: the loss is .*, but its gradient .*nan"
    ):
        trained(config, of, folder=tmp_path)
    assert all(value.isfinite().all() for value in weights(of).values())
    kept = Checkpoint.load(tmp_path / CHECKPOINT)
    assert kept.document["position"]["step"] == 1
    assert all(value.isfinite().all() for value in kept.tensors.values())
    # The same training, once what was wrong with it is mended.
    again = NBDT(Rooted(good=10**6), TREE, head="head")
    trained(config, again, folder=tmp_path, resume=True)
    assert_same_weights(again, trained(config, NBDT(Rooted(good=10**6), TREE, head="head")))


@pytest.mark.parametrize("every", [None, 1])
def test_weights_beyond_all_bounds_are_not_kept(every, tmp_path, monkeypatch):
    def too_far(self, *arguments, **settings):
        loss = step(self, *arguments, **settings)
        if settings["progress"] > 0.5:
            with torch.no_grad():
                self.network[0].weight[0, 0] = torch.inf
        return loss

    step = Learner.step
    monkeypatch.setattr(Learner, "step", too_far)
    config = CONFIG.replace(batch_size=21, checkpoint_every=every)
    with pytest.raises(InputError, match="epoch 3, step 1: weights became NaN or infinite"):
        trained(config, folder=tmp_path)
    kept = Checkpoint.load(tmp_path / CHECKPOINT)
    assert kept.document["position"]["epoch"] == 2
    assert all(value.isfinite().all() for value in kept.tensors.values())


@pytest.mark.parametrize(("settings", "said"), [
    ({"config": CONFIG.replace(patience=1)}, "patience needs validation data"),
    ({"tensorboard": True}, "tensorboard writes its logs to the folder; give one"),
    ({"resume": True}, "resume reads a checkpoint from the folder; give one"),
    ({"config": {"epochs": 3}}, "an NBDT, .* got NBDT and dict"),
], ids=str)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        fit(model(), points(), progress=False, **settings)


@pytest.mark.parametrize("retree_every", [None, 1])
def test_a_loss_that_teaches_the_tree_nothing_is_told_once_to_who_trains(retree_every):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = CONFIG.replace(loss="hard", score="logsumexp", retree_every=retree_every)
    with pytest.warns(UserWarning, match="cross-entropy over the class's depth") as told:
        fit(model(), points(), config=config, progress=False)
    assert [warning.filename for warning in told] == [__file__]


def test_only_trees_with_a_network_that_can_learn_are_trained():
    with pytest.raises(InputError, match="got Sequential"):
        fit(network(), points())
    with pytest.raises(InputError, match="the network has no weights to train"):
        fit(NBDT(nn.Identity(), TREE), points())
    frozen = model()
    frozen.network.requires_grad_(False)
    with pytest.raises(InputError, match="no weight of the network may change"):
        fit(frozen, points())
