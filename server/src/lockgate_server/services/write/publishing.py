"""What publishers may put in force, checked before anything is written. Pure.

Of the list of releases (its signatures and its number are checked by `trust.chain`):

1. It has not expired, and holds nothing but the documents of releases, in the folder of its role:
   `release.json` under a version of the app's order, and `extras.json` beside one. It delegates
   nothing.
2. The publishers' mark of a release names the version that its path names.
3. No two live versions are equal in order, or differ only by case, whatever lists they stand in.
4. A release that is live already keeps its bytes.
5. Every live release carries the same floor for a channel, and none is lower than the one in force.
6. A release that a channel offers stays live, and stays allowed there. Revoke it first.
   No mark names targets that are not in force yet (every client would refuse it), or older ones
   than it did.

Of each document that is new or changed:

7. It has the length and the digest that the list names, and its own app and version agree.
8. Every artifact, delta and attestation it names is in the store, with its size; and so is every
   other file that it names, in lists that this version has no word for.

What the caller must still do: fetch the bytes of every document that is new or changed, and ask
the store for the size of every file it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, TargetFile, Targets

from lockgate_release.documents import (
    ChannelDocument,
    PolicyDocument,
    ReleaseEntry,
    parse_entry,
    parse_extras,
    parse_release,
)
from lockgate_release.documents.common import MAX_DOCUMENT_BYTES
from lockgate_release.errors import (
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    RepositoryError,
    UsageError,
)
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, ChannelName
from lockgate_release.strict_json import parse_json
from lockgate_release.trust.chain import Verified
from lockgate_release.trust.partial import check_plain
from lockgate_release.trust.roles import Role, paths_of
from lockgate_release.versions import Version
from lockgate_server.services.write.named_files import (
    NamedFile,
    artifact_keys,
    check_artifacts,
    files_of_extras,
    files_of_others,
    files_of_release,
)

__all__ = [
    "ReleaseList",
    "artifact_keys",
    "changed_paths",
    "check_artifacts",
    "check_documents",
    "check_list",
    "check_marks",
    "read_list",
    "read_verified",
]

_RELEASE = "release.json"
_EXTRAS = "extras.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseList:
    """A list of live releases with its marks read.

    Attributes:
        signed: The metadata.
        entries: The publishers' mark of each release, by the path of its document.
        role: The role of releases whose list it is.
        metadata: The same with its signatures; None where they are not complete yet.
    """

    signed: Targets
    entries: Mapping[str, ReleaseEntry]
    role: str = Role.RELEASES.value
    metadata: Metadata[Targets] | None = None

    def find(self, version: str) -> tuple[str, ReleaseEntry] | None:
        """Return path and mark of a live release."""
        for path, entry in self.entries.items():
            if entry.version == version:
                return path, entry
        return None

    def floor_of(self, channel: ChannelName) -> str:
        """Return the channel's floor, or ""."""
        return next(
            (entry.floors[channel] for entry in self.entries.values() if channel in entry.floors),
            "",
        )


def read_verified(verified: Verified[Targets], *, role: str = Role.RELEASES) -> ReleaseList:
    """Return a verified list with its marks read.

    Raises:
        DocumentError: A mark is malformed.
    """
    found = read_list(verified.signed, role=role)
    return replace(found, metadata=verified.metadata)


def read_list(signed: Targets, *, role: str = Role.RELEASES) -> ReleaseList:
    """Return the list with its marks read.

    Raises:
        DocumentError: A mark is malformed.
    """
    entries = {
        path: parse_entry(target.custom, subject=path)
        for path, target in signed.targets.items()
        if path.endswith(f"/{_RELEASE}")
    }
    return ReleaseList(signed=signed, entries=entries, role=str(role))


