"""`NBDT`: any classifier and a tree of its classes, as one module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from nbdt.classifiers import (
    Builder,
    Head,
    builder_of,
    check_classifier,
    eval_mode,
    find_head,
    unwrap,
)
from nbdt.display import Displayed
from nbdt.errors import HeadError, InputError
from nbdt.explain import Explanations, FeatureGeometry, explain_predictions
from nbdt.hierarchy import Hierarchy
from nbdt.inputs import Input
from nbdt.pretrained import ModelConfig, load_tensors, read_model, write_model
from nbdt.rules import (
    Predictions,
    RuleName,
    ScoreName,
    Temperature,
    TreeLayout,
    get_rule,
    get_score,
)


class NBDT(nn.Module, Displayed):
    """A classifier that decides down a tree of its classes (Wan et al., arXiv 2004.00221).

    The network stays as it is and is `network`, an ordinary submodule; the tree adds no
    parameters and nothing to the state dict. The module is called like the network and gives
    log-probabilities, which can be used wherever logits are expected.

    The methods beside `forward` and `logits` compute no gradients and work in eval mode, whatever
    mode the module is in; each submodule's mode is restored afterwards.

    Args:
        network: a classifier that gives logits (batch, C), or an object or mapping that holds
            them as ``logits``. One output z means the logits (0, z). `torch.nn.Identity()` makes
            the input the logits.
        hierarchy: the tree; leaf i is the network's output i.
        score: what a node is worth: "logsumexp", for a network as it comes, or "mean", for one
            tuned to its tree.
        rule: how `predict`, `decision_path` and `explain` decide unless told otherwise: "soft"
            or "hard".
        preprocessing: how an image becomes the network's input; kept for whoever feeds it.
        builder: how the network is built, for `save_pretrained`: a `Builder` or its name. By
            default the one that `nbdt.classifiers.build` noted on the network.
        head: the path of the last linear layer, where it cannot be found.
        temperature: what the logits are divided by in every answer (not in `logits`), a number;
            or a `Temperature`, which may divide the scores at single nodes, too. By default 1.

    Attributes:
        head: the path of the network's last linear layer; None where it cannot be found.
        layout: the tree, compiled for the rules; follows `hierarchy`.
        provenance: whatever you want a saved model to say of itself (data, accuracy, …), as
            values that JSON can hold.

    Raises:
        InputError: the network has another number of outputs than the tree has leaves, where
            that can be known before it is called; or an argument is not valid.
        HeadError: the network is no classifier of one class among many, or `head` is no layer.

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
        network: nn.Module,
        hierarchy: Hierarchy,
        score: ScoreName = "logsumexp",
        rule: RuleName = "soft",
        *,
        preprocessing: Input | None = None,
        builder: Builder | str | None = None,
        head: str | None = None,
        temperature: Temperature | float | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(preprocessing, Input | None):
            raise InputError(
                f"preprocessing has to be a Preprocessing or another Input; got "
                f"{preprocessing!r:.80}."
            )
        if not isinstance(builder, Builder | str | None):
            raise InputError(f"builder has to be a Builder or its name, got {builder!r:.80}.")
        network = check_classifier(network)
        self.score = score
        self.rule = rule
        self.preprocessing: Any = (
            preprocessing  # an Input or None; most of what reads it knows images
        )
        self.builder = Builder(name=builder) if isinstance(builder, str) else builder
        if builder is None:
            self.builder = builder_of(unwrap(network)[0])
        self.provenance: dict[str, Any] = {}
        self.network = network
        self.layout = TreeLayout(hierarchy)
        self.temperature = Temperature.from_value(temperature)
        self._geometry: tuple[Tensor, FeatureGeometry] | None = None
        self._head_given = head
        self.head, self._head_altered = self._find_head()
        self._move_layout()

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree; another one of the same classes may be put in its place.

        If its nodes are others, the temperatures of single nodes are lost.

        Raises:
            InputError: the classes are others, or stand in another order.
        """
        return self.layout.hierarchy

    @hierarchy.setter
    def hierarchy(self, tree: Hierarchy) -> None:
        if tree.classes != self.classes:
            raise InputError(
                "this tree has other classes than the model, or has them in another order; it is "
                "no tree for this network's outputs."
            )
        same = np.array_equal(tree.parents, self.hierarchy.parents)
        self.layout = TreeLayout(tree)
        if not same:
            self.temperature = self.temperature.value
        self._move_layout()

    @property
    def score(self) -> ScoreName:
        """What a node is worth."""
        return self._score

    @score.setter
    def score(self, score: ScoreName) -> None:
        self._score: ScoreName = get_score(score).name

    @property
    def rule(self) -> RuleName:
        """How decisions become an answer, unless it is said otherwise."""
        return self._rule

    @rule.setter
    def rule(self, rule: RuleName) -> None:
        self._rule: RuleName = get_rule(rule).name

    @property
    def temperature(self) -> Temperature:
        """What logits or decisions are divided by; may be set to a number, too, or to None."""
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

    def logits(self, x: Tensor | Mapping[str, Any]) -> Float[Tensor, "batch classes"]:
        """The network's own logits, in the mode that the module is in and with gradients.

        Args:
            x: a batch as the network takes it; a mapping is passed as keyword arguments.

        Raises:
            InputError: what the network returned are no logits for this tree.

        Example:
            >>> tree = Hierarchy([2, 2, -1], ["no", "yes"])
            >>> NBDT(nn.Linear(4, 1), tree).logits(torch.zeros(3, 4)).shape
            torch.Size([3, 2])
        """
        output = self._called(x)
        if isinstance(output, Mapping):
            logits = output.get("logits")
        else:
            logits = getattr(output, "logits", output)
        if not isinstance(logits, Tensor):
            raise InputError(
                f"the network returned {type(output).__name__}; expected a tensor of logits, or "
                "an object that holds one as .logits."
            )
        num_classes = self.hierarchy.num_classes
        if num_classes == 2 and logits.ndim == 2 and logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        if logits.ndim != 2 or logits.shape[1] != num_classes:
            raise InputError(
                f"the tree has {num_classes} classes, so the network has to return logits of "
                f"shape (batch, {num_classes}); got {tuple(logits.shape)}."
            )
        if self.layout.leaf_order.device != logits.device and not logits.is_meta:
            self.layout.to(logits.device)  # the network was moved alone
        return logits

    def forward(self, x: Tensor | Mapping[str, Any]) -> Float[Tensor, "batch classes"]:
        """The soft log-probability of every class, whatever the `rule`.

        Args:
            x: a batch as the network takes it; a mapping is passed as keyword arguments.

        Returns:
            Log-probabilities in nats, in float32 (or float64); exp of a row sums to 1.
        """
        return self.temperature.log_probs(self.logits(x), self.layout, self.score)

    def predict(
        self, x: Tensor | Mapping[str, Any], rule: RuleName | None = None
    ) -> Int[Tensor, " batch"]:
        """The index of each sample's predicted class.

        Args:
            x: a batch as the network takes it.
            rule: "soft", the class with the largest probability, or "hard", the one reached by
                taking the likeliest child at every node; by default the module's rule.

        Raises:
            InputError: the logits of a sample hold NaN or +inf, or are all −inf.

        Example:
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
            >>> model = NBDT(nn.Identity(), tree)
            >>> logits = torch.tensor([[2.0, 2.0, 2.2]])
            >>> model.predict(logits), model.predict(logits, rule="hard")
            (tensor([2]), tensor([0]))
        """
        rule = self.rule if rule is None else get_rule(rule).name
        with eval_mode(self):
            return self.predictions(self.logits(x), rule).answer_classes

    def predict_proba(self, x: Tensor | Mapping[str, Any]) -> Float[Tensor, "batch classes"]:
        """The soft probability of every class, whatever the `rule`; a row sums to 1.

        Args:
            x: a batch as the network takes it.

        Example:
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
            >>> NBDT(nn.Identity(), tree, score="mean").predict_proba(torch.zeros(1, 3))
            tensor([[0.2500, 0.2500, 0.5000]])
        """
        with eval_mode(self):
            log_probs: Tensor = self(x)
            return log_probs.exp()

    def decision_path(
        self, x: Tensor | Mapping[str, Any], rule: RuleName | None = None
    ) -> csr_matrix:
        """Which nodes each sample passes, as in scikit-learn's ``decision_path``.

        Args:
            x: a batch as the network takes it.
            rule: as in `predict`.

        Returns:
            An indicator matrix of shape (n_samples, n_nodes): 1 where the sample's path, from the
            root to the predicted class, contains the node.

        Example:
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
            >>> NBDT(nn.Identity(), tree).decision_path(torch.tensor([[5.0, 0, 0]])).toarray()
            array([[1, 0, 0, 1, 1]])
        """
        leaves = self.predict(x, rule).tolist()
        paths = {leaf: sorted(self.hierarchy.path(leaf)) for leaf in set(leaves)}
        indices = [node for leaf in leaves for node in paths[leaf]]
        starts = np.cumsum([0, *(len(paths[leaf]) for leaf in leaves)])
        ones = np.ones(len(indices), dtype=np.int64)
        shape = (len(leaves), len(self.hierarchy))
        return csr_matrix((ones, np.array(indices, dtype=np.int64), starts), shape=shape)

    def explain(self, x: Tensor | Mapping[str, Any], rule: RuleName | None = None) -> Explanations:
        """Each sample's prediction, with the decisions that led to it.

        Args:
            x: a batch as the network takes it.
            rule: as in `predict`.

        Raises:
            InputError: the logits of some rows hold NaN; the message names them.

        Example:
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
            >>> print(NBDT(nn.Identity(), tree).explain(torch.tensor([[3.0, 2.0, 0.0]]))[0])
            Predicted cat (71 %); the network agrees.
            Path: thing → animal (96 %) → cat (73 %).
            Closest decision: cat (73 %) over dog (27 %) at animal.
            Runner-up: dog (26 %); the paths diverge at animal.
        """
        rule = self.rule if rule is None else get_rule(rule).name
        with eval_mode(self):
            logits = self.logits(x)
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

        Args:
            logits: as `logits` gives them.
            rule: as in `predict`.
            labels: the true classes, for measures.
            indices: what the samples are called in examples.

        Raises:
            InputError: as for `nbdt.rules.Predictions`.

        Example:
            >>> model = NBDT(nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
            >>> model.predictions(torch.tensor([[5.0, 0, 0]])).answer_path.confidences.round(3)
            array([0.993, 0.993])
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

        Args:
            folder: a new or empty folder, or that of a model, which is replaced.

        Raises:
            InputError: the folder holds something else or cannot be written, or `builder` does
                not build this network.

        Example:
            >>> import tempfile
            >>> from nbdt.classifiers import build
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
            >>> model = NBDT(build("nbdt:digits-cnn", num_classes=3), tree).eval()
            >>> folder = tempfile.mkdtemp()
            >>> model.save_pretrained(folder)
            >>> again = NBDT.from_pretrained(folder)
            >>> images = torch.rand(2, 1, 8, 8)
            >>> torch.equal(again(images), model(images))
            True
        """
        network, prefix = unwrap(self.network)
        config = ModelConfig(
            classes=self.classes,
            score=self.score,
            rule=self.rule,
            builder=self.builder,
            preprocessing=self.preprocessing,
            head=self._head_given and self._head_given.removeprefix(f"{prefix}."),
            temperature=self.temperature,
            provenance=self.provenance,
        )
        write_model(folder, config, self.hierarchy, network)

    @classmethod
    def from_pretrained(
        cls, folder: str | os.PathLike[str], network: nn.Module | None = None
    ) -> NBDT:
        """Loads a model that `save_pretrained` wrote, in eval mode.

        Nothing is unpickled, downloaded, or imported because the folder names it.

        Args:
            folder: the model's folder.
            network: a network of the same making, whose weights and their types are replaced;
                needed where the folder does not say how to build one.

        Raises:
            NotFoundError: there is no such folder, or it holds no model.
            FormatError: a file is missing, not the one that was saved, or not valid; or the
                weights do not fit the network.
            InputError: the folder does not say how to build the network, and none was given.

        Example:
            >>> import tempfile
            >>> folder = tempfile.mkdtemp()
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
            >>> NBDT(nn.Linear(4, 3), tree).save_pretrained(folder)
            >>> NBDT.from_pretrained(folder, network=nn.Linear(4, 3)).classes
            ('cat', 'dog', 'car')
        """
        saved = read_model(folder)
        config = saved.config
        if network is None:
            if config.builder is None:
                raise InputError(
                    f"{folder} does not say how its network is built, as it is none of "
                    "torchvision, timm or nbdt; build it yourself and pass it, by network=… or, "
                    "to a command, --network FILE.py:FUNCTION."
                )
            # Random first weights, soon replaced, should not use up the caller's random numbers.
            with torch.random.fork_rng(devices=[]):
                network = config.builder.build()
        model = cls(
            network,
            saved.hierarchy,
            get_score(config.score).name,
            get_rule(config.rule).name,
            preprocessing=config.preprocessing,
            builder=config.builder,
            head=config.head,
            temperature=config.temperature,
        )
        load_tensors(unwrap(model.network)[0], saved.weights)
        model.provenance = dict(config.provenance)
        return model.eval()

    def extra_repr(self) -> str:
        """What torch prints of the module beside its parts."""
        text = f"score={self.score!r}, rule={self.rule!r}"
        return text if self.temperature == Temperature() else f"{text}, {self.temperature}"

    def _called(self, x: Any) -> Any:
        """What the network returns; where it fails, for what reason it may be."""
        try:
            return self.network(**x) if isinstance(x, Mapping) else self.network(x)
        except (TypeError, AttributeError, RuntimeError) as error:
            if not isinstance(x, Tensor | Mapping):
                error.add_note(
                    f"The network was given an object of type {type(x).__name__}. Most take a "
                    "tensor with a row a sample, or a mapping of keyword arguments."
                )
            if isinstance(x, Tensor) and x.ndim in (1, 3):
                error.add_note("Is this one sample? A model takes a batch: x[None] makes one.")
            raise

    def _find_head(self) -> tuple[str | None, bool]:
        """The head's path, None where it cannot be found, and whether its output is altered."""
        num_classes = self.hierarchy.num_classes
        try:
            head = find_head(self.network, self._head_given, num_classes=num_classes)
        except HeadError:
            if self._head_given is not None:
                raise
            return None, False
        if head.num_classes != num_classes:
            raise InputError(
                f"the network has {head.num_classes} classes (its head is {head.path!r}), but the "
                f"tree has {num_classes}."
            )
        return head.path, head.altered

    def _move_layout(self) -> None:
        """Moves the layout to where the logits will be, if that can be told before a call."""
        parameters = list(self.network.get_submodule(self.head or "").parameters())
        if parameters and not parameters[-1].is_meta:
            self.layout.to(parameters[-1].device)

    def geometry(self) -> FeatureGeometry | None:
        """Where the nodes lie in feature space now, if the score and the head have it.

        It is worked out anew only where the tree or the head's weights have changed.
        """
        if not get_score(self.score).is_linear or self.head is None or self._head_altered:
            return None
        layer = self.network.get_submodule(self.head)
        if not isinstance(layer, nn.Linear):
            return None
        rows, known = Head(self.head, layer).rows, self._geometry
        if known is not None and known[1].hierarchy is self.hierarchy and _equal(known[0], rows):
            return known[1]
        whole = rows
        if len(rows) < self.hierarchy.num_classes:
            whole = torch.cat([torch.zeros_like(rows), rows])
        geometry = FeatureGeometry(self.hierarchy, whole)
        self._geometry = rows.clone(), geometry
        return geometry


def _equal(old: Tensor, new: Tensor) -> bool:
    """Whether weights stayed; by value, since they can be changed in ways torch does not count."""
    return old.dtype == new.dtype and old.device == new.device and torch.equal(old, new)
