"""What may be offered in a channel. Pure.

A release may be, when all of these hold:

1. It is live.
2. Its publishers' mark names the channel.
3. It meets the channel's bar: `bars`.
4. It is not below the channel's floor.
5. It is revoked in no channel, or the channel at hand offers it already: what was bad in one place
   goes to no further one, not even to one that is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from lockgate_release.documents import ChannelDocument
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName, Sha256Hex
from lockgate_server.services.write.bars import Bars, check_bar
from lockgate_server.services.write.channels import Allowed, Candidate
from lockgate_server.services.write.lists import Live

__all__ = ["allowed_in", "check_not_revoked", "check_offer"]

_NO_SALT = "0" * 32
"""For an offer that is only asked about."""


class _Candidates(Mapping[str, Candidate]):
    """Releases that meet the channel's bar, each held to it when it is asked for, and once.

    Few of them are: taking back must not wait until everybody's origin is proven.
    """

    def __init__(self, known: Mapping[str, Candidate], meets: Callable[[Candidate], bool]) -> None:
        self._known = known
        self._meets = cache(meets)

    def __getitem__(self, version: str) -> Candidate:
        candidate = self._known[version]
        if not self._meets(candidate):
            raise KeyError(version)
        return candidate

    def __iter__(self) -> Iterator[str]:
        return (version for version in self._known if version in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def allowed_in(document: ChannelDocument, live: Live, bars: Bars, salt: str) -> Allowed:
    """Return what may be offered in a channel; what meets its bar is found out when it is asked.

    Asking can raise what `Bars.shortfall` raises.
    """
    channel, parse = document.channel, bars.policy.versions.parse
    floor = live.floor_of(channel, parse)
    candidates = {}
    for path, entry in live.entries.items():
        if channel not in entry.channels or (floor is not None and parse(entry.version) < floor):
            continue
        candidate = Candidate(
            version=entry.version,
            path=path,
            sha256=Sha256Hex(live.targets[path].hashes["sha256"]),
            lifted_at=entry.lifted.get(channel),
        )
        candidates[entry.version] = candidate

    def meets(candidate: Candidate) -> bool:
        return bars.shortfall(document, candidate.offered(salt)) is None

    return Allowed(candidates=_Candidates(candidates, meets), order=parse, salt=salt)


def check_offer(document: ChannelDocument, version: str, live: Live, bars: Bars) -> None:
    """Refuse an offer of what is not allowed in the channel, and say why.

    Raises:
        UsageError: It is not allowed.
        VersionError: It is not a version of the app's order.
        DocumentError: The policy holds what is no key.
    """
    channel, parse = document.channel, bars.policy.versions.parse
    parsed = parse(version)
    subject = f"{channel}: {version}"
    found = live.find(version)
    if found is None:
        raise UsageError("no live release", subject=subject, hint="Publish it first.")
    path, entry = found
    if channel not in entry.channels:
        raise UsageError(
            "its publishers do not allow it in this channel",
            subject=subject,
            expected=f"{channel} among its channels",
            found=", ".join(entry.channels) or "no channel",
        )
    floor = live.floor_of(channel, parse)
    if floor is not None and parsed < floor:
        raise UsageError("below the channel's floor", subject=subject, expected=f"at least {floor}")
    sha256 = Sha256Hex(live.targets[path].hashes["sha256"])
    candidate = Candidate(version=version, path=path, sha256=sha256)
    check_bar(bars, document, candidate.offered(_NO_SALT))


def check_not_revoked(
    channel: ChannelName, version: str, live: Live, documents: Iterable[ChannelDocument]
) -> None:
    """Refuse to offer in a further channel what is revoked in any (rule 5).

    Raises:
        UsageError: It is revoked somewhere, and its publishers have not lifted that.
    """
    known = tuple(documents)
    if any(item.channel == channel and item.offer_of(version) for item in known):
        return
    found = live.find(version)
    for document in known:
        revocation = document.revocation_of(version)
        if revocation is None or document.channel == channel:
            continue
        if found is None or not found[1].lifts(document.channel, revocation.at):
            raise UsageError(
                "revoked in another channel: it goes to no further one",
                subject=f"{channel}: {version}",
                found=f"revoked in {document.channel}, for the reason {revocation.reason!r}",
                hint="Publish a new version; or let the publishers lift the revocation.",
            )
