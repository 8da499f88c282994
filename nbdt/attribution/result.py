"""`Saliency`: what each pixel of one input contributed to one decision."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from nbdt.explain.percent import percent
from nbdt.inputs.image import Preprocessing


@dataclass(frozen=True, eq=False, repr=False)
class Saliency:
    """What each pixel contributed to preferring one child of a node over another.

    Attributes:
        attribution: one number a pixel of the network's input, summed over its channels, in the
            units of the scores; positive speaks for the child, negative for its rival. It lies as
            the input does: turned, if the preprocessing turns images. In float32, on the CPU;
            shape (H, W).
        node: the node that decided.
        node_name: its name.
        child: the child taken.
        child_name: its name.
        rival: the nearest sibling of the child: the likeliest of those not taken.
        rival_name: its name.
        probability: that of the child among all children of the node, 0 … 1.
        difference: what is explained: the score of the child minus that of its rival, at the
            model's temperature.
        method: how it was computed: "integrated_gradients", "grad_cam", "occlusion", or the name
            of another class of Captum.
        layer: the layer that GradCAM looked at; None for other methods.
        baseline_difference: the same difference at the input that stands for "nothing to be
            seen"; None where the method does not share out the way from there.
        preprocessing: how the picture became the input, where the model knows.

    Example:
        >>> import torch
        >>> map_ = torch.tensor([[0.5, 1.5], [0.0, -0.4]])
        >>> saliency = Saliency(map_, 3, "animal", 0, "cat", 1, "dog", 0.8, 1.4, "occlusion")
        >>> print(saliency)
        animal: cat (80 %), not dog; the scores differ by 1.40
        >>> saliency.attribution.sum()
        tensor(1.6000)
    """

    attribution: Float[Tensor, "height width"]
    node: int
    node_name: str
    child: int
    child_name: str
    rival: int
    rival_name: str
    probability: float
    difference: float
    method: str
    layer: str | None = None
    baseline_difference: float | None = None
    preprocessing: Preprocessing | None = None

    @property
    def convergence_delta(self) -> float | None:
        """By how much the map misses what it shares out, in the units of the scores.

        The sum of the map minus the rise of the difference from the baseline to the input, which
        is 0 for exact Integrated Gradients (completeness: Sundararajan et al., "Axiomatic
        Attribution for Deep Networks", ICML 2017, proposition 1). None where the method makes no
        such promise.
        """
        if self.baseline_difference is None:
            return None
        return self.attribution.double().sum().item() - self.difference + self.baseline_difference

    def __str__(self) -> str:
        return (
            f"{self.node_name}: {self.child_name} ({percent(self.probability)}), not "
            f"{self.rival_name}; the scores differ by {self.difference:.2f}"
        )

    def __repr__(self) -> str:
        height, width = self.attribution.shape
        return (
            f"Saliency({self.node_name!r}: {self.child_name!r} over {self.rival_name!r}, "
            f"{height}×{width}, {self.method})"
        )
