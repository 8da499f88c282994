"""`NBDT`: any classifier and a tree of its classes, as one module."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from nbdt.classifiers import (
    Adapter,
    Builder,
    Head,
    OutputKind,
    as_batch,
    as_input,
    builder_of,
    check_classifier,
    check_outputs,
    eval_mode,
    find_head,
    fitted_input,
    input_of,
    moved,
    network_logits,
    open_classifier,
    own_source,
    search_builder,
    unwrap,
    weights_device,
)
from nbdt.display import Displayed
from nbdt.errors import HeadError, InputError, Note
from nbdt.explain import Explanations, FeatureGeometry, explain_predictions, explain_sites
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.classes import canonical
from nbdt.pretrained import ModelConfig, read_model, read_whole, write_model
from nbdt.rules import (
    Predictions,
    RuleName,
    ScoreName,
    Temperature,
    TreeLayout,
    check_answerable,
    get_rule,
    get_score,
    is_map,
    map_answers,
    map_log_probs,
    path_indicator,
)


class NBDT(nn.Module, Displayed):
    """A classifier that decides down a tree of its classes (Wan et al., arXiv 2004.00221).

    The network is unchanged and is `network`, an ordinary submodule; the tree adds nothing to the
    state dict. Call the module like the network: it gives log-probabilities, which can be used
    wherever logits are expected.

    All methods except `forward` and `logits` compute no gradients and work in eval mode, whatever
    mode the module is in and without changing it, from any number of threads and while another one
    trains it; `nbdt.classifiers.eval_mode` names the few exceptions. They take one sample or
    several, in any form that the model's input reads (paths, pictures, texts, tables, arrays); or a
    batch as the network takes it, where a mapping is passed as keyword arguments, as are further
    arguments. `rule` defaults to the module's.

    Args:
        network: a classifier of any kind: a torch network, a fitted estimator, a file such as
            "model.onnx", a function. It gives logits (batch, C), or an object or mapping that holds
            them as ``logits``. One output z means the logits (0, z). With `torch.nn.Identity()` the
            input is the logits.
        hierarchy: the tree; leaf i is the network's output i.
        score: "logsumexp", for a network as it comes, or "mean", for one tuned to its tree.
        rule: how decisions become an answer: "soft" or "hard".
        preprocessing: how a sample becomes the network's input: an `Input`, or a library's own,
            such as ``weights.transforms()`` or a tokenizer. By default what the network's library
            knows.
        builder: how the network is built, for `save_pretrained`: a `Builder` or its name; by
            default the one that `nbdt.classifiers.build` noted on the network.
        head: the path of the last linear layer, if it cannot be found.
        outputs: what the network returns: "logits", "log_probs" or "probabilities".
        temperature: divides the logits in every answer (not in `logits`): a number, by default 1,
            or a `Temperature`, which may also divide the scores at single nodes.

    Attributes:
        layout: the tree, compiled for the rules; follows `hierarchy`.
        provenance: JSON values that describe a saved model (data, accuracy, …).

    Raises:
        InputError: an argument is invalid, or the network is known to have a different number of
            outputs than the tree has leaves.
        HeadError: the network does not choose one class among many, or `head` is not a layer.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(nn.Identity(), tree, score="mean")
        >>> logits = torch.tensor([[3.0, 2.0, 2.9]])
        >>> model(logits).exp()
        tensor([[0.2934, 0.1079, 0.5987]])
        >>> model.predict(logits)
        tensor([2])
    """

    def __init__(
        self,
        network: Any,
        hierarchy: Hierarchy,
        score: ScoreName = "logsumexp",
        rule: RuleName = "soft",
        *,
        preprocessing: Any = None,
        builder: Builder | str | None = None,
        head: str | None = None,
        outputs: OutputKind = "logits",
        temperature: Temperature | float | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(builder, Builder | str | None):
            raise InputError(f"builder must be a Builder or its name, got {builder!r:.80}.")
        self.outputs = check_outputs(outputs)
        if isinstance(network, str | os.PathLike):
            network = open_classifier(network)
        reads = input_of(network) if preprocessing is None else as_input(preprocessing)
        network = check_classifier(network, self.outputs)
        self.preprocessing = None if reads is None else fitted_input(reads, network)
        self.score = score
        self.rule = rule
        self.builder = Builder(name=builder) if isinstance(builder, str) else builder
        if builder is None:
            self.builder = builder_of(unwrap(network)[0])
        self.provenance: dict[str, Any] = {}
        self.network = network
        self.layout = TreeLayout(hierarchy)
        self.temperature = Temperature.from_value(temperature)
        self._geometry: tuple[Tensor, FeatureGeometry] | None = None
        self._head_given = head
        self._head = self._find_head()
        self._move_layout()
        self._note_floors()

    @property
    def head(self) -> str | None:
        """The path of the network's last linear layer; None if it cannot be found."""
        return None if self._head is None else self._head.path

    @property
    def found_head(self) -> Head | None:
        """The network's last linear layer as it is now; a HeadError if it was removed."""
        head = self._head
        if head is None or isinstance(self.network, Adapter):
            return head
        if head.detached:  # a sum of layers is a copy
            return find_head(self.network, head.path) if head.altered else head
        if _part(self.network, head.path) is not head.module:
            self._head = replace(find_head(self.network, head.path), altered=head.altered)
        return self._head

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree; you can replace it with another one of the same classes in the same order.

        If the new tree has different nodes, the temperatures of single nodes are lost.
        """
        return self.layout.hierarchy

    @hierarchy.setter
    def hierarchy(self, tree: Hierarchy) -> None:
        if [*map(canonical, tree.classes)] != [*map(canonical, self.classes)]:
            raise InputError(
                "this tree has other classes than the model, or has them in another order, so it "
                "does not fit the network's outputs."
            )
        same = np.array_equal(tree.parents, self.hierarchy.parents)
        self.layout = TreeLayout(tree)
        if not same:
            self.temperature = self.temperature.value
        self._move_layout()

    @property
    def score(self) -> ScoreName:
        """How a node is scored."""
        return self._score

    @score.setter
    def score(self, score: ScoreName) -> None:
        self._score: ScoreName = get_score(score).name
        if "_head" in vars(self):
            self._note_floors()

    @property
    def rule(self) -> RuleName:
        """How decisions become an answer by default."""
        return self._rule

    @rule.setter
    def rule(self, rule: RuleName) -> None:
        self._rule: RuleName = get_rule(rule).name

    @property
    def temperature(self) -> Temperature:
        """What logits or decisions are divided by; may also be set to a number or None."""
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: Temperature | float | None) -> None:
        chosen = Temperature.from_value(temperature)
        chosen.check_nodes(self.hierarchy)
        self._temperature = chosen

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the network's order."""
        return self.hierarchy.classes

    def prepared(self, x: Any = None, **encoding: Any) -> Any:
        """The network's batch for whatever the model's methods take.

        An InputError if the model's input does not read it.
        """
        if encoding:
            if x is not None:
                raise InputError(
                    f"give samples or an encoding ({', '.join(encoding)}) as keyword arguments, "
                    "not both."
                )
            return encoding
        if x is None:
            raise InputError("no sample was given.")
        if self.preprocessing is not None:
            batch = self.preprocessing.prepared(x)
        elif isinstance(self.network, Adapter) or isinstance(x, Tensor | Mapping):
            return x
        else:
            batch = as_batch(x)
        return batch if batch is x else moved(batch, weights_device(self.network))

    def logits(self, x: Any = None, **encoding: Any) -> Float[Tensor, "batch classes *sites"]:
        """The network's own logits, in the module's current mode and with gradients."""
        batch = self.prepared(x, **encoding)
        logits = network_logits(self.network, batch, self.hierarchy.num_classes, self.outputs)
        if self.layout.leaf_order.device != logits.device and not logits.is_meta:
            self.layout.to(logits.device)  # the network was moved without this module
        return logits

    def forward(self, x: Any = None, **encoding: Any) -> Float[Tensor, "batch classes *sites"]:
        """The soft log-probability of every class, whatever the `rule`.

        In nats, in float32 (or float64); exp of a row sums to 1.
        """
        logits = self.logits(x, **encoding)
        if is_map(logits):
            return map_log_probs(logits, self.layout, self.score, self.temperature)
        return self.temperature.log_probs(logits, self.layout, self.score)

    def predict(
        self, x: Any = None, rule: RuleName | None = None, **encoding: Any
    ) -> Int[Tensor, " batch *sites"]:
        """The index of the class predicted for each sample, or for each site of a map.

        An InputError for NaN, +inf or all −inf.

        Under "soft" it is the class with the largest probability, under "hard" the one reached by
        taking the likeliest child at every node.
        """
        rule = self.rule if rule is None else get_rule(rule).name
        with eval_mode(self) as still:
            logits = still.logits(x, **encoding)
            if is_map(logits):
                return map_answers(logits, self.layout, self.score, rule, self.temperature)
            return self.predictions(logits, rule).answer_classes

    def predict_proba(
        self, x: Any = None, **encoding: Any
    ) -> Float[Tensor, "batch classes *sites"]:
        """The soft probability of every class, whatever the `rule`; a row sums to 1.

        An InputError for NaN, +inf or all −inf.
        """
        with eval_mode(self) as still:
            probabilities: Tensor = still(x, **encoding).exp()
            # One NaN makes the sum NaN, which costs less than asking each value.
            if not probabilities.numel() or bool(probabilities.sum().isnan()):
                check_answerable(still.logits(x, **encoding))
            return probabilities

    def decision_path(
        self, x: Any = None, rule: RuleName | None = None, **encoding: Any
    ) -> csr_matrix:
        """Which nodes each sample passes, as in scikit-learn's ``decision_path``.

        An indicator matrix of shape (n_samples, n_nodes): 1 where the sample's path, from the root
        to the predicted class, contains the node. A map has a row for each site, row by row,
        sample after sample.
        """
        leaves = self.predict(x, rule, **encoding).flatten().cpu().numpy()
        return path_indicator(self.hierarchy, leaves)

    def explain(
        self,
        x: Any = None,
        rule: RuleName | None = None,
        *,
        at: Any = None,
        region: Any = None,
        **encoding: Any,
    ) -> Explanations:
        """Each sample's prediction, with the decisions that led to it.

        A map of classes is explained where `at` says, (row, column) of one site, or over a
        `region`, a mask of True and False of the map's shape or one per sample: of the mean of its
        sites' logits, and so of their log-probabilities; see `nbdt.rules.sites.region_logits`.

        Example:
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
            >>> print(NBDT(nn.Identity(), tree).explain(torch.tensor([[3.0, 2.0, 0.0]]))[0])
            Predicted cat (71 %); the network agrees.
            Path: thing → animal (96 %) → cat (73 %).
            Closest decision: cat (73 %) over dog (27 %) at animal.
            Runner-up: dog (26 %); the paths diverge at animal.
        """
        rule = self.rule if rule is None else get_rule(rule).name
        with eval_mode(self) as still:
            logits = still.logits(x, **encoding)
        if is_map(logits) or at is not None or region is not None:
            return explain_sites(logits, at, region, lambda rows: self.predictions(rows, rule))
        return explain_predictions(self.predictions(logits, rule), self.geometry())

    def predictions(
        self,
        logits: Float[Tensor, "batch classes"],
        rule: RuleName | None = None,
        *,
        labels: Integer[Tensor, " batch"] | None = None,
        indices: Integer[Tensor, " batch"] | None = None,
    ) -> Predictions:
        """What this model's tree decides, given the network's logits.

        `labels` are the true classes, for measures, and `indices` the samples' ids in examples.
        """
        return Predictions(
            logits,
            self.layout,
            score=self.score,
            rule=self.rule if rule is None else rule,
            temperature=self.temperature,
            labels=labels,
            indices=indices,
        )

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model to a folder, whole or not at all; see `nbdt.pretrained`.

        The folder may be new, empty, or a saved model, which is replaced. A `builder` that does not
        build this network is an InputError.
        """
        network, prefix = unwrap(self.network)
        config = ModelConfig(
            classes=self.classes,
            score=self.score,
            rule=self.rule,
            builder=self.builder or search_builder(network),
            preprocessing=self.preprocessing,
            outputs=self.outputs,
            head=self._head_given and self._head_given.removeprefix(f"{prefix}."),
            temperature=self.temperature,
            provenance=own_source(network) | self.provenance,
        )
        write_model(folder, config, self.hierarchy, network)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], network: Any = None) -> NBDT:
        """Loads a model that `save_pretrained` wrote, in eval mode.

        Nothing is unpickled, downloaded, or imported because the folder names it. `network`, needed
        if the folder does not say how to build it (else an InputError), has the saved architecture;
        its weights and dtypes are replaced. A model of a function needs the function.

        Raises:
            NotFoundError: no such folder, or it contains no model.
            FormatError: a file is missing, changed or invalid, or the weights do not fit the
                network.
        """
        return read_whole(Path(folder), lambda: cls._read(folder, network))

    @classmethod
    def _read(cls, folder: str | os.PathLike[str], network: Any) -> NBDT:
        saved = read_model(folder)
        config = saved.config
        model = cls(
            saved.network(network),
            saved.hierarchy,
            get_score(config.score).name,
            get_rule(config.rule).name,
            preprocessing=saved.input(),
            builder=config.builder,
            head=config.head,
            outputs=config.outputs,
            temperature=config.temperature,
        )
        saved.fill(model.network)
        model.provenance = dict(config.provenance)
        return model.eval()

    def extra_repr(self) -> str:
        """What torch prints about the module besides its parts."""
        text = f"score={self.score!r}, rule={self.rule!r}"
        return text if self.temperature == Temperature() else f"{text}, {self.temperature}"

    def _find_head(self) -> Head | None:
        num_classes = self.hierarchy.num_classes
        try:
            head = find_head(
                self.network, self._head_given, num_classes=num_classes, outputs=self.outputs
            )
        except HeadError:
            if self._head_given is not None:
                raise
            known = getattr(self.network, "num_classes", num_classes)
            if isinstance(self.network, Adapter) and known != num_classes:
                raise InputError(
                    f"the classifier has {known} classes, but the tree has {num_classes}."
                ) from None
            return None
        if head.num_classes != num_classes:
            raise InputError(
                f"the network has {head.num_classes} classes (its head is {head.path!r}), but the "
                f"tree has {num_classes}."
            )
        return head

    def _note_floors(self) -> None:
        opaque = isinstance(self.network, Adapter) or self.outputs != "logits"
        if get_score(self.score).is_linear and self._head is None and opaque:
            warnings.warn(
                f"score={self.score!r} averages log-probabilities, so a class with a probability "
                "near 0 sinks its whole group; score='logsumexp' suits a classifier that has no "
                "row of weights per class.",
                Note,
                stacklevel=3,
            )

    def _move_layout(self) -> None:
        """Moves the layout to the logits' device, if that is known before a call."""
        source = self.network if self._head is None else self._head.module
        parameters = list(source.parameters())
        if parameters and not parameters[-1].is_meta:
            self.layout.to(parameters[-1].device)

    def geometry(self) -> FeatureGeometry | None:
        """Where the nodes lie in feature space now; None if the score or the head isn't linear.

        It is recomputed only if the tree or the head's weights have changed.
        """
        if not get_score(self.score).is_linear:
            return None
        head = self.found_head
        if head is None or head.altered or not isinstance(head.module, nn.Linear):
            return None
        rows, known = head.rows, self._geometry
        if known is not None and known[1].hierarchy is self.hierarchy and _equal(known[0], rows):
            return known[1]
        whole = rows
        if len(rows) < self.hierarchy.num_classes:
            whole = torch.cat([torch.zeros_like(rows), rows])
        geometry = FeatureGeometry(self.hierarchy, whole)
        self._geometry = rows.clone(), geometry
        return geometry


def _equal(old: Tensor, new: Tensor) -> bool:
    """Whether weights are unchanged; by value, because torch does not count every change."""
    return old.dtype == new.dtype and old.device == new.device and torch.equal(old, new)


def _part(network: nn.Module, path: str) -> nn.Module | None:
    try:
        return network.get_submodule(path)
    except AttributeError:
        return None
