"""JSON schemas of what travels over the API, for its OpenAPI document."""

from __future__ import annotations

from lockgate_release.rollout.situation import Action, Reason
from lockgate_release.steering_requests import RolloutAction
from lockgate_release.uploads import MAX_PARTS, MAX_URLS
from lockgate_server.views.api.approval_schemas import APPROVAL_SCHEMAS
from lockgate_server.views.api.key_schemas import KEY_SCHEMAS
from lockgate_server.views.api.pending_schemas import PENDING_SCHEMAS
from lockgate_server.views.api.schema_parts import BASE64 as _BASE64
from lockgate_server.views.api.schema_parts import BOOLEAN as _BOOLEAN
from lockgate_server.views.api.schema_parts import INSTANT as _INSTANT
from lockgate_server.views.api.schema_parts import NAME as _NAME
from lockgate_server.views.api.schema_parts import REASON as _REASON
from lockgate_server.views.api.schema_parts import SHA256 as _SHA256
from lockgate_server.views.api.schema_parts import TEXT as _TEXT
from lockgate_server.views.api.schema_parts import VERSION as _VERSION
from lockgate_server.views.api.schema_parts import Schema
from lockgate_server.views.api.schema_parts import array as _array
from lockgate_server.views.api.schema_parts import integer as _integer
from lockgate_server.views.api.schema_parts import map_of as _map
from lockgate_server.views.api.schema_parts import nullable as _nullable
from lockgate_server.views.api.schema_parts import object_of as _object
from lockgate_server.views.api.schema_parts import ref as _ref

__all__ = ["SCHEMAS"]

_BP = _integer(0, 10_000)
_NUMBER = _integer(1)
_UPLOAD_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_PART_NUMBER = _integer(1, MAX_PARTS)
_PART_URL = _object({"number": _PART_NUMBER, "url": {"type": "string", "format": "uri"}})

_ENTRY: dict[str, Schema] = {
    "version": _VERSION,
    "path": _TEXT,
    "channels": _array(_NAME),
    "floor": _map(_VERSION),
    "offered_in": _map(_BP),
    "revoked_in": _array(_NAME),
}

