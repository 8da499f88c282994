"""Heads of networks in every form that torch gives them: the rows are those that are used."""

import warnings
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from nbdt import NBDT, induce
from nbdt.classifiers import find_head
from nbdt.errors import HeadError, InputError
from tests.classifiers.networks import Hidden

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def old(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return function(*args, **options)


def built(wrap=lambda layer: layer, seed=0):
    torch.manual_seed(seed)
    network = Hidden()
    network.out = wrap(network.out)
    return network.eval()


def quiet(make):
    def build(network):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(network)

    return build


def features(network, x=X):
    return torch.relu(F.linear(x, network.body.weight, network.body.bias))


def clades(tree):
    return {frozenset(tree.leaves(v)) for v in tree.inner}


# ── layers whose weights are computed ─────────────────────────────────────────────────────────


def pruned(layer):
    prune.l1_unstructured(layer, "weight", amount=0.4)
    prune.random_unstructured(layer, "bias", amount=1)
    return layer


class Tripled(nn.Module):
    def forward(self, weight):
        return 3 * weight


def tripled(layer):
    nn.utils.parametrize.register_parametrization(layer, "weight", Tripled())
    return layer


def hooked(layer):
    """What older libraries do: the weight is set in each forward pass."""
    layer.base = nn.Parameter(layer.weight.detach().clone())
    del layer.weight

    def set_weight(module, _args):
        module.weight = module.base * 2

    layer.register_forward_pre_hook(set_weight)
    layer.weight = layer.base * 2
    return layer


COMPUTED = {
    "pruned": pruned,
    "weight norm": parametrizations.weight_norm,
    "older weight norm": partial(old, nn.utils.weight_norm),
    "spectral norm": parametrizations.spectral_norm,
    "older spectral norm": nn.utils.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "any parametrization": tripled,
    "any hook": hooked,
}


@pytest.mark.parametrize("wrap", COMPUTED.values(), ids=COMPUTED)
@pytest.mark.parametrize("training", [False, True])
def test_rows_are_those_of_the_next_forward_pass(wrap, training):
    trained, network = built(wrap, seed=1), built(wrap, seed=2)
    for one in (trained, network):
        one(X)
    network.load_state_dict(trained.state_dict())
    network.train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    head = find_head(network)
    rows, bias = head.rows, head.bias
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), f"reading rows changed {name}"
    logits = network.eval()(X)
    torch.testing.assert_close(features(network) @ rows.T + bias, logits)
    assert clades(induce(network)) == clades(induce(trained))


def test_a_hook_that_needs_a_real_input_is_a_reason():
    network = built(hooked)
    network.out.register_forward_pre_hook(lambda _module, args: args[1])
    with pytest.raises(HeadError, match="set by a forward hook, which failed without a real input"):
        find_head(network).rows  # noqa: B018


class Normed(nn.Linear):
    def forward(self, x):
        return F.linear(x, F.normalize(self.weight), self.bias)


class Squared(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight, self.bias) ** 2


class Cast(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight, self.bias).float()


def test_a_class_may_make_something_else_of_its_weights():
    network = built(lambda layer: Normed(6, 3))
    for head in (find_head(network), find_head(network, "out")):
        torch.testing.assert_close(features(network) @ head.rows.T + head.bias, network(X))
        assert head.altered
    network = built(lambda layer: Squared(6, 3))
    for path in (None, "out"):
        with pytest.raises(HeadError, match="Squared, whose forward returns the result of 'pow'"):
            find_head(network, path)
    head = find_head(built(lambda layer: Cast(6, 3)))
    assert (head.path, head.altered, head.detached) == ("out", False, False)


# ── programs ──────────────────────────────────────────────────────────────────────────────────

BATCH = {0: torch.export.Dim("batch")}
PROGRAMS = {
    "scripted": quiet(torch.jit.script),
    "traced": quiet(lambda net: torch.jit.trace(net, X)),
    "frozen": quiet(lambda net: torch.jit.freeze(torch.jit.script(net))),
    "fx": torch.fx.symbolic_trace,
    "exported": lambda net: torch.export.export(net, (X,), dynamic_shapes=(BATCH,)).module(),
    "program": lambda net: torch.export.export(net, (X,), dynamic_shapes=(BATCH,)),
    "compiled": torch.compile,
    "parallel": nn.DataParallel,
    "inside": quiet(lambda net: nn.Sequential(nn.Identity(), torch.jit.script(net))),
}


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_programs(make, tmp_path):
    network = built()
    program = make(network)
    head = find_head(program)
    assert head.path.endswith("out")
    torch.testing.assert_close(head.rows, network.out.weight.detach())
    torch.testing.assert_close(head.bias, network.out.bias.detach())
    assert not head.altered
    assert find_head(program, num_classes=3).path == head.path
    if make is not PROGRAMS["program"]:
        torch.testing.assert_close(find_head(program, head.path).rows, head.rows)
    tree = induce(program, ["cat", "dog", "car"])
    if make is PROGRAMS["compiled"]:
        return  # compiling it takes a compiler and seconds
    model = NBDT(program, tree, score="mean")
    expected = NBDT(network, tree, score="mean")
    for mode in (True, False):
        model.train(mode)
        torch.testing.assert_close(model.predict_proba(X), expected.predict_proba(X))
    assert [one.to_dict() for one in model.explain(X)] == [
        one.to_dict() for one in expected.explain(X)
    ]
    model.save_pretrained(tmp_path / "m")
    again = NBDT.from_pretrained(tmp_path / "m", make(built(seed=3)))
    if make is not PROGRAMS["frozen"]:  # which has no weights of its own
        torch.testing.assert_close(again.predict_proba(X), expected.predict_proba(X))


