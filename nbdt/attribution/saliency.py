"""Which pixels made a decision: what is explained, for which input, by which method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbdt.attribution.difference import (
    Attribution,
    Choice,
    check_finite,
    checked_model,
    choices_on,
    decision_log_probs,
    differences,
    site_on,
)
from nbdt.attribution.layers import feature_layer
from nbdt.attribution.methods import Method, attributor
from nbdt.classifiers import eval_mode
from nbdt.errors import InputError
from nbdt.explain import Decision, Explanation
from nbdt.hierarchy.lookup import Node
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Saliency(Attribution):
    """What each pixel of one input contributed to preferring one child of a node over another.

    Attributes:
        attribution: one number a pixel of the network's input, summed over its channels, in the
            units of the scores; positive speaks for the child, negative for its rival. It lies as
            the input does: turned, if the preprocessing turns images. In float32, on the CPU.
        layer: the layer that GradCAM looked at; None for other methods.
        preprocessing: how the picture became the input, where the model knows.
    """

    attribution: Float[Tensor, "height width"]
    layer: str | None = None
    preprocessing: Preprocessing | None = None

    @property
    def total(self) -> float:
        """The sum of the map."""
        return self.attribution.double().sum().item()

    def to_dict(self) -> dict[str, Any]:
        """As `Attribution.to_dict`, with the size of the map in place of the map."""
        height, width = self.attribution.shape
        return {**super().to_dict(), "layer": self.layer, "height": height, "width": width}

    def __repr__(self) -> str:
        height, width = self.attribution.shape
        return (
            f"Saliency({self.node_name!r}: {self.child_name!r} over {self.rival_name!r}, "
            f"{height}×{width}, {self.method})"
        )


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

    It explains the difference of their scores under the model's own score and temperature: the
    decision's margin. The methods:

    - "integrated_gradients" (Sundararajan et al., ICML 2017): gradients added up on the straight
      line from the baseline to the input, in ``n_steps=50`` steps. The map sums to the rise of the
      difference, except for `Saliency.convergence_delta`.
    - "grad_cam" (Selvaraju et al., ICCV 2017): the last feature map, weighted by its mean gradient.
      Coarse and fast. Without the paper's ReLU, since evidence for the sibling counts too.
    - "occlusion" (Zeiler and Fergus, ECCV 2014): how far the difference falls when a window
      (``sliding_window_shapes``, ``strides``) is set to the baseline, averaged over the windows
      that cover a pixel. Slow.
    - a class of `captum.attr`, or a function that makes one: ``captum.attr.InputXGradient``,
      ``lambda explained: LayerGradCam(explained, net.layer3)``.

    The model is in eval mode meanwhile, and left as it was. Methods that look at layers hook them,
    so other threads should not use the same network at that time.

    Args:
        x: one input, as the network takes it.
        decision: one of ``model.explain(x)[0].path``; or a node, by id or name, whose most likely
            child is then explained.
        baseline: the input without information: a number, or a tensor that broadcasts to `x`, in
            the units of `x`. By default 0: mean gray for most networks.
        layer: the name of the layer for "grad_cam"; by default the last one that gives a feature
            map, if there is only one.
        **arguments: passed on to Captum's ``attribute``.

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
    """The saliency of each decision on a path: an explanation's, or some of its decisions.

    The other arguments are those of `decision_saliency`, but `method` is the fast "grad_cam" by
    default: Integrated Gradients take their time for every decision. Occlusion computes all
    decisions at once.
    """
    checked_model(model)
    site = site_on(path)
    x = _checked_input(x)
    if layer is not None and method != "grad_cam":
        raise InputError("layer is only used by method='grad_cam'; leave it out.")
    if baseline is not None:
        baseline = _checked_baseline(baseline, x)
    # A caller's inference mode would leave no gradients to compute.
    with torch.inference_mode(False), eval_mode(model) as model, torch.enable_grad():
        x = x.detach().clone()
        with torch.no_grad():
            log_probs = decision_log_probs(model, model.logits(x), site)[0]
        choices = choices_on(model, path, log_probs)
        if not choices:
            return []
        explained = _Differences(model, choices, site)
        watched = None
        if method == "grad_cam":
            layer = feature_layer(model, x, layer)
            watched = model.network.get_submodule(layer)
        attribute = attributor(
            method, explained, x, baseline=baseline, layer=watched, arguments=arguments
        )
        x.requires_grad_()
        differences = explained(x)
        here = check_finite(differences, "the input")
        if attribute.needs_gradients and not differences.requires_grad:
            raise InputError(
                f"the network gives no gradients for its input, which {attribute.name} needs; use "
                "method='occlusion'."
            )
        there = None
        if attribute.complete:
            nothing = torch.zeros_like(x) + (0 if baseline is None else baseline)
            with torch.no_grad():
                there = check_finite(explained(nothing), "the baseline")
        maps = attribute.maps(x, len(choices))

    return [
        Saliency(
            attribution=map_.clone(),
            **choice.named(model),
            difference=here[place],
            method=attribute.name,
            layer=layer,
            baseline_difference=None if there is None else there[place],
            preprocessing=_preprocessing_of(model),
        )
        for place, (choice, map_) in enumerate(zip(choices, maps, strict=True))
    ]


class _Differences(nn.Module):
    """The score of each child minus that of its rival; a column a decision."""

    def __init__(self, model: NBDT, choices: list[Choice], site: tuple[int, ...] | None) -> None:
        super().__init__()
        self.model, self._choices, self._site = model, choices, site

    def forward(self, x: Tensor) -> Float[Tensor, "batch decisions"]:
        log_probs = decision_log_probs(self.model, self.model.logits(x), self._site)
        return differences(log_probs, self._choices)


def _preprocessing_of(model: NBDT) -> Preprocessing | None:
    return model.preprocessing if isinstance(model.preprocessing, Preprocessing) else None


def _checked_input(x: object) -> Tensor:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = f"dtype {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"x must be a tensor of floating-point numbers, got {got}.")
    if x.ndim != 4 or len(x) != 1 or x.numel() == 0:
        raise InputError(
            "saliency explains one input of shape (1, channels, height, width), as in images[:1]; "
            f"got {tuple(x.shape)}."
        )
    return x


def _checked_baseline(baseline: object, x: Tensor) -> float | Tensor:
    if isinstance(baseline, int | float) and not isinstance(baseline, bool):
        return float(baseline)
    if not isinstance(baseline, Tensor):
        raise InputError(f"baseline must be a number or a tensor, got {type(baseline).__name__}.")
    try:
        return baseline.detach().to(x).expand_as(x)
    except RuntimeError:
        raise InputError(
            f"baseline of shape {tuple(baseline.shape)} does not broadcast to the shape of x, "
            f"{tuple(x.shape)}."
        ) from None
