"""What a model's temperature was fitted to, as far as its provenance says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdt.model import NBDT


def fitted_to(model: NBDT) -> Mapping[str, Any]:
    """What is noted of the samples: their ``fingerprint``, and by commands ``data`` and ``part``.

    Empty where nothing is noted, or the model has another temperature by now.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([2, 2, -1], ["no", "yes"]), temperature=2.0)
        >>> known = {"temperature": model.temperature.to_dict(), "fingerprint": "ab12"}
        >>> model.provenance["temperature"] = known
        >>> fitted_to(model)["fingerprint"]
        'ab12'
        >>> model.temperature = None
        >>> fitted_to(model)
        {}
    """
    # What a folder says may come from a stranger.
    noted = model.provenance.get("temperature")
    if not isinstance(noted, Mapping) or noted.get("temperature") != model.temperature.to_dict():
        return {}
    return noted
