"""Chains as a publisher loads them, of a repository where two of three sign."""

from datetime import datetime

from lockgate_release.trust.chain import Chain, load_chain
from tests.unit.release.builders import NOW, Repository, channel, release


def load(repository: Repository, now: datetime | None = NOW) -> Chain:
    return load_chain(repository.read, repository.bootstrap, now=now)


def threshold_repository() -> Repository:
    made = Repository(now=NOW, maintainers=3, threshold=2, publishers=3, publisher_threshold=2)
    made.publish(release("1.0.0"))
    made.issue(channel())
    return made
