"""Looking through a change that others have begun, before signing it. Pure.

The server's word counts for nothing here. What is shown to a person is read from the very bytes
that are signed, against a base that was verified through the TUF chain:

1. The list follows the one in force, has not expired, and lasts no longer than lists do.
2. A signature that stands beside it and is of another list is an alarm, not something to pass over.
3. Every document that is new or changed is there, with the bytes that the list names, and speaks of
   its own path, app and version.
4. A release that is live keeps its bytes, and its place while a channel offers it; no floor sinks.
5. Everything that differs from the list in force is said: what appears, vanishes, is marked anew.
6. What has no words here is refused: a delegation, a field that no list has, an end of a live
   document that it does not have.

What the server will do with it, offers and lifts, no publisher signs: it is said apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile, Targets

from lockgate_cli.extras import describe_extras
from lockgate_cli.output import format_size
from lockgate_cli.pending_words import RENEWAL
from lockgate_cli.repository import Base
from lockgate_release.documents import (
    ReleaseDocument,
    ReleaseEntry,
    parse_entry,
    parse_extras,
    parse_release,
)
from lockgate_release.errors import (
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    TrustError,
    UsageError,
)
from lockgate_release.instants import format_instant
from lockgate_release.names import Platform, Sha256Hex
from lockgate_release.pending_requests import PendingContent
from lockgate_release.trust.needed import signatures_needed
from lockgate_release.trust.partial import PartlySigned, check_plain, read_partly_signed
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import EXPIRY, Role

__all__ = ["Review", "check_builds", "review"]

_RELEASE, _EXTRAS = "release.json", "extras.json"
_SLACK = timedelta(days=1)
"""By how much the clocks of two publishers may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A change that was looked through, and may be shown to whoever is to sign it.

    Attributes:
        partly: The list, with those of its signatures that count.
        appears: Versions that are new.
        vanishes: Versions that are retired.
        changes: A sentence for each release that stays and is marked or described anew.
        facts: What the new documents say, line by line.
        releases: The documents of the versions that are new.
        versions: Every version that the change is about.
    """

    partly: PartlySigned
    appears: tuple[str, ...]
    vanishes: tuple[str, ...]
    changes: tuple[str, ...]
    facts: tuple[str, ...]
    releases: tuple[ReleaseDocument, ...]
    versions: frozenset[str]

    def is_called(self, name: str) -> bool:
        """Whether this is what a person means who says this name."""
        return name in self.versions or (name == RENEWAL and not self.versions)

    def lines(self) -> list[str]:
        """Return what whoever is to sign it must see."""
        nothing = () if self.versions else ("= the list stays as it is: it only lasts longer",)
        return [
            *(f"+ {version} appears in the signed list" for version in self.appears),
            *(f"~ {change}" for change in self.changes),
            *(f"- {version} vanishes: retired" for version in self.vanishes),
            *nothing,
            *self.facts,
            *(f"signed by {key_label(key)}" for key in self.partly.signed.values()),
            f"{len(self.partly.signed)} of {self.partly.threshold} signatures; "
            f"valid until {format_instant(self.partly.signed_list.expires)}",
            f"change {self.partly.change_id}",
        ]


def review(base: Base, content: PendingContent, now: datetime) -> Review:
    """Return a change that was looked through (rules 1 to 6).

    Raises:
        ConflictError: It does not follow the list in force.
        TrustError: It is not what it is called, or would do what no list may.
        ExpiredError: It has expired, or lasts too long.
        DigestMismatchError: A document has other bytes than the list names.
        DocumentError: Something is malformed, or speaks of something else than its path.
    """
    partly = read_partly_signed(base.app, base.chain, content.role, content.releases)
    if partly.change_id != content.change_id:
        raise TrustError(
            "the server calls it by another name than its content has",
            subject="change",
            expected=partly.change_id,
            found=content.change_id,
        )
    wished = [offer.channel for offer in content.wishes.offers]
    needed = signatures_needed(partly.threshold, base.policy, content.role, base.channels, wished)
    partly = replace(partly, threshold=needed)
    _check_lifetime(partly.signed_list, now)
    check_plain(partly.signed_list, subject=content.role)
    _check_paths(content.role, partly.signed_list)
    current = base.chain.list_of(content.role)
    _check_fields(current.signed if current else None, partly.signed_list)
    before = current.signed.targets if current else {}
    after = partly.signed_list.targets
    old, new = _marks(before), _marks(after)
    changed = {path: target for path, target in after.items() if _differs(path, before, target)}
    _check_kept(base, content.role, before, after)
    _check_floors(base, old, new)
    facts = tuple(_read_documents(base, changed, content.documents))
    marked = [path for path in new if path in old and new[path] != old[path]]
    reissued = [path for path in changed if path.endswith(f"/{_EXTRAS}") and path in before]
    gone = [path for path in before if path not in after and path.endswith(f"/{_EXTRAS}")]
    changes = [
        *(line for path in marked for line in _describe_mark(old[path], new[path])),
        *(f"{path.split('/')[1]}: its extras are other ones" for path in reissued),
        *(f"{_version(path)}: its notes go" for path in gone if _release(path) in after),
    ]
    touched = {*marked, *changed, *(set(before) - set(after))}
    return Review(
        partly=partly,
        appears=tuple(new[path].version for path in new if path not in old),
        vanishes=tuple(old[path].version for path in old if path not in new),
        changes=tuple(changes),
        facts=facts,
        releases=tuple(
            parse_release(content.documents[path], subject=path)
            for path in sorted(changed)
            if path.endswith(f"/{_RELEASE}")
        ),
        versions=frozenset(_version(path) for path in touched),
    )


def _version(path: str) -> str:
    parts = path.split("/")
    return parts[1] if len(parts) == 3 else path


def _release(path: str) -> str:
    return f"{path.rpartition('/')[0]}/{_RELEASE}"


def _differs(path: str, before: Mapping[str, TargetFile], target: TargetFile) -> bool:
    if path not in before:
        return True
    old = before[path]
    return (old.hashes, old.length) != (target.hashes, target.length)


def _check_lifetime(signed: Targets, now: datetime) -> None:
    latest = now + EXPIRY[Role.RELEASES] + _SLACK
    if not now < signed.expires <= latest:
        raise ExpiredError(
            "an expiry that no list has",
            subject="the list",
            expected=f"between {format_instant(now)} and {format_instant(latest)}",
            found=format_instant(signed.expires),
        )


def _check_paths(role: str, signed: Targets) -> None:
    for path, target in signed.targets.items():
        parts = path.split("/")
        if len(parts) != 3 or parts[0] != role or parts[2] not in {_RELEASE, _EXTRAS}:
            raise DocumentError("not a release's document", subject=path)
        if "sha256" not in target.hashes:
            raise DocumentError("no SHA-256", subject=path, found=", ".join(target.hashes))


def _check_fields(before: Targets | None, after: Targets) -> None:
    known = before.unrecognized_fields if before else {}
    strange = [
        name for name, said in after.unrecognized_fields.items() if known.get(name, after) != said
    ]
    if strange:
        raise DocumentError(
            "a list that says more than a list does",
            subject="the list",
            found=", ".join(map(repr, strange))[:200],
        )


def _marks(targets: Mapping[str, TargetFile]) -> dict[str, ReleaseEntry]:
    return {
        path: parse_entry(target.custom, subject=path)
        for path, target in targets.items()
        if path.endswith(f"/{_RELEASE}")
    }


def _read_documents(
    base: Base, changed: Mapping[str, TargetFile], documents: Mapping[str, bytes]
) -> Iterator[str]:
    """Yield what new documents say, each proved by its entry (rule 3)."""
    # What a release is stands before its notes.
    for path in sorted(changed, key=lambda path: (_version(path), path.endswith(_EXTRAS))):
        target, data = changed[path], documents.get(path)
        if data is None:
            raise TrustError("the server does not show it", subject=path)
        try:
            target.verify_length_and_hashes(data)
        except LengthOrHashMismatchError as exc:
            raise DigestMismatchError(
                "not the bytes that the list names", subject=path, found=str(exc)
            ) from exc
        yield from _read_document(base, path, target, data)


def _read_document(base: Base, path: str, target: TargetFile, data: bytes) -> Iterator[str]:
    base.policy.versions.parse(_version(path))
    if path.endswith(f"/{_EXTRAS}"):
        extras = parse_extras(data, subject=path)
        _check_words(base, path, extras.app, extras.version)
        yield from describe_extras(extras)
        return
    document = parse_release(data, subject=path)
    mark = parse_entry(target.custom, subject=path)
    _check_words(base, path, document.app, document.version)
    _check_words(base, path, base.app, mark.version)
    if mark.targets_version > base.chain.targets.version:
        raise TrustError(
            "names targets that are not in force: every client would refuse it",
            subject=path,
            expected=f"at most {base.chain.targets.version}",
            found=str(mark.targets_version),
        )
    yield from _describe_release(document, mark)


def _check_words(base: Base, path: str, app: str, version: str) -> None:
    if (app, version) != (base.app, _version(path)):
        raise DocumentError(
            "it speaks of something else than its path",
            subject=path,
            expected=f"{base.app} {_version(path)}",
            found=f"{app} {version}",
        )


def _describe_release(document: ReleaseDocument, mark: ReleaseEntry) -> Iterator[str]:
    version = document.version
    channels = ", ".join(sorted(mark.channels)) or "no channel"
    yield f"  {version}: made {format_instant(document.released_at)}, allowed in {channels}"
    for channel, floor in sorted(mark.floors.items()):
        yield f"  {version} floor of {channel}: {floor}"
    for channel, lifted_at in sorted(mark.lifted.items()):
        until = format_instant(lifted_at)
        yield f"  {version} cannot be revoked in {channel} before {until}: lifted beforehand"
    if mark.unknown:
        yield f"  {version}: its mark says {_shown(mark.unknown)} too"
    for item in document.artifacts:
        yield f"  {version} {item.platform}: {item.name}, {format_size(item.size)}, {item.sha256}"
    whole = document.to_json()
    known = {"_type", "app", "version", "released_at", "artifacts"}
    for name in sorted(set(whole) - known):
        yield f"  {version} {name}: {_shown(whole[name])}"


def _shown(value: object) -> str:
    plain = dict(value) if isinstance(value, Mapping) else value
    return json.dumps(plain, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _check_kept(
    base: Base,
    role: str,
    before: Mapping[str, TargetFile],
    after: Mapping[str, TargetFile],
) -> None:
    """Refuse other bytes for a live release, and the end of one that is offered (rule 4)."""
    for path, target in after.items():
        if path.endswith(f"/{_RELEASE}") and path in before and _differs(path, before, target):
            raise TrustError("a live release with other bytes", subject=path)
    for name, document in base.channels.items():
        for offer in document.offers:
            if offer.path.startswith(f"{role}/") and offer.path not in after:
                raise TrustError(
                    "it would take out what a channel offers", subject=f"{name}: {offer.version}"
                )


def _check_floors(
    base: Base, old: Mapping[str, ReleaseEntry], new: Mapping[str, ReleaseEntry]
) -> None:
    parse = base.policy.versions.parse
    lowest = {name: floor for mark in old.values() for name, floor in mark.floors.items()}
    for path, mark in new.items():
        for name, floor in lowest.items():
            found = mark.floors.get(name, "")
            if not found or parse(found) < parse(floor):
                raise TrustError(
                    "it would lower a floor",
                    subject=f"{path}: floor of {name}",
                    expected=f"at least {floor}",
                    found=found or "none",
                )


def _describe_mark(before: ReleaseEntry, after: ReleaseEntry) -> Iterator[str]:
    version = after.version
    added = sorted({*after.channels} - {*before.channels})
    removed = sorted({*before.channels} - {*after.channels})
    if added:
        yield f"{version}: may be offered in {', '.join(added)} too"
    if removed:
        yield f"{version}: may be offered in {', '.join(removed)} no more"
    lifted = sorted(name for name in after.lifted if after.lifted[name] != before.lifted.get(name))
    if lifted:
        yield f"{version}: its revocation in {', '.join(lifted)} is lifted"
    if dict(before.floors) != dict(after.floors):
        shown = ", ".join(f"{name} {floor}" for name, floor in sorted(after.floors.items()))
        yield f"{version}: floors are now {shown or 'none'}"
    lifted_no_more = sorted({*before.lifted} - {*after.lifted})
    if lifted_no_more:
        yield f"{version}: its revocation in {', '.join(lifted_no_more)} is lifted no more"
    if before.targets_version != after.targets_version:
        seen = f"{after.targets_version}, and before {before.targets_version}"
        yield f"{version}: its publishers have seen the maintainers' targets {seen}"
    if dict(before.unknown) != dict(after.unknown):
        yield f"{version}: its mark says {_shown(after.unknown)} too"


def check_builds(looked: Review, builds: Mapping[Platform, Sha256Hex]) -> None:
    """Refuse a change whose artifacts are other ones than those that the signer has built.

    Args:
        looked: The change.
        builds: The digest of the signer's own artifact for each platform.

    Raises:
        DigestMismatchError: One is another.
        UsageError: The change brings none for the platform.
    """
    found = {
        item.platform: item.sha256 for release in looked.releases for item in release.artifacts
    }
    for platform, sha256 in builds.items():
        if platform not in found:
            raise UsageError(
                "nothing new for this platform",
                subject=platform,
                expected=", ".join(sorted(found)) or "a change that brings artifacts",
            )
        if found[platform] != sha256:
            raise DigestMismatchError(
                "not what was built here",
                subject=platform,
                expected=f"sha256 {sha256}",
                found=f"sha256 {found[platform]}",
            )
