"""From a decision to its saliency: what is explained, for which input, by which method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbdt.attribution.layers import feature_layer
from nbdt.attribution.methods import Method, attributor
from nbdt.attribution.result import Saliency
from nbdt.classifiers import eval_mode
from nbdt.errors import InputError
from nbdt.explain import Decision, Explanation
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.model import NBDT


def decision_saliency(
    model: NBDT,
    x: Float[Tensor, "1 channels height width"],
    decision: Decision | Node,
    *,
    method: Method = "integrated_gradients",
    baseline: float | Tensor | None = None,
    layer: str | None = None,
    **arguments: Any,
) -> Saliency:
    """What each pixel contributed to a node's preferring the child taken to its nearest sibling.

    Explained is the difference of their scores, under the model's own score and temperature: the
    decision's margin. The methods:

    - "integrated_gradients" (Sundararajan et al., ICML 2017): gradients added up on the straight
      way from the baseline to the input, ``n_steps=50`` of them. The map shares out the rise of
      the difference: it sums to that, but for `Saliency.convergence_delta`.
    - "grad_cam" (Selvaraju et al., ICCV 2017): the last map of features, weighted by its mean
      gradient. Coarse and quick. Without the paper's ReLU, as what speaks for the sibling counts
      too.
    - "occlusion" (Zeiler and Fergus, ECCV 2014): how far the difference falls when a window
      (``sliding_window_shapes``, ``strides``) is set to the baseline, averaged over the windows
      that hold a pixel. Slow.
    - a class of `captum.attr`, or a function that makes one: ``captum.attr.InputXGradient``,
      ``lambda explained: LayerGradCam(explained, net.layer3)``.

    The model is in eval mode meanwhile, and left as it was. Methods that look at layers hook them,
    so other threads should not use the same network at that time.

    Args:
        model: the model.
        x: one input, as the network takes it; shape (1, C, H, W).
        decision: one of ``model.explain(x)[0].path``; or a node, by id or name, of which the
            likeliest child is taken.
        method: how contributions are computed.
        baseline: what stands for "nothing to be seen": a number, or a tensor that broadcasts to
            `x`, in the units of `x`. By default 0: mean grey for most networks.
        layer: the name of the layer that "grad_cam" looks at; by default the last that gives a
            map of features, where there is only one such.
        **arguments: passed on to Captum's ``attribute``.

    Raises:
        InputError: `x` is not one input, the decision is not one of this model's, the method does
            not take an argument, or the scores at `x` or at the baseline are not finite.
        NotFoundError: the tree has no such node, or the network no such layer.
        MissingDependencyError: Captum is not installed.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False))
        >>> rows = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
        >>> _ = network[1].weight.data.copy_(rows)
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(network, tree, score="mean")
        >>> x = torch.tensor([[[[3.0, 1.0], [0.5, 0.0]]]])
        >>> saliency = decision_saliency(model, x, model.explain(x)[0].path[1])
        >>> print(saliency)
        animal: cat (88 %), not dog; the scores differ by 2.00
        >>> saliency.attribution.round(decimals=3).tolist()
        [[3.0, -1.0], [0.0, 0.0]]
    """
    (saliency,) = path_saliency(
        model, x, [decision], method=method, baseline=baseline, layer=layer, **arguments
    )
    return saliency


def path_saliency(
    model: NBDT,
    x: Float[Tensor, "1 channels height width"],
    path: Explanation | Iterable[Decision | Node],
    *,
    method: Method = "grad_cam",
    baseline: float | Tensor | None = None,
    layer: str | None = None,
    **arguments: Any,
) -> list[Saliency]:
    """The saliency of each decision on a path; see `decision_saliency`.

    Args:
        model: the model.
        x: one input, as the network takes it; shape (1, C, H, W).
        path: what ``model.explain(x)[0]`` gives, or some of its decisions.
        method: as there, but the quick "grad_cam" unless told otherwise: Integrated Gradients
            take their time for every decision. Occlusion computes all decisions at once.
        baseline: as there.
        layer: as there.
        **arguments: as there.

    Raises:
        InputError: as there.
        NotFoundError: as there.
        MissingDependencyError: as there.

    Example:
        >>> from nbdt.classifiers import build
        >>> from nbdt.hierarchy.shapes import balanced
        >>> model = NBDT(build("nbdt:digits-cnn"), balanced(10)).eval()
        >>> x = torch.rand(1, 1, 8, 8)
        >>> explanation = model.explain(x)[0]
        >>> maps = path_saliency(model, x, explanation)
        >>> [one.node for one in maps] == [decision.node for decision in explanation.path]
        True
    """
    if not isinstance(model, NBDT):
        raise InputError(f"model has to be an NBDT, got {type(model).__name__}.")
    x = _checked_input(x)
    decisions = list(path.path if isinstance(path, Explanation) else path)
    if layer is not None and method != "grad_cam":
        raise InputError("layer names the layer that method='grad_cam' looks at; leave it out.")
    if baseline is not None:
        baseline = _checked_baseline(baseline, x)
    # A caller's inference mode would leave no gradients to compute.
    with torch.inference_mode(False), eval_mode(model), torch.enable_grad():
        x = x.detach().clone()
        with torch.no_grad():
            log_probs = _log_probs(model, x)[0]
        choices = [_choice(model, decision, log_probs) for decision in decisions]
        if not choices:
            return []
        explained = _Differences(model, choices)
        watched = None
        if method == "grad_cam":
            layer = feature_layer(model, x, layer)
            watched = model.network.get_submodule(layer)
        attribute = attributor(
            method, explained, x, baseline=baseline, layer=watched, arguments=arguments
        )
        x.requires_grad_()
        differences = explained(x)
        here = _finite(differences, "the input")
        if attribute.needs_gradients and not differences.requires_grad:
            raise InputError(
                f"the network gives no gradients to its input, which {attribute.name} needs; use "
                "method='occlusion'."
            )
        there = None
        if attribute.complete:
            nothing = torch.zeros_like(x) + (0 if baseline is None else baseline)
            with torch.no_grad():
                there = _finite(explained(nothing), "the baseline")
        maps = attribute.maps(x, len(choices))

    tree = model.hierarchy
    return [
        Saliency(
            attribution=map_.clone(),
            node=choice.node,
            node_name=tree.name(choice.node),
            child=choice.child,
            child_name=tree.name(choice.child),
            rival=choice.rival,
            rival_name=tree.name(choice.rival),
            probability=choice.probability,
            difference=here[place],
            method=attribute.name,
            layer=layer,
            baseline_difference=None if there is None else there[place],
            preprocessing=model.preprocessing,
        )
        for place, (choice, map_) in enumerate(zip(choices, maps, strict=True))
    ]


class _Choice(NamedTuple):
    """A child of a node, its rival, and the child's probability among all children."""

    node: int
    child: int
    rival: int
    probability: float


