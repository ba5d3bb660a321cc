"""The options by which `lockgate policy edit` says who must have built what a channel offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, TypeVar

import click

from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
    read_attestation_rule,
)
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.strict_json import dump_json, parse_json

__all__ = ["ALLOW_UNATTESTED", "Attests", "attest_options", "rule_of"]

_F = TypeVar("_F", bound=Callable[..., object])

_GITHUB = "https://github.com/"
_GITHUB_ISSUER = "https://token.actions.githubusercontent.com"


ALLOW_UNATTESTED = click.option(
    "--allow-unattested",
    is_flag=True,
    help="Offer it though the policy demands a proof of origin that is missing; the audit log "
    "says who did. Clients refuse it, until it is attested or somebody there allows it too.",
)


class Attests(TypedDict):
    """What `edit` is told of proofs of origin."""

    identities: tuple[str, ...]
    issuer: str | None
    attest_threshold: int | None
    predicate_types: tuple[str, ...]
    source_repository: str | None
    workflow: str | None
    no_attest: bool


def attest_options(function: _F) -> _F:
    """Give a command the options of `Attests`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS: tuple[Callable[[_F], _F], ...] = (
    click.option(
        "--attest",
        "identities",
        multiple=True,
        metavar="IDENTITY",
        help="Who must have signed each artifact with Sigstore, instead; `*` as in "
        "docs/reference/policy.md; repeatable.",
    ),
    click.option(
        "--attest-issuer",
        "issuer",
        metavar="URL",
        help="Who vouches for them. Default for GitHub's workflows: GitHub's own.",
    ),
    click.option("--attest-threshold", type=click.IntRange(1, 100), help="How many of them must."),
    click.option(
        "--attest-type",
        "predicate_types",
        multiple=True,
        metavar="URI",
        help="What a statement must say, such as https://slsa.dev/provenance/v1; repeatable.",
    ),
    click.option("--attest-repository", "source_repository", help="Where sources come from."),
    click.option("--attest-workflow", "workflow", help="Which workflow must have built it."),
    click.option("--no-attest", is_flag=True, help="Demand no proof of origin any more."),
)


def rule_of(said: Attests) -> AttestationRule | None:
    """Return the rule that these options ask for, or None where they ask for none.

    Raises:
        UsageError: They make no rule.
    """
    others = [said["issuer"], said["attest_threshold"], said["source_repository"], said["workflow"]]
    narrowed = bool(said["predicate_types"]) or any(value is not None for value in others)
    if not said["identities"]:
        if narrowed:
            raise UsageError("whose?", subject="--attest-…", expected="--attest IDENTITY")
        return None
    if said["no_attest"]:
        raise UsageError("both", subject="--attest and --no-attest", expected="one of them")
    signers = tuple(
        SignerRule(identity=identity, issuer=_issuer_of(identity, said["issuer"]))
        for identity in said["identities"]
    )
    demand = AttestationDemand(
        threshold=said["attest_threshold"] or 1,
        signers=signers,
        predicate_types=said["predicate_types"],
        source_repository=said["source_repository"] or "",
        workflow=said["workflow"] or "",
    )
    return _checked(AttestationRule(demands=(demand,)))


def _issuer_of(identity: str, said: str | None) -> str:
    if said is not None:
        return said
    if identity.startswith(_GITHUB):
        return _GITHUB_ISSUER
    raise UsageError("who vouches for it?", subject=identity, expected="--attest-issuer URL")


def _checked(rule: AttestationRule) -> AttestationRule:
    """Return the rule as it is read by whoever gets it."""
    try:
        read = read_attestation_rule(parse_json(dump_json(rule.to_json()), subject="--attest"))
    except DocumentError as exc:
        raise UsageError(
            exc.what, subject=exc.subject, expected=exc.expected, found=exc.found
        ) from exc
    assert read is not None
    return read
