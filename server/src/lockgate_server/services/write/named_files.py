"""The large files that new documents name: artifacts, deltas and attestations. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lockgate_release.documents import ExtrasDocument, ReleaseDocument
from lockgate_release.documents.references import references_in
from lockgate_release.errors import DocumentError, RepositoryError, UsageError
from lockgate_release.layout import artifact_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import JsonObject

__all__ = [
    "MAX_OTHERS",
    "NamedFile",
    "artifact_keys",
    "check_artifacts",
    "files_of_extras",
    "files_of_others",
    "files_of_release",
]

MAX_OTHERS = 1000
"""How many files a document may name that nobody here knows: each is a request to the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file in the store that a document names.

    Attributes:
        subject: Which one, for people.
        what: What it is.
        sha256: Its digest, of which its address is made.
        size: Its size in bytes, or None where nobody here knows what says it.
    """

    subject: str
    what: str
    sha256: Sha256Hex
    size: int | None


def files_of_release(document: ReleaseDocument) -> Iterator[NamedFile]:
    """Yield a release's artifacts."""
    for artifact in document.artifacts:
        yield NamedFile(
            subject=f"{document.version}: {artifact.platform}",
            what="artifact",
            sha256=artifact.sha256,
            size=artifact.size,
        )


def files_of_extras(extras: ExtrasDocument) -> Iterator[NamedFile]:
    """Yield a release's deltas and attestations."""
    for delta in extras.deltas:
        yield NamedFile(
            subject=f"{extras.version}: {delta.platform} from {delta.from_version}",
            what="delta",
            sha256=delta.sha256,
            size=delta.size,
        )
    for proof in extras.attestations:
        yield NamedFile(
            subject=f"{extras.version}: {proof.kind}",
            what="attestation",
            sha256=proof.sha256,
            size=proof.size,
        )


def files_of_others(
    document: JsonObject, known: Iterable[NamedFile], subject: str
) -> Iterator[NamedFile]:
    """Yield the files that a document names besides: in lists that this version has no word for.

    They must be there as well, and must not be collected while they are published: whoever reads
    those lists will ask for them.

    Args:
        document: As it was read, nothing of it left out.
        known: What has been found in it.
        subject: Which document, for people.

    Raises:
        DocumentError: It names more than the store should be asked for.
    """
    seen = {file.sha256 for file in known}
    others = [sha256 for sha256 in references_in(document) if sha256 not in seen]
    if len(others) > MAX_OTHERS:
        raise DocumentError(
            "names too many files in lists that this version has no word for",
            subject=subject,
            expected=f"at most {MAX_OTHERS}",
            found=str(len(others)),
        )
    for sha256 in others:
        yield NamedFile(subject=subject, what="file that it names", sha256=sha256, size=None)


def check_artifacts(files: Iterable[NamedFile], size_of: Callable[[Sha256Hex], int | None]) -> None:
    """Refuse documents whose files are not all there.

    Raises:
        UsageError: One is missing.
        RepositoryError: One has another size.
    """
    for file in files:
        size = size_of(file.sha256)
        if size is None:
            raise UsageError(
                f"the {file.what} is not on the server",
                subject=file.subject,
                expected=file.sha256,
                hint="Upload it first.",
            )
        if file.size is not None and size != file.size:
            raise RepositoryError(
                f"the {file.what} has another size",
                subject=file.subject,
                expected=f"{file.size} bytes",
                found=str(size),
            )


def artifact_keys(app: AppName, files: Iterable[NamedFile]) -> frozenset[str]:
    """Return where these files lie."""
    return frozenset(artifact_key(app, file.sha256) for file in files)
