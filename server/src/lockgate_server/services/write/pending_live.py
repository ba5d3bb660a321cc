"""What a pending change would put in force: all of it checked, on one state, nothing written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from tuf.api.metadata import Targets

from lockgate_release.errors import (
    ConflictError,
    DocumentError,
    LocalError,
    LockgateError,
    TransportError,
    TrustError,
)
from lockgate_release.layout import metadata_key
from lockgate_release.pending_requests import Wishes
from lockgate_release.strict_json import Fields, Json, JsonObject
from lockgate_release.trust.chain import parse_metadata, verify_next_releases
from lockgate_release.trust.partial import PartlySigned, read_partly_signed
from lockgate_server.ports import PendingChange
from lockgate_server.services.objects import read_held
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.publish import changed_channels, check_releases, offer_all
from lockgate_server.services.write.publishing import ReleaseList, read_list, read_verified
from lockgate_server.services.write.unrevoking import lift_revocations
from lockgate_server.services.write.waiting import weigh

__all__ = ["check_change", "list_in", "live_change", "read_wishes", "why_not_live"]


def read_wishes(change: PendingChange) -> Wishes:
    """Return what is to be done with a change once it is in force.

    Raises:
        DocumentError: What is kept are no wishes.
    """
    return Wishes.read(Fields(change.wishes, subject=change.title, path=""))


def check_change(
    deps: WriteDeps, base: Base, live: ReleaseList, change: PendingChange
) -> tuple[Mapping[str, bytes], frozenset[str], Base]:
    """Return the documents, what they build on, and the state with everything that is wished.

    Raises:
        UsageError: It breaks a rule of `publishing` or `channels`.
        RepositoryError: Documents or artifacts are not what they must be.
        TransportError: The store cannot be reached.
    """
    documents, builds_on = check_releases(deps, base, live, change.documents)
    wishes = read_wishes(change)
    after = base
    for lift in wishes.lifts:
        lifted = {document.channel: document for document in lift_revocations(after, live, lift)}
        after = replace(after, channels={**after.channels, **lifted})
    return documents, builds_on, offer_all(deps, after, live, wishes.offers, documents)


def list_in(change: PendingChange) -> ReleaseList:
    """Return the list of a change with its marks read, without its signatures.

    Raises:
        DocumentError: What is kept is no list.
    """
    signed = parse_metadata(Targets, change.metadata, f"the next {change.role}").signed
    return read_list(signed, role=change.role)


def live_change(deps: WriteDeps, base: Base, change: PendingChange) -> Change:
    """Return what puts a change in force that is signed to the end.

    Raises:
        TrustError: Too few publishers have signed it.
        UsageError: It breaks a rule of `publishing` or `channels` by now.
        RepositoryError: Documents or artifacts are not what they must be.
        TransportError: The store cannot be reached.
    """
    partly = weigh(base, change)
    verified = verify_next_releases(base.chain, _bytes_of(deps, base, partly), role=change.role)
    live = read_verified(verified, role=change.role)
    documents, builds_on, after = check_change(deps, base, live, change)
    return Change(
        action="pending.live",
        details=_describe_live(change, partly),
        channels=changed_channels(base, after),
        releases=verified,
        role=change.role,
        documents=documents,
        builds_on=builds_on,
        pending=change.change_id,
    )


def _bytes_of(deps: WriteDeps, base: Base, partly: PartlySigned) -> bytes:
    """Return the list as it is put in force: as it stands in the store, where somebody was at it.

    Another signature may have come since, and a number is never taken twice.
    """
    data = partly.to_bytes()
    key = metadata_key(base.app, partly.role, partly.signed_list.version)
    found = read_held(deps.store, key)
    if found is None or found.data == data:
        return data
    with contextlib.suppress(DocumentError, TrustError, ConflictError):
        stands = read_partly_signed(base.app, base.chain, partly.role, found.data)
        if stands.change_id == partly.change_id and stands.is_complete:
            return found.data
    return data


def _describe_live(change: PendingChange, partly: PartlySigned) -> JsonObject:
    wishes = read_wishes(change)
    offers: list[Json] = [offer.to_json() for offer in wishes.offers]
    lifts: list[Json] = [lift.to_json() for lift in wishes.lifts]
    keys: list[Json] = list(partly.signed)
    return {
        "change": change.change_id,
        "title": change.title,
        "role": change.role,
        "releases_version": change.number,
        "begun_by": change.actor,
        "keys": keys,
        "offers": offers,
        **({"lifts": lifts} if lifts else {}),
    }


def why_not_live(deps: WriteDeps, base: Base, change: PendingChange) -> str:
    """Return why a change that is signed to the end could not come into force now, or "".

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    try:
        live_change(deps, base, change)
    except (TransportError, LocalError):
        raise
    except LockgateError as exc:
        return str(exc)
    return ""
