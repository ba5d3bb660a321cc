"""Sending a ceremony to the server, and sending it again until all of it is in force."""

from __future__ import annotations

from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.ceremonies.files import write_whole
from lockgate_cli.context import Call
from lockgate_cli.output import say
from lockgate_release.ceremony_requests import CeremonyOutcome, CeremonyRequest
from lockgate_release.errors import ConflictError, LocalError, TransportError, UsageError
from lockgate_release.requests import RegisterRequest
from lockgate_release.trust.ceremony import PARTS, Ceremony, Examined, tell_demand
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.roles import Role

__all__ = ["check_complete", "is_in_force", "register_file", "submit_file"]

_MOST_ROUNDS = 100
_MOST_WAIT_S = 600
"""Then the server is asked again, whatever it has said."""


def check_complete(examined: Examined) -> None:
    """Refuse a ceremony that too few have signed.

    Raises:
        UsageError: It is so.
    """
    missing = [tell_demand(demand) for demand in examined.demands if demand.missing]
    if missing:
        raise UsageError(
            "not enough signatures",
            subject="FILE",
            found="; ".join(missing),
            hint="lockgate root sign FILE adds one.",
        )


def is_in_force(ceremony: Ceremony, chain: Chain) -> frozenset[str]:
    """Return the parts that are in force already, byte by byte."""
    return frozenset(
        role for role in PARTS if ceremony.parts.get(role) == getattr(chain, role).data
    )


def submit_file(
    call: Call, api: Api, ceremony: Ceremony, *, dry_run: bool = False
) -> CeremonyOutcome:
    """Leave the whole ceremony in force, and return what is.

    Raises:
        ConflictError: Somebody else was first.
        LockgateError: The server refused, or could not be reached: sending it again is safe.
    """
    request = CeremonyRequest(
        root=ceremony.parts.get(Role.ROOT.value),
        targets=ceremony.parts.get(Role.TARGETS.value),
        releases=ceremony.parts.get(Role.RELEASES.value),
        documents=ceremony.documents,
        dry_run=dry_run,
    )
    for _ in range(_MOST_ROUNDS):
        outcome = api.hold_ceremony(ceremony.app, request)
        if not outcome.wait_s:
            return outcome
        say(
            f"The next root has to wait {outcome.wait_s} s, until no cache hands out what it "
            "could not verify. Interrupt it if you like: submitting again goes on from here."
        )
        call.around.sleep(min(max(outcome.wait_s, 1), _MOST_WAIT_S))
    raise TransportError(
        "the server still waits before it puts the next root in force",
        subject=ceremony.app,
        hint="Submit the same file again later.",
    )


def register_file(call: Call, api: Api, ceremony: Ceremony, anchor: Path) -> bool:
    """Leave the app registered and its trust anchor on the disk; return whether it was not before.

    Raises:
        ConflictError: Another root lies at `anchor`, or the app is registered with another one.
        LocalError: The anchor cannot be written.
        LockgateError: The server refused, or could not be reached.
    """
    root = ceremony.parts[Role.ROOT.value]
    try:
        found = anchor.read_bytes()
    except FileNotFoundError:
        # Before the server has it: a lost answer must not leave an app without its anchor.
        write_whole(anchor, root)
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(anchor), found=str(exc)) from exc
    else:
        if found != root:
            raise ConflictError("another root is there", subject=str(anchor))
    known = api.read_file(ceremony.app, "metadata/1.root.json")
    if known is not None and known != root:
        raise ConflictError("registered already, with another root", subject=ceremony.app)
    if known is None:
        request = RegisterRequest(
            root=root,
            targets=ceremony.parts[Role.TARGETS.value],
            releases=ceremony.parts[Role.RELEASES.value],
            documents=ceremony.documents,
        )
        api.register(ceremony.app, request)
    say(f"The trust anchor is {_shown(anchor, call.around.folder)}: ship it with every client.")
    return known is None


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
