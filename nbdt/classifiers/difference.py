"""In what two networks differ, apart from their weights."""

from __future__ import annotations

from typing import Any

from torch import nn


def difference(network: nn.Module, built: nn.Module) -> str | None:
    """The first thing in which two networks differ, apart from their weights, as a phrase.

    Compared are the types of the parts, their plain settings (stride, dropout, …), and the names
    and shapes of the tensors.

    Example:
        >>> difference(nn.Linear(2, 3), nn.Linear(2, 4))
        'out_features is 3, not 4'
    """
    mine, theirs = dict(network.named_modules()), dict(built.named_modules())
    for name in [*mine, *theirs]:
        if name not in theirs or name not in mine:
            return f"{name} is {'there' if name in mine else 'missing'}"
        one, other = mine[name], theirs[name]
        if type(one) is not type(other):
            return f"{name or 'it'} is a {type(one).__name__}, not a {type(other).__name__}"
        settings, expected = _settings(one), _settings(other)
        for key in [*settings, *expected]:
            if settings.get(key) != expected.get(key):
                where = f"{name}.{key}" if name else key
                return f"{where} is {settings.get(key)!r}, not {expected.get(key)!r}"
    shapes, others = (
        {key: tuple(value.shape) for key, value in net.state_dict().items()}
        for net in (network, built)
    )
    for key in [*shapes, *others]:
        if shapes.get(key) != others.get(key):
            return f"{key} has shape {shapes.get(key)}, not {others.get(key)}"
    return None


def _settings(module: nn.Module) -> dict[str, Any]:
    # In-place or not, the numbers are the same; train or eval is no part of a network's making.
    return {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
        and not key.startswith("_")
        and key not in ("training", "inplace")
    }
