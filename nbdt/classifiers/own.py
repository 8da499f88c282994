"""The project's own small networks, each from its paper's description, and those of users' files.

A user's file is run, so only the user may name it, never a model folder.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbdt.classifiers.base import MAX_CHANNELS, MAX_CLASSES, Library, Limits
from nbdt.errors import InputError, NotFoundError, reason_of


class SmallCNN(nn.Module):
    """A few 3×3 convolutions with batch norm, global average pooling, and one linear layer.

    Each stage has one convolution and a 2×2 max pooling, the last no pooling; `widths` are the
    stages' channels. Global average pooling (Lin et al. 2014, "Network In Network", section 3.2)
    allows images of any size.
    """

    def __init__(
        self, num_classes: int = 10, in_channels: int = 1, widths: Sequence[int] = (32, 64, 128)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((in_channels, *widths)):
            layers += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.features = nn.Sequential(*layers[:-1])
        self.linear = nn.Linear(widths[-1], num_classes)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        logits: Tensor = self.linear(self.features(x).mean(dim=(2, 3)))
        return logits


class LeNet(nn.Module):
    """Two convolutions and two linear layers for 28×28 images, after LeNet-5 (LeCun et al. 1998).

    Modernized: 3×3 convolutions with 32 and 64 channels, each with a relu and a 2×2 max pooling,
    then a hidden layer of 128; 421,642 parameters for gray images and ten classes.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.hidden = nn.Linear(64 * 7 * 7, 128)
        self.linear = nn.Linear(128, num_classes)

    def forward(self, x: Float[Tensor, "batch channels 28 28"]) -> Float[Tensor, "batch classes"]:
        """The logits."""
        out = F.max_pool2d(F.relu(self.conv1(x)), 2)
        out = F.max_pool2d(F.relu(self.conv2(out)), 2)
        logits: Tensor = self.linear(F.relu(self.hidden(out.flatten(1))))
        return logits


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut without parameters (He et al. 2015, section 4.2).

    When the size halves, the shortcut takes every second row and column and pads the new channels
    with zeros, half before and half after the old ones ("option A").
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride = stride
        self.padding = (after - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = F.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + shortcut)


class CifarResNet(nn.Module):
    """The residual network for 32×32 images of He et al. 2015, section 4.2 (arXiv 1512.03385).

    A 3×3 convolution, three stages of n basic blocks with 16, 32 and 64 channels, global average
    pooling and a linear layer: depth 6n + 2. Depth 20 has 269,722 parameters at ten classes.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, depth: int = 20) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise InputError(f"a CIFAR ResNet has a depth of 6n + 2 (8, 14, 20, …), got {depth}.")
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.linear(out.mean(dim=(2, 3)))
        return logits


def _stage(before: int, after: int, blocks: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock(before, after, stride)
    return nn.Sequential(first, *(BasicBlock(after, after, 1) for _ in range(blocks - 1)))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "digits-cnn": partial(SmallCNN, widths=(32, 64)),
    "small-cnn": partial(SmallCNN, widths=(32, 64, 128)),
    "lenet": LeNet,
    "cifar-resnet20": partial(CifarResNet, depth=20),
}


class OwnNetworks(Library):
    """The networks above, by name."""

    name = "nbdt"
    arguments: ClassVar[Mapping[str, Limits]] = {
        "num_classes": MAX_CLASSES,
        "in_channels": MAX_CHANNELS,
    }
    channels_argument = "in_channels"

    def networks(self) -> list[str]:
        return sorted(NETWORKS)

    def construct(self, network: str, **arguments: Any) -> nn.Module:
        return NETWORKS[network](**arguments)


# ── files of the user ─────────────────────────────────────────────────────────────────────────


def is_own(source: str) -> bool:
    """Whether the name is a function in a Python file, or at least such a file."""
    return ".py:" in source or source.endswith(".py")


def own_network(source: str, **arguments: Any) -> nn.Module:
    """The network that a function in a Python file returns, given these arguments.

    The source is "FILE.py:FUNCTION". The file can import its neighbors at the top level; modules
    imported when the network is called must be installed. An InputError if the code fails or
    returns no network.
    """
    place, _, function = source.rpartition(":")
    path = Path(place)
    if path.suffix != ".py" or not function.isidentifier():
        raise InputError(f"a network of your own is FILE.py:FUNCTION, got {source!r:.80}.")
    if not path.is_file():
        raise NotFoundError(f"{place}: no such file.")
    network = _called(path, function, arguments)
    if not isinstance(network, nn.Module):
        raise InputError(
            f"{source} returned {type(network).__name__}; expected a network, a torch.nn.Module."
        )
    network._nbdt_source = {"network": f"{path.name}:{function}"} | (  # type: ignore[assignment]
        {"arguments": arguments} if arguments else {}
    )
    return network


def own_source(network: nn.Module) -> dict[str, Any]:
    """The file's name, the function and the arguments that `own_network` made a network by."""
    return dict(getattr(network, "_nbdt_source", {}))


def _called(path: Path, function: str, arguments: dict[str, Any]) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # any file with the suffix .py has one, and a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = path.parent.resolve()
    sys.path.insert(0, str(folder))
    before = dict(sys.modules)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
        build = getattr(module, function, None)
        if not callable(build):
            raise NotFoundError(f"{path}: it has no function {function!r}.")
        return build(**arguments)
    except NotFoundError:
        raise
    # Whatever the user's code raises becomes one sentence.
    except Exception as error:
        kind, reason = type(error).__name__, reason_of(error)
        problem = kind if reason == kind else f"{kind}: {reason}"
        raise InputError(f"{path}: {function} failed: {problem}") from error
    finally:
        sys.path.remove(str(folder))
        _forget(folder, before)


def _forget(folder: Path, before: dict[str, ModuleType]) -> None:
    """Forgets modules imported from a folder: other folders may have files of the same name."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if before.get(name) is not module and file and Path(file).is_relative_to(folder):
            del sys.modules[name]
            if name in before:
                sys.modules[name] = before[name]
