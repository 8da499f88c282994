"""Every error that nbdt raises on purpose.

All derive from `NBDTError`, so one `except` catches them, and each also inherits the builtin
that fits (`ValueError`, `LookupError`, …), so code that knows nothing of nbdt handles them too.
A message says what was got, what was expected and what to do, in one or two sentences.
"""


class NBDTError(Exception):
    """The base of every error that nbdt raises on purpose."""


class HierarchyError(NBDTError, ValueError):
    """The parents, names or attributes given do not form a tree of classes."""


class InputError(NBDTError, ValueError):
    """An argument, an array or a sample is not what was asked for."""


class FormatError(NBDTError, ValueError):
    """A file or a document is not valid; nothing of it was used."""


class NotFoundError(NBDTError, LookupError):
    """A node, class, file or bundled hierarchy of that name does not exist."""


class HeadError(NBDTError, LookupError):
    """A classifier's last linear layer is absent, ambiguous, or not that of a classifier."""


class MissingDependencyError(NBDTError, ImportError):
    """An optional package or program is needed; the message says how to install it."""