SCHEMAS: dict[str, Schema] = {
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": _integer(400, 599),
            "detail": _TEXT,
            "code": _TEXT,
            "request_id": _TEXT,
        },
        {"operation_id": _TEXT, "expected": _TEXT, "found": _TEXT, "hint": _TEXT, "subject": _TEXT},
    ),
    "Service": _object(
        {"name": {"const": "lockgate"}, "version": _TEXT, "side": {"const": "api"}},
        {"public_url": _TEXT},
    ),
    "OpenApi": {"type": "object"},
    **KEY_SCHEMAS,
    **PENDING_SCHEMAS,
    "RegisterRequest": _object(
        {"root": _BASE64, "targets": _BASE64, "releases": _BASE64, "documents": _map(_BASE64)}
    ),
    "PublishRequest": _object(
        {},
        {
            "releases": _BASE64,
            "documents": _map(_BASE64),
            "offer": _ref("WantedOffer"),
            "role": _TEXT,
        },
    ),
    **APPROVAL_SCHEMAS,
    "ChosenPlan": _object({"plan": _ref("Plan")}, {"name": _TEXT, "start_at": _INSTANT}),
    "Plan": {
        "type": "object",
        "description": "What a rollout may do; docs/reference/rollout-plan.md has every field.",
    },
    "RolloutRequest": _object(
        {"action": {"enum": [action.value for action in RolloutAction]}},
        {
            "exposure_bp": _BP,
            "expected_epoch": _integer(),
            "chosen": _ref("ChosenPlan"),
            "reason": _REASON,
            "anyway": _BOOLEAN,
            "dry_run": _BOOLEAN,
        },
    ),
    "StopRequest": _object({"reason": _REASON}, {"channel": _nullable(_NAME), "dry_run": _BOOLEAN}),
    "StartRequest": _object(
        {}, {"reason": _REASON, "channel": _nullable(_NAME), "dry_run": _BOOLEAN}
    ),
    "Stop": _object(
        {
            "at": _INSTANT,
            "reason": _TEXT,
            "whole_app": _BOOLEAN,
            "paused": _map(_NUMBER),
            "approvals": _array(_TEXT),
        }
    ),
    "Stopped": _object(
        {
            "channels": _array(
                _object(
                    {"channel": _NAME, "stopped": _BOOLEAN},
                    {"stop": _ref("Stop"), "starts_missing": _integer()},
                )
            ),
            "changed": _BOOLEAN,
            "would_change": _BOOLEAN,
        }
    ),
    "RevokeRequest": _object(
        {"version": _VERSION, "reason": {"type": "string", "minLength": 1, "maxLength": 1000}},
        {
            "remedy": {"enum": ["replace", "last-good", "block-new"]},
            "channels": _array(_NAME),
            "dry_run": _BOOLEAN,
        },
    ),
    "UnrevokeRequest": _object(
        {
            "version": _VERSION,
            "reason": {"type": "string", "minLength": 1, "maxLength": 1000},
            "channels": _array(_NAME),
        },
        {"releases": _BASE64, "role": _TEXT},
    ),
    "RenewRequest": _object(
        {"role": {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$"}, "metadata": _BASE64},
        {"documents": _map(_BASE64)},
    ),
    "MirrorRequest": _object({"valid_for_s": _NUMBER}),
    "MirrorSignature": _object(
        {
            "timestamp_version": _NUMBER,
            "expires_at": _INSTANT,
            "shortened": _TEXT,
            "files": _map(_BASE64),
        }
    ),
    "Rollout": _object(
        {
            "salt": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "exposure_bp": _BP,
            "control_bp": _BP,
            "epoch": _NUMBER,
            "state": {"enum": ["active", "paused", "halted"]},
        },
        {"progress": _ref("Progress")},
    ),
    "Progress": _object(
        {
            "plan": _ref("Plan"),
            "name": _TEXT,
            "stage_epochs": _array(_NUMBER),
            "stage_since": _INSTANT,
            "approved": _BOOLEAN,
            "reason": _TEXT,
        },
        {"start_at": _nullable(_INSTANT), "resumed_at": _nullable(_INSTANT)},
    ),
    "Offer": _object(
        {"version": _VERSION, "path": _TEXT, "sha256": _SHA256, "rollout": _ref("Rollout")}
    ),
    "Revocation": _object({"version": _VERSION, "reason": _TEXT, "remedy": _TEXT, "at": _INSTANT}),
    "Channel": _object(
        {
            "channel": _NAME,
            "sequence": _NUMBER,
            "issued_at": _INSTANT,
            "expires_at": _INSTANT,
            "offers": _array(_ref("Offer")),
            "revoked": _array(_ref("Revocation")),
            "once_full": _array(_VERSION),
        },
        {"retire_at": _INSTANT},
    ),
    "ChannelEnded": _object({"channel": _ref("Channel"), "changed": _BOOLEAN}),
    "AppSummary": _object(
        {"app": _NAME},
        {
            "root_version": _NUMBER,
            "timestamp_version": _NUMBER,
            "releases": _integer(),
            "channels": _array(_NAME),
            "offered": _map(_array(_VERSION)),
            "first_to_expire": _object({"role": _TEXT, "expires_at": _INSTANT}),
            "pending": _integer(),
            "awaited": _integer(),
            "error": _object({"code": _TEXT, "message": _TEXT}),
        },
    ),
    "AppList": _object({"apps": _array(_ref("AppSummary"))}),
    "AppStatus": _object(
        {
            "app": _NAME,
            "root_version": _NUMBER,
            "timestamp_version": _NUMBER,
            "roles": _map(
                _object({"version": _NUMBER, "expires_at": _INSTANT, "fraction_left_bp": _BP})
            ),
            "channels": _array(_ref("Channel")),
            "releases": _integer(),
            "warnings": _array(_TEXT),
            "pending": _array(_ref("PendingChange")),
            "awaited": _array(_ref("Awaited")),
            "deltas": _array(_ref("DeltaState")),
            "reports_waiting": _nullable(_integer()),
            "online_keys": _array(_ref("OnlineKeyState")),
        }
    ),
    "DeltaState": _object(
        {
            "channel": _NAME,
            "version": _VERSION,
            "recent": _array(_VERSION),
            "with_delta": _array(_VERSION),
        }
    ),
    "ReleaseList": _object({"releases": _array(_object(_ENTRY))}),
    "ReleaseDetail": _object(
        {**_ENTRY, "document": {"type": "object"}, "extras": {"type": "object"}}
    ),
    "Installed": _object(
        {
            "app": _NAME,
            "at": _INSTANT,
            "days": _array(
                _object({"day": _TEXT, "counts": _array(_ref("ActiveCount"))}),
            ),
        }
    ),
    "ActiveCount": _object(
        {"channel": _NAME, "version": _VERSION, "platform": _NAME, "clients": _integer()}
    ),
    "ArtifactReceipt": _object({"sha256": _SHA256, "size": _integer()}),
    "BeginRequest": _object({"upload_id": _UPLOAD_ID, "size": _integer()}, {"sha256": _SHA256}),
    "UploadPart": _object(
        {"number": _PART_NUMBER}, {"size": _integer(), "etag": _TEXT, "sha256": _SHA256}
    ),
    "UploadState": _object(
        {
            "upload_id": _UPLOAD_ID,
            "size": _integer(),
            "part_bytes": _NUMBER,
            "mode": {"enum": ["direct", "server"]},
            "complete": _BOOLEAN,
            "present": _BOOLEAN,
            "parts": _array(_ref("UploadPart")),
            "urls": _array(_PART_URL),
            "expires_s": _NUMBER,
        }
    ),
    "UrlsRequest": _object({"numbers": {**_array(_PART_NUMBER), "maxItems": MAX_URLS}}),
    "UploadUrls": _object({"urls": _array(_PART_URL), "expires_s": _NUMBER}),
    "FinishRequest": _object(
        {"sha256": _SHA256, "size": _integer(), "parts": _array(_ref("UploadPart"))}
    ),
    "Published": _object(
        {
            "timestamp_version": _NUMBER,
            "releases_version": _NUMBER,
            "changed": _BOOLEAN,
            "offer": {"oneOf": [{"type": "null"}, _ref("Offer")]},
        }
    ),
    "RolloutChanged": _object(
        {
            "rollout": _ref("Rollout"),
            "changed": _BOOLEAN,
            "would_change": _BOOLEAN,
            "warnings": _array(_TEXT),
        }
    ),
    "RolloutDetail": _object(
        {
            "app": _NAME,
            "channel": _NAME,
            "version": _VERSION,
            "rollout": _ref("Rollout"),
            "stop": _nullable(_ref("Stop")),
            "steering": _nullable(_ref("Steering")),
            "verdict": _nullable(_ref("Verdict")),
        }
    ),
    "Steering": _object(
        {
            "name": _TEXT,
            "plan_sha256": _SHA256,
            "stage": _integer(),
            "stages": _NUMBER,
            "stage_since": _INSTANT,
            "stood_s": _integer(),
            "dwell_left_s": _integer(),
            "next_exposure_bp": _nullable(_BP),
            "starts_at": _nullable(_INSTANT),
            "waits_for_person": _BOOLEAN,
            "approved": _BOOLEAN,
            "reason": _TEXT,
        }
    ),
    "Verdict": _object(
        {
            "action": {"enum": [action.value for action in Action]},
            "reason": {"enum": [reason.value for reason in Reason]},
            "text": _TEXT,
            "parked": _BOOLEAN,
            "plan_sha256": _SHA256,
            "evidence": _ref("Evidence"),
        }
    ),
    "Evidence": _object(
        {
            **{name: _ref("Totals") for name in ("canary", "control")},
            **{name: _ref("EValue") for name in ("harm", "ceiling", "safety")},
            "ratio": _object({"low": _TEXT, "high": _nullable(_TEXT)}),
            "canaries_closed": _integer(),
            "canaries_needed": _nullable(_integer()),
        }
    ),
    "EValue": _object({"e_value": _TEXT, "limit": _TEXT}),
    "Totals": _object(
        {
            name: _integer()
            for name in ("enrolled", "closed", "bad", "crash_loops", "failed_already", "answered")
        }
    ),
    "Revoked": _object(
        {
            "revoked_in": _array(_NAME),
            "offered_in": _map(_BP),
            "goes_to": _map({"type": ["string", "null"]}),
            "check_interval_s": _map(_NUMBER),
            "cached_s": _NUMBER,
            "clients": {
                "oneOf": [
                    _object({"day": _TEXT, "on_it": _map(_integer()), "of": _map(_integer())}),
                    {"type": "null"},
                ]
            },
            "warnings": _array(_TEXT),
            "changed": _BOOLEAN,
            "would_change": _BOOLEAN,
        }
    ),
    "Unrevoked": _object(
        {
            "lifted_in": _array(_NAME),
            "allowed_in": _array(_NAME),
            "changed": _BOOLEAN,
            "timestamp_version": _NUMBER,
            "releases_version": _NUMBER,
        }
    ),
    "Renewed": _object({"timestamp_version": _NUMBER, "version": _NUMBER}),
    "AuditEntry": _object(
        {
            "number": _NUMBER,
            "at": _INSTANT,
            "app": _NAME,
            "actor": _TEXT,
            "action": _TEXT,
            "details": {"type": "object"},
            "request_id": _TEXT,
            "operation_id": _TEXT,
            "timestamp_sha256": _TEXT,
            "outcome": {"enum": ["open", "done", "abandoned"]},
            "chain_sha256": _SHA256,
        }
    ),
    "AuditLog": _object({"entries": _array(_ref("AuditEntry"))}),
}
