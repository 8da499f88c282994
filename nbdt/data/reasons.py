"""Why another library refused something, in its own words."""

from __future__ import annotations

_MOST = 200


def reason_of(error: BaseException) -> str:
    r"""The first line of what an error says, or its kind where it says nothing.

    Torch appends pages of C++ to some of its messages, none of which helps a reader.

    Example:
        >>> reason_of(ValueError("sizes differ\nframe #0: …")), reason_of(EOFError())
        ('sizes differ', 'EOFError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:_MOST]
