"""A Sigstore instance of our own on loopback: unmodified sigstore-python signs against it.

    with serve_sigstore() as sigstore:
        bundle = sigstore.sign(b"bytes", WORKFLOW)
        bundle = sigstore.attest({"app.tar.gz": sha256}, WORKFLOW)

`trusted_root` is what verifies it, and nothing else does. `trust_config` is what a person gives to
`sigstore --trust-config` or to a command of ours; `token` is what an identity provider would give.
"""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from tests.simulators.sigstore_keys import Authority, TransparencyLog, log_id, public_bytes

__all__ = [
    "ANN",
    "BOB",
    "GITHUB",
    "SLSA",
    "WORKFLOW",
    "SigstoreSimulator",
    "Somebody",
    "person",
    "serve_sigstore",
    "workflow",
]

GITHUB = "https://token.actions.githubusercontent.com"
SLSA = "https://slsa.dev/provenance/v1"
_START = "2020-01-01T00:00:00Z"
_JWT_KEY = "nobody verifies what a token is signed with, neither here nor in sigstore-python"


@dataclass(frozen=True)
class Somebody:
    """Who signs: what an identity provider says of them.

    Attributes:
        identity: What their certificate is for.
        issuer: The provider.
        claims: What else their token says.
    """

    identity: str
    issuer: str
    claims: Mapping[str, Any] = field(default_factory=dict)


def person(mailbox: str, issuer: str = "https://accounts.example") -> Somebody:
    """Return a person with a mailbox."""
    return Somebody(mailbox, issuer, {"email": mailbox})


def workflow(
    repository: str = "o/r", ref: str = "refs/tags/v1.0.0", file: str = "release.yml"
) -> Somebody:
    """Return a workflow of a repository on GitHub, as its tokens name it."""
    path = f"{repository}/.github/workflows/{file}@{ref}"
    claims = {
        "job_workflow_ref": path,
        "workflow_ref": path,
        "repository": repository,
        "ref": ref,
        "sha": "ab" * 20,
        "event_name": "push",
        "run": f"https://github.com/{repository}/actions/runs/1/attempts/1",
    }
    return Somebody(f"https://github.com/{path}", GITHUB, claims)


ANN = person("ann@example.com")
BOB = person("bob@example.com")
WORKFLOW = workflow()


