import copy
import json
import pickle
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from nbdt.classifiers import Builder, build
from nbdt.errors import FormatError, HeadError, InputError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.pretrained import CONFIG, HIERARCHY, SEAL, WEIGHTS
from nbdt.rules import Temperature, TreeLayout, decision_log_probs, hard_predict, soft_log_probs
from tests.folders import rewrite_config
from tests.strategies import hierarchies, random_hierarchy

PETS = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
PAIR = Hierarchy([2, 2, -1], ["no", "yes"])
TEN = random_hierarchy(10)
WARM, OWN = Temperature(2.5), Temperature(2.0, {TEN.root: 0.5, 12: 3.0})


def small(**options):
    torch.manual_seed(0)
    return build("nbdt:digits-cnn", **options)


def images(count=5):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class Answering(nn.Module):
    """Answers with a form of the input that a function makes."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        return self.form(x)


class TestModule:
    def test_adds_nothing_to_the_network(self):
        net = small()
        names = list(net.state_dict())
        model, other = NBDT(net, TEN), NBDT(build("nbdt:digits-cnn"), TEN)
        assert model.network is net
        assert list(model.network.state_dict()) == names
        assert list(model.state_dict()) == [f"network.{name}" for name in names]
        assert len(list(model.parameters())) == len(list(net.parameters()))
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.eval()(images()), model.eval()(images()))

    def test_modes_and_hooks_reach_the_network(self):
        model = NBDT(small(), TEN)
        assert model.eval().network.training is False
        assert model.train().network.training is True
        seen = []
        model.network.linear.register_forward_hook(lambda *_: seen.append("head"))
        model.register_forward_hook(lambda *_: seen.append("model"))
        model(images())
        assert seen == ["head", "model"]

    @pytest.mark.parametrize("score", ["mean", "logsumexp"])
    @pytest.mark.parametrize("temperature", [None, WARM, OWN], ids=["none", "one", "own"])
    def test_gradients_reach_the_network(self, score, temperature):
        model = NBDT(small(), TEN, score, temperature=temperature)
        nn.functional.nll_loss(model(images()), torch.arange(5)).backward()
        assert model.network.features[0].weight.grad.abs().sum() > 0

    @pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_copies_are_independent_and_equal(self, twin):
        model = NBDT(small(), TEN, score="mean", preprocessing=Preprocessing(mode="L")).eval()
        again = twin(model)
        assert again.hierarchy == TEN
        assert again.builder == model.builder
        assert torch.equal(again(images()), model(images()))
        assert again.explain(images(1)) == model.explain(images(1))
        with torch.no_grad():
            again.network.linear.weight.zero_()
        assert model.network.linear.weight.abs().sum() > 0
        assert again.explain(images(1))[0].path[0].feature_distance is None

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_other_types(self, dtype):
        model = NBDT(small(), TEN, score="mean").eval().to(dtype)
        x = images().to(dtype)
        out = model(x)
        assert out.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(out.exp().sum(1), torch.ones(5, dtype=out.dtype))
        assert model.predict(x, rule="hard").shape == (5,)
        assert len(model.explain(x)) == 5

    def test_moves_as_a_whole(self):
        model = NBDT(small(), TEN).to("meta")
        assert all(buffer.is_meta for buffer in model.buffers())
        assert model(images().to("meta")).shape == (5, 10)

    def test_layout_goes_to_the_networks_device(self):
        with torch.device("meta"):
            net = nn.Linear(4, 3)
        # No values could be read from the meta device, so there the tree stays where it is.
        model = NBDT(net, PETS)
        assert model.layout.leaf_order.device.type == "cpu"
        model.logits(torch.zeros(2, 4, device="meta"))
        assert model.layout.leaf_order.device.type == "cpu"

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_wraps_a_network_on_a_gpu(self):
        model = NBDT(small().cuda(), TEN, score="mean").eval()
        assert model.layout.leaf_order.is_cuda
        assert model.predict(images().cuda(), rule="hard").is_cuda
        assert len(model.explain(images().cuda())) == 5
        torch.testing.assert_close(model.cpu()(images()).exp().sum(1), torch.ones(5))

    def test_attributes_and_repr(self):
        described = Preprocessing(mode="L")
        model = NBDT(small(num_classes=3), PETS, "mean", "hard", preprocessing=described)
        assert model.hierarchy is PETS
        assert model.classes == ("cat", "dog", "car")
        assert (model.score, model.rule) == ("mean", "hard")
        assert model.preprocessing == described
        assert model.builder == Builder(name="nbdt:digits-cnn", arguments={"num_classes": 3})
        assert model.provenance == {}
        assert "score='mean', rule='hard'" in repr(model)
        assert "classes=3, nodes=5, depth=2" in repr(model)


class TestForward:
    @pytest.mark.parametrize("score", ["mean", "logsumexp"])
    @given(tree=hierarchies(max_classes=12), seed=st.integers(0, 99))
    @settings(max_examples=25)
    def test_is_the_soft_rule_on_the_logits(self, score, tree, seed):
        logits = torch.randn(4, tree.num_classes, generator=torch.Generator().manual_seed(seed))
        model = NBDT(nn.Identity(), tree, score=score)
        expected = soft_log_probs(logits, TreeLayout(tree), score)
        assert torch.equal(model(logits), expected)
        assert torch.equal(model.logits(logits), logits)
        torch.testing.assert_close(model.predict_proba(logits).sum(1), torch.ones(4))

    def test_soft_whatever_the_rule(self):
        soft, hard = (NBDT(nn.Identity(), TEN, "mean", rule) for rule in ("soft", "hard"))
        logits = torch.randn(6, 10)
        assert torch.equal(soft(logits), hard(logits))
        assert torch.equal(soft.predict_proba(logits), hard.predict_proba(logits))
        # The score logsumexp keeps the network's softmax.
        torch.testing.assert_close(NBDT(nn.Identity(), TEN)(logits), logits.log_softmax(1))

    def test_empty_batch(self):
        model = NBDT(small(), TEN, score="mean")
        assert model.eval()(images(0)).shape == (0, 10)
        assert model.predict(images(0)).shape == (0,)
        assert model.predict(images(0), rule="hard").shape == (0,)
        assert model.decision_path(images(0)).shape == (0, len(TEN))
        assert model.explain(images(0)) == []

    @pytest.mark.parametrize("form", [
        lambda x: SimpleNamespace(logits=x),
        lambda x: namedtuple("GoogLeNetOutputs", "logits aux")(x, None),
        lambda x: {"logits": x, "hidden_states": None},
        lambda x: OrderedDict(logits=x),
    ], ids=["object", "namedtuple", "dict", "ordered"])  # fmt: skip
    def test_finds_the_logits(self, form):
        logits = torch.randn(2, 3)
        assert torch.equal(NBDT(Answering(form), PETS).logits(logits), logits)

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize(("form", "message"), [
        (lambda x: (x,), r"got \(1, 2, 3\)"),
        (lambda x: None, "returned NoneType; expected numbers"),
        (lambda x: {"loss": x}, "returned dict; expected numbers"),
        (lambda x: SimpleNamespace(logit=x), "returned SimpleNamespace"),
        (lambda x: x[0], r"shape \(batch, 3\); got \(3,\)"),
        (lambda x: x[:, :2], r"the tree has 3 classes.*got \(2, 2\)"),
        (lambda x: x[:, None, None], r"3, \*sites\); got \(2, 1, 1, 3\); movedim\(-1, 1\) puts"),
        (lambda x: x.to(torch.complex64), r"returned torch.complex64; expected real numbers"),
    ])  # fmt: skip
    def test_refuses_other_outputs(self, form, message):
        with pytest.raises(InputError, match=message):
            NBDT(Answering(form), PETS)(torch.randn(2, 3))

    def test_mapping_becomes_keyword_arguments(self):
        class Reader(nn.Module):
            def forward(self, input_ids, attention_mask):
                return input_ids * attention_mask

        batch = {"input_ids": torch.ones(2, 3), "attention_mask": torch.tensor([1.0, 2, 3])}
        model = NBDT(Reader(), PETS)
        assert model.predict(batch).tolist() == [2, 2]
        assert len(model.explain(batch)) == 2

    def test_one_output_stands_for_two_classes(self):
        model = NBDT(nn.Linear(4, 1), PAIR)
        x = torch.randn(6, 4)
        z = model.network(x)
        assert torch.equal(model.logits(x), torch.cat([torch.zeros(6, 1), z], 1))
        torch.testing.assert_close(model.predict_proba(x)[:, 1:], z.sigmoid())
        with pytest.raises(InputError, match=r"network has 2 classes .* but the tree has 3"):
            NBDT(nn.Linear(4, 1), PETS)
        with pytest.raises(InputError, match=r"got \(2, 1\)"):
            NBDT(Answering(lambda x: x[:, :1]), PETS)(torch.randn(2, 3))

    def test_googlenet_in_both_modes(self):
        net = build("torchvision:googlenet", num_classes=3, aux_logits=True)
        model = NBDT(net, PETS)
        assert model(torch.rand(2, 3, 224, 224)).shape == (2, 3)
        assert model.training
        assert model.predict(torch.rand(1, 3, 64, 64)).shape == (1,)

    def test_inside_data_parallel(self):
        net = small()
        model = NBDT(nn.DataParallel(net), TEN, score="mean").eval()
        assert torch.equal(model(images()), NBDT(net, TEN, score="mean")(images()))
        assert model.explain(images(1))[0].path[0].feature_distance is not None
        assert model.builder == Builder(name="nbdt:digits-cnn")


class TestSettings:
    def test_what_it_is_set_to_is_checked(self):
        model = NBDT(nn.Identity(), PETS)
        model.score, model.rule, model.temperature = "mean", "hard", 2.0
        assert (model.score, model.rule, model.temperature) == ("mean", "hard", Temperature(2.0))
        model.temperature = None
        assert model.temperature == Temperature()

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize(("name", "value", "said"), [
        ("score", "median", "score must be 'logsumexp' or 'mean', got 'median'"),
        ("score", None, "score must be"),
        ("rule", "firm", "rule must be 'soft' or 'hard', got 'firm'"),
        ("rule", ["soft"], "rule must be"),
        ("temperature", 0, "a temperature must be a number above 0"),
        ("temperature", "hot", "a number above 0 or a Temperature; got 'hot'"),
        ("temperature", Temperature(nodes={2: 2.0}), r"node 2 has a temperature, .* 3 to"),
    ])  # fmt: skip
    def test_what_it_cannot_be_set_to_is_refused(self, name, value, said):
        model = NBDT(nn.Identity(), PETS)
        before = getattr(model, name)
        with pytest.raises(InputError, match=said):
            setattr(model, name, value)
        assert getattr(model, name) == before
        with pytest.raises(InputError, match=said):
            NBDT(nn.Identity(), PETS, **{name: value})


class TestInput:
    @pytest.mark.parametrize(("x", "message"), [
        ("photo.jpg", "does not say how text becomes its input; give it a preprocessing"),
        (Image.new("L", (8, 8)), "does not say how a PIL image becomes its input"),
        (None, "no sample was given"),
    ])  # fmt: skip
    def test_of_what_is_no_batch_it_is_said(self, x, message):
        with pytest.raises(InputError, match=message):
            NBDT(small(), TEN).predict(x)

    def test_arrays_and_rows_of_numbers_become_tensors(self):
        model = NBDT(nn.Identity(), PETS)
        rows = [[1.0, 2.0, 0.0], [3.0, 0.0, 1.0]]
        for x in (rows, np.array(rows), tuple(rows), torch.tensor(rows)):
            assert model.predict(x).tolist() == [1, 0]

    def test_whatever_an_image_is_in(self, tmp_path):
        picture = Image.effect_noise((8, 8), 90).convert("L")
        picture.save(tmp_path / "one.png")
        model = NBDT(small(), TEN, preprocessing=Preprocessing(mode="L", crop=8)).eval()
        expected = model.preprocessing(picture)
        forms = [
            *(picture, tmp_path / "one.png", str(tmp_path / "one.png"), np.asarray(picture)),
            *((tmp_path / "one.png").read_bytes(), expected, expected[None], expected.numpy()),
        ]
        for x in forms:
            torch.testing.assert_close(model.prepared(x), expected[None])
        assert model.prepared(forms[:6]).shape == (6, 1, 8, 8)
        for wrong, message in [
            (3.5, "this model reads an image; got a number"),
            ([picture, b"text"], "sample 1: the image: this is not an image"),
            ([], "there is no sample: the list is empty"),
        ]:
            with pytest.raises(InputError, match=message):
                model.predict(wrong)

    def test_encodings_as_keyword_arguments(self):
        class Named(nn.Module):
            def forward(self, ids):
                return ids

        model = NBDT(Named(), PETS)
        assert model.explain(ids=torch.eye(3))[1].prediction == 1
        with pytest.raises(InputError, match="give samples or an encoding"):
            model.predict(torch.eye(3), ids=torch.eye(3))

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("outputs", ["probabilities", "log_probs"])
    def test_networks_that_give_probabilities(self, outputs):
        rows = torch.randn(4, 3)
        end = nn.Softmax(1) if outputs == "probabilities" else nn.LogSoftmax(1)
        linear = nn.Linear(3, 3)
        model = NBDT(nn.Sequential(linear, end), PETS, outputs=outputs)
        assert model.head == "0"
        torch.testing.assert_close(model(rows), linear(rows).log_softmax(1))
        with pytest.raises(InputError, match="outputs must be one of logits, log_probs"):
            NBDT(nn.Identity(), PETS, outputs="odds")
        with pytest.raises(InputError, match="sample 0 are not probabilities: they sum to 6"):
            NBDT(nn.Identity(), PETS, outputs="probabilities").predict([[1, 2, 3.0]])

    def test_of_one_sample_it_is_asked(self):
        with pytest.raises(RuntimeError) as caught:
            NBDT(small(), TEN).predict(torch.zeros(2, 8, 8))
        assert "x[None] makes one" in caught.value.__notes__[0]

    @pytest.mark.usefixtures("unchecked")
    def test_networks_may_take_what_they_like(self):
        class Texts(nn.Module):
            def forward(self, texts):
                return torch.tensor([[len(text), 1.0, 2.0] for text in texts])

        assert NBDT(Texts(), PETS).predict(["cats", "a"]).tolist() == [0, 2]


class TestTree:
    def test_another_of_the_same_classes_may_be_put_in(self):
        flat = Hierarchy([3, 3, 3, -1], PETS.classes)
        model = NBDT(nn.Identity(), PETS, "mean", temperature=Temperature(2.0, {3: 1.5}))
        model.hierarchy = flat
        assert model.hierarchy is model.layout.hierarchy is flat
        assert model.temperature == Temperature(2.0)  # node 3 was another one
        logits = torch.tensor([[3.0, 2.0, 0.0]])
        torch.testing.assert_close(model(logits), (logits / 2).log_softmax(1))

    def test_temperatures_stay_where_the_nodes_do(self):
        model = NBDT(nn.Identity(), PETS, temperature=Temperature(2.0, {3: 1.5}))
        model.hierarchy = Hierarchy(PETS.parents, [*PETS.classes, "pet", "all"])
        assert model.temperature == Temperature(2.0, {3: 1.5})

    def test_it_goes_where_the_logits_are(self):
        model = NBDT(nn.Linear(4, 3, device="meta"), PETS)
        model.hierarchy = Hierarchy([3, 3, 3, -1], PETS.classes)
        assert model.layout.leaf_order.device.type == "cpu"

    @pytest.mark.parametrize("classes", [("dog", "cat", "car"), ("cat", "dog")])
    def test_one_of_other_classes_is_refused(self, classes):
        model = NBDT(nn.Identity(), PETS)
        with pytest.raises(InputError, match="other classes than the model, or has them in an"):
            model.hierarchy = Hierarchy([len(classes)] * len(classes) + [-1], classes)
        assert model.hierarchy is PETS


class TestConstruction:
    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("wrong", [
        {"builder": 3}, {"builder": "resnet18"}, {"preprocessing": "RGB"}, {"hierarchy": "x"},
    ], ids=str)  # fmt: skip
    def test_wrong_types_are_refused_at_once(self, wrong):
        (name,) = wrong
        with pytest.raises(InputError, match=f"({name} must be a |name must be)"):
            NBDT(small(), **{"hierarchy": TEN} | wrong)

    def test_number_of_classes_is_checked_where_the_head_is_found_or_at_the_first_call(self):
        with pytest.raises(InputError, match=r"network has 10 classes \(its head is 'linear'\)"):
            NBDT(small(), PETS)
        model = NBDT(Answering(lambda x: x), PETS)
        with pytest.raises(InputError, match="the tree has 3 classes"):
            model(torch.randn(2, 4))

    def test_head_may_be_named(self):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

            def forward(self, x):
                return (self.a(x) if x.sum() > 0 else self.b(x)) * 1.0

        x = torch.rand(2, 4)
        unnamed, named = NBDT(Odd(), PETS, "mean"), NBDT(Odd(), PETS, "mean", head="a")
        assert (unnamed.head, named.head) == (None, "a")
        # What the network does to the layer's output cannot be read, so no distance is claimed.
        assert named.explain(x)[0].path[0].feature_distance is None
        with pytest.raises(HeadError, match="no layer 'c'"):
            NBDT(Odd(), PETS, head="c")

    @pytest.mark.usefixtures("unchecked")
    def test_refuses_what_is_no_classifier(self):
        with pytest.raises(HeadError, match="multi-label"):
            NBDT(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), PETS)
        with pytest.raises(HeadError, match="ends in a softmax"):
            NBDT(nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)), PETS)
        with pytest.raises(NotFoundError, match="resnet18: no library reads this as a classifier"):
            NBDT("resnet18", PETS)

    @pytest.mark.usefixtures("unchecked")
    def test_unknown_rule_at_a_call(self):
        model = NBDT(nn.Identity(), PETS)
        for method in (model.predict, model.explain, model.decision_path):
            with pytest.raises(InputError, match="rule must be 'soft' or 'hard', got 'easy'"):
                method(torch.randn(1, 3), rule="easy")


class TestPredictions:
    @pytest.mark.parametrize("score", ["mean", "logsumexp"])
    @given(tree=hierarchies(max_classes=12), seed=st.integers(0, 99))
    @settings(max_examples=25)
    def test_all_answers_agree(self, score, tree, seed):
        logits = torch.randn(5, tree.num_classes, generator=torch.Generator().manual_seed(seed))
        model = NBDT(nn.Identity(), tree, score=score)
        assert torch.equal(model.predict(logits), model.predict_proba(logits).argmax(1))
        hard = hard_predict(logits, TreeLayout(tree), score)
        assert torch.equal(model.predict(logits, rule="hard"), hard)
        for rule in ("soft", "hard"):
            predicted = model.predict(logits, rule=rule).tolist()
            explained = model.explain(logits, rule=rule)
            assert [one.prediction for one in explained] == predicted
            assert [one.rule for one in explained] == [rule] * 5
            rows = model.decision_path(logits, rule=rule).toarray()
            for row, leaf in zip(rows, predicted, strict=True):
                assert set(np.flatnonzero(row)) == set(tree.path(leaf))
                assert row.max() == 1

    def test_default_is_the_models_rule(self):
        logits = torch.tensor([[2.0, 2.0, 2.2]])
        hard = NBDT(nn.Identity(), PETS, rule="hard")
        assert hard.predict(logits).item() == 0
        assert hard.predict(logits, rule="soft").item() == 2
        assert hard.explain(logits)[0].prediction == 0
        assert hard.decision_path(logits).toarray().tolist() == [[1, 0, 0, 1, 1]]

    def test_decision_path_is_as_scikit_learns(self):
        path = NBDT(nn.Identity(), TEN).decision_path(torch.randn(7, 10))
        assert path.shape == (7, len(TEN))
        assert path.has_sorted_indices
        for sample in range(7):
            nodes = path.indices[path.indptr[sample] : path.indptr[sample + 1]]
            assert nodes[-1] == TEN.root

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_path", "explain"])
    def test_work_in_eval_mode_and_restore_each_mode(self, method):
        net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3))
        model = NBDT(net, PETS)
        net[2].eval()
        statistics = net[2].running_mean.clone()
        x = torch.randn(64, 8)
        first, second = (getattr(model, method)(x) for _ in range(2))
        if method == "decision_path":
            first, second = torch.tensor(first.toarray()), torch.tensor(second.toarray())
        assert torch.equal(first, second) if torch.is_tensor(first) else first == second
        assert [part.training for part in net] == [True, True, False, True]
        assert model.training
        assert model.layout.training
        assert torch.equal(net[2].running_mean, statistics)

    def test_one_part_in_train_mode(self):
        net = nn.Sequential(nn.Linear(8, 3), nn.Dropout(0.5))
        model = NBDT(net, PETS).eval()
        net[1].train()
        x = torch.randn(64, 8)
        torch.testing.assert_close(model.predict_proba(x), net[0](x).softmax(1).detach())
        assert [model.training, net.training, net[1].training] == [False, False, True]

    @pytest.mark.usefixtures("unchecked")
    def test_modes_are_restored_after_an_error(self):
        model = NBDT(nn.Linear(8, 3), PETS)
        with pytest.raises(RuntimeError):
            model.predict(torch.randn(2, 7))
        assert model.training
        assert model.network.training

    def test_no_gradients_but_usable_with_them(self):
        model = NBDT(small(), TEN)
        target = model.predict_proba(images())
        assert not target.requires_grad
        # A teacher's probabilities take part in a student's loss; inference tensors could not.
        weight = torch.ones(5, 10, requires_grad=True)
        (weight * target).sum().backward()
        assert torch.equal(weight.grad, target)

    def test_nan_has_no_class(self):
        logits = torch.zeros(3, 3)
        logits[1, 2] = torch.nan
        model = NBDT(nn.Identity(), PETS)
        for method in (model.predict, model.explain):
            for rule in ("soft", "hard"):
                with pytest.raises(InputError, match="row 1"):
                    method(logits, rule=rule)


class TestTemperature:
    @pytest.mark.parametrize("score", ["mean", "logsumexp"])
    def test_one_for_all_is_the_same_network_with_other_logits(self, score):
        logits = 3 * torch.randn(30, 10)
        plain, warm = (NBDT(nn.Identity(), TEN, score, temperature=t) for t in (None, WARM))
        assert torch.equal(warm(logits), plain(logits / 2.5))
        assert torch.equal(warm.logits(logits), logits)
        assert torch.equal(warm.predict_proba(logits), plain.predict_proba(logits / 2.5))
        for rule in ("soft", "hard"):
            assert torch.equal(warm.predict(logits, rule), plain.predict(logits / 2.5, rule))
            found, expected = warm.explain(logits, rule), plain.explain(logits / 2.5, rule)
            assert found == expected
            assert [one.network_prediction for one in found] == logits.argmax(1).tolist()
            paths = warm.decision_path(logits, rule) != plain.decision_path(logits / 2.5, rule)
            assert paths.nnz == 0

    @pytest.mark.parametrize("score", ["mean", "logsumexp"])
    @pytest.mark.parametrize("temperature", [WARM, OWN], ids=["one", "own"])
    def test_all_answers_agree(self, score, temperature):
        logits = 3 * torch.randn(30, 10, dtype=torch.float64)
        model = NBDT(nn.Identity(), TEN, score, temperature=temperature)
        scores = decision_log_probs(logits / temperature.value, model.layout, score)
        expected = torch.zeros(30, len(TEN), dtype=torch.float64)
        for node in TEN.inner:
            children = list(TEN.children(node))
            own = temperature.nodes.get(node, 1)
            expected[:, children] = (scores[:, children] / own).log_softmax(1)
        leaves = [expected[:, list(TEN.path(leaf))].sum(1) for leaf in range(10)]
        torch.testing.assert_close(model(logits), torch.stack(leaves, 1))
        for rule in ("soft", "hard"):
            predicted = model.predict(logits, rule).tolist()
            explained = model.explain(logits, rule)
            assert [one.prediction for one in explained] == predicted
            for row, one in enumerate(explained):
                shares = model.predict_proba(logits)[row]
                assert one.probability == pytest.approx(shares[one.prediction].item())
                for step in one.path:
                    children = list(step.children)
                    torch.testing.assert_close(
                        torch.tensor(step.probabilities, dtype=torch.float64),
                        expected[row, children].exp(),
                    )
                    # Margins are those of the scores at that temperature.
                    lead = expected[row, step.child] - torch.tensor(
                        [expected[row, child] for child in children if child != step.child]
                    )
                    assert step.margin == pytest.approx(lead.min().item())
        hard = NBDT(nn.Identity(), TEN, score, temperature=Temperature(temperature.value))
        assert torch.equal(model.predict(logits, "hard"), hard.predict(logits, "hard"))

    @pytest.mark.parametrize("temperature", [WARM, OWN], ids=["one", "own"])
    def test_features_are_as_far_from_the_border(self, temperature):
        net, x = nn.Linear(6, 10).double(), torch.randn(8, 6, dtype=torch.float64)
        found, expected = (
            [
                [step.feature_distance for step in one.path]
                for one in NBDT(net, TEN, "mean", "hard", temperature=t).explain(x)
            ]
            for t in (temperature, None)
        )
        assert found == [pytest.approx(row) for row in expected]

    def test_of_a_saved_node_that_decides_nothing_is_refused(self, tmp_path):
        NBDT(small(), TEN).save_pretrained(tmp_path)
        document = json.loads((tmp_path / CONFIG).read_text())
        document["temperature"] = {"value": 1, "nodes": {"99": 2}}
        rewrite_config(tmp_path, json.dumps(document))
        with pytest.raises(InputError, match="node 99 has a temperature"):
            NBDT.from_pretrained(tmp_path)

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("score", ["mean", "logsumexp"])
    @pytest.mark.parametrize("temperature", [None, WARM, OWN], ids=["none", "one", "own"])
    def test_compiles_and_exports(self, score, temperature):
        model = NBDT(small(), TEN, score, temperature=temperature).eval()
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(compiled(images()), model(images()))
        torch.compiler.reset()
        batch = torch.export.Dim("batch")
        exported = torch.export.export(model, (images(2),), dynamic_shapes=({0: batch},)).module()
        for count in (1, 5):
            torch.testing.assert_close(exported(images(count)), model(images(count)))


class TestFeatureDistance:
    def test_is_how_far_features_have_to_move(self):
        net = nn.Linear(6, 3)
        model = NBDT(net, PETS, score="mean", rule="hard")
        x = torch.randn(1, 6)
        decision = model.explain(x)[0].path[0]
        rows = {0: net.weight[0], 1: net.weight[1], 2: net.weight[2]}
        rows[3] = net.weight[:2].mean(0)
        other = next(child for child in decision.children if child != decision.child)
        towards = rows[other] - rows[decision.child]
        step = (towards / towards.norm() * decision.feature_distance).detach()
        assert model.explain(x + step * 0.99)[0].path[0].child == decision.child
        assert model.explain(x + step * 1.01)[0].path[0].child == other

    def test_follows_training(self):
        model = NBDT(nn.Linear(6, 3), PETS, score="mean", rule="hard")
        x = torch.randn(1, 6)
        before = model.explain(x)[0].path[0].feature_distance
        with torch.no_grad():
            model.network.weight.mul_(2)
            model.network.bias.mul_(2)
        # Rows and scores grow alike, so the borders stay.
        assert model.explain(x)[0].path[0].feature_distance == pytest.approx(before, rel=1e-5)
        with torch.no_grad():
            model.network.bias[2] += 100
        assert model.explain(x)[0].path[0].feature_distance > 10

    def test_geometry_is_kept_until_the_tree_or_the_weights_change(self):
        model = NBDT(nn.Linear(6, 3), PETS, score="mean")
        first = model.geometry()
        assert model.geometry() is first
        model.network.weight.data[0, 0] += 1  # which no version counter sees
        second = model.geometry()
        assert second is not first
        model.hierarchy = Hierarchy(PETS.parents.tolist(), PETS.classes)
        assert model.geometry() is not second

    def test_one_output(self):
        net = nn.Linear(6, 1)
        x = torch.randn(1, 6)
        found = NBDT(net, PAIR, score="mean").explain(x)[0].path[0].feature_distance
        assert found == pytest.approx(abs(net(x).item()) / net.weight.norm().item(), rel=1e-5)

    def test_none_without_a_linear_head(self):
        squeezed = build("torchvision:squeezenet1_1", num_classes=3)
        models = [
            NBDT(squeezed, PETS, score="mean"),
            NBDT(small(num_classes=3), PETS, score="logsumexp"),
            NBDT(nn.Identity(), PETS, score="mean"),
        ]
        inputs = [torch.rand(1, 3, 32, 32), images(1), torch.randn(1, 3)]
        for model, x in zip(models, inputs, strict=True):
            assert model.explain(x)[0].path[0].feature_distance is None

    def test_none_where_the_logits_are_scaled(self):
        class Tempered(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Sequential(nn.Linear(6, 3))
                self.temperature = nn.Parameter(torch.tensor(2.0))

            def forward(self, x):
                return self.inner(x) / self.temperature

        for net in (Tempered(), nn.Sequential(Tempered()), nn.DataParallel(Tempered())):
            model = NBDT(net, PETS, score="mean")
            assert model.explain(torch.randn(1, 6))[0].path[0].feature_distance is None


class TestPretrained:
    @pytest.mark.parametrize(("score", "rule", "temperature"), [
        ("mean", "soft", WARM), ("mean", "hard", OWN), ("logsumexp", "soft", None),
        ("logsumexp", "hard", OWN),
    ])  # fmt: skip
    def test_round_trip_to_the_bit(self, tmp_path, score, rule, temperature):
        described = Preprocessing(mode="L", resize=8, crop=8, rotate=180, hflip=True)
        net = small()
        model = NBDT(net, TEN, score, rule, preprocessing=described, temperature=temperature).eval()
        model.provenance = {"accuracy": {"network": 0.99}, "data": "digits"}
        model.save_pretrained(tmp_path / "model")
        again = NBDT.from_pretrained(str(tmp_path / "model"))
        files = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
        assert files.keys() == {CONFIG, SEAL, HIERARCHY, WEIGHTS}
        assert not again.training
        for name in ("hierarchy", "score", "rule", "preprocessing", "builder", "provenance",
                     "temperature"):  # fmt: skip
            assert getattr(again, name) == getattr(model, name)
        assert ("temperature 2" in repr(again)) == (temperature is not None)
        assert torch.equal(again(images()), model(images()))
        assert again.explain(images()) == model.explain(images())
        again.save_pretrained(tmp_path / "again")
        for name, data in files.items():
            assert (tmp_path / "again" / name).read_bytes() == data

    @pytest.mark.usefixtures("unchecked")
    def test_a_compiled_network_saves_as_itself(self, tmp_path):
        model = NBDT(torch.compile(small(), backend="eager"), TEN).eval()
        model.save_pretrained(tmp_path)
        assert torch.equal(NBDT.from_pretrained(tmp_path)(images()), model(images()))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_keeps_the_type(self, tmp_path, dtype):
        model = NBDT(small(), TEN).eval().to(dtype)
        model.save_pretrained(tmp_path)
        again = NBDT.from_pretrained(tmp_path)
        assert torch.equal(again(images().to(dtype)), model(images().to(dtype)))

    @given(tree=hierarchies(max_classes=8))
    @settings(max_examples=10)
    def test_any_tree(self, tmp_path_factory, tree):
        folder = tmp_path_factory.mktemp("model")
        NBDT(nn.Linear(2, tree.num_classes), tree).save_pretrained(folder)
        again = NBDT.from_pretrained(folder, network=nn.Linear(2, tree.num_classes))
        assert again.hierarchy == tree

    def test_own_network_has_to_be_brought_along(self, tmp_path):
        x = torch.randn(2, 4)
        model = NBDT(nn.Sequential(nn.Linear(4, 3)), PETS)
        model.save_pretrained(tmp_path)
        with pytest.raises(InputError, match=r"by network=…"):
            NBDT.from_pretrained(tmp_path)
        again = NBDT.from_pretrained(tmp_path, network=nn.Sequential(nn.Linear(4, 3)))
        assert torch.equal(again(x), model(x))
        with pytest.raises(FormatError, match=r"weight is \(3, 4\), expected \(3, 5\)"):
            NBDT.from_pretrained(tmp_path, network=nn.Sequential(nn.Linear(5, 3)))
        with pytest.raises(InputError, match="network has 4 classes"):
            NBDT.from_pretrained(tmp_path, network=nn.Sequential(nn.Linear(4, 4)))
        NBDT(nn.Identity(), PETS).save_pretrained(tmp_path / "bare")
        again = NBDT.from_pretrained(tmp_path / "bare", network=nn.Identity())
        assert torch.equal(again(x[:, :3]), NBDT(nn.Identity(), PETS)(x[:, :3]))

    def test_named_head_is_kept(self, tmp_path):
        net = nn.DataParallel(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)))
        NBDT(net, PETS, "mean", head="module.1").save_pretrained(tmp_path)
        assert json.loads((tmp_path / CONFIG).read_text())["head"] == "1"
        again = NBDT.from_pretrained(tmp_path, network=copy.deepcopy(net))
        assert again.explain(torch.randn(1, 4))[0].path[0].feature_distance is not None

    def test_builder_by_name(self, tmp_path):
        net = Builder(name="nbdt:small-cnn").build()
        NBDT(net, TEN, builder="nbdt:small-cnn").save_pretrained(tmp_path)
        again = NBDT.from_pretrained(tmp_path)
        assert again.builder == Builder(name="nbdt:small-cnn")

    def test_builder_that_builds_something_else(self, tmp_path):
        net = build("torchvision:resnet18")
        net.fc = nn.Linear(512, 10)
        model = NBDT(net, TEN)
        with pytest.raises(InputError, match=r"fc\.out_features is 10, not 1000.*set it to None"):
            model.save_pretrained(tmp_path)
        assert not list(tmp_path.iterdir())
        model.builder = None
        model.save_pretrained(tmp_path)

    def test_classes_that_the_builder_does_not_give(self, tmp_path):
        NBDT(nn.Linear(64, 3), PETS).save_pretrained(tmp_path)
        document = json.loads((tmp_path / CONFIG).read_text())
        document["builder"] = {"name": "nbdt:digits-cnn", "arguments": {}}
        rewrite_config(tmp_path, json.dumps(document))
        with pytest.raises(FormatError, match="does not fit the network"):
            NBDT.from_pretrained(tmp_path)
        document["builder"]["arguments"] = {"num_classes": 3}
        rewrite_config(tmp_path, json.dumps(document))
        with pytest.raises(FormatError, match=r"model\.safetensors does not fit the network"):
            NBDT.from_pretrained(tmp_path)

    def test_provenance_has_to_be_jsonable(self, tmp_path):
        model = NBDT(small(), TEN)
        model.provenance = {"date": object()}
        with pytest.raises(FormatError, match="provenance"):
            model.save_pretrained(tmp_path)
        assert not list(tmp_path.iterdir())

    def test_pickle_is_never_loaded(self, tmp_path, monkeypatch):
        with pytest.raises(NotFoundError, match="no such folder"):
            NBDT.from_pretrained(tmp_path / "x")
        NBDT(small(), TEN).save_pretrained(tmp_path)

        def refuse(*_, **__):
            pytest.fail("something was unpickled")

        for owner, name in ((torch, "load"), (pickle, "loads"), (pickle, "load")):
            monkeypatch.setattr(owner, name, refuse)
        NBDT.from_pretrained(tmp_path)


class TestRealWeights:
    def test_cifar_resnet20(self, nbdt_data):
        from safetensors.torch import load_file

        net = build("nbdt:cifar-resnet20")
        net.load_state_dict(load_file(nbdt_data / "weights" / "cifar10_resnet20.safetensors"))
        assert sum(p.numel() for p in net.parameters()) == 269_722
        model = NBDT(net, TEN).eval()
        x = torch.randn(3, 3, 32, 32)
        torch.testing.assert_close(model(x), net(x).log_softmax(1))
