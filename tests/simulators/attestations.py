"""Files in the forms of attestations. Nobody has signed them: they say something of themselves."""

import base64
import json
from typing import Any

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SLSA = "https://slsa.dev/provenance/v1"


def signature(sha256: str, **changes: Any) -> dict[str, Any]:
    """A bundle that says it is a signature over these bytes."""
    digest = {
        "algorithm": "SHA2_256",
        "digest": base64.b64encode(bytes.fromhex(sha256)).decode(),
        **changes,
    }
    return {"mediaType": BUNDLE, "messageSignature": {"messageDigest": digest}}


def statement(*sha256s: str, **changes: Any) -> dict[str, Any]:
    """A bundle that says it is an in-toto statement about these bytes."""
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": SLSA,
        "subject": [{"name": "x", "digest": {"sha256": sha256}} for sha256 in sha256s],
        # Foreign JSON has what documents of ours may not: a float.
        "predicate": {"score": 0.5},
        **changes,
    }
    payload = base64.b64encode(json.dumps(said).encode()).decode()
    envelope = {"payloadType": "application/vnd.in-toto+json", "payload": payload}
    return {"mediaType": BUNDLE, "dsseEnvelope": envelope}


def as_bytes(value: object) -> bytes:
    """A value as somebody's JSON file."""
    return json.dumps(value, indent=2).encode()
