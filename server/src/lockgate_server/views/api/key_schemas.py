"""JSON schemas of what travels over the API about keys: ceremonies, and the server's own keys."""

from __future__ import annotations

from lockgate_server.views.api.schema_parts import (
    BASE64,
    BOOLEAN,
    INSTANT,
    TEXT,
    Schema,
    array,
    integer,
    map_of,
    nullable,
    object_of,
    ref,
)

__all__ = ["KEY_SCHEMAS"]

_NUMBER = integer(1)

KEY_SCHEMAS: dict[str, Schema] = {
    "OnlineKey": object_of({"keyid": TEXT, "key": {"type": "object"}}),
    "OnlineKeyState": object_of(
        {
            "keyid": TEXT,
            "part": {"enum": ["in-force", "next", "old"]},
            "variable": TEXT,
            "overlap_ends_at": nullable(INSTANT),
        }
    ),
    "OnlineKeys": object_of({"keys": array(ref("OnlineKeyState"))}),
    "CeremonyRequest": object_of(
        {},
        {
            "root": BASE64,
            "targets": BASE64,
            "releases": BASE64,
            "documents": map_of(BASE64),
            "dry_run": BOOLEAN,
        },
    ),
    "CeremonyOutcome": object_of(
        {
            "timestamp_version": _NUMBER,
            "root_version": _NUMBER,
            "targets_version": _NUMBER,
            "releases_version": _NUMBER,
            "changed": BOOLEAN,
            "wait_s": integer(),
        }
    ),
}
