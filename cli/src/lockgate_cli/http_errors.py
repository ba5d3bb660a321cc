"""The errors of `requests` as ours, by whether the request can have had any effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests

from lockgate_release.errors import TransportError, UsageError

__all__ = ["NeverConnectedError", "as_transport_error"]


class NeverConnectedError(TransportError):
    """No connection came about, so the request cannot have had any effect."""


@contextmanager
def as_transport_error(url: str) -> Iterator[None]:
    """Raise what `requests` raises within as an error of ours.

    Raises:
        TransportError: No whole answer came.
        UsageError: `url` is no address.
    """
    try:
        yield
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as exc:
        raise UsageError(
            "not a web address", subject=url, expected="an address such as https://host:8081"
        ) from exc
    except requests.exceptions.ConnectTimeout as exc:
        raise NeverConnectedError("no connection in time", subject=url) from exc
    except requests.exceptions.ConnectionError as exc:
        reason = _reason_of(exc)
        kind = NeverConnectedError if "NewConnectionError" in repr(exc) else TransportError
        raise kind("the connection failed", subject=url, found=reason) from exc
    except requests.exceptions.Timeout as exc:
        raise TransportError("no answer in time", subject=url) from exc
    except requests.exceptions.RequestException as exc:
        raise TransportError("the exchange failed", subject=url, found=_reason_of(exc)) from exc


def _reason_of(exc: BaseException) -> str:
    """Return the innermost reason: what the operating system said, without urllib3's wrapping."""
    reason = getattr(exc.args[0], "reason", exc.args[0]) if exc.args else exc
    return str(reason).rpartition(": ")[2][:200]
