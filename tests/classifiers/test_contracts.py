from functools import wraps
from types import FunctionType, MethodType, SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.regnet import BlockParams

from nbdt.classifiers import check_classifier, find_head, induce
from nbdt.errors import HeadError, Note
from tests.classifiers.networks import Hidden, mlp

models = torchvision.models
CLASSIFIERS = models.list_models(module=models) + models.list_models(module=models.video)
PATHS = {
    "AlexNet": "classifier.6",
    "ConvNeXt": "classifier.2",
    "DenseNet": "classifier",
    "EfficientNet": "classifier.1",
    "MaxVit": "classifier.5",
    "MNASNet": "classifier.1",
    "MobileNetV2": "classifier.1",
    "MobileNetV3": "classifier.3",
    "MViT": "head.1",
    "S3D": "classifier.1",
    "SqueezeNet": "classifier.1",
    "SwinTransformer": "head",
    "SwinTransformer3d": "head",
    "VGG": "classifier.6",
    "VisionTransformer": "heads.head",
}


@pytest.fixture
def on_meta(monkeypatch):
    """Builds a torchvision model without memory or work for its weights."""
    widths = BlockParams.from_init_params.__func__

    def widths_on_cpu(cls, *args, **kwargs):
        with torch.device("cpu"):  # RegNets compute their widths with tensors
            return widths(cls, *args, **kwargs)

    monkeypatch.setattr(BlockParams, "from_init_params", classmethod(widths_on_cpu))

    def build(name, **options):
        if name in ("googlenet", "inception_v3"):
            options |= {"init_weights": False}
        with torch.device("meta"):
            return models.get_model(name, **options)

    return build


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_of_torchvision(name, on_meta):
    network = on_meta(name, num_classes=7)
    head = find_head(network)
    check_classifier(network)
    assert head.path == PATHS.get(type(network).__name__, "fc")
    assert head.module is network.get_submodule(head.path)
    assert head.num_classes == 7


# Without the contract, its forward alone leads to the same layer.
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "swin_t", "inception_v3", "vgg11"])
def test_forward_agrees_with_the_contract(name, on_meta, monkeypatch):
    network = on_meta(name, num_classes=7)
    promised = find_head(network)
    monkeypatch.setattr("nbdt.classifiers.torch.libraries_of", lambda _: [])
    assert find_head(network).module is promised.module


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("googlenet", {"init_weights": False, "aux_logits": True}),
        ("mobilenet_v3_small", {}),
        ("regnet_y_400mf", {}),
        ("resnet18", {}),
        ("shufflenet_v2_x0_5", {}),
        ("squeezenet1_1", {}),
    ],
)
def test_the_head_makes_the_logits(name, options):
    torch.manual_seed(0)
    network = models.get_model(name, num_classes=7, **options).eval()
    outputs = []
    find_head(network).module.register_forward_hook(lambda _m, _args, out: outputs.append(out))
    with torch.no_grad():
        logits = network(torch.randn(2, 3, 64, 64))
    (made,) = outputs
    if made.ndim == 4:  # SqueezeNet pools the convolution's ReLU
        made = made.relu().mean(dim=(2, 3))
    torch.testing.assert_close(made, logits)


def test_a_changed_head_is_found(on_meta):
    network = on_meta("resnet18")
    network.fc = mlp(outputs=5)
    assert find_head(network).path == "fc.2"
    assert find_head(network).num_classes == 5
    network.fc = nn.Sequential(nn.Linear(512, 5), nn.Sigmoid())
    with pytest.raises(HeadError, match="sigmoid over 5 outputs"):
        check_classifier(network)


def test_a_removed_head_is_missed(on_meta):
    network = on_meta("resnet18")
    network.fc = nn.Identity()
    with pytest.raises(HeadError, match=r"this ResNet was not found: .* type Identity"):
        find_head(network)


def test_a_network_around_torchvisions_uses_its_own_head(on_meta):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = on_meta("vit_b_32")
            self.out = nn.Linear(1000, 5)

        def forward(self, x):
            return self.out(self.backbone(x))

    assert find_head(Own()).path == "out"
    assert find_head(nn.Sequential(nn.Identity(), on_meta("vit_b_32"))).path == "1.heads.head"


