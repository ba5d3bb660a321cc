"""The whole chain of reasoning behind a check, for people: from keys to the bytes to fetch."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.decision import Decision, Leave, Offer
from lockgate_release.documents import Artifact
from lockgate_release.errors import LocalError, RepositoryError, TransportError
from lockgate_release.instants import format_instant
from lockgate_updater.fetch.look import Findings
from lockgate_updater.install.patching.patches import plan_for
from lockgate_updater.install.patching.plan import FetchPlan
from lockgate_updater.results import CheckResult, Unknown
from lockgate_updater.session import Session

__all__ = ["Explanation", "Section", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the reasoning."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The reasoning, and where it ends."""

    sections: tuple[Section, ...]
    result: CheckResult


def explain(session: Session, *, force: bool) -> Explanation:
    """Return why a check ends as it does.

    Raises:
        LocalError: This machine is in the way.
    """
    here = Section(title="This machine", lines=_explain_machine(session))
    try:
        findings = session.look()
        decision = session.decide(findings, force=force)
    except (RepositoryError, TransportError) as exc:
        failed = Section(title="The repository", lines=(str(exc),))
        return Explanation(sections=(here, failed), result=_judge(session, force=force))
    sections = (
        here,
        Section(title="Trust", lines=_explain_trust(session, findings)),
        Section(title="The channel", lines=_explain_channel(findings)),
        Section(title="The offers", lines=_explain_offers(decision)),
        Section(title="The origin", lines=_explain_origin(session, findings)),
        Section(title="The end", lines=(decision.reason, *_explain_plan(session, decision))),
    )
    return Explanation(sections=sections, result=decision)


def _judge(session: Session, *, force: bool) -> CheckResult:
    try:
        return session.judge(force=force)
    except (RepositoryError, TransportError, LocalError) as exc:
        return Unknown(reason=str(exc), error=exc)


def _explain_machine(session: Session) -> tuple[str, ...]:
    configuration, memory = session.client.configuration, session.memory
    channel = configuration.channel
    lines = [
        f"home {session.home.root}, platform {configuration.platform}",
        f"client id {session.client_id} (drawn here, sent to nobody)",
        f"installed: {session.running_version() or 'nothing'}, state {session.record.state}",
    ]
    if floor := memory.floors.get(channel):
        lines.append(f"the highest floor seen for {channel}: {floor}")
    lines += [
        f"seen revoked in {channel}: {version} ({remedy})"
        for version, remedy in memory.revoked_in(channel).items()
    ]
    lines += [
        f"failed here {item.failures} times: {item.version}, {item.reason}; "
        f"not tried before {format_instant(item.until)}"
        for item in memory.failures
    ]
    lines += [f"delta {item.sha256} failed here: {item.reason}" for item in memory.failed_deltas]
    return tuple(lines)


def _explain_trust(session: Session, findings: Findings) -> tuple[str, ...]:
    view = findings.view
    lines = [
        f"repository {view.address_of('')}",
        f"trust begins with {session.home.anchor}",
        f"timestamp {findings.timestamp_version}, signed by one of: {', '.join(findings.key_ids)}",
    ]
    lines += [f"{role} expires {expiry}" for role, expiry in view.expiries().items()]
    return tuple(lines)


def _explain_channel(findings: Findings) -> tuple[str, ...]:
    channel = findings.channel
    lines = [
        f"{channel.channel}, sequence {channel.sequence}, signed "
        f"{format_instant(channel.issued_at)}, expires {format_instant(channel.expires_at)}",
        f"versions are ordered as {findings.policy.versions}",
        f"the policy: {', '.join(findings.policy.channel(channel.channel).in_words())}",
        f"offers: {', '.join(offer.version for offer in channel.offers) or 'none'}",
    ]
    lines += [f"revoked: {item.version}: {item.reason} ({item.remedy})" for item in channel.revoked]
    return tuple(lines)


def _explain_origin(session: Session, findings: Findings) -> tuple[str, ...]:
    from lockgate_updater.origin.telling import tell_origin  # noqa: PLC0415 (may ask sigstore)

    return tell_origin(session, findings)


def _explain_offers(decision: Decision) -> tuple[str, ...]:
    lines = tuple(
        f"{'fits' if item.obstacle is None else item.obstacle}: {item.text}"
        for item in decision.considered
    )
    return lines or ("none had to be looked at",)


def _explain_plan(session: Session, decision: Decision) -> tuple[str, ...]:
    offer = decision.target if isinstance(decision, Leave) else decision
    if not isinstance(offer, Offer):
        return ()
    artifact, health = offer.artifact, offer.release.document.install.health
    check = " ".join(health.command) or "the program's own word"
    if health.reaches_server:
        check = f"{check}, and the update server must be reached"
    return (
        *_explain_fetch(artifact, plan_for(session, decision)),
        f"switch, then prove it by: {check} (within {health.timeout_s} s, {health.tries} tries)",
    )


def _explain_fetch(artifact: Artifact, plan: FetchPlan | None) -> tuple[str, ...]:
    proof = f"prove tree {artifact.tree_sha256}"
    if plan is None:
        return ("fetch nothing: the tree is on the disk already", proof)
    passed_over = tuple(map(str, plan.passed_over))
    if plan.no_deltas:
        passed_over = (*passed_over, f"no delta: {plan.no_deltas}")
    if plan.route is None:
        return (
            *passed_over,
            f"fetch {artifact.size} bytes: {artifact.path}",
            f"unpack {artifact.tree_size} bytes ({artifact.kind}), {proof}",
        )
    steps = tuple(
        f"make {hop.version} of {hop.delta.from_version}: {hop.delta.size} bytes "
        f"({hop.delta.algorithm}), {hop.delta.path}"
        for hop in plan.route.hops
    )
    return (*passed_over, f"fetch {plan}", *steps, f"{artifact.tree_size} bytes, {proof}")
