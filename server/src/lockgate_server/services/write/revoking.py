"""Revoking: at once, in every channel unless said otherwise, with the rollout ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lockgate_release.documents import ChannelDocument, Revocation
from lockgate_release.names import AppName, ChannelName
from lockgate_release.requests import RevokeRequest
from lockgate_release.strict_json import JsonObject
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.channels import full_version, revoke_release
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import allowed_for, channel_or_new
from lockgate_server.services.write.publishing import read_list

__all__ = ["Revoked", "describe_revoked", "revoke"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """What a revocation has led to.

    Attributes:
        revoked_in: The channels in which it stands.
        goes_to: What everybody is offered there now, if anything.
        warnings: What the person should know.
    """

    revoked_in: tuple[ChannelName, ...]
    goes_to: Mapping[ChannelName, str | None]
    warnings: tuple[str, ...]


def revoke(
    deps: WriteDeps, app: AppName, request: RevokeRequest, caller: Caller
) -> Outcome[Revoked]:
    """Revoke a release; revoking it again for the same reason changes nothing.

    Raises:
        NotFoundError: There is no such app or channel, or nothing to revoke it in.
        VersionError: It is not a version of the app's order.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[Revoked]:
        base.policy.versions.parse(request.version)
        changed, after = [], []
        for channel in _choose_channels(base, request):
            before = channel_or_new(deps, base, channel)
            document = revoke_release(
                before,
                allowed_for(deps, base, channel),
                Revocation(
                    version=request.version,
                    reason=request.reason,
                    remedy=request.remedy,
                    at=deps.now(),
                ),
            )
            after.append(document)
            if document is not before:
                changed.append(document)
        answer = _describe(base, request.version, after)
        if not changed:
            return Plan(change=None, answer=answer)
        change = Change(
            action="revoke",
            details={
                "version": request.version,
                "reason": request.reason,
                "remedy": request.remedy.value,
                "channels": [document.channel for document in changed],
            },
            channels=tuple(changed),
        )
        return Plan(change=change, answer=answer)

    return change_app(deps, app, caller, plan)


def _choose_channels(base: Base, request: RevokeRequest) -> tuple[ChannelName, ...]:
    """Return where to revoke: every channel there is, and those where it could appear yet."""
    found = read_list(base.chain.releases.signed).find(request.version)
    known = sorted({*base.channels, *(found[1].channels if found else ())})
    unknown = sorted(set(request.channels) - set(known))
    if unknown:
        raise NotFoundError(
            "no such channel",
            subject=f"{base.app}: {', '.join(unknown)}",
            expected=", ".join(known) or "none yet",
        )
    if not known:
        raise NotFoundError(
            "no such release, and no channel to revoke it in",
            subject=f"{base.app}: {request.version}",
        )
    return tuple(name for name in known if not request.channels or name in request.channels)


def _describe(base: Base, version: str, after: list[ChannelDocument]) -> Revoked:
    goes_to = {document.channel: full_version(document) for document in after}
    warnings = [
        f"channel {channel} now offers nothing to everybody"
        for channel, fallback in goes_to.items()
        if fallback is None
    ]
    if read_list(base.chain.releases.signed).find(version) is None:
        warnings.append(f"{version} is not a live release: nothing offers it")
    return Revoked(
        revoked_in=tuple(document.channel for document in after),
        goes_to=goes_to,
        warnings=tuple(warnings),
    )


def describe_revoked(outcome: Outcome[Revoked]) -> JsonObject:
    """Return what a revocation has led to, as a client reads it."""
    revoked = outcome.answer
    return {
        "revoked_in": list(revoked.revoked_in),
        "goes_to": {str(channel): version for channel, version in revoked.goes_to.items()},
        "warnings": list(revoked.warnings),
        "changed": outcome.changed,
    }
