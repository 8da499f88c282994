"""Why the service does not answer a request, as errors that know no HTTP."""

from __future__ import annotations

from nbdt.errors import InputError, NBDTError


class RefusalError(NBDTError):
    """A request that is not answered, though nothing need be wrong with it."""


class OverloadedError(RefusalError):
    """There is more to do than the service has room for.

    Attributes:
        retry_after: in how many seconds there may be room again.

    Example:
        >>> OverloadedError("the queue is full", retry_after=2.5).retry_after
        2.5
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReadyError(RefusalError):
    """The models are still being loaded, or the service is about to stop."""


class DeadlineError(RefusalError):
    """The answer was not there in time."""


class SlowBodyError(RefusalError):
    """The client took too long to send its request."""


class TooLargeError(InputError):
    """What was sent is larger than the service takes."""


class MediaTypeError(InputError):
    """What was sent is of no kind that is read here."""


class NotAcceptableError(InputError):
    """The answer cannot be had in any of the forms that were asked for."""


class UnauthorizedError(RefusalError):
    """No key was sent, or an unknown one."""


class ForbiddenError(RefusalError):
    """The key does not allow this."""


class RateLimitError(OverloadedError):
    """The key was used more often than it may be."""
