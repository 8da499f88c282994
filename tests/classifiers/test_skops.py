import io
import json
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

import nbdt
from nbdt.classifiers import open_classifier, skops
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.model import NBDT

pytest.importorskip("skops")

RNG = np.random.default_rng(0)
X = RNG.integers(0, 5, size=(60, 4)).astype(np.float64)
Y = X[:, :3].argmax(axis=1)


def own_step(values):
    return values


def test_a_file_is_opened_by_its_name(tmp_path):
    estimator = RandomForestClassifier(3, random_state=0).fit(X, Y)
    path = tmp_path / "Model.SKOPS"
    skops.save(estimator, path)
    np.testing.assert_array_equal(
        open_classifier(path).predict_proba(X), estimator.predict_proba(X)
    )
    assert nbdt.convert(str(path), X).classes == ("0", "1", "2")
    with pytest.raises(NotFoundError, match=r"there is no file .*other.skops"):
        open_classifier(tmp_path / "other.skops")


def test_types_that_are_not_trusted_are_named(tmp_path):
    pipeline = make_pipeline(FunctionTransformer(own_step), KNeighborsClassifier()).fit(X, Y)
    model = nbdt.convert(pipeline, X)
    said = r"types that skops does not trust.*tests.classifiers.test_skops.own_step"
    with pytest.raises(InputError, match=said):
        model.save_pretrained(tmp_path / "model")
    import skops.io

    path = tmp_path / "model.skops"
    path.write_bytes(skops.io.dumps(pipeline))
    with pytest.raises(FormatError, match=said):
        open_classifier(path)
    function = NBDT(pipeline.predict_proba, model.hierarchy, outputs="probabilities")
    function.save_pretrained(tmp_path / "function")  # the way out that the message names


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "joblib.memory.load"])
def test_a_file_that_names_code_is_refused(name, tmp_path):
    path = tmp_path / "model.skops"
    skops.save(DecisionTreeClassifier().fit(X, Y), path)
    module, _, function = name.rpartition(".")

    def rename(node):
        if node.get("__class__") == "DecisionTreeClassifier":
            node["__module__"], node["__class__"] = module, function

    rewrite(path, rename)
    with pytest.raises(FormatError, match=f"does not trust.*{name}|is not a valid skops file"):
        skops.load(path)


def rewrite(path, change):
    """A skops file with every node of its schema changed."""

    def visit(node):
        if isinstance(node, dict):
            change(node)
        for child in node.values() if isinstance(node, dict) else node:
            if isinstance(child, dict | list):
                visit(child)

    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    schema = json.loads(parts["schema.json"])
    visit(schema)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in (parts | {"schema.json": json.dumps(schema).encode()}).items():
            new.writestr(name, data)


def with_nodes(path, change):
    """A skops file with every array of tree nodes changed; how many there were."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    changed = 0
    for name, data in parts.items():
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(data), allow_pickle=False)
            if array.dtype.names:
                change(array)
                buffer = io.BytesIO()
                np.save(buffer, array)
                parts[name], changed = buffer.getvalue(), changed + 1
    with zipfile.ZipFile(path, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return changed


ESTIMATORS = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(2, random_state=0),
    GradientBoostingClassifier(n_estimators=2),
    HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2),
    HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2, categorical_features=[0]),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("field", "value"),
    [("left", 10_000), ("right", 10_000), ("left", 0), ("feature", 4), ("feature", 10_000)],
)
def test_trees_that_point_beyond_themselves_are_refused(estimator, field, value, tmp_path):
    path = tmp_path / "model.skops"
    skops.save(estimator.fit(X, Y), path)
    assert with_nodes(path, lambda nodes: None)
    np.testing.assert_allclose(skops.load(path).predict_proba(X), estimator.predict_proba(X))
    names = {"left": ("left_child", "left"), "right": ("right_child", "right")}

    def point(nodes):
        known = names.get(field, ("feature", "feature_idx"))
        (name,) = set(known) & set(nodes.dtype.names)
        nodes[name][0] = value  # the root, which is no leaf

    assert with_nodes(path, point)
    with pytest.raises(FormatError, match=r"a decision tree in the file (points to|asks for)"):
        skops.load(path)


def test_ensembles_of_other_columns_are_refused(tmp_path):
    forest = RandomForestClassifier(2, random_state=0).fit(X, Y)
    forest.n_features_in_ = 3  # then it would accept batches of three columns
    skops.save(forest, tmp_path / "model.skops")
    with pytest.raises(FormatError, match="do not fit their ensemble"):
        skops.load(tmp_path / "model.skops")


def test_neighbors_search_in_a_tree_that_was_built_here(tmp_path):
    estimator = KNeighborsClassifier(algorithm="ball_tree", metric="minkowski", p=3).fit(X, Y)
    skops.save(estimator, tmp_path / "model.skops")
    loaded = skops.load(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


@pytest.mark.parametrize("data", [b"", b"PK\3\4 not a zip", b"\x80\x04."])
def test_other_files_are_refused(data, tmp_path):
    (tmp_path / "model.skops").write_bytes(data)
    with pytest.raises(FormatError, match=r"model.skops is not a valid skops file"):
        skops.load(tmp_path / "model.skops")
