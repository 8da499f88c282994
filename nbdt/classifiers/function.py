"""A function as a classifier: anything that can be called with a batch and gives its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from nbdt.classifiers.base import Adapter, Library, libraries
from nbdt.classifiers.outputs import as_tensor
from nbdt.errors import HeadError, InputError, NBDTError, reason_of


class FunctionModule(Adapter):
    """A function that takes the batch as the caller gives it; its result as a tensor."""

    library: ClassVar[str] = "function"
    reason: ClassVar[str] = (
        "a function has no weights that could be trained, exported or saved; pass it again to "
        "from_pretrained(folder, network=function)."
    )

    def forward(self, batch: Any) -> Tensor:
        """What the function returns; an InputError if that isn't one row per sample."""
        try:
            values = as_tensor(self.model(batch))
        except (NBDTError, Warning):
            raise
        except Exception as error:  # the function is the user's, and may raise anything
            raise InputError(
                f"the function {_name(self.model)} failed: {type(error).__name__}: "
                f"{reason_of(error)}"
            ) from error
        count = _count(batch)
        if count is not None and values.ndim and len(values) != count:
            raise InputError(
                f"the function {_name(self.model)} returned an array of shape "
                f"{tuple(values.shape)} for {count} sample{'s' * (count != 1)}; its first axis "
                "must be the batch."
            )
        return values

    def extra_repr(self) -> str:
        """The function's name."""
        return _name(self.model)


class Function(Library):
    """The interface to functions and other callable objects that no library knows."""

    name = "function"

    def recognizes(self, model: object) -> bool:
        if not callable(model) or isinstance(model, nn.Module | type):
            return False
        return not any(other.recognizes(model) for other in libraries() if other is not self)

    def module(self, model: Any) -> nn.Module:
        return FunctionModule(model)

    def head(self, model: Any) -> Any:
        raise HeadError(
            f"the function {_name(model)} has no linear layer with a row per class; build its tree "
            "from its answers, nbdt.induce(function, samples=X, outputs=…), or from an array with "
            "a row per class."
        )


def _count(batch: Any) -> int | None:
    """How many samples a batch has, as far as that can be seen."""
    if isinstance(batch, Mapping | str | bytes):
        return None
    shape = getattr(batch, "shape", None)
    try:
        return int(shape[0]) if shape else len(batch)
    except (TypeError, ValueError, IndexError):
        return None


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return str(name).rpartition("<locals>.")[2]