class _Differences(nn.Module):
    """The score of each child minus that of its rival; a column a decision."""

    def __init__(self, model: NBDT, choices: list[_Choice]) -> None:
        super().__init__()
        self.model = model
        self._children = [choice.child for choice in choices]
        self._rivals = [choice.rival for choice in choices]

    def forward(self, x: Tensor) -> Float[Tensor, "batch decisions"]:
        # Siblings' scores differ as their log-probabilities do.
        log_probs = _log_probs(self.model, x)
        return log_probs[:, self._children] - log_probs[:, self._rivals]


def _log_probs(model: NBDT, x: Tensor) -> Float[Tensor, "batch nodes"]:
    """The log-probability of each node given its parent."""
    return model.temperature.decisions(model.logits(x), model.layout, model.score)


def _choice(model: NBDT, decision: Decision | Node, log_probs: Tensor) -> _Choice:
    tree = model.hierarchy
    node = decision.node if isinstance(decision, Decision) else node_ids(tree, [decision])[0]
    children = tree.children(node)
    if not children:
        raise InputError(
            f"node {node} is the class {tree.name(node)!r}, which decides nothing; give an inner "
            "node."
        )
    probabilities = log_probs[list(children)].exp()
    if isinstance(decision, Decision):
        if decision.children != children:
            raise InputError(
                f"the decision at node {node} is of another tree: its children are "
                f"{decision.children}, here they are {children}."
            )
        child, rival = decision.child, decision.nearest_sibling
    else:
        order = probabilities.argsort(descending=True, stable=True).tolist()
        child, rival = (children[place] for place in order[:2])
    return _Choice(node, child, rival, probabilities[children.index(child)].item())


def _checked_input(x: object) -> Tensor:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = f"dtype {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"x has to be a tensor of floating-point numbers, got {got}.")
    if x.ndim != 4 or len(x) != 1 or x.numel() == 0:
        raise InputError(
            "saliency is of one input, shape (1, channels, height, width), as in images[:1]; got "
            f"{tuple(x.shape)}."
        )
    return x


def _checked_baseline(baseline: object, x: Tensor) -> float | Tensor:
    if isinstance(baseline, int | float) and not isinstance(baseline, bool):
        return float(baseline)
    if not isinstance(baseline, Tensor):
        raise InputError(f"baseline has to be a number or a tensor, got {type(baseline).__name__}.")
    try:
        return baseline.detach().to(x).expand_as(x)
    except RuntimeError:
        raise InputError(
            f"baseline has the shape {tuple(baseline.shape)}, which does not broadcast to that of "
            f"x, {tuple(x.shape)}."
        ) from None


def _finite(differences: Tensor, where: str) -> list[float]:
    values: list[float] = differences[0].tolist()
    if not differences.isfinite().all():
        raise InputError(
            f"the scores at {where} do not differ by a finite number ({values}): it holds NaN, or "
            "a class is masked out, which leaves nothing to explain."
        )
    return values