def test_a_program_for_another_batch_is_a_sentence():
    program = torch.export.export(built(), (X,))
    model = NBDT(program, induce(program))
    assert model.predict(X).shape == (5,)
    with pytest.raises(InputError, match=r"does not take this batch .*dynamic_shapes"):
        model.predict(X[:2])


def test_a_scripted_network_that_looks_at_values():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            x = self.body(x)
            return self.fc(x) if x.sum() > 0 else -self.fc(x)

    scripted = quiet(torch.jit.script)(Branching())
    with pytest.raises(HeadError, match=r"result of 'If'.*'body' \(4 → 6\), 'fc' \(6 → 3\)"):
        find_head(scripted)
    head = find_head(scripted, "fc")
    assert head.altered
    torch.testing.assert_close(head.rows, scripted.fc.weight.detach())


# ── tensors of other classes ──────────────────────────────────────────────────────────────────


@pytest.fixture
def mesh(tmp_path):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.device_mesh.init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_sharded_weights(mesh, tmp_path):
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import distribute_tensor

    network, plain = built(), built()
    fully_shard(network, mesh=mesh)
    head = find_head(network)
    torch.testing.assert_close(head.rows, plain.out.weight.detach())
    assert not head.altered
    tree = induce(network)
    assert clades(tree) == clades(induce(plain))
    model = NBDT(network, tree, score="mean")
    assert torch.equal(model.predict(X), NBDT(plain, tree, score="mean").predict(X))
    assert len(model.explain(X)) == 5
    model.save_pretrained(tmp_path / "m")
    again = NBDT.from_pretrained(tmp_path / "m", built(seed=3))
    torch.testing.assert_close(again.network(X), plain(X))
    rows = torch.randn(5, 8)
    assert clades(induce(distribute_tensor(rows, mesh))) == clades(induce(rows))


def test_quantized_by_torchao(tmp_path):
    quantization = pytest.importorskip("torchao.quantization")
    network = built()
    quiet(lambda net: quantization.quantize_(net, quantization.Int8WeightOnlyConfig()))(network)
    head = find_head(network)
    torch.testing.assert_close(head.rows, built().out.weight.detach(), atol=0.01, rtol=0)
    model = NBDT(network, induce(network), score="mean")
    assert len(model.explain(X)) == 5
    with pytest.raises(InputError, match=r"out\.weight .*quantization makes.*cannot hold"):
        model.save_pretrained(tmp_path / "m")


class Named(Tensor):
    """A tensor with a note, as fastai has them."""


def test_rows_of_other_classes_and_layouts():
    rows = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    expected = clades(induce(rows))
    nested = torch.nested.nested_tensor(list(rows), layout=torch.jagged)
    for other in (rows.as_subclass(Named), nn.Parameter(rows), rows.to_sparse(), nested):
        assert clades(induce(other)) == expected
    ragged = torch.nested.nested_tensor([rows[0], rows[1, :3]], layout=torch.jagged)
    with pytest.raises(InputError, match="rows of this nested tensor have different lengths"):
        induce(ragged)


# ── heads that are not one layer ──────────────────────────────────────────────────────────────


class Own(Hidden):
    def __init__(self, forward):
        super().__init__()
        self.other = nn.Linear(6, 3)
        self.matrix = nn.Parameter(torch.randn(3, 6))
        self.prior = nn.Parameter(torch.randn(3))
        self.calculate = forward

    def forward(self, x):
        return self.calculate(self, torch.relu(self.body(x)), x)


FORWARDS = {
    "scaled": (lambda net, f, x: net.out(f) * (1 / 9), "out", False),
    "prior": (lambda net, f, x: net.out(f) + net.prior, "out", False),
    "linear": (lambda net, f, x: F.linear(f, net.matrix, net.prior), "matrix", True),
    "product": (lambda net, f, x: f @ net.matrix.T + net.prior, "matrix", True),
    "addmm": (lambda net, f, x: torch.addmm(net.prior, f, net.matrix.t()), "matrix", True),
    "cosine": (lambda net, f, x: F.linear(f, F.normalize(net.matrix)), "computed in forward", True),
    "sum": (lambda net, f, x: net.out(f) + net.other(f) / 2, "out + other", True),
    "mixed": (lambda net, f, x: net.out(f) + F.linear(f, net.matrix), "out + matrix", True),
}


