"""Graphs that end in any usual way: the logits and rows are those of numpy."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nbdt import NBDT, convert, induce
from nbdt.attribution import attribute
from nbdt.classifiers import find_head, open_classifier
from nbdt.errors import FormatError, HeadError, InputError, NotFoundError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
helper, T = onnx.helper, onnx.TensorProto
node = helper.make_node

RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(3, 4)).astype("f4"), RNG.normal(size=3).astype("f4")
X = RNG.normal(size=(5, 4)).astype("f4")
Z = X.astype("f8") @ W.T + B
P = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
TREE = induce(W, ["cat", "dog", "car"])


def graph(
    *nodes: Any,
    inputs: dict[str, Any] | None = None,
    outputs: Any = ("y",),
    classes: Any = None,
    **stored: Any,
) -> Any:
    stored = {"W": W, "B": B, "WT": np.ascontiguousarray(W.T)} | stored
    used = {name for one in nodes for name in one.input}
    known = dict(outputs) if isinstance(outputs, dict) else dict.fromkeys(outputs, T.FLOAT)
    made = [
        kind if not isinstance(kind, int) else helper.make_tensor_value_info(name, kind, None)
        for name, kind in known.items()
    ]
    given = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, (kind, shape) in (inputs or {"x": (T.FLOAT, ["n", 4])}).items()
    ]
    body = helper.make_graph(
        list(nodes),
        "test",
        given,
        made,
        [onnx.numpy_helper.from_array(v, k) for k, v in stored.items() if k in used],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    proto = helper.make_model(body, opset_imports=opsets, ir_version=10)
    if classes is not None:
        helper.set_model_props(proto, {"names": classes})
    return proto


GEMM = node("Gemm", ["x", "W", "B"], ["z"], transB=1)
MAX = node("ReduceMax", ["z"], ["m"], axes=[1], keepdims=1)
AXES = np.array([1])
ENDINGS = {
    "Gemm": [node("Gemm", ["x", "W", "B"], ["y"], transB=1)],
    "Gemm, weights across": [node("Gemm", ["x", "WT", "B"], ["y"])],
    "MatMul and Add": [node("MatMul", ["x", "WT"], ["a"]), node("Add", ["a", "B"], ["y"])],
    "Add of a MatMul": [node("MatMul", ["x", "WT"], ["a"]), node("Add", ["B", "a"], ["y"])],
    "Transpose of stored weights": [
        node("Identity", ["W"], ["i"]),
        node("Transpose", ["i"], ["t"], perm=[1, 0]),
        node("MatMul", ["x", "t"], ["a"]),
        node("Add", ["a", "B"], ["y"]),
    ],
    "Constant": [
        node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(W)),
        node("Gemm", ["x", "c", "B"], ["y"], transB=1),
    ],
    "double": [
        node("Cast", ["x"], ["d"], to=T.DOUBLE),
        node("Cast", ["WT"], ["w"], to=T.DOUBLE),
        node("Cast", ["B"], ["b"], to=T.DOUBLE),
        node("Gemm", ["d", "w", "b"], ["g"]),
        node("Cast", ["g"], ["y"], to=T.FLOAT),
    ],
    "Softmax": [GEMM, node("Softmax", ["z"], ["y"], axis=-1)],
    "LogSoftmax": [GEMM, node("LogSoftmax", ["z"], ["y"], axis=1)],
    "Softmax, then Identity": [
        GEMM,
        node("Softmax", ["z"], ["p"], axis=-1),
        node("Identity", ["p"], ["y"]),
    ],
    "softmax in steps": [
        GEMM,
        MAX,
        node("Sub", ["z", "m"], ["d"]),
        node("Exp", ["d"], ["e"]),
        node("ReduceSum", ["e", "axes"], ["s"], keepdims=1),
        node("Div", ["e", "s"], ["y"]),
    ],
    "softmax without a maximum": [
        GEMM,
        node("Exp", ["z"], ["e"]),
        node("ReduceSum", ["e", "axes"], ["s"], keepdims=1),
        node("Div", ["e", "s"], ["y"]),
    ],
    "class": [
        GEMM,
        node("Softmax", ["z"], ["p"], axis=-1),
        node("ArgMax", ["p"], ["y"], axis=1, keepdims=0),
    ],
    "Conv": [
        node("Unsqueeze", ["x", "places"], ["i"]),
        node("Conv", ["i", "kernel", "B"], ["c"], kernel_shape=[1, 1]),
        node("GlobalAveragePool", ["c"], ["g"]),
        node("Flatten", ["g"], ["y"]),
    ],
}
STORED = {"axes": AXES, "places": np.array([2, 3]), "kernel": W[:, :, None, None]}


@pytest.mark.parametrize("nodes", ENDINGS.values(), ids=ENDINGS)
def test_logits_and_rows_of_every_ending(nodes: Any, tmp_path: Path) -> None:
    kind = T.INT64 if nodes[-1].op_type == "ArgMax" else T.FLOAT
    proto = graph(*nodes, outputs={"y": kind}, **STORED)
    onnx.save(proto, tmp_path / "m.onnx")
    head = find_head(proto)
    np.testing.assert_allclose(head.rows, W, rtol=1e-6)
    np.testing.assert_allclose(head.bias, B, rtol=1e-6)
    assert (head.num_classes, head.altered, head.detached) == (3, False, True)
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for source in (proto, session, tmp_path / "m.onnx", str(tmp_path / "m.onnx")):
        model = NBDT(source, TREE)
        logits = model.logits(X).double().numpy()
        np.testing.assert_allclose(logits - logits[:, :1], Z - Z[:, :1], atol=1e-5)
    assert induce(str(tmp_path / "m.onnx"), ["cat", "dog", "car"]) == TREE
    for given in (X, torch.from_numpy(X), X.tolist()):
        np.testing.assert_allclose(model.predict_proba(given), P, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X[0].tolist())[0], P[0], atol=1e-6)
    assert NBDT(proto, TREE, outputs="probabilities").predict(X).tolist() == P.argmax(1).tolist()
    model.save_pretrained(tmp_path / "saved")
    (tmp_path / "m.onnx").unlink()
    again = NBDT.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.logits(X), model.logits(X))
    assert again.preprocessing == model.preprocessing
    assert [e.to_dict() for e in again.explain(X)] == [e.to_dict() for e in model.explain(X)]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("static", [False, True])
def test_quantized_rows(per_channel: bool, static: bool, tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    onnx.save(graph(*ENDINGS["MatMul and Add"]), tmp_path / "m.onnx")
    paths = (tmp_path / "m.onnx", tmp_path / "q.onnx")
    if static:

        class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined, misc]
            batches = iter([{"x": X}])

            def get_next(self) -> Any:
                return next(self.batches, None)

        quantization.quantize_static(*paths, Reader(), per_channel=per_channel)
    else:
        quantization.quantize_dynamic(*paths, per_channel=per_channel)
    head = find_head(open_classifier(str(tmp_path / "q.onnx")))
    np.testing.assert_allclose(head.rows, W, atol=0.02)
    np.testing.assert_allclose(head.bias, B, atol=0.02)


ALTERED = {
    "temperature": (node("Div", ["z", "half"], ["y"]), 2 * Z),
    "scale": (node("Mul", ["half", "z"], ["y"]), Z / 2),
    "relu": (node("Relu", ["z"], ["y"]), Z.clip(0)),
    "prior": (node("Add", ["z", "B"], ["y"]), Z + B),
}


@pytest.mark.parametrize(("last", "logits"), ALTERED.values(), ids=ALTERED)
def test_what_is_done_to_the_output(last: Any, logits: Any) -> None:
    proto = graph(GEMM, last, half=np.array(0.5, "f4"))
    head = find_head(proto)
    np.testing.assert_allclose(head.rows, W)
    assert head.altered or last.op_type == "Add"
    np.testing.assert_allclose(NBDT(proto, TREE).logits(X), logits, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([GEMM, node("Tanh", ["z"], ["y"])], "it ends in Tanh"),
        ([GEMM, node("Add", ["z", "z"], ["y"])], "it ends in Add"),
        ([GEMM, node("Neg", ["z"], ["a"]), node("Softmax", ["a"], ["y"])], "it ends in Neg"),
        ([node("Mul", ["x", "minus"], ["y"])], "it ends in Mul"),
        ([node("Identity", ["x"], ["y"])], "it returns its input"),
        ([node("MatMul", ["x", "x"], ["y"])], "it ends in MatMul"),
    ],
)
def test_a_graph_without_rows_says_so(nodes: Any, reason: str) -> None:
    with pytest.raises(HeadError, match=rf"no matrix with a row per class: {reason}; .*samples=X"):
        find_head(graph(*nodes, minus=np.array(-1, "f4")))


def test_the_tree_of_an_opaque_graph_comes_from_its_answers() -> None:
    proto = graph(GEMM, node("Tanh", ["z"], ["t"]), node("Softmax", ["t"], ["y"], axis=1))
    samples = RNG.normal(size=(200, 4)).astype("f4")
    tree = induce(proto, ["cat", "dog", "car"], samples=samples)
    np.testing.assert_allclose(
        NBDT(proto, tree).predict_proba(X).log().diff(dim=1), np.diff(np.tanh(Z)), atol=1e-5
    )


def test_a_sigmoid_over_one_output_is_two_classes_and_over_several_is_refused() -> None:
    one = graph(
        node("Gemm", ["x", "w", "b"], ["z"], transB=1),
        node("Sigmoid", ["z"], ["y"]),
        w=W[:1],
        b=B[:1],
    )
    model = NBDT(one, induce(W[:1], ["no", "yes"]))
    expected = 1 / (1 + np.exp(-Z[:, 0]))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, atol=1e-6)
    flat = graph(
        *one.graph.node,
        node("Squeeze", ["y", "axes"], ["s"]),
        outputs=("s",),
        w=W[:1],
        b=B[:1],
        axes=AXES,
    )
    np.testing.assert_allclose(
        NBDT(flat, model.hierarchy).predict_proba(X)[:, 1], expected, atol=1e-6
    )
    with pytest.raises(HeadError, match="sigmoid over 3 outputs, which makes it multi-label"):
        NBDT(graph(GEMM, node("Sigmoid", ["z"], ["y"])), TREE)


# ── graphs as scikit-learn's converters write them ────────────────────────────────────────────

NAMES = ["cat", "dog", "car"]
LABELS = {"classlabels_strings": NAMES}
MAPS = helper.make_sequence_type_proto(
    helper.make_map_type_proto(T.STRING, helper.make_tensor_type_proto(T.FLOAT, None))
)
TWO = {"label": T.STRING, "output_probability": helper.make_value_info("output_probability", MAPS)}


def linear(transform: str) -> Any:
    return node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=W.ravel().tolist(),
        intercepts=B.tolist(),
        multi_class=1,
        post_transform=transform,
        **LABELS,
    )


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX"])
def test_a_linear_model_with_a_map_per_sample(transform: str, tmp_path: Path) -> None:
    zipped = node("ZipMap", ["scores"], ["output_probability"], domain="ai.onnx.ml", **LABELS)
    proto = graph(linear(transform), zipped, outputs=TWO)
    tree = induce(proto)
    assert tree.classes == tuple(NAMES)
    assert tree == TREE
    model = NBDT(proto, tree)
    np.testing.assert_allclose(model.predict_proba(X), P, atol=1e-6)
    model.save_pretrained(tmp_path / "m")
    np.testing.assert_allclose(NBDT.from_pretrained(tmp_path / "m").predict_proba(X), P, atol=1e-6)


def test_normalized_scores_are_probabilities() -> None:
    proto = graph(
        linear("LOGISTIC"),
        node("Normalizer", ["scores"], ["probabilities"], domain="ai.onnx.ml", norm="L1"),
        outputs={"label": T.STRING, "probabilities": T.FLOAT},
    )
    single = 1 / (1 + np.exp(-Z))
    expected = single / single.sum(1, keepdims=True)
    assert find_head(proto).altered
    np.testing.assert_allclose(NBDT(proto, TREE).predict_proba(X), expected, atol=1e-5)


def test_trees_have_no_rows_and_give_probabilities(tmp_path: Path) -> None:
    """A stump per class of a random forest: x₀ ≤ 0 → (0.7, 0.2, 0.1), else (0.1, 0.3, 0.6)."""
    leaves = [0.7, 0.2, 0.1, 0.1, 0.3, 0.6]
    trees = node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_missing_value_tracks_true=[0, 0, 0],
        class_treeids=[0] * 6,
        class_nodeids=[1, 1, 1, 2, 2, 2],
        class_ids=[0, 1, 2] * 2,
        class_weights=leaves,
        post_transform="NONE",
        **LABELS,
    )
    proto = graph(trees, outputs={"label": T.STRING, "probabilities": T.FLOAT})
    with pytest.raises(HeadError, match=r"it is a TreeEnsembleClassifier; .*samples=X"):
        induce(proto)
    tree = induce(proto, samples=X)
    assert tree.classes == tuple(NAMES)
    expected = np.where(X[:, :1] <= 0, leaves[:3], leaves[3:])
    model = NBDT(proto, tree)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    model.save_pretrained(tmp_path / "m")
    again = NBDT.from_pretrained(tmp_path / "m")
    np.testing.assert_allclose(again.predict_proba(X), expected, atol=1e-6)


def test_several_outputs_that_may_be_it_are_listed() -> None:
    nodes = [node("Gemm", ["x", "W", "B"], ["a"], transB=1), node("Relu", ["a"], ["b"])]
    with pytest.raises(HeadError, match=r"several outputs \(a, b\)"):
        NBDT(graph(*nodes, outputs=("a", "b")), TREE)
    nodes = [node("Gemm", ["x", "W", "B"], ["logits"], transB=1), node("Relu", ["x"], ["hidden"])]
    assert find_head(graph(*nodes, outputs=("hidden", "logits"))).num_classes == 3


@pytest.mark.parametrize(
    ("stated", "classes"),
    [
        (json.dumps(NAMES), tuple(NAMES)),
        ("{0: 'cat', 1: 'dog', 2: 'car'}", tuple(NAMES)),
        ('{"2": "car", "0": "cat", "1": "cat"}', ("cat (0)", "cat (1)", "car")),
        ('["cat"]', None),
        ("{0: 'cat'", None),
        ("[" * 5000, None),
    ],
)
def test_class_names_in_the_metadata(stated: str, classes: Any) -> None:
    assert find_head(graph(GEMM, outputs=("z",), classes=stated)).classes == classes


# ── batches ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_a_fixed_number_of_samples_is_filled_up(size: int) -> None:
    proto = graph(GEMM, outputs=("z",), inputs={"x": (T.FLOAT, [size, 4])})
    np.testing.assert_allclose(NBDT(proto, TREE).logits(X), Z, atol=1e-5)


TOKENS = graph(
    node("Gather", ["table", "ids"], ["e"]),
    node("Unsqueeze", ["mask", "two"], ["m"]),
    node("Cast", ["m"], ["f"], to=T.FLOAT),
    node("Mul", ["e", "f"], ["k"]),
    node("ReduceMean", ["k"], ["x"], axes=[1], keepdims=0),
    GEMM,
    inputs={"ids": (T.INT64, ["n", "length"]), "mask": (T.INT64, ["n", "length"])},
    outputs=("z",),
    table=RNG.normal(size=(9, 4)).astype("f4"),
    two=np.array([2]),
)


def test_classes_are_found_on_their_axis_and_one_site_is_none() -> None:
    steps = graph(
        node("MatMul", ["x", "WT"], ["z"]),
        node("Softmax", ["z"], ["y"], axis=-1),
        inputs={"x": (T.FLOAT, ["n", "t", 4])},
    )
    for length in (3, 6):  # also as many steps as classes
        values = np.stack([X[:length], X[-length:]]) if length < 6 else np.stack([X[[0] * 6]] * 2)
        found = NBDT(steps, TREE)(values).movedim(1, -1).exp()
        assert np.allclose(found, softmax_of(values @ W.T), atol=1e-6)
    pooled = graph(
        node("Conv", ["x", "K"], ["z"]),
        node("GlobalAveragePool", ["z"], ["y"]),
        inputs={"x": (T.FLOAT, ["n", 4, 2, 2])},
        K=W[:, :, None, None],
    )
    values = np.repeat(X, 4, 1).reshape(5, 4, 2, 2)
    model = NBDT(pooled, TREE)
    assert np.allclose(model(values).exp(), softmax_of(X @ W.T), atol=1e-6)
    assert len(model.explain(values)) == 5
    turned = graph(
        node("MatMul", ["x", "WT"], ["z"]),
        node("Transpose", ["z"], ["y"], perm=[1, 0, 2]),
        inputs={"x": (T.FLOAT, ["n", "t", 4])},
    )
    with pytest.raises(InputError, match="its first axis must be the samples"):
        NBDT(turned, TREE)(np.stack([X, X]))


@pytest.mark.parametrize("size", ["n", 1, 2])
def test_an_input_without_axes_is_for_all_samples(size: Any) -> None:
    scaled = graph(
        node("Mul", ["x", "s"], ["u"]),
        node("Gemm", ["u", "W", "B"], ["y"], transB=1),
        inputs={"x": (T.FLOAT, [size, 4]), "s": (T.FLOAT, [])},
    )
    rows = X if size == "n" else X[:3]
    found = NBDT(scaled, TREE)({"x": rows, "s": np.float32(1)}).exp()
    assert np.allclose(found, P[: len(rows)], atol=1e-6)


def softmax_of(logits: Any) -> Any:
    powers = np.exp(logits)
    return powers / powers.sum(-1, keepdims=True)


def test_several_inputs_are_a_mapping() -> None:
    model = NBDT(TOKENS, TREE)
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    encoding = {"ids": ids, "mask": torch.ones_like(ids), "types": torch.zeros_like(ids)}
    assert model.preprocessing is None
    assert torch.equal(model.logits(encoding), model.logits(**encoding))
    assert model.predict(encoding).shape == (2,)
    for batch, reason in (
        ({"ids": ids}, "'mask' is missing from ids"),
        (ids, r"several inputs \(ids, mask\); give a mapping"),
        ({"ids": ids, "mask": ids[:1]}, r"different numbers of samples: \[1, 2\]"),
        ({"ids": ids + 0.5, "mask": ids}, r"ids takes whole numbers \(int64\); got fractions"),
        ({"ids": ids[0], "mask": ids}, r"ids takes arrays of shape \(batch, any\); got \(3,\)"),
        ({"ids": ids + 100, "mask": ids}, "onnxruntime cannot answer this batch"),
        ({"ids": np.array([["a"]]), "mask": ids}, r"ids takes numbers \(int64\); got <U1"),
    ):
        with pytest.raises(InputError, match=reason):
            model.predict(batch)


def test_columns_of_a_table_are_inputs_by_name() -> None:
    pandas = pytest.importorskip("pandas")
    names = [f"c{i}" for i in range(4)]
    proto = graph(
        node("Concat", names, ["x"], axis=1),
        GEMM,
        inputs={name: (T.FLOAT, ["n", 1]) for name in names},
        outputs=("z",),
    )
    frame = pandas.DataFrame(X[:, ::-1], columns=names[::-1])
    np.testing.assert_allclose(NBDT(proto, TREE).logits(frame), Z, atol=1e-5)


@pytest.mark.parametrize("kind", ["int32", "uint8", "float64", "float16"])
def test_the_graphs_input_is_the_models(kind: str, tmp_path: Path) -> None:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    proto = graph(
        node("Cast", ["i"], ["x"], to=T.FLOAT),
        GEMM,
        inputs={"i": (element, [1, 4])},
        outputs=("z",),
    )
    model = NBDT(proto, TREE)
    whole = np.array([[1, 2, 3, 250], [4, 5, 6, 7]])
    expected = whole @ W.T + B
    assert (model.preprocessing.row, model.preprocessing.dtype) == ((4,), kind)
    for given in (whole, whole.tolist(), whole.astype(kind)):
        np.testing.assert_allclose(model.logits(given), expected, rtol=1e-4)
    assert len(model.explain(whole[0].tolist())) == 1
    if kind[0] != "f":
        with pytest.raises(InputError, match=rf"whole numbers \({kind}\), not fractions"):
            model.predict([[0.5, 1, 2, 3]])
    if kind == "uint8":
        with pytest.raises(InputError, match="whole numbers"):
            model.predict([[256, 1, 2, 3]])
    with pytest.raises(InputError, match=r"takes 4 numbers, got \(3,\)"):
        model.predict([[1, 2, 3], [4, 5, 6]])
    model.save_pretrained(tmp_path / "m")
    assert NBDT.from_pretrained(tmp_path / "m").preprocessing == model.preprocessing


def test_it_computes_no_gradients_and_can_be_copied() -> None:
    model = NBDT(graph(GEMM, outputs=("z",)), TREE)
    expected = model.logits(X)
    assert not expected.requires_grad
    assert "no gradients" in model.network.reason
    model.train()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other.logits(X), expected)


# ── files ─────────────────────────────────────────────────────────────────────────────────────


def test_a_network_of_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()
    images = torch.randn(2, 3, 8, 8)
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(
        network, (images,), dynamic_shapes=batch, dynamo=True, verbose=False
    )
    program.save(str(tmp_path / "net.onnx"), external_data=True)
    tree = induce(str(tmp_path / "net.onnx"))
    assert tree == induce(network)
    model = NBDT(tmp_path / "net.onnx", tree)
    torch.testing.assert_close(model.logits(images), network(images).detach())
    torch.testing.assert_close(NBDT(program, tree).logits(images), network(images).detach())
    assert model.preprocessing.row == (3, 8, 8)
    model.save_pretrained(tmp_path / "m")
    for path in tmp_path.glob("net.onnx*"):
        path.unlink()  # the saved model holds the data that lay beside the file
    again = NBDT.from_pretrained(tmp_path / "m")
    torch.testing.assert_close(again.logits(images), network(images).detach())


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.onnx: no such file"):
        open_classifier(str(tmp_path / "none.onnx"))
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(FormatError, match=r"text\.onnx: is not an ONNX model"):
        open_classifier(str(tmp_path / "text.onnx"))


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname", "link", ""])
def test_data_outside_the_folder_is_not_read(place: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(W.tobytes())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    proto = graph(GEMM, outputs=("z",))
    for tensor in proto.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, place)
        tensor.ClearField("raw_data")
    (tmp_path / "in" / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(FormatError, match="outside the folder of the model"):
        open_classifier(str(tmp_path / "in" / "m.onnx"))


def external(proto: Any) -> None:
    onnx.external_data_helper.set_external_data(proto.graph.initializer[0], "hierarchy.json")


def looping(proto: Any) -> None:
    proto.graph.node.append(node("Loop", [], ["l"], body=helper.make_graph([], "b", [], [])))


def foreign(proto: Any) -> None:
    proto.graph.node.append(node("Run", ["x"], ["r"], domain="evil"))


def hidden(proto: Any) -> None:
    inside = helper.make_graph([node("EPContext", [], ["e"], domain="com.microsoft")], "b", [], [])
    proto.graph.node.append(node("If", ["x"], ["i"], then_branch=inside, else_branch=inside))


def vast(proto: Any) -> None:
    shape = onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "shape")
    proto.graph.initializer.append(shape)
    proto.graph.node.append(node("ConstantOfShape", ["shape"], ["v"]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (external, "tensors lie in other files"),
        (looping, "Loop, whose work and files have no limit"),
        (foreign, "Run of 'evil' is an operator that nbdt does not know"),
        (hidden, "EPContext, whose work"),
        (vast, "'v' has the shape"),
    ],
)
def test_a_folder_of_a_stranger(change: Any, reason: str, tmp_path: Path) -> None:
    from nbdt.classifiers.onnx import Onnx

    proto = graph(GEMM, outputs=("z",))
    change(proto)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    for options in ({"outputs": "logits"}, {}):
        with pytest.raises(FormatError, match=reason if options else r"no classifier: outputs"):
            Onnx().load(options, tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"junk")
    with pytest.raises(FormatError, match="not an ONNX model"):
        Onnx().load({"outputs": "logits"}, tmp_path)


def test_magika(tmp_path: Path) -> None:
    magika = pytest.importorskip("magika")
    (folder,) = (Path(magika.__file__).parent / "models").glob("*")
    config = json.loads((folder / "config.min.json").read_text())
    tree = induce(str(folder / "model.onnx"), config["target_labels_space"])
    model = NBDT(folder / "model.onnx", tree)
    session = runtime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    source = b"import os\nfor name in os.listdir():\n    print(name)\n" * 3
    features = np.full((2, 2048), config["padding_token"])
    features[0, : len(source)] = features[0, -len(source) :] = list(source)
    (expected,) = session.run(None, {"bytes": features.astype(np.int32)})
    np.testing.assert_allclose(model.predict_proba(features), expected, atol=1e-6)
    (explanation,) = model.explain(features[0].tolist())
    assert tree.name(explanation.prediction) == "python"
    siblings = {"css": "scss", "docx": "odt", "cpp": "c", "rar": "sevenzip"}
    for one, other in siblings.items():
        a, b = (tree.classes.index(name) for name in (one, other))
        assert len(tree.leaves(tree.lca(a, b))) < 25
    model.save_pretrained(tmp_path / "m")
    assert torch.equal(
        NBDT.from_pretrained(tmp_path / "m").logits(features), model.logits(features)
    )


def test_from_a_file_to_a_served_explanation(tmp_path: Path) -> None:
    pytest.importorskip("httpx", reason="needs the extra client")
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from nbdt.client import Client
    from nbdt.server.settings import Settings
    from tests.server.conftest import serving

    onnx.save(graph(GEMM, node("Softmax", ["z"], ["y"])), tmp_path / "m.onnx")
    model = convert(str(tmp_path / "m.onnx"), classes=["cat", "dog", "car"])
    model.save_pretrained(tmp_path / "pets")
    with serving(Settings(models=(tmp_path / "pets",))) as running, Client(running.url) as client:
        found = client.explain("pets", X.tolist())
        assert [one["prediction"] for one in client.predict("pets", X.tolist())] == P.argmax(
            1
        ).tolist()
    assert [one.prediction for one in found] == [one.prediction for one in model.explain(X)]
    attributed = attribute(model, X[0], model.explain(X[0])[0].closest)
    assert len(attributed.values) == 4
