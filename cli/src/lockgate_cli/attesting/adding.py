"""Adding attestations to releases that are live: one signed list for each role of releases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lockgate_cli.api import Api
from lockgate_cli.attesting.attaching import Attached, spill
from lockgate_cli.context import Call
from lockgate_cli.extras import join_extras
from lockgate_cli.reissuing import ExtrasChange, reissue
from lockgate_cli.repository import Base
from lockgate_cli.roles import choose_role
from lockgate_cli.scratch import scratch_folder
from lockgate_cli.submitting import Outcome
from lockgate_release.documents import Attestation, ExtrasDocument

__all__ = ["add_attached", "only_new"]

_SHOWN = 3


def add_attached(
    call: Call, api: Api, base: Base, additions: Mapping[str, Sequence[Attached]]
) -> tuple[Outcome, ...]:
    """Leave these attestations in the extras of their releases; return what came of each list.

    Args:
        call: This run.
        api: The server.
        base: The state in force.
        additions: What is new, by version.

    Raises:
        UsageError: A version is not live, or there is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept publishing first.
        LockgateError: The server refused, or could not be reached.
    """
    by_role: dict[str, list[str]] = {}
    for version in (name for name, items in additions.items() if items):
        by_role.setdefault(choose_role(base, version), []).append(version)
    outcomes = []
    with scratch_folder("attestations") as folder:
        for versions in by_role.values():
            files = {one.attestation.sha256: one for name in versions for one in additions[name]}
            outcomes.append(
                reissue(
                    call,
                    api,
                    base.app,
                    {
                        name: _adds([one.attestation for one in additions[name]])
                        for name in versions
                    },
                    title=_title(versions),
                    beside=spill(files.values(), folder),
                )
            )
    return tuple(outcomes)


def only_new(extras: ExtrasDocument, found: Iterable[Attached]) -> tuple[Attached, ...]:
    """Return those that the extras do not list yet."""
    listed = {item.sha256 for item in extras.attestations}
    return tuple(one for one in found if one.attestation.sha256 not in listed)


def _adds(more: Sequence[Attestation]) -> ExtrasChange:
    def change(extras: ExtrasDocument) -> ExtrasDocument:
        return join_extras(extras, attestations=more)

    return change


def _title(versions: Sequence[str]) -> str:
    named = ", ".join(versions[:_SHOWN])
    more = len(versions) - _SHOWN
    return f"attestations for {named}{f' and {more} more' if more > 0 else ''}"
