"""The few errors that only a server has: leaves of the one tree in `lockgate_release.errors`."""

from __future__ import annotations

from lockgate_release.errors import DeniedError, UsageError

__all__ = [
    "LengthRequiredError",
    "NotFoundError",
    "TooLargeError",
    "UnauthenticatedError",
]


class NotFoundError(UsageError):
    """The app, release, channel or file that was asked for does not exist."""

    code = "not-found"


class UnauthenticatedError(DeniedError):
    """No living token came with the request."""

    code = "denied.token"


class TooLargeError(UsageError):
    """The request is larger than any this server takes."""

    code = "usage.too-large"


class LengthRequiredError(UsageError):
    """The request does not say how long its body is."""

    code = "usage.length-required"