def test_a_class_that_changes_forward_is_not_held_to_the_contract():
    class Own(models.ResNet):
        def __init__(self):
            super().__init__(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)
            self.last = nn.Linear(5, 3)

        def forward(self, x):
            return self.last(super()._forward_impl(x))

    assert find_head(Own()).path == "last"


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("ssdlite320_mobilenet_v3_large", "detection"),
        ("fasterrcnn_mobilenet_v3_large_fpn", "detection"),
        ("raft_small", "optical flow"),
    ],
)
def test_other_tasks_of_torchvision_are_refused(name, task, on_meta):
    network = on_meta(name, weights=None, **({} if "raft" in name else {"weights_backbone": None}))
    for check in (check_classifier, find_head):
        with pytest.raises(HeadError, match=f"is a torchvision model for {task}; .* classifier"):
            check(network)


def code_of(module):
    """Makes a function one of another module."""
    return lambda method: FunctionType(
        method.__code__, method.__globals__ | {"__name__": module}, method.__name__
    )


class TestGetClassifier:
    """timm's contract, on networks that follow it."""

    class Net(Hidden):
        __module__ = "timm.models.fake"

        def __init__(self, *parts):
            Hidden.__init__(self)
            self.parts = nn.ModuleList(parts)

        @code_of("timm.models.fake")
        def get_classifier(self):
            parts = tuple(self.parts)
            return parts[0] if len(parts) == 1 else parts

        @code_of("timm.models.fake")
        def forward(self, x):
            return self.out(self.body(x))

    def test_it_is_believed(self):
        assert find_head(self.Net(nn.Linear(6, 5))).path == "parts.0"
        assert find_head(self.Net(mlp(outputs=5))).path == "parts.0.2"

    def test_several_heads_are_listed(self):
        with pytest.raises(HeadError, match=r"2 heads.* in it: 'parts.0' .*'parts.1' \(6 → 5\)\."):
            find_head(self.Net(nn.Linear(6, 5), nn.Linear(6, 5)))

    def test_of_several_heads_one_may_be_removed(self):
        assert find_head(self.Net(nn.Linear(6, 5), nn.Identity())).path == "parts.0"

    def test_without_an_answer_forward_decides(self):
        network = self.Net()
        assert find_head(network).path == "out"


TIMM_PATHS = {
    "caformer_s18": "head.fc.fc2",
    "convnext_atto": "head.fc",
    "dla34": "fc",
    "efficientnet_lite0": "classifier",
    "efficientvit_b0": "head.classifier.4",
    "efficientvit_m0": "head.linear",
    "legacy_xception": "fc",
    "mobilenetv3_small_050": "classifier",
    "resnetv2_50": "head.fc",
    "swin_tiny_patch4_window7_224": "head.fc",
    "vit_tiny_patch16_224": "head",
    "xcit_nano_12_p16_224": "head",
}


@pytest.mark.parametrize("name", TIMM_PATHS)
def test_timm(name):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        head = find_head(timm.create_model(name, num_classes=7))
    assert head.path == TIMM_PATHS[name]
    assert head.num_classes == 7


def test_timm_without_a_head_or_with_two():
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        bare = timm.create_model("resnet18", num_classes=0)
        two = timm.create_model("levit_128s", num_classes=7)
    with pytest.raises(HeadError, match="type Identity"):
        find_head(bare)
    with pytest.raises(HeadError, match=r"2 heads.*'head.linear' .*'head_dist.linear'"):
        find_head(two)


class FakeForSequenceClassification(Hidden):
    """What a network of transformers looks like from outside."""

    __module__ = "transformers.models.fake"

    @code_of("transformers.models.fake")
    def forward(self, x):
        return self.out(self.body(x))

    def __init__(self, **config):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.score = nn.Linear(6, 3)
        self.config = SimpleNamespace(**config)


