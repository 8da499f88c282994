"""peft: adapters such as LoRA on a network's layers, which change what its last layer computes."""

from __future__ import annotations

from typing import Any

from torch import nn

from nbdt.classifiers.base import Library
from nbdt.errors import HeadError

_MODULE = "peft."
_COPIED = "original_module"


class Peft(Library):
    """The interface to peft: its wrappers are looked through, adapted heads refused."""

    name = "peft"

    def recognizes(self, model: object) -> bool:
        return any(cls.__module__.startswith(_MODULE) for cls in type(model).__mro__)

    def check(self, module: nn.Module) -> None:
        if _is_adapted(module):
            raise HeadError(
                f"the last layer has an adapter ({type(module).__name__} of peft), so its own "
                "weights are not those that the network uses; merge the adapter first: "
                "model.merge_and_unload()."
            )

    def check_part(self, module: nn.Module, path: str) -> None:
        self.check(module)
        used = self.head_paths(module)
        if _COPIED in dict(module.named_children()) and used != [path]:
            raise HeadError(f"{path!r} is a copy that is not used; the one that is used is {used}.")

    def head_paths(self, module: nn.Module) -> list[str] | None:
        children = dict(module.named_children())
        if _COPIED in children:  # a layer that was trained along, with its copies
            active: Any = module.active_adapter
            names = [active] if isinstance(active, str) else active
            return [_COPIED] if module.disable_adapters else [f"modules_to_save.{names[0]}"]
        for name in ("base_layer", "base_model", "model"):
            if name in children:
                return [name]
        return None


def _is_adapted(module: Any) -> bool:
    """Whether a layer's output has an adapter's added to it."""
    if "base_layer" not in dict(module.named_children()):
        return False
    return not (module.merged or module.disable_adapters)
