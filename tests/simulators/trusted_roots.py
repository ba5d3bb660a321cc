"""Trusted roots of Sigstore as JSON, for whoever only names them and verifies nothing with them."""

import base64
import json
from typing import Any

__all__ = ["trusted_root"]


def trusted_root(name: str = "example", **changes: Any) -> bytes:
    """A trusted root with one authority and one log, at addresses of this name."""
    key = base64.b64encode(f"a key of {name}".encode()).decode()
    plain: dict[str, Any] = {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            {
                "baseUrl": f"https://log.{name}.test",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": key,
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": "2026-01-01T00:00:00.000Z"},
                },
                "logId": {"keyId": key},
            }
        ],
        "certificateAuthorities": [
            {
                "subject": {"organization": name, "commonName": name},
                "uri": f"https://ca.{name}.test",
                "certChain": {"certificates": [{"rawBytes": key}]},
                "validFor": {
                    "start": "2026-01-01T00:00:00.000Z",
                    "end": "2036-01-01T00:00:00.000Z",
                },
            }
        ],
        "ctlogs": [],
    }
    return json.dumps(plain | changes, indent=2).encode()
