"""The converters of `nbdt.hierarchy.formats`, under a name that scripts already use."""

from nbdt.hierarchy.formats import *  # noqa: F403
from nbdt.hierarchy.formats import __all__  # noqa: F401