class FakeForMaskedLM(FakeForSequenceClassification):
    __module__ = "transformers.models.fake"


def test_the_contract_of_transformers():
    network = FakeForSequenceClassification()
    assert find_head(network).path == "score"
    network.classifier = nn.Sequential(nn.Flatten(), nn.Linear(6, 5))
    assert find_head(network).path == "classifier.1"
    check_classifier(network)


def test_without_a_part_of_a_known_name_forward_decides():
    network = FakeForSequenceClassification()
    del network.fc, network.score
    assert find_head(network).path == "out"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"problem_type": "multi_label_classification"}, "is multi-label"),
        ({"problem_type": "regression"}, "is a regression network"),
        ({"problem_type": None, "num_labels": 1}, "has one label .*treats as regression"),
    ],
)
@pytest.mark.parametrize("check", [check_classifier, find_head])
def test_other_problem_types_are_refused(config, reason, check):
    with pytest.raises(HeadError, match=f"FakeForSequenceClassification {reason}"):
        check(FakeForSequenceClassification(**config))


@pytest.mark.parametrize("check", [check_classifier, find_head])
def test_other_tasks_of_transformers_are_refused(check):
    with pytest.raises(HeadError, match=r"FakeForMaskedLM is not a classifier.*…ForImageClass"):
        check(FakeForMaskedLM())


def test_an_own_class_may_end_in_any_name():
    class ModelForTickets(FakeForSequenceClassification):
        pass

    assert find_head(ModelForTickets()).path == "score"


def test_class_names_of_transformers():
    named = FakeForSequenceClassification(id2label={0: "crane", 1: "kite", 2: "crane"})
    assert find_head(named).classes == ("crane (0)", "kite", "crane (2)")
    assert find_head(nn.DataParallel(named)).classes == ("crane (0)", "kite", "crane (2)")
    with pytest.warns(Note, match="several classes are called 'crane'"):
        assert induce(named).names[:3] == ("crane (0)", "kite", "crane (2)")
    assert induce(named, ["a", "b", "c"]).names[:3] == ("a", "b", "c")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"id2label": None},
        {"id2label": {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}},
        {"id2label": {0: "cat", 1: "dog"}},
        {"id2label": {"0": "cat", "1": "dog", "2": "eel"}},
    ],
)
def test_what_is_no_list_of_class_names_is_left_out(config):
    network = FakeForSequenceClassification(**config)
    assert find_head(network).classes is None
    assert induce(network).names[:3] == ("0", "1", "2")


def text_model(kind, **options):
    transformers = pytest.importorskip("transformers")
    options = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "vocab_size": 16,
        "num_labels": 3,
        **options,
    }
    config = f"{kind.split('For')[0].removesuffix('Model')}Config"
    return getattr(transformers, kind)(getattr(transformers, config)(**options)).eval()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("BertForSequenceClassification", "classifier"),
        ("BertForTokenClassification", "classifier"),
        ("LlamaForSequenceClassification", "score"),
        ("RobertaForSequenceClassification", "classifier.out_proj"),
    ],
)
def test_text_classifiers_of_transformers(kind, path):
    network = text_model(kind)
    head = find_head(network)
    check_classifier(network)
    assert (head.path, head.num_classes, head.num_features, head.classes) == (path, 3, 8, None)


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("BertForMultipleChoice", {}, "is not a classifier"),
        ("BertForQuestionAnswering", {}, "is not a classifier"),
        ("BertForSequenceClassification", {"num_labels": 1}, "has one label"),
        (
            "BertForSequenceClassification",
            {"problem_type": "multi_label_classification"},
            "is multi-label",
        ),
        ("BertModel", {}, "was not found"),
    ],
)
def test_what_transformers_builds_for_other_ends_is_refused(kind, options, reason):
    with pytest.raises(HeadError, match=f"{kind} {reason}"):
        find_head(text_model(kind, **options))


