"""Every error that nbdt raises on purpose.

All derive from `NBDTError`, so one `except` catches them, and each also inherits the builtin
that fits (`ValueError`, `LookupError`, …), so code that knows nothing of nbdt handles them too.
A message says what was given, what was expected and what to do, in one or two sentences.
`reason_of` shortens what another library says, `missing` tells how to install an optional package,
and `Note` is the category of warnings that commands print.
"""

_LONGEST_REASON = 200


class NBDTError(Exception):
    """The base of every error that nbdt raises on purpose."""


class HierarchyError(NBDTError, ValueError):
    """The parents, names or attributes given do not form a tree of classes."""


class InputError(NBDTError, ValueError):
    """An argument, an array or a sample is not valid."""


class FormatError(NBDTError, ValueError):
    """A file or a document is not valid; nothing of it was used."""


class NotFoundError(NBDTError, LookupError):
    """A node, class, file or bundled hierarchy of that name does not exist."""


class HeadError(NBDTError, LookupError):
    """A classifier's last linear layer is absent, ambiguous or unsuitable."""


class MissingDependencyError(NBDTError, ImportError):
    """An optional package or program is needed; the message says how to install it."""


class Note(UserWarning):
    """Something that a user should know, although nothing failed; commands print it."""


class SampleWarning(Note):
    """Something that a sample's reader should know, such as that the end of a text was cut off."""


def reason_of(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing.

    Torch appends pages of C++ to some of its messages, none of which helps a reader.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:_LONGEST_REASON]


def missing(package: str, extra: str, what: str) -> MissingDependencyError:
    """The error to raise where an optional package cannot be imported.

    `extra` is the extra of this project that installs it; `what` is the feature that needs it, in
    the singular: the beginning of the message.

    Example:
        >>> print(missing("httpx", "client", "the client"))
        the client needs the package httpx: pip install httpx, or from a checkout pip install ...
    """
    return MissingDependencyError(
        f"{what} needs the package {package}: pip install {package}, or from a checkout "
        f"pip install '.[{extra}]'."
    )
