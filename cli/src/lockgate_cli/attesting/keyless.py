"""Signing without a key of one's own: Sigstore, by an identity that this job has for a few minutes.

1. The identity is a token: from a file, from `SIGSTORE_ID_TOKEN` in the environment (as GitLab and
   others hand it over), or the job's own where the CI service gives one (GitHub, Google Cloud,
   Buildkite, CircleCI).
2. The instance is the public one, whose addresses and keys come through its own TUF repository; or
   a private one, named by a file of its trust config.
3. Each signature goes into a public log for ever, with the identity. So nothing is signed by a
   `--dry-run`, and nothing again that a release has already.
4. Sigstore's client waits for ever for a server that has gone silent: here it gets `deadline_s`.
5. It believes what the log answers. Here a bundle is verified before anybody gets it.

sigstore is imported where it is used: no other command pays for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from lockgate_cli.attesting.reading import Said, read_attestations
from lockgate_release.errors import (
    LocalError,
    LockgateError,
    TransportError,
    TrustError,
    UsageError,
)
from lockgate_release.names import Sha256Hex

if TYPE_CHECKING:
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.sign import Signer
    from sigstore.verify import Verifier

__all__ = [
    "TOKEN_VARIABLE",
    "Keyless",
    "KeylessWish",
    "Signatory",
    "Signed",
    "open_keyless",
    "translate_error",
]

TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"  # noqa: S105 (the name of a variable)
"""Where CI services that hand tokens over in the environment put the one for Sigstore."""

_DEADLINE_S = 120.0
_MOST_WORDS = 400
_NO_IDENTITY = (
    "On GitHub give the job `permissions: id-token: write`; on GitLab an id_token "
    f"{TOKEN_VARIABLE} with the audience sigstore; elsewhere --identity-token-file."
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeylessWish:
    """How somebody wants artifacts signed by Sigstore.

    Attributes:
        token_file: A file with the identity's token, or None to find it (rule 1).
        trust_config: The trust config of a private instance, or None for the public one.
        deadline_s: How long a call to the instance may take.
    """

    token_file: Path | None = None
    trust_config: Path | None = None
    deadline_s: float = _DEADLINE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A bundle, and who made it: what a policy has to name.

    Attributes:
        said: The bundle.
        identity: Who signed, as the certificate has it.
        issuer: Who vouched for that.
    """

    said: Said
    identity: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """Who is about to sign, as the certificate has it, which nobody has proven yet.

    Attributes:
        identity: A workflow's address, a mailbox.
        issuer: Who vouches for that.
        source_repository: Where the issuer says that this job's sources come from; "": it does not.
        workflow: Which workflow it says that this is; "": it does not.
        predicate_type: What is signed: "", an artifact and no statement.
    """

    identity: str
    issuer: str
    source_repository: str = ""
    workflow: str = ""
    predicate_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyless:
    """A certificate that was fetched, before anything is signed with it.

    Attributes:
        signatory: Whose it is.
        sign: Signs the artifact with a digest. Raises what `open_keyless` raises.
    """

    signatory: Signatory
    sign: Callable[[Sha256Hex], Signed]


def open_keyless(wish: KeylessWish, environ: Mapping[str, str]) -> Keyless:
    """Return what signs artifacts, and as whom; nothing is signed yet.

    Raises:
        UsageError: There is no identity here, or a file is not what it should be.
        LocalError: A file cannot be read.
        TransportError: The instance cannot be reached, or did not do it.
        TrustError: What it answered is not of the instance that the trust config describes.
    """
    from sigstore.sign import SigningContext  # noqa: PLC0415 (0.4 s that other commands save)
    from sigstore.verify import Verifier  # noqa: PLC0415 (the same)

    token = _find_token(wish, environ)

    def begin() -> tuple[Signer, Verifier, Signatory]:
        config = _load_config(wish)
        with SigningContext.from_trust_config(config).signer(token) as signer:
            return signer, Verifier(trusted_root=config.trusted_root), _read_signatory(signer)

    signer, verifier, signatory = _within(wish.deadline_s, begin, "Sigstore: certificate")

    def sign(sha256: Sha256Hex) -> Signed:
        subject = f"Sigstore: sha256:{sha256[:12]}…"
        return _within(wish.deadline_s, lambda: _sign(signer, verifier, sha256), subject)

    return Keyless(signatory=signatory, sign=sign)


def _read_signatory(signer: Signer) -> Signatory:
    from lockgate_release.provenance.certificates import read_claims  # noqa: PLC0415 (as above)

    # Fetched already; there is no other way to see it before a signature is in the public log.
    certificate = signer._signing_cert()  # noqa: SLF001
    claims = read_claims(certificate, subject="the certificate to sign with")
    return Signatory(
        identity=claims.identity,
        issuer=claims.issuer,
        source_repository=claims.source_repository,
        workflow=claims.workflow,
    )


