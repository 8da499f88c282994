"""Fitted estimators in files that run no code: skops, and what of it is trusted.

skops names the types that a file holds before it makes any of them. Those that it trusts by itself,
the helper types of scikit-learn listed here, and the boosters of XGBoost, LightGBM and CatBoost are
loaded. skops leaves out scikit-learn's trees because a file could make them read beyond their
arrays; here such indices are checked after loading, before anything is predicted.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.errors import FormatError, InputError, NotFoundError, missing, reason_of

FILE = "model.skops"
_NAMED = 20  # types that an error lists

# Modules of scikit-learn all of whose own classes hold data and do nothing when they are made.
_MODULES = (
    *("calibration", "multiclass", "gaussian_process._gpc", "gaussian_process.kernels"),
    *("metrics._dist_metrics", "metrics._scorer", "model_selection._split"),
    *("neighbors._ball_tree", "neighbors._kd_tree", "neural_network._stochastic_optimizers"),
    *("tree._tree", "ensemble._hist_gradient_boosting.predictor"),
    *("utils._bunch", "utils._metadata_requests", "compose._column_transformer"),
)
# Modules whose public functions are pure, such as a search's score.
_FUNCTIONS = ("metrics", "metrics.pairwise", "feature_selection")
# Histogram boosting checks its categories by a function with some arguments bound; the functions
# that can be bound are those trusted here. Dtypes select columns, and remember those of `fit`.
_BOUND = (
    *("functools.partial", "sklearn.utils.validation.check_array"),
    *("builtins.object", "numpy.dtype", "numpy.mean"),
)
# Boosters are parsed by their own libraries, which run no code from a model.
_BOOSTERS = (
    *("collections.OrderedDict", "collections.defaultdict", "builtins.bytearray"),
    *("lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier"),
    *("xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRFClassifier"),
    "catboost.core.CatBoostClassifier",
)


def save(estimator: Any, path: Path) -> None:
    """Writes a fitted estimator; an InputError names types that could not be loaded again."""
    io = _skops()
    try:
        data = io.dumps(estimator)
    except Exception as error:  # types have ways of their own to refuse it
        raise InputError(
            f"skops cannot save this {type(estimator).__name__}: {reason_of(error)}"
        ) from error
    _check_types(io.get_untrusted_types(data=data), f"this {type(estimator).__name__}", InputError)
    path.write_bytes(data)


def load(path: Path) -> Any:
    """The estimator in a file of `save` or of skops; runs no code that the file names.

    A FormatError names types that are not trusted, and trees that point beyond themselves.
    """
    io = _skops()
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}.")
    data = path.read_bytes()
    try:
        found = io.get_untrusted_types(data=data)
        _check_types(found, path.name, FormatError)
        estimator = io.loads(data, trusted=found)
        _check_indices(estimator)
    except FormatError:
        raise
    except Exception as error:  # a damaged file fails anywhere in skops, numpy or scikit-learn
        raise FormatError(f"{path.name} is not a valid skops file: {reason_of(error)}") from error
    return estimator


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        raise missing("skops", "sklearn", "saving or loading a scikit-learn classifier") from None
    return skops.io


def _check_types(found: list[str], what: str, kind: type[InputError | FormatError]) -> None:
    refused = sorted(set(found) - trusted_types())
    if refused:
        more = f" and {len(refused) - _NAMED} more" * (len(refused) > _NAMED)
        names = ", ".join(refused[:_NAMED]) + more
        raise kind(
            f"{what} holds types that skops does not trust, since they could run code: {names}. "
            "Take its predict_proba as a function instead, NBDT(estimator.predict_proba, tree, "
            "outputs='probabilities'), which is saved without the estimator."
        )


@cache
def trusted_types() -> frozenset[str]:
    """The names of types that are loaded although skops does not trust them by itself."""
    names = {*_BOOSTERS, *_BOUND}
    for module in _MODULES:
        path = f"sklearn.{module}"
        classes = inspect.getmembers(_module(path), inspect.isclass)
        names |= {f"{path}.{name}" for name, cls in classes if cls.__module__ == path}
    for module in _FUNCTIONS:
        parent = _module(f"sklearn.{module}")
        public = (getattr(parent, name, None) for name in getattr(parent, "__all__", ()))
        names |= {f"{f.__module__}.{f.__name__}" for f in public if inspect.isfunction(f)}
    return frozenset(names)


def _module(path: str) -> Any:
    try:
        return import_module(path)
    except ImportError:  # private modules move between versions
        return None


# ── indices that compiled code follows unchecked ──────────────────────────────────────────────


def _check_indices(estimator: Any) -> None:
    for part in _parts(estimator):
        known = vars(part)
        if "_fit_X" in known and known.get("_tree") is not None:
            part._tree = _rebuilt_neighbors(part)
        if "tree_" in known:
            _check_tree(part.tree_, part.n_features_in_)
        for predictor in (p for row in known.get("_predictors", ()) for p in row):
            _check_predictor(predictor, part)
        _check_members(part)


def _parts(root: Any) -> Iterator[Any]:
    """Everything with attributes in an estimator, each once."""
    stack, seen = [root], set()
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            stack.extend(value)
        elif isinstance(value, np.ndarray):
            stack.extend(value.flat if value.dtype == object else ())
        elif hasattr(value, "__dict__") and not isinstance(value, type):
            yield value
            stack.extend(vars(value).values())


def _rebuilt_neighbors(estimator: Any) -> Any:
    from sklearn.neighbors import NearestNeighbors

    parameters = dict(estimator.effective_metric_params_)
    power = parameters.pop("p", 2)
    search = NearestNeighbors(
        algorithm=estimator._fit_method,
        leaf_size=estimator.leaf_size,
        metric=estimator.effective_metric_,
        p=power,
        metric_params=parameters or None,
    )
    return search.fit(estimator._fit_X)._tree


def _check_tree(tree: Any, num_features: int) -> None:
    if not 1 <= tree.node_count <= tree.capacity:
        raise FormatError("a decision tree in the file has fewer nodes than it says.")
    inner = np.flatnonzero(tree.children_left != -1)
    children = np.stack([tree.children_left, tree.children_right])[:, inner]
    _check_nodes(inner, children, tree.feature[inner], tree.node_count, num_features)


def _check_predictor(predictor: Any, owner: Any) -> None:
    nodes, bitsets = predictor.nodes, predictor.raw_left_cat_bitsets
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    children = np.stack([nodes["left"], nodes["right"]])[:, inner].astype(np.int64)
    features = nodes["feature_idx"][inner].astype(np.int64)
    _check_nodes(inner, children, features, len(nodes), owner.n_features_in_)
    categorical = np.asarray(owner._bin_mapper.is_categorical_, dtype=bool)
    split = nodes["is_categorical"][inner] != 0
    fits = len(categorical) == owner.n_features_in_ and categorical[features[split]].all()
    if not fits or (nodes["bitset_idx"][inner][split] >= len(bitsets)).any():
        raise FormatError("a decision tree in the file splits by categories that it does not have.")
    if bitsets.ndim != 2 or bitsets.shape[1] != 8:
        raise FormatError("a decision tree in the file has sets of categories of a wrong size.")


def _check_nodes(
    parents: npt.NDArray[Any],
    children: npt.NDArray[Any],
    features: npt.NDArray[Any],
    num_nodes: int,
    num_features: int,
) -> None:
    # Children come after their parent, so no walk down the tree runs in a circle.
    if (children <= parents).any() or (children >= num_nodes).any():
        raise FormatError("a decision tree in the file points to nodes that it does not have.")
    if (features < 0).any() or (features >= num_features).any():
        raise FormatError("a decision tree in the file asks for columns that there are not.")


def _check_members(ensemble: Any) -> None:
    """Forests and boosting check a batch's columns once, for all of their trees."""
    kinds = {cls.__name__ for cls in type(ensemble).__mro__}
    if not kinds & {"BaseForest", "BaseGradientBoosting"} or "estimators_" not in vars(ensemble):
        return
    members = np.asarray(ensemble.estimators_, dtype=object)
    trees_a_step = getattr(ensemble, "n_trees_per_iteration_", None)
    if {member.n_features_in_ for member in members.flat} != {ensemble.n_features_in_} or (
        members.ndim == 2 and members.shape[1] != trees_a_step
    ):
        raise FormatError("the decision trees in the file do not fit their ensemble.")