def test_image_classifiers_of_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        id2label={0: "cat", 1: "dog", 2: "eel"},
    )
    network = transformers.ViTForImageClassification(config).eval()

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x).logits

    wrapped = Logits()
    head = find_head(wrapped)
    assert (head.path, head.classes) == ("network.classifier", ("cat", "dog", "eel"))
    outputs = []
    head.module.register_forward_hook(lambda _module, _args, output: outputs.append(output))
    with torch.no_grad():
        logits = wrapped(torch.randn(2, 3, 16, 16))
    assert torch.equal(outputs[0], logits)


def bert(hidden, out):
    transformers = pytest.importorskip("transformers")

    class Own(transformers.BertPreTrainedModel):
        def __init__(self, config):
            super().__init__(config)
            self.bert = transformers.BertModel(config)
            setattr(self, hidden, nn.Linear(8, 9))
            setattr(self, out, nn.Linear(9, 3))
            self.post_init()

        def forward(self, input_ids=None):
            pooled = self.bert(input_ids=input_ids).pooler_output
            return getattr(self, out)(getattr(self, hidden)(pooled).relu())

    return Own(text_model("BertModel").config)


@pytest.mark.parametrize(
    ("hidden", "out"), [("fc", "out"), ("classifier", "out"), ("score", "head")]
)
def test_a_hidden_layer_of_an_own_class_may_have_any_name(hidden, out):
    head = find_head(bert(hidden, out))
    assert (head.path, head.num_classes, head.altered) == (out, 3, False)


def tiny_resnet(cls=models.ResNet, **options):
    network = cls(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=32, **options)
    network.last = nn.Linear(32, 5)
    return network


def method_of_the_object(name):
    def build(monkeypatch):
        network = tiny_resnet()
        old = getattr(network, name)
        setattr(network, name, MethodType(lambda self, x: self.last(old(x).relu()), network))
        return network

    return build


def method_of_a_subclass(monkeypatch):
    class Own(models.ResNet):
        def _forward_impl(self, x):
            return self.last(super()._forward_impl(x).relu())

    return tiny_resnet(Own)


def method_of_the_class(monkeypatch):
    old = models.ResNet.forward
    monkeypatch.setattr(models.ResNet, "forward", wraps(old)(lambda self, x: self.last(x)))
    return tiny_resnet()


@pytest.mark.parametrize(
    "build",
    [
        method_of_the_object("forward"),
        method_of_the_object("_forward_impl"),
        method_of_a_subclass,
        method_of_the_class,
    ],
)
def test_whoever_replaces_a_method_ends_the_promise(build, monkeypatch):
    network = build(monkeypatch)
    assert find_head(network, num_classes=5).path == "last"
    assert check_classifier(network) is network


def test_wrappers_that_leave_the_result_alone_keep_the_promise():
    network = tiny_resnet()
    network.forward = MethodType(torch.no_grad()(models.ResNet.forward), network)
    assert find_head(network).path == "fc"


@pytest.mark.parametrize("arguments", [0, 2])
def test_a_strangers_get_classifier_is_not_timms(arguments):
    class Own(Hidden):
        if arguments:

            def get_classifier(self, features, outputs):
                return nn.Linear(features, outputs)

        else:

            def get_classifier(self):
                return self.body

    assert find_head(Own()).path == "out"
    assert find_head(Own(), "out").path == "out"


def test_a_subclass_of_timms_may_end_elsewhere():
    timm = pytest.importorskip("timm")

    class Own(timm.models.resnet.ResNet):
        def forward_head(self, x, pre_logits=False):
            return self.last(super().forward_head(x).relu())

    network = Own(timm.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=32)
    network.last = nn.Linear(32, 5)
    assert find_head(network, num_classes=5).path == "last"


def test_an_own_class_on_top_of_transformers():
    transformers = pytest.importorskip("transformers")

    class Own(transformers.BertPreTrainedModel):
        def __init__(self, config):
            super().__init__(config)
            self.bert = transformers.BertModel(config)
            self.final = nn.Linear(8, 3)
            self.post_init()

        def forward(self, x):
            return self.final(self.bert(x).pooler_output)

    assert find_head(Own(text_model("BertModel").config)).path == "final"