class SigstoreSimulator:
    """An authority, a log of certificates and a log of signatures, behind one address.

    Attributes:
        address: Where it is served.
        authority: Whose certificates it gives out; its knobs make odd ones.
        log: Which log takes signatures in; its clock can be set.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.authority = Authority()
        self.log = TransparencyLog()

    @property
    def trusted_root(self) -> bytes:
        """What verifies the instance's bundles: Sigstore's TrustedRoot."""
        certificate = self.authority.certificate.public_bytes(Encoding.DER)
        authority = {
            "subject": {"organization": "Lockgate's tests", "commonName": "tests"},
            "uri": self.address,
            "certChain": {"certificates": [{"rawBytes": _text(certificate)}]},
            "validFor": {"start": _START},
        }
        whole = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log(self.log.key)],
            "certificateAuthorities": [authority],
            "ctlogs": [self._log(self.authority.log_key)],
            "timestampAuthorities": [],
        }
        return json.dumps(whole).encode()

    def _log(self, key: Any) -> dict[str, Any]:
        return {
            "baseUrl": self.address,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": _text(public_bytes(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": _START},
            },
            "logId": {"keyId": _text(log_id(key))},
        }

    @property
    def trust_config(self) -> str:
        """What signs and verifies: Sigstore's ClientTrustConfig."""
        service = {
            "url": self.address,
            "majorApiVersion": 1,
            "validFor": {"start": _START},
            "operator": "tests",
        }
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service],
            "oidcUrls": [service],
            "rekorTlogUrls": [service],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [],
            "tsaConfig": {"selector": "ANY"},
        }
        whole = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": json.loads(self.trusted_root),
            "signingConfig": signing,
        }
        return json.dumps(whole)

    def token(self, who: Somebody = WORKFLOW) -> str:
        """Return a token as somebody's identity provider would give it, good for ten minutes."""
        now = datetime.now(UTC)
        claims = {
            "aud": "sigstore",
            "iss": who.issuer,
            "sub": who.identity,
            "iat": now,
            "exp": now + timedelta(minutes=10),
            **who.claims,
        }
        return jwt.encode(claims, _JWT_KEY, algorithm="HS256")

    def sign(self, data: bytes, who: Somebody = WORKFLOW) -> bytes:
        """Return the bundle of a plain signature over bytes."""
        with self._context().signer(IdentityToken(self.token(who))) as signer:
            return signer.sign_artifact(data).to_json().encode()

    def attest(
        self,
        subjects: Mapping[str, str],
        who: Somebody = WORKFLOW,
        *,
        predicate_type: str = SLSA,
        predicate: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bundle of an in-toto statement about files, by their names and SHA-256."""
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects.items()
            ],
            "predicateType": predicate_type,
            "predicate": dict(predicate or {}),
        }
        with self._context().signer(IdentityToken(self.token(who))) as signer:
            return signer.sign_dsse(Statement(json.dumps(statement).encode())).to_json().encode()

    def envelop(self, payload: bytes, payload_type: str, who: Somebody = WORKFLOW) -> bytes:
        """Return the bundle of an envelope of any type, which sigstore-python would not sign."""
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        claims = {"iss": who.issuer, "sub": who.identity, **who.claims}
        leaf, _ = self.authority.issue(request.sign(key, hashes.SHA256()), claims)
        signed = b"DSSEv1 %d %s %d %s" % (
            len(payload_type),
            payload_type.encode(),
            len(payload),
            payload,
        )
        signature = _text(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        envelope = {
            "payload": _text(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": signature}],
        }
        verifiers = [_text(leaf.encode())]
        proposed = {"envelope": json.dumps(envelope), "verifiers": verifiers}
        taken = self.log.take({"kind": "dsse", "spec": {"proposedContent": proposed}})
        certificate = x509.load_pem_x509_certificate(leaf.encode()).public_bytes(Encoding.DER)
        whole = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": _text(certificate)},
                "tlogEntries": [_as_bundled(taken, "dsse")],
            },
            "dsseEnvelope": envelope,
        }
        return json.dumps(whole).encode()

    def _context(self) -> SigningContext:
        return SigningContext.from_trust_config(ClientTrustConfig.from_json(self.trust_config))

    def answer(self, path: str, body: Mapping[str, Any], authorization: str) -> dict[str, Any]:
        """Return what the services answer to a request."""
        if path == "/api/v1/log/entries":
            return self.log.take(body)
        assert path == "/api/v2/signingCert", path
        token = authorization.removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False}, audience="sigstore")
        request = base64.b64decode(body["certificateSigningRequest"])
        chain = self.authority.issue(x509.load_pem_x509_csr(request), claims)
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}


def _as_bundled(taken: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the log's answer as a bundle holds it."""
    (entry,) = taken.values()
    proof = entry["verification"]["inclusionProof"]
    return {
        "logIndex": str(entry["logIndex"]),
        "logId": {"keyId": _text(bytes.fromhex(entry["logID"]))},
        "kindVersion": {"kind": kind, "version": "0.0.1"},
        "integratedTime": str(entry["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": _text(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": entry["body"],
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests' output is for the tests."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = self.headers.get("Authorization", "")
        answer = self.server.simulator.answer(self.path, body, authorization)
        data = json.dumps(answer).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    simulator: SigstoreSimulator


@contextmanager
def serve_sigstore() -> Iterator[SigstoreSimulator]:
    """Serve a new instance, which no other one's root verifies, while the block runs."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.simulator = SigstoreSimulator(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.simulator
        finally:
            server.shutdown()
            thread.join()
