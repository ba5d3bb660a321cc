"""How reports leave: one POST, in a thread of its own, that nobody waits for longer than is said.

* The way is the updater's own: its proxy, its authorities, its headers for its own hosts.
* A redirect is not followed: what is sent goes to the configured address or nowhere.
* Of the answer only the status and `Retry-After` are heard.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import urllib3
from urllib3.exceptions import HTTPError

from lockgate_release.errors import LockgateError
from lockgate_release.reports import Report, dump_reports
from lockgate_updater.fetch.network import parse_retry_after
from lockgate_updater.fetch.transport import HttpTransport
from lockgate_updater.report.log import Answer
from lockgate_updater.state.configuration import Configuration

__all__ = ["Delivery", "post"]

_READ_BYTES = 4096
_MOST_AT_ONCE = 2
_permits = threading.BoundedSemaphore(_MOST_AT_ONCE)
"""A server that never ends its answers holds so many threads of ours, and gets no more."""


def post(
    configuration: Configuration,
    environ: Mapping[str, str],
    reports: tuple[Report, ...],
    *,
    limit_s: float,
) -> Answer:
    """Send reports, and return how they were answered. No failure of the network is raised.

    Args:
        configuration: Where to, and how.
        environ: For proxies.
        reports: 1 to 20 of them.
        limit_s: Seconds to wait for a connection, and for each piece of the answer.
    """
    url = configuration.reports_to
    transport = HttpTransport(
        environ=environ,
        ca=configuration.ca,
        network=configuration.network,
        sources=configuration.sources,
    )
    headers = {**transport.headers_for(url), "Content-Type": "application/json"}
    try:
        response = transport.pool_for(url).request(
            "POST",
            url,
            body=dump_reports(reports),
            headers=headers,
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(total=limit_s),
        )
        # Of the body no more than one piece: it may have no end.
        response.read1(_READ_BYTES)
        response.close()
    except (HTTPError, LockgateError, OSError, ValueError) as exc:
        return Answer(status=0, text=f"no answer: {type(exc).__name__}")
    finally:
        transport.close()
    status = response.status
    wait_s = parse_retry_after(response.headers) if status in {429, 503} else None
    return Answer(status=status, text=f"status {status}", retry_after_s=wait_s)


class Delivery:
    """One batch on its way. It ends by itself, or with the process."""

    def __init__(
        self,
        configuration: Configuration,
        environ: Mapping[str, str],
        reports: tuple[Report, ...],
        *,
        limit_s: float,
    ) -> None:
        """Send `reports`; see `post`."""
        self.reports = reports
        self._answer = Answer(status=0, text="no answer in time")
        self._thread = threading.Thread(
            target=self._send, args=(configuration, environ, limit_s), daemon=True
        )
        self._thread.start()

    def wait(self, limit_s: float) -> Answer:
        """Return the answer, or that there is none by then."""
        self._thread.join(max(limit_s, 0))
        return self._answer

    def _send(
        self, configuration: Configuration, environ: Mapping[str, str], limit_s: float
    ) -> None:
        if not _permits.acquire(blocking=False):
            return
        try:
            self._answer = post(configuration, environ, self.reports, limit_s=limit_s)
        finally:
            _permits.release()