def _sign(signer: Signer, verifier: Verifier, sha256: Sha256Hex) -> Signed:
    """Return a bundle that whoever trusts the same instance can verify (rule 5)."""
    from sigstore.hashes import Hashed  # noqa: PLC0415 (as above)
    from sigstore_models.common.v1 import HashAlgorithm  # noqa: PLC0415

    from lockgate_release.provenance.certificates import read_claims  # noqa: PLC0415

    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(sha256))
    bundle = signer.sign_artifact(hashed)
    named = f"the bundle of sha256:{sha256[:12]}…"
    claims = read_claims(bundle.signing_certificate, subject=named)
    verifier.verify_artifact(hashed, bundle, claims.as_policy())
    data = bundle.to_json().encode() + b"\n"
    (said,) = read_attestations(data, subject=named)
    return Signed(said=said, identity=claims.identity, issuer=claims.issuer)


def _find_token(wish: KeylessWish, environ: Mapping[str, str]) -> IdentityToken:
    """Return the identity's token (rule 1).

    Raises:
        UsageError: There is none, or it is none, or has ended.
        LocalError: Its file cannot be read.
        TransportError: The CI service did not hand it over.
    """
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential  # noqa: PLC0415

    where = TOKEN_VARIABLE
    if wish.token_file is not None:
        where, raw = str(wish.token_file), _read_text(wish.token_file)
    elif environ.get(TOKEN_VARIABLE):
        raw = environ[TOKEN_VARIABLE]
    else:
        where = "the job's own identity"
        try:
            raw = _within(wish.deadline_s, detect_credential, where) or ""
        except TrustError as exc:
            raise UsageError(
                "no identity to sign with", subject=where, found=exc.found, hint=_NO_IDENTITY
            ) from exc
    if not raw.strip():
        raise UsageError("no identity to sign with", subject="--sigstore", hint=_NO_IDENTITY)
    try:
        return IdentityToken(raw.strip())
    except IdentityError as exc:
        raise UsageError(
            "not a token to sign with",
            subject=where,
            expected="an OpenID Connect token with the audience sigstore that has not ended",
            found=str(exc),
        ) from exc


def _load_config(wish: KeylessWish) -> ClientTrustConfig:
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415 (as above)

    if wish.trust_config is None:
        return ClientTrustConfig.production()
    text = _read_text(wish.trust_config)
    try:
        return ClientTrustConfig.from_json(text)
    except Exception as exc:
        raise UsageError(
            "not a trust config of Sigstore",
            subject=str(wish.trust_config),
            expected="application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            found=_shorten(exc),
        ) from exc


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise UsageError("no such file", subject=str(path)) from exc
    except UnicodeDecodeError as exc:
        raise UsageError("not UTF-8", subject=str(path)) from exc
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(path), found=exc.strerror or "") from exc


class _Task(threading.Thread, Generic[T]):
    """One call of Sigstore's client, in a thread that may be left behind (rule 4)."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.results: list[T] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self.results.append(self._work())
        except BaseException as exc:  # noqa: BLE001 (it is raised again where it was asked for)
            self.failure = exc


def _within(deadline_s: float, work: Callable[[], T], subject: str) -> T:
    """Return what the work returns, its errors translated; give it up when it takes too long."""
    task = _Task(work)
    task.start()
    task.join(deadline_s)
    if task.is_alive():
        raise TransportError(
            "no answer", subject=subject, expected=f"one within {deadline_s:.0f} s"
        )
    if task.failure is not None:
        raise translate_error(task.failure, subject) from task.failure
    return task.results[0]


def translate_error(exc: BaseException, subject: str) -> BaseException:
    """Return what an error of Sigstore's client means, by who must act."""
    from requests import RequestException  # noqa: PLC0415 (as above)
    from sigstore.errors import Error, NetworkError  # noqa: PLC0415
    from tuf.api.exceptions import DownloadError  # noqa: PLC0415

    if isinstance(exc, LockgateError) or not isinstance(exc, Exception):
        return exc
    # The public instance's keys come through TUF: not to reach them is not to be refused.
    unreached = isinstance(exc, NetworkError) or isinstance(exc.__cause__, DownloadError)
    if isinstance(exc, Error) and not unreached:
        return TrustError("refused", subject=subject, found=_shorten(exc))
    if unreached or isinstance(exc, RequestException):
        return TransportError("cannot be reached", subject=subject, found=_shorten(exc))
    return TransportError("did not do it", subject=subject, found=_shorten(exc))


def _shorten(exc: BaseException) -> str:
    """Return an error's words, and those of the answer that it was about."""
    cause = exc.__cause__
    answer = getattr(getattr(cause, "response", None), "text", "")
    words = [str(exc) or type(exc).__name__, "" if str(exc) else str(cause or ""), str(answer)]
    return ": ".join(" ".join(text.split()) for text in words if text)[:_MOST_WORDS]