@pytest.mark.parametrize(("forward", "path", "detached"), FORWARDS.values(), ids=FORWARDS)
def test_differences_of_logits_come_from_rows(forward, path, detached):
    network = Own(forward)
    head = find_head(network)
    assert (head.path, head.detached) == (path, detached)
    change = features(network, X[:1]) - features(network, X[1:])
    factor = 1 / 9 if forward is FORWARDS["scaled"][0] else 1
    torch.testing.assert_close(
        factor * change @ head.rows.T, (network(X[:1]) - network(X[1:])).detach()
    )
    for named in (path, None):
        model = NBDT(network, induce(network), score="mean", head=named)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5)
        torch.testing.assert_close(model.found_head.rows, find_head(network).rows)
        assert len(model.explain(X)) == 5


def test_terms_that_read_different_features_stand_side_by_side():
    network = Own(lambda net, f, x: net.out(f) + net.last(x))
    network.last = nn.Linear(4, 3)
    rows = torch.cat([network.out.weight, network.last.weight], dim=1)
    assert torch.equal(find_head(network).rows, rows)


def test_a_sum_with_something_else_is_not_a_head():
    for forward in (
        lambda net, f, x: net.out(f).relu() + net.other(f),
        lambda net, f, x: torch.add(net.out(f), net.other(f), alpha=0.5),
        lambda net, f, x: net.out(f) + f[:, :3],
    ):
        with pytest.raises(HeadError, match="returns the result of 'add'"):
            find_head(Own(forward))


def test_a_hierarchical_softmax_has_no_row_per_class():
    class Adaptive(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 6)
            self.last = nn.AdaptiveLogSoftmaxWithLoss(6, 10, cutoffs=[4, 7], div_value=1)

        def forward(self, x):
            return self.last.log_prob(self.body(x))

    network = Adaptive()
    reason = "hierarchical softmax .* 4 classes and 2 groups of classes as rows, not its 10 classes"
    for path in (None, "last.head"):
        with pytest.raises(HeadError, match=f"{reason}.*samples="):
            find_head(network, path)
    model = NBDT(network, induce(torch.randn(10, 3)))  # its log-probabilities serve as logits
    torch.testing.assert_close(model.predict_proba(X), network(X).exp().detach())


def test_conditional_heads_are_no_rows_of_classes():
    class CoarseAndFine(nn.Module):
        def __init__(self):
            super().__init__()
            self.coarse, self.fine = nn.Linear(4, 2), nn.Linear(4, 6)

        def forward(self, x):
            groups = self.coarse(x).log_softmax(1)
            classes = self.fine(x).view(-1, 2, 3).log_softmax(2)
            return (groups[:, :, None] + classes).flatten(1)

    network = CoarseAndFine()
    with pytest.raises(HeadError, match=r"result of 'add'.*If there is none, .*samples="):
        find_head(network)
    assert find_head(network, "fine").altered
    assert induce(network, samples=torch.randn(50, 4)).num_classes == 6


@pytest.mark.parametrize("place", ["", "out"])
def test_a_hook_may_alter_the_output(place):
    network = built()
    network.get_submodule(place).register_forward_hook(lambda _module, _args, output: 2 * output)
    head = find_head(network)
    assert (head.path, head.altered) == ("out", True)


def test_a_hint_names_only_layers_that_fit():
    with pytest.raises(HeadError, match="None of them has 7 outputs") as error:
        find_head(Own(lambda net, f, x: net.out(f).tanh()), num_classes=7)
    assert "path=" not in str(error.value)


# ── adapters ──────────────────────────────────────────────────────────────────────────────────


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.body(x)))


def adapted(*modules, **options):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=list(modules), init_lora_weights=False, **options)
    return peft.get_peft_model(Body(), config).eval()


def test_an_adapter_on_the_head_is_merged_first():
    network = adapted("body", "fc")
    inner = "base_model.model.fc"
    for path in (None, f"{inner}.base_layer", f"{inner}.lora_B.default"):
        with pytest.raises(HeadError, match=r"merge the adapter first: model\.merge_and_unload"):
            find_head(network, path)
    with pytest.raises(HeadError, match="merge the adapter first"):
        NBDT(network, induce(torch.randn(3, 4)))
    logits = network(X)
    merged = network.merge_and_unload()
    head = find_head(merged)
    torch.testing.assert_close(features(merged) @ head.rows.T + head.bias, logits.detach())


def test_an_adapter_merged_in_place():
    network = adapted("fc")
    network.merge_adapter()
    head = find_head(network)
    body = network.base_model.model
    torch.testing.assert_close(features(body) @ head.rows.T + head.bias, network(X).detach())


def test_a_head_that_was_trained_along_is_the_copy_in_use():
    network = adapted("body", modules_to_save=["fc"])
    layer = network.base_model.model.fc
    layer.modules_to_save["default"].weight.data.mul_(3)
    head = find_head(network)
    assert head.path == "base_model.model.fc.modules_to_save.default"
    assert torch.equal(head.rows, Body().fc.weight * 3)
    with pytest.raises(HeadError, match="is a copy that is not used"):
        find_head(network, "base_model.model.fc.original_module")
    with network.disable_adapter():
        assert torch.equal(find_head(network).rows, Body().fc.weight)
