"""The four documents and the mark on a release's entry: bytes to value, and back.

`parse_…` takes bytes as they came and returns a frozen value or raises `DocumentError` with the
path to the field; `to_json` of a value gives the same document back, fields this version does not
know included. Trust is not decided here: it is TUF's signatures that say who wrote the bytes.
"""

from lockgate_release.documents.attestation import Attestation
from lockgate_release.documents.channel import (
    ChannelDocument,
    ChannelOffer,
    Remedy,
    Revocation,
    Rollout,
    RolloutState,
    Stop,
    parse_channel,
    stricter,
)
from lockgate_release.documents.chunks import ChunkHasher, Chunks, chunk_bytes_for
from lockgate_release.documents.delta import Delta
from lockgate_release.documents.entry import ReleaseEntry, parse_entry
from lockgate_release.documents.extras import ExtrasDocument, parse_extras
from lockgate_release.documents.policy import (
    ApprovalRule,
    ChannelPolicy,
    ManualCheck,
    PolicyDocument,
    Shortfall,
    SignatureRule,
    parse_policy,
)
from lockgate_release.documents.python_wheels import PythonWheels
from lockgate_release.documents.release import (
    Artifact,
    HealthCheck,
    Install,
    ReleaseDocument,
    Requirements,
    parse_release,
)
from lockgate_release.documents.trusted import Count, Standing, TrustedRelease

__all__ = [
    "ApprovalRule",
    "Artifact",
    "Attestation",
    "ChannelDocument",
    "ChannelOffer",
    "ChannelPolicy",
    "ChunkHasher",
    "Chunks",
    "Count",
    "Delta",
    "ExtrasDocument",
    "HealthCheck",
    "Install",
    "ManualCheck",
    "PolicyDocument",
    "PythonWheels",
    "ReleaseDocument",
    "ReleaseEntry",
    "Remedy",
    "Requirements",
    "Revocation",
    "Rollout",
    "RolloutState",
    "Shortfall",
    "SignatureRule",
    "Standing",
    "Stop",
    "TrustedRelease",
    "chunk_bytes_for",
    "parse_channel",
    "parse_entry",
    "parse_extras",
    "parse_policy",
    "parse_release",
    "stricter",
]
