"""Who signs a live release is told where a channel takes that for its builder's word."""

import pytest

from lockgate_cli.attesting.keyless import Signatory
from lockgate_cli.attesting.vouching import doubts_about
from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from tests.simulators.sigstore import GITHUB, SLSA, WORKFLOW

REPOSITORY = "https://github.com/o/r"
SIGNATORY = Signatory(
    identity=WORKFLOW.identity,
    issuer=WORKFLOW.issuer,
    source_repository=REPOSITORY,
    workflow=WORKFLOW.identity,
)
BUILDER = SignerRule(
    identity=f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v*", issuer=GITHUB
)
OTHER = SignerRule(identity="https://github.com/a/b/.github/workflows/*@*", issuer=GITHUB)
ELSEWHERE = SignerRule(identity=BUILDER.identity, issuer="https://gitlab.example")
ANYTHING = AttestationDemand(signers=(BUILDER,))
TWO = AttestationDemand(threshold=2, signers=(BUILDER, OTHER))


def doubts(*demands: AttestationDemand) -> tuple[str, ...]:
    return doubts_about(SIGNATORY, "1.0.0", [("stable", AttestationRule(demands=demands))])


@pytest.mark.parametrize(
    "demands",
    [
        (ANYTHING,),
        (TWO,),
        (AttestationDemand(signers=(OTHER,)), ANYTHING),
        (AttestationDemand(signers=(BUILDER,), source_repository=REPOSITORY),),
        (AttestationDemand(signers=(BUILDER,), workflow=WORKFLOW.identity),),
    ],
)
def test_who_counts_for_any_demand_is_warned(demands: tuple[AttestationDemand, ...]) -> None:
    (doubt,) = doubts(*demands)
    assert doubt.startswith(f"stable takes a signature of {WORKFLOW.identity} (by {GITHUB})")


@pytest.mark.parametrize(
    "demand",
    [
        AttestationDemand(signers=(OTHER,)),
        AttestationDemand(signers=(ELSEWHERE,)),
        AttestationDemand(signers=(BUILDER,), predicate_types=(SLSA,)),
        AttestationDemand(signers=(BUILDER,), source_repository="https://github.com/a/b"),
        AttestationDemand(signers=(BUILDER,), workflow="https://github.com/a/b/*"),
    ],
)
def test_whose_signature_counts_for_nothing_is_not(demand: AttestationDemand) -> None:
    assert doubts(demand) == ()


def test_each_channel_that_would_count_it_is_named() -> None:
    rule, other = AttestationRule(demands=(ANYTHING,)), AttestationRule(demands=(TWO,))
    none = AttestationRule(demands=(AttestationDemand(signers=(OTHER,)),))
    found = doubts_about(SIGNATORY, "1.0.0", [("beta", none), ("nightly", other), ("stable", rule)])
    assert [doubt.partition(" ")[0] for doubt in found] == ["nightly", "stable"]
