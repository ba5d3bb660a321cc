"""Attestations of a publish: read first, matched with its artifacts, signed last.

1. Files are read, and held against the artifacts, before anything is uploaded. One that is about
   none of them is refused where a person named it, or where its name says that it should.
2. Signing by Sigstore leaves a public trace for ever. So it comes after the last question, and only
   for what no signature is listed over: neither in the release as it is live, nor in one that waits
   for signatures. Signed are each artifact, and the claim of the tree in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from lockgate_cli.answers import text_of, texts_of
from lockgate_cli.api import Api
from lockgate_cli.attesting.files import BUNDLE_ENDING, find_files, read_attestation_file
from lockgate_cli.attesting.keyless import KeylessWish, Signed, open_keyless
from lockgate_cli.attesting.matching import (
    Signable,
    attestation_of,
    find_subjects,
    lacks_signature,
    refuse_stranger,
    signables_of,
)
from lockgate_cli.attesting.reading import Said
from lockgate_cli.extras import join_extras
from lockgate_cli.output import say
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.uploading.session import Outgoing
from lockgate_release.documents import Artifact, Attestation, ExtrasDocument, parse_extras
from lockgate_release.errors import LocalError
from lockgate_release.layout import extras_path
from lockgate_release.names import AppName, Sha256Hex

__all__ = [
    "Attached",
    "AttestWish",
    "attach",
    "find_unsigned",
    "read_files",
    "read_wish",
    "sign_all",
    "sign_missing",
    "spill",
    "waiting_extras",
    "with_attached",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestWish:
    """Which attestations somebody wants published with a release.

    Attributes:
        named: What is in the files that a person named.
        beside: What is in the bundles of the folder where artifacts lie.
        keyless: How to sign what nothing is signed of yet; None: not at all.
    """

    named: tuple[Said, ...] = ()
    beside: tuple[Said, ...] = ()
    keyless: KeylessWish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """An attestation and its bytes.

    Attributes:
        attestation: How extras name it.
        said: What it says of itself, with its bytes.
    """

    attestation: Attestation
    said: Said


def read_wish(
    files: Iterable[Path], folder: Path | None, keyless: KeylessWish | None
) -> AttestWish:
    """Return the wish, every file of it read.

    Raises:
        UsageError: A file is missing, or holds no attestation.
        LocalError: One cannot be read.
    """
    beside = () if folder is None else find_files(folder, deep=False, everything=False)
    return AttestWish(named=read_files(files), beside=read_files(beside), keyless=keyless)


def read_files(files: Iterable[Path]) -> tuple[Said, ...]:
    """Return the attestations in these files.

    Raises:
        UsageError: A file is missing, or holds none.
        LocalError: One cannot be read.
    """
    return tuple(said for path in files for said in read_attestation_file(path))


def attach(wish: AttestWish, artifacts: Sequence[Artifact], version: str) -> tuple[Attached, ...]:
    """Return what the files add to a release with these artifacts (rule 1).

    Raises:
        UsageError: A file speaks about none of them.
    """
    found: dict[Sha256Hex, Attached] = {}
    for said in wish.named:
        about = find_subjects(said, artifacts, attached=True)
        if about is None:
            raise refuse_stranger(said, artifacts, version)
        found.setdefault(said.sha256, _attached(said, about))
    names = {f"{one.name}{BUNDLE_ENDING}" for item in artifacts for one in signables_of(item)}
    for said in wish.beside:
        about = find_subjects(said, artifacts, attached=False)
        if about is not None:
            found.setdefault(said.sha256, _attached(said, about))
        elif PurePath(said.subject).name in names:
            raise refuse_stranger(said, artifacts, version)
    return tuple(found.values())


def _attached(said: Said, about: tuple[Sha256Hex, ...]) -> Attached:
    return Attached(attestation=attestation_of(said, about), said=said)


def find_unsigned(
    artifacts: Sequence[Artifact], *known: ExtrasDocument | None
) -> tuple[Signable, ...]:
    """Return what none of these extras lists a signature over: artifacts, and claims of trees."""
    found = {
        one.sha256: one
        for item in artifacts
        for one in signables_of(item)
        if all(extras is None or lacks_signature(extras, one.sha256) for extras in known)
    }
    return tuple(found.values())


def sign_all(
    unsigned: Sequence[Signable], sign: Callable[[Sha256Hex], Signed]
) -> Iterator[Attached]:
    """Yield a bundle over each of these, as it is made, and say who signed it."""
    for one in unsigned:
        signed = sign(one.sha256)
        say(f"{one.name}: signed by {signed.identity} (by {signed.issuer})")
        said = replace(signed.said, subject=f"{one.name}{BUNDLE_ENDING}")
        yield _attached(said, (one.sha256,))


def sign_missing(
    api: Api,
    keyless: KeylessWish,
    environ: Mapping[str, str],
    unsigned: Sequence[Signable],
    release: tuple[AppName, str, str],
) -> tuple[Attached, ...]:
    """Return bundles over those of these that a release which waits has none of (rule 2).

    Args:
        api: The server.
        keyless: How to sign.
        environ: The environment.
        unsigned: What has no signature in the release as it is live.
        release: Its app, its role of releases, and its version.

    Raises:
        UsageError: There is no identity to sign with.
        LockgateError: Sigstore's instance, or the server, refused or could not be reached.
    """
    waiting = waiting_extras(api, *release)
    left = [one for one in unsigned if waiting is None or lacks_signature(waiting, one.sha256)]
    if not left:
        return ()
    return tuple(sign_all(left, open_keyless(keyless, environ).sign))


def waiting_extras(api: Api, app: AppName, role: str, version: str) -> ExtrasDocument | None:
    """Return the extras that wait for signatures with this release, or None: nothing waits.

    The server's word: what follows from it is only that nothing is signed again.

    Raises:
        LockgateError: The server refused, or could not be reached.
    """
    pending = PendingApi.of(api)
    for item in pending.waiting(app):
        if text_of(item, "role") == role and version in texts_of(item, "versions"):
            content = pending.content(app, text_of(item, "change"))
            data = content.documents.get(extras_path(version, folder=role))
            return None if data is None else parse_extras(data)
    return None


def spill(attached: Iterable[Attached], folder: Path) -> tuple[Outgoing, ...]:
    """Return the attestations as files that can be uploaded, written below a folder.

    Raises:
        LocalError: One cannot be written.
    """
    files = []
    for one in attached:
        path = folder / one.attestation.sha256
        try:
            path.write_bytes(one.said.data)
        except OSError as exc:
            raise LocalError("cannot be written", subject=str(path), found=str(exc)) from exc
        files.append(
            Outgoing(
                path=path,
                name=PurePath(one.said.subject).name,
                sha256=one.attestation.sha256,
                size_bytes=one.attestation.size,
            )
        )
    return tuple(files)


def with_attached(extras: ExtrasDocument, attached: Iterable[Attached]) -> ExtrasDocument:
    """Return the extras with these attestations, each file once."""
    return join_extras(extras, attestations=[one.attestation for one in attached])
