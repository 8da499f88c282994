"""How an attribution is computed: three methods of Captum by name, and any other as a function."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbdt.errors import InputError, NBDTError, missing

MethodName = Literal["integrated_gradients", "grad_cam", "occlusion"]
METHODS: tuple[MethodName, ...] = get_args(MethodName)
# Or a function from what is explained, a module with a column of numbers a decision, to one of
# Captum's attributions: its classes are such functions.
Method = MethodName | Callable[[nn.Module], Any]

# Each step of Integrated Gradients is one sample of a batch, whose activations are all kept: this
# many pixel values at once, 13 images of 224×224 in colour.
_BATCH_VALUES = 2**21
# The window that occlusion hides has this part of each side, and moves by half of itself.
_WINDOWS_A_SIDE = 8
# Arguments of Captum's `attribute` that the caller does not set, or that have another name here.
_OURS = ("inputs", "target", "additional_forward_args", "return_convergence_delta", "baselines")


@dataclass(frozen=True)
class Attributor:
    """One of Captum's attributions, with its arguments and what is known of its results.

    Attributes:
        repeats: how many channels hold each contribution again.
        at_once: whether one call gives the maps of all decisions.
        complete: whether the maps share out the rise of the difference from the baseline.
        needs_gradients: whether it works with gradients.
    """

    name: str
    attribution: Any
    arguments: Mapping[str, Any]
    repeats: int = 1
    at_once: bool = False
    complete: bool = False
    needs_gradients: bool = True

    def maps(self, x: Tensor, decisions: int) -> Float[Tensor, "decisions height width"]:
        """A number a pixel for each of the decisions, in float32 on the CPU."""
        targets = [None] if self.at_once else range(decisions)
        found = torch.cat([self._attributed(x, target) for target in targets])
        summed = found.sum(dim=1, keepdim=True) / self.repeats
        if summed.shape[2:] != x.shape[2:]:  # that of a layer, which is coarser
            summed = F.interpolate(summed, x.shape[2:], mode="bilinear", align_corners=False)
        return summed[:, 0].cpu()

    def _attributed(self, x: Tensor, target: int | None) -> Tensor:
        try:
            found = self.attribution.attribute(x, target=target, **self.arguments)
        except (AssertionError, TypeError, ValueError) as error:
            if isinstance(error, NBDTError):
                raise
            raise InputError(f"{self.name} of Captum refused its arguments: {error}") from error
        if not isinstance(found, Tensor) or found.ndim != 4:
            got = f"the shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found)
            raise InputError(
                f"{self.name} gave {got} for one input; expected a number for each pixel, shape "
                "(1, channels, height, width)."
            )
        return found.detach().float()


def attributor(
    method: Method,
    explained: nn.Module,
    x: Tensor,
    *,
    baseline: float | Tensor | None = None,
    layer: nn.Module | None = None,
    arguments: Mapping[str, Any],
) -> Attributor:
    """The method, by its name or made by the caller's function, with all of its arguments.

    `explained` gives a column of numbers a decision for an input such as `x`; `baseline` is the
    input without information (None for Captum's, 0), `layer` that of "grad_cam"; the `arguments`
    are passed on to Captum's ``attribute``.
    """
    captum = import_captum()
    known: dict[str, Any] = {}
    given = dict(arguments)
    if method == "integrated_gradients":
        attribution = captum.IntegratedGradients(explained)
        given = {"internal_batch_size": max(1, _BATCH_VALUES // x.numel())} | given
    elif method == "grad_cam":
        attribution = captum.LayerGradCam(explained, layer)
    elif method == "occlusion":
        attribution = captum.Occlusion(explained)
        given = _windows(x) | given if "sliding_window_shapes" not in given else given
        window = given["sliding_window_shapes"]
        known = {"repeats": window[0] if isinstance(window, tuple) else 1, "at_once": True}
    else:
        attribution = made_by(method, explained, captum)
    name = method if isinstance(method, str) else type(attribution).__name__

    parameters = inspect.signature(attribution.attribute).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    if baseline is not None:
        if "baselines" not in parameters and not takes_any:
            raise InputError(f"{name} does not use a baseline; leave it out.")
        given["baselines"] = baseline
    refused = [key for key in arguments if key in _OURS or not (key in parameters or takes_any)]
    if refused:
        taken = ", ".join(key for key in parameters if key not in {*_OURS, "kwargs"})
        raise InputError(f"{name} takes {taken or 'no arguments'}, not {', '.join(refused)}.")
    known["complete"] = "baselines" in parameters and attribution.has_convergence_delta()
    known["needs_gradients"] = not isinstance(attribution, captum.PerturbationAttribution)
    return Attributor(name, attribution, given, **known)


def import_captum() -> Any:
    """`captum.attr`; a MissingDependencyError if it is not installed."""
    try:
        with warnings.catch_warnings():
            # In notebooks without widgets, of which Captum's progress bars could make use.
            warnings.filterwarnings("ignore", message="IProgress not found")
            import captum.attr
    except ImportError:
        raise missing("captum", "attribution", "attribution by gradients") from None
    return captum.attr


def _windows(x: Tensor) -> dict[str, tuple[int, ...]]:
    """What occlusion hides: all channels of a window, which moves by half of itself."""
    channels, *sides = x.shape[1:]
    window = [-(-side // _WINDOWS_A_SIDE) for side in sides]
    steps = [-(-side // 2) for side in window]
    return {"sliding_window_shapes": (channels, *window), "strides": (channels, *steps)}


def made_by(method: object, explained: nn.Module, captum: Any) -> Any:
    """The attribution of Captum that a caller's class or function makes."""
    if isinstance(method, captum.Attribution):
        kind = type(method).__name__
        raise InputError(
            f"this {kind} is bound to another function already; give a function that makes one, "
            f"as in method=lambda explained: {kind}(explained)."
        )
    if not callable(method):
        raise InputError(
            f"method is one of {', '.join(METHODS)}, or a class of captum.attr; got {method!r:.80}."
        )
    made = method(explained)
    if not isinstance(made, captum.Attribution):
        raise InputError(
            f"the function given as method made a {type(made).__name__}, expected one of the "
            "attributions of captum.attr."
        )
    return made
