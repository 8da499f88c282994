"""`nbdt.convert`: a classifier's tree and the model that decides down it, in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbdt.classifiers import (
    Adapter,
    OutputKind,
    as_input,
    check_classifier,
    check_outputs,
    fitted_input,
    induce,
    input_of,
    open_classifier,
    zero_shot,
)
from nbdt.hierarchy import Hierarchy
from nbdt.inputs import ArrayInput, Input
from nbdt.inputs.table import TableInput
from nbdt.model import NBDT
from nbdt.rules import RuleName, ScoreName


def convert(
    source: Any,
    X: Any = None,  # noqa: N803 - scikit-learn's name
    y: Any = None,
    *,
    tree: Hierarchy | None = None,
    classes: Sequence[str] | None = None,
    head: str | None = None,
    linkage: str | None = None,
    metric: str | None = None,
    normalize: bool = True,
    branching: int | None = None,
    score: ScoreName | None = None,
    rule: RuleName | None = None,
    preprocessing: Any = None,
    outputs: OutputKind = "logits",
    prompts: str | Sequence[str] | None = None,
) -> NBDT:
    """Induces the tree of any trained classifier and gives the model: what ``nbdt convert`` does.

    Args:
        source: the classifier, as `NBDT` takes it.
        X: samples, best ones that it was not fitted to. A classifier without a row per class needs
            them for its tree, and the model of a table learns its columns' types from them.
        y: their true classes, for a tree from the confusion matrix; see `nbdt.induce`.
        tree: of the classes, in the classifier's order, in place of an induced one.
        preprocessing: how a sample becomes the classifier's input; by default what its library
            knows.
        score: "logsumexp" by default.
        rule: "soft" by default.
        prompts: for a model that compares images with texts, such as CLIP: texts in which ``{}``
            stands for a class, "a photo of a {}." by default. The rows are their features.

    The other arguments are those of `nbdt.induce`.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> flowers = load_iris(as_frame=True)
        >>> kinds = flowers.target_names[flowers.target]
        >>> model = convert(GaussianNB().fit(flowers.data, kinds), flowers.data, kinds)
        >>> print(model.explain(flowers.data[:1])[0])
        Predicted setosa (100 %); the network agrees.
        One decision: setosa (100 %) over versicolor, virginica (<1 %).
        Runner-up: versicolor (<1 %); the paths diverge at setosa, versicolor, virginica.
    """
    check_outputs(outputs)
    if isinstance(source, str | os.PathLike):
        source = open_classifier(source)
    source = zero_shot(source, classes, prompts, preprocessing)
    network = check_classifier(source, outputs)
    reader = input_of(source) if preprocessing is None else as_input(preprocessing)
    reader = None if reader is None else fitted_input(reader, network)
    if preprocessing is None and X is not None:
        reader = typed_reader(reader, X, network)
    samples = X if X is None or reader is None else reader.prepared(X)
    made_of = "given" if tree is not None else "induced"
    tree = tree or induce(
        network,
        classes,
        samples=samples,
        labels=y,
        head=head,
        outputs=outputs,
        linkage=linkage,
        metric=metric,
        normalize=normalize,
        branching=branching,
    )
    model = NBDT(
        network,
        tree,
        score or "logsumexp",
        rule or "soft",
        preprocessing=reader,
        head=head,
        outputs=outputs,
    )
    model.provenance = {"network": type(source).__name__, "tree": made_of}
    return model


def typed_reader(reader: Input | None, table: Any, network: Any) -> Input | None:
    """A table's columns with the types, categories and example row of samples.

    Of an estimator that does not know its columns, arrays tell the shape of a sample.
    """
    if reader is None and isinstance(network, Adapter) and isinstance(table, np.ndarray):
        known = network.library != "function" and table.ndim > 1 and table.dtype.kind == "f"
        return ArrayInput(row=table.shape[1:]) if known else None
    if not isinstance(reader, TableInput) or hasattr(table, "nnz"):  # sparse: numbers anyway
        return reader
    named = hasattr(table, "columns") or not reader.named
    return TableInput.from_frame(table, None if named else reader.names).accepted_by(network)
