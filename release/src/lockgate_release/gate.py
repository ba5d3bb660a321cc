"""The gate: which clients a release is offered to, in one function that any language can repeat.

    u = first 8 bytes, big-endian, of HMAC-SHA256(key=salt, message=client_id)
    bucket = u * 10000 >> 64                                 0 to 9999
    offered   when bucket <  exposure_bp
    control   when exposure_bp <= bucket < exposure_bp + control_bp
    outside   otherwise

So the gate is sticky (the same client has the same bucket for as long as the salt lasts), it only
widens (raising the exposure keeps everybody who was in), it is drawn anew for each release (each
has its own salt), and an exposure of 0 means nobody. `gate_vectors.json` beside this file holds
cases that every implementation must agree with.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import StrEnum

from lockgate_release.names import MAX_EXPOSURE_BP

__all__ = ["Arm", "bucket", "choose_arm", "is_client_id", "is_salt"]

_SALT = re.compile(r"[0-9a-f]{32}")
_CLIENT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Arm(StrEnum):
    """Where a client stands in a rollout."""

    OFFERED = "offered"
    CONTROL = "control"
    OUTSIDE = "outside"


def is_salt(text: str) -> bool:
    """Whether `text` is a salt: 32 lower-case hexadecimal digits."""
    return _SALT.fullmatch(text) is not None


def is_client_id(text: str) -> bool:
    """Whether `text` is a client's id: a UUID in 36 lower-case characters."""
    return _CLIENT_ID.fullmatch(text) is not None


def bucket(salt: str, client_id: str) -> int:
    """Return the client's place on the scale of 0 to 9999 under this salt.

    Args:
        salt: 32 lower-case hexadecimal digits; their 16 raw bytes are the key.
        client_id: A UUID in 36 lower-case ASCII characters.

    Raises:
        ValueError: Either is malformed. A gate that guesses is an open gate.
    """
    if not is_salt(salt):
        raise ValueError("a salt is 32 lower-case hexadecimal digits")
    if not is_client_id(client_id):
        raise ValueError("a client id is a UUID in 36 lower-case characters")
    digest = hmac.digest(bytes.fromhex(salt), client_id.encode("ascii"), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") * MAX_EXPOSURE_BP >> 64


def choose_arm(salt: str, client_id: str, *, exposure_bp: int, control_bp: int) -> Arm:
    """Return the arm the client is in.

    Args:
        salt: As for `bucket`.
        client_id: As for `bucket`.
        exposure_bp: Share that is offered the release, 0 to 10000 basis points.
        control_bp: Share that only reports, 0 to 10000 - `exposure_bp` basis points.

    Raises:
        ValueError: A value is malformed or out of range.
    """
    if exposure_bp < 0 or control_bp < 0 or exposure_bp + control_bp > MAX_EXPOSURE_BP:
        raise ValueError("exposure_bp and control_bp are shares of 10000")
    place = bucket(salt, client_id)
    if place < exposure_bp:
        return Arm.OFFERED
    return Arm.CONTROL if place < exposure_bp + control_bp else Arm.OUTSIDE
