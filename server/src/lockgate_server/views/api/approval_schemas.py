"""JSON schemas of what travels over the API about approvals."""

from __future__ import annotations

from lockgate_release.documents.approval import MOST_SIGNATURES, TYPE
from lockgate_server.views.api.schema_parts import (
    BOOLEAN,
    INSTANT,
    NAME,
    SHA256,
    TEXT,
    VERSION,
    Schema,
    array,
    integer,
    object_of,
    ref,
)

__all__ = ["APPROVAL_SCHEMAS"]

APPROVAL_SCHEMAS: dict[str, Schema] = {
    "Approval": object_of(
        {
            "signed": object_of(
                {
                    "_type": {"const": TYPE},
                    "app": NAME,
                    "channel": NAME,
                    "version": VERSION,
                    "release_sha256": SHA256,
                    "approved_at": INSTANT,
                }
            ),
            "signatures": {
                **array(object_of({"keyid": TEXT, "sig": TEXT})),
                "maxItems": MOST_SIGNATURES,
            },
        }
    ),
    "ApproveRequest": object_of({"approval": ref("Approval")}),
    "ApproveOutcome": object_of(
        {
            "approved_by": array(TEXT),
            "threshold": integer(),
            "is_enough": BOOLEAN,
            "changed": BOOLEAN,
            "timestamp_version": integer(1),
        }
    ),
}
