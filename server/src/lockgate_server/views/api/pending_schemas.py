"""JSON schemas of what travels over the API about changes that wait for signatures."""

from __future__ import annotations

from lockgate_release.pending_requests import MAX_TITLE
from lockgate_server.views.api.schema_parts import (
    BASE64,
    BOOLEAN,
    INSTANT,
    NAME,
    REASON,
    SHA256,
    TEXT,
    VERSION,
    Schema,
    array,
    integer,
    map_of,
    nullable,
    object_of,
    ref,
)

__all__ = ["PENDING_SCHEMAS"]

_NUMBER = integer(1)
_TITLE: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TITLE}
_OFFERS = array(ref("WantedOffer"))
_LIFTS = array(ref("LiftWish"))
PEOPLE = array(object_of({"keyid": TEXT, "name": TEXT}))

PENDING_SCHEMAS: dict[str, Schema] = {
    "WantedOffer": object_of(
        {"channel": NAME, "version": VERSION, "exposure_bp": integer(0, 10_000)},
        {"chosen": ref("ChosenPlan"), "lifetime_s": _NUMBER, "allow_unattested": BOOLEAN},
    ),
    "LiftWish": object_of({"version": VERSION, "reason": REASON, "channels": array(NAME)}),
    "PendingRequest": object_of(
        {"releases": BASE64, "title": _TITLE},
        {
            "role": TEXT,
            "documents": map_of(BASE64),
            "offers": _OFFERS,
            "lifts": _LIFTS,
            "instead_of": SHA256,
        },
    ),
    "PendingContent": object_of(
        {
            "change": SHA256,
            "role": TEXT,
            "releases": BASE64,
            "title": _TITLE,
            "documents": map_of(BASE64),
            "offers": _OFFERS,
            "lifts": _LIFTS,
        }
    ),
    "PendingChange": object_of(
        {
            "change": SHA256,
            "role": TEXT,
            "releases_version": _NUMBER,
            "title": _TITLE,
            "versions": array(VERSION),
            "begun_by": TEXT,
            "begun_at": INSTANT,
            "state": {"enum": ["open", "complete", "outdated"]},
            "threshold": integer(),
            "missing": integer(),
            "signatures": array(
                object_of({"keyid": TEXT, "name": TEXT, "by": TEXT, "at": INSTANT})
            ),
            "lacking": PEOPLE,
            "offers": _OFFERS,
            "lifts": _LIFTS,
            "unattested": array(
                object_of({"channel": NAME, "version": VERSION, "demanded": BOOLEAN})
            ),
            "problem": TEXT,
        }
    ),
    "Awaited": object_of(
        {
            "channel": NAME,
            "version": VERSION,
            "threshold": _NUMBER,
            "missing": integer(),
            "approved_by": PEOPLE,
            "lacking": PEOPLE,
        }
    ),
    "PendingList": object_of({"pending": array(ref("PendingChange"))}),
    "SignaturesRequest": object_of(
        {"signatures": array(object_of({"keyid": TEXT, "sig": TEXT}))},
    ),
    "PendingOutcome": object_of(
        {
            "change": SHA256,
            "live": BOOLEAN,
            "changed": BOOLEAN,
            "pending": nullable(ref("PendingChange")),
            "timestamp_version": _NUMBER,
            "releases_version": _NUMBER,
        }
    ),
    "WithdrawRequest": object_of({}, {"reason": REASON}),
    "Withdrawn": object_of({"change": SHA256, "title": _TITLE}),
}
