"""The chain that a decision stands on: who signed what, until when, and what the channel says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from lockgate_cli.rollout_words import describe_plan_steps, describe_stage
from lockgate_release.documents import ChannelDocument, ChannelOffer, PolicyDocument
from lockgate_release.instants import format_instant
from lockgate_release.rollout.progress import read_progress
from lockgate_release.trust.verify import SignedRole, TrustedView

__all__ = ["Chain", "describe_chain", "lines_of"]


class SignedBy(TypedDict):
    """One role: its number, its end, and who must have signed it."""

    role: str
    version: int
    expires_at: str
    threshold: int
    key_ids: list[str]


class Chain(TypedDict):
    """Everything between the pinned root and the decision, for people and programs."""

    roles: list[SignedBy]
    channel: dict[str, object]
    policy: dict[str, object]
    offers: list[dict[str, object]]


def describe_chain(view: TrustedView, document: ChannelDocument, policy: PolicyDocument) -> Chain:
    """Return the verified chain down to a channel's document.

    Raises:
        LocalError: The cache was changed under our feet.
        DocumentError: A plan cannot be read.
    """
    rule = policy.channel(document.channel)
    end = document.retire_at
    return Chain(
        roles=[_describe_role(role) for role in view.signed_roles()],
        channel={
            "name": document.channel,
            "sequence": document.sequence,
            "issued_at": format_instant(document.issued_at),
            "expires_at": format_instant(document.expires_at),
            "check_interval_s": document.check_interval_s,
            "revoked": [item.version for item in document.revoked],
            "stopped": None if document.stop is None else document.stop.reason,
            "retire_at": None if end is None else format_instant(end),
        },
        policy={
            "paths": list(rule.paths),
            "manual_check": rule.manual_check.value,
            "demands": list(rule.in_words()),
        },
        offers=[_describe_offer(offer) for offer in document.offers],
    )


def _describe_role(role: SignedRole) -> SignedBy:
    return SignedBy(
        role=role.name,
        version=role.version,
        expires_at=format_instant(role.expires_at),
        threshold=role.threshold,
        key_ids=list(role.key_ids),
    )


def _describe_offer(offer: ChannelOffer) -> dict[str, object]:
    rollout = offer.rollout
    progress = read_progress(rollout)
    plan = None
    if progress is not None:
        plan = {
            "name": progress.name,
            "steps": describe_plan_steps(dict(progress.plan.to_json())),
            "stage": len(progress.stage_epochs),
            "since": format_instant(progress.stage_since),
        }
    return {
        "version": offer.version,
        "stage": describe_stage(dict(rollout.to_json())),
        "exposure_bp": rollout.exposure_bp,
        "control_bp": rollout.control_bp,
        "epoch": rollout.epoch,
        "state": rollout.state.value,
        "plan": plan,
    }


def lines_of(chain: Chain) -> Iterator[str]:
    """Yield the chain in words, a line for each link."""
    for role in chain["roles"]:
        keys = ", ".join(key_id[:8] for key_id in role["key_ids"])
        signed = f"signed by {role['threshold']} of {keys}"
        yield f"{role['role']} {role['version']}, until {role['expires_at']}, {signed}"
    channel = chain["channel"]
    yield f"channel {channel['name']} {channel['sequence']}, until {channel['expires_at']}"
    demands = chain["policy"]["demands"]
    assert isinstance(demands, list)
    yield f"policy for {channel['name']}: {', '.join(demands)}"
    if channel["stopped"]:
        yield f"channel {channel['name']} is stopped: {channel['stopped']}"
    if channel["retire_at"]:
        yield f"channel {channel['name']} is a preview, and ends at {channel['retire_at']}"
    for offer in chain["offers"]:
        plan = offer["plan"]
        told = "no plan: a person steers it"
        if isinstance(plan, dict):
            named = plan["name"] or "unnamed"
            told = f"plan {named}: {plan['steps']}, stage {plan['stage']} since {plan['since']}"
        yield f"offer of {offer['version']}: {offer['stage']}; {told}"
