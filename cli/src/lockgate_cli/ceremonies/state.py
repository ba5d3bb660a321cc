"""The state that a ceremony follows, read and verified by whoever has the file in hand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from lockgate_cli.context import Call
from lockgate_cli.output import warn
from lockgate_cli.remembering import read_newest_chain
from lockgate_cli.repository import FileReader, read_document
from lockgate_release.documents import PolicyDocument, parse_policy
from lockgate_release.documents.trusted_root import TrustedRoot, parse_trusted_root
from lockgate_release.errors import ConflictError, UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.names import AppName
from lockgate_release.trust.ceremony import Ceremony, Examined, examine
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.roles import Role

__all__ = ["State", "check_same_app", "examine_file", "read_state", "read_trusted_root"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is in force.

    Attributes:
        chain: The verified metadata, however old; None before the app's first.
        policy: The policy in force, or None before the first.
        trusted_root: Sigstore's trusted root in force, or None where there is none.
    """

    chain: Chain | None
    policy: PolicyDocument | None
    trusted_root: TrustedRoot | None = None


def read_state(call: Call, source: FileReader, app: AppName) -> State:
    """Return the state of an app that is registered, verified from the pinned root.

    Raises:
        UsageError: No root is said.
        RepositoryError: It cannot be verified, or is older than one that was.
        TransportError: It could not be fetched.
        LocalError: The root, or what is remembered, cannot be read.
    """
    chain = read_newest_chain(call, source, app, call.pinned_root())
    _warn_of_age(chain, call.around.now())
    policy = parse_policy(read_document(source, app, chain, POLICY_PATH))
    return State(chain=chain, policy=policy, trusted_root=read_trusted_root(source, app, chain))


def read_trusted_root(source: FileReader, app: AppName, chain: Chain) -> TrustedRoot | None:
    """Return what proofs of origin are verified with now, or None where there is nothing.

    Raises:
        RepositoryError: It cannot be verified, or is none.
        TransportError: It could not be fetched.
    """
    if TRUSTED_ROOT_PATH not in chain.targets.signed.targets:
        return None
    data = read_document(source, app, chain, TRUSTED_ROOT_PATH)
    return parse_trusted_root(data, subject=TRUSTED_ROOT_PATH)


def _warn_of_age(chain: Chain, now: datetime) -> None:
    """Say so where a newer state may be hidden: who signs on top of an older one makes a fork."""
    ends = chain.timestamp.signed.expires
    if ends <= now:
        warn(
            f"the newest state to be seen here ended on {ends:%Y-%m-%d}: before anybody signs, "
            "make sure that the server is only down, and that nobody hides a newer state"
        )


def examine_file(call: Call, source: FileReader, ceremony: Ceremony) -> tuple[Examined, State]:
    """Return what a ceremony changes, and the state that it was compared with.

    Raises:
        LockgateError: As `examine` and `read_state`.
    """
    check_same_app(call, ceremony)
    if ceremony.is_first:
        _check_unknown(call, ceremony)
        state = State(chain=None, policy=None)
    else:
        state = read_state(call, source, ceremony.app)
    return examine(ceremony, state.chain, call.around.now()), state


def check_same_app(call: Call, ceremony: Ceremony) -> None:
    """Refuse a file that is about another app than the one this folder is about.

    Raises:
        UsageError: It is.
    """
    said = call.app_if_said
    if said is not None and said != ceremony.app:
        raise UsageError(
            "another app's ceremony", subject="FILE", expected=said, found=ceremony.app
        )


def _check_unknown(call: Call, ceremony: Ceremony) -> None:
    """Refuse a first root for an app that is known here: whoever signs it founds another app."""
    with suppress(UsageError):
        pinned = call.pinned_root()
        if pinned != ceremony.parts.get(Role.ROOT.value):
            raise ConflictError(
                "this app is known here, and the file would register it anew",
                subject=ceremony.app,
                hint="Whoever signs it founds another app of the same name: ask why. For an app "
                "that is really new, begin in a folder without its root.json.",
            )
