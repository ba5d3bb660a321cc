"""Views of a repository that a client has, and what reads all of one."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.documents import ChannelDocument, ExtrasDocument, TrustedRelease
from lockgate_release.errors import LockgateError
from lockgate_release.instants import utc_now
from lockgate_release.trust.verify import Fetch, TrustedView
from tests.unit.release.builders import APP, STABLE, Repository, channel, offer_of, release, trusted

NOW = utc_now()
PATH = "releases/1.0.0/release.json"
ONE = trusted("1.0.0")


def stable_document() -> ChannelDocument:
    return channel([offer_of(ONE)], issued_at=NOW, expires_at=NOW + timedelta(days=30))


def filled() -> Repository:
    made = Repository(now=NOW)
    made.publish(release("1.0.0"), extras=ExtrasDocument(app=APP, version="1.0.0", notes="New."))
    made.issue(stable_document())
    return made


SHARED = filled()


def view_of(
    repository: Repository, cache: Path, *, fetch: Fetch | None = None, **changes: Any
) -> TrustedView:
    return TrustedView(
        **{
            "app": APP,
            "repository": Repository.ADDRESS,
            "cache": cache,
            "bootstrap": repository.bootstrap,
            "fetch": fetch or repository.fetch,
            **changes,
        }
    )


def look(view: TrustedView) -> TrustedRelease:
    """Everything a check reads."""
    view.refresh()
    view.policy()
    assert view.channel(STABLE) is not None
    found = view.release(PATH)
    assert found is not None
    view.extras(found)
    return found


def fails(repository: Repository, cache: Path, **changes: Any) -> LockgateError:
    with pytest.raises(LockgateError) as caught:
        look(view_of(repository, cache, **changes))
    str(caught.value)
    return caught.value


def offline(repository: Repository, cache: Path) -> TrustedView:
    return TrustedView(
        app=APP,
        repository=Repository.ADDRESS,
        cache=cache,
        bootstrap=repository.bootstrap,
        fetch=None,
    )


def serve(repository: Repository, part: str, change: Callable[[bytes], bytes]) -> Fetch:
    """The repository, with each file whose name holds `part` changed."""

    def fetch(url: str) -> Iterator[bytes]:
        for chunk in repository.fetch(url):
            yield change(chunk) if part in url else chunk

    return fetch


PARTS = ["timestamp.json", ".snapshot.json", ".targets.json", ".releases.json", ".channels.json"]
DOCUMENTS = [".policy.json", ".version.json", ".release.json", ".extras.json"]