def check_list(
    new: ReleaseList,
    base: ReleaseList,
    policy: PolicyDocument,
    channels: Iterable[ChannelDocument],
    now: datetime,
    others: Iterable[ReleaseEntry] = (),
) -> None:
    """Refuse a list that may not follow `base` (rules 1 to 6).

    Args:
        new: It, with its marks read.
        base: The list of the same role in force.
        policy: The maintainers' rules.
        channels: What every channel offers.
        now: The present, aware.
        others: The marks of what is live in the lists of other roles.

    Raises:
        ExpiredError: It has expired.
        DocumentError: A path or a mark is malformed.
        VersionError: A version is not of the app's order.
        UsageError: It breaks one of the other rules.
    """
    _check_fresh(new, now)
    check_plain(new.signed, subject=new.role)
    versions = _check_paths(new, policy)
    _check_distinct([*versions, *(policy.versions.parse(entry.version) for entry in others)])
    _check_immutable(new, base)
    _check_floors(new, base, policy)
    for channel in channels:
        _check_still_offered(new, channel)


def check_marks(new: ReleaseList, base: ReleaseList, targets_version: int) -> None:
    """Refuse marks that name targets that are not in force yet, or older ones than before (rule 6).

    Raises:
        UsageError: One does.
    """
    for path, entry in new.entries.items():
        before = base.entries.get(path)
        lowest = before.targets_version if before else 0
        if not lowest <= entry.targets_version <= targets_version:
            raise UsageError(
                "names targets that are not in force"
                if entry.targets_version > targets_version
                else "names older targets than it did",
                subject=f"{path}: custom.targets",
                expected=f"{lowest} to {targets_version}",
                found=str(entry.targets_version),
            )


def _check_fresh(new: ReleaseList, now: datetime) -> None:
    if new.signed.is_expired(now):
        raise ExpiredError(
            "expired already",
            subject="releases",
            expected=f"a time after {format_instant(now)}",
            found=format_instant(new.signed.expires),
        )


def _check_paths(new: ReleaseList, policy: PolicyDocument) -> list[Version]:
    """Check rules 1 and 2, and return every live version."""
    versions = []
    for path, target in new.signed.targets.items():
        parts = path.split("/")
        if len(parts) != 3 or parts[0] != new.role or parts[2] not in {_RELEASE, _EXTRAS}:
            raise DocumentError(
                "not a release's document",
                subject=f"releases: {path}",
                expected=" or ".join(paths_of(new.role)),
            )
        version = policy.versions.parse(parts[1])
        if target.length > MAX_DOCUMENT_BYTES or not target.hashes.get("sha256"):
            raise DocumentError(
                "unusable entry",
                subject=f"releases: {path}",
                expected=f"a SHA-256 and at most {MAX_DOCUMENT_BYTES} bytes",
            )
        if parts[2] == _EXTRAS and path.replace(_EXTRAS, _RELEASE) not in new.entries:
            raise DocumentError(
                "extras without a release", subject=f"releases: {path}", expected="a release.json"
            )
        if parts[2] == _RELEASE:
            _check_mark(path, parts[1], new.entries[path])
            versions.append(version)
    return versions


def _check_mark(path: str, version: str, entry: ReleaseEntry) -> None:
    if entry.version != version:
        raise DocumentError(
            "the mark is another release's",
            subject=f"{path}: custom.version",
            expected=version,
            found=entry.version,
        )


def _check_distinct(versions: Iterable[Version]) -> None:
    seen: dict[object, Version] = {}
    for version in versions:
        for key in (version, version.text.lower()):
            other = seen.setdefault(key, version)
            if other is not version:
                raise UsageError(
                    "equal to another live version, or different only by case",
                    subject=version.text,
                    found=other.text,
                    hint="Publish under a version that comes after it.",
                )


def _check_immutable(new: ReleaseList, base: ReleaseList) -> None:
    for path in new.entries.keys() & base.entries.keys():
        before, after = base.signed.targets[path], new.signed.targets[path]
        if before.hashes != after.hashes or before.length != after.length:
            raise UsageError(
                "the same version with other content",
                subject=path,
                expected=before.hashes["sha256"],
                found=after.hashes["sha256"],
                hint="A release never changes. Publish a new version.",
            )


def _check_floors(new: ReleaseList, base: ReleaseList, policy: PolicyDocument) -> None:
    names = {name for entry in new.entries.values() for name in entry.floors}
    for name in sorted(names):
        found = {entry.floors.get(name, "") for entry in new.entries.values()}
        if len(found) > 1:
            shown = ", ".join(repr(floor) for floor in sorted(found))
            raise UsageError(
                "live releases disagree on the floor",
                subject=f"floor of {name}",
                expected="the same in each",
                found=shown,
            )
    for name in sorted({*names, *(n for e in base.entries.values() for n in e.floors)}):
        _check_floor(name, new, base, policy)


def _check_floor(
    name: ChannelName, new: ReleaseList, base: ReleaseList, policy: PolicyDocument
) -> None:
    before, after = base.floor_of(name), new.floor_of(name)
    lowest = policy.versions.parse(before) if before else None
    chosen = policy.versions.parse(after) if after else None
    # With no live release there is nothing that could carry the floor, and nothing below it.
    if lowest is not None and new.entries and (chosen is None or chosen < lowest):
        raise UsageError(
            "the floor was lowered",
            subject=f"floor of {name}",
            expected=f"at least {before}",
            found=after or "none",
        )


def _check_still_offered(new: ReleaseList, channel: ChannelDocument) -> None:
    for offer in channel.offers:
        if offer.path.split("/", 1)[0] != new.role:
            continue
        entry = new.entries.get(offer.path)
        if entry is None or channel.channel not in entry.channels:
            raise UsageError(
                "offered, and no longer allowed",
                subject=f"{channel.channel}: {offer.version}",
                expected="a live release whose mark names the channel",
                hint="Offer something newer to everybody, or revoke it, first.",
            )


def changed_paths(new: ReleaseList, base: ReleaseList) -> dict[str, TargetFile]:
    """Return the entries of documents that are new or have other bytes than in `base`."""
    before = base.signed.targets
    return {
        path: target
        for path, target in new.signed.targets.items()
        if path not in before or before[path].hashes != target.hashes
    }


def check_documents(
    app: AppName, changed: Mapping[str, TargetFile], documents: Mapping[str, bytes]
) -> tuple[NamedFile, ...]:
    """Return the files that new documents name, each document as it was signed (rule 7).

    Args:
        app: The app.
        changed: Entries of the documents that are new or changed, by path.
        documents: Their bytes, by path.

    Raises:
        RepositoryError: One is missing.
        DigestMismatchError: One has other bytes than were signed.
        DocumentError: One is malformed, or its own words disagree with its path.
    """
    named: list[NamedFile] = []
    for path, target in sorted(changed.items()):
        data = documents.get(path)
        if data is None:
            raise RepositoryError(
                "missing", subject=path, expected=f"its bytes, {target.hashes['sha256']}"
            )
        try:
            target.verify_length_and_hashes(data)
        except LengthOrHashMismatchError as exc:
            raise DigestMismatchError(
                "not the bytes that were signed", subject=path, found=str(exc)
            ) from exc
        if path.endswith(f"/{_RELEASE}"):
            release = parse_release(data, subject=path)
            _check_words(app, path, release.app, release.version)
            known = tuple(files_of_release(release))
        else:
            extras = parse_extras(data, subject=path)
            _check_words(app, path, extras.app, extras.version)
            known = tuple(files_of_extras(extras))
        others = files_of_others(parse_json(data, subject=path).raw(), known, path)
        named += (*known, *others)
    return tuple(named)


def _check_words(app: AppName, path: str, said_app: AppName, said_version: str) -> None:
    expected = (app, path.split("/")[1])
    if (said_app, said_version) != expected:
        raise DocumentError(
            "another release's document",
            subject=path,
            expected=" ".join(expected),
            found=f"{said_app} {said_version}",
        )
