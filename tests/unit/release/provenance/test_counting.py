"""Proofs against a rule: each identity and each signer counts once, and what is asked is asked."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.counting import find_lacks
from lockgate_release.provenance.facts import Judgement, Provenance

ISSUER = "https://tokens.forge.example"
RELEASE = "https://forge.example/o/r/.forge/workflows/release.yml@refs/tags/v*"
SLSA = "https://slsa.dev/provenance/v1"
PROOF = Provenance(
    artifact_sha256=Sha256Hex("ab" * 32),
    bundle_sha256=Sha256Hex("cd" * 32),
    identity=RELEASE.replace("*", "1.0.0"),
    issuer=ISSUER,
    predicate_type=SLSA,
    source_repository="https://forge.example/o/r",
    workflow=RELEASE.replace("*", "1.0.0"),
    logged_at=datetime(2026, 1, 31, 8, tzinfo=UTC),
)
DEMAND = AttestationDemand(signers=(SignerRule(identity=RELEASE, issuer=ISSUER),))


def _is_met(demand: AttestationDemand, *found: Provenance) -> bool:
    return not find_lacks(AttestationRule(demands=(demand,)), found)


def test_nothing_meets_no_demand() -> None:
    assert not _is_met(DEMAND)


@pytest.mark.parametrize(
    ("demand", "proof", "is_met"),
    [
        (DEMAND, PROOF, True),
        (DEMAND, replace(PROOF, predicate_type=""), True),
        (DEMAND, replace(PROOF, identity=RELEASE.replace("release", "other")), False),
        (DEMAND, replace(PROOF, issuer=ISSUER + "/"), False),
        (replace(DEMAND, predicate_types=(SLSA,)), PROOF, True),
        (replace(DEMAND, predicate_types=(SLSA,)), replace(PROOF, predicate_type=""), False),
        (replace(DEMAND, predicate_types=(SLSA + "2", SLSA)), PROOF, True),
        (replace(DEMAND, predicate_types=(SLSA + "2",)), PROOF, False),
        (replace(DEMAND, source_repository="https://forge.example/o/*"), PROOF, True),
        (replace(DEMAND, source_repository="https://forge.example/*"), PROOF, False),
        (
            replace(DEMAND, source_repository="https://forge.example/o/*"),
            replace(PROOF, source_repository=""),
            False,
        ),
        (replace(DEMAND, workflow=RELEASE), PROOF, True),
        (replace(DEMAND, workflow=RELEASE), replace(PROOF, workflow=""), False),
        (replace(DEMAND, workflow=RELEASE + "/x"), PROOF, False),
    ],
)
def test_a_proof_counts_where_it_is_what_is_asked_for(
    demand: AttestationDemand, proof: Provenance, *, is_met: bool
) -> None:
    assert _is_met(demand, proof) is is_met


def test_every_demand_must_be_met() -> None:
    other = replace(DEMAND, predicate_types=("https://spdx.dev/Document",))
    rule = AttestationRule(demands=(DEMAND, other))
    (lack,) = find_lacks(rule, [PROOF])
    assert lack.expected == other.in_words()
    bill = replace(PROOF, predicate_type="https://spdx.dev/Document")
    assert find_lacks(rule, [PROOF, bill]) == ()


TWO = AttestationDemand(
    threshold=2,
    signers=(
        SignerRule(identity="*@example.com", issuer=ISSUER),
        SignerRule(identity="ann@example.com", issuer=ISSUER),
    ),
)
ANN = replace(PROOF, identity="ann@example.com")
BOB = replace(PROOF, identity="bob@example.com")


def test_one_signer_who_signs_twice_is_one() -> None:
    assert not _is_met(TWO, ANN, ANN)
    assert not _is_met(TWO, ANN, replace(ANN, predicate_type=""))


def test_one_identity_under_two_issuers_is_one() -> None:
    elsewhere = SignerRule(identity="ann@example.com", issuer="https://other.example")
    both = replace(TWO, signers=(*TWO.signers, elsewhere))
    assert not _is_met(both, ANN, replace(ANN, issuer="https://other.example"))


def test_two_identities_of_one_signer_are_one() -> None:
    """One workflow at two tags, two mailboxes of one pattern."""
    assert not _is_met(TWO, BOB, replace(BOB, identity="eve@example.com"))


def test_two_signers_are_two_whichever_of_them_is_looked_at_first() -> None:
    for order in permutations([ANN, BOB]):
        assert _is_met(TWO, *order)
        assert _is_met(replace(TWO, signers=TWO.signers[::-1]), *order)


NAMES = ("a@x", "b@x", "c@x")
PATTERNS = ("a@x", "b@x", "*@x", "a*@x")


@given(
    st.sets(st.sampled_from(PATTERNS), min_size=1),
    st.lists(st.sampled_from(NAMES), max_size=4),
    st.data(),
)
def test_the_count_is_the_most_pairs_that_can_be_made(
    patterns: set[str], names: list[str], data: st.DataObject
) -> None:
    signers = tuple(SignerRule(identity=one, issuer=ISSUER) for one in sorted(patterns))
    threshold = data.draw(st.integers(1, len(signers)))
    demand = AttestationDemand(threshold=threshold, signers=signers)
    found = [replace(PROOF, identity=name) for name in names]
    assert _is_met(demand, *found) is (_most_pairs(signers, set(names)) >= threshold)


def _most_pairs(signers: tuple[SignerRule, ...], names: set[str]) -> int:
    """Held against the definition: every way to give each signer one name is tried."""
    best = 0
    chosen = chain.from_iterable(combinations(sorted(names), size) for size in range(4))
    for some in chosen:
        for order in permutations(signers, len(some)) if len(some) <= len(signers) else ():
            pairs = zip(order, some, strict=True)
            if all(signer.matches(name, ISSUER) for signer, name in pairs):
                best = max(best, len(some))
    return best


def test_a_shortfall_says_why_each_proof_does_not_count() -> None:
    demand = replace(DEMAND, predicate_types=(SLSA,))
    plain = replace(PROOF, predicate_type="")
    (lack,) = find_lacks(AttestationRule(demands=(demand,)), [plain, ANN])
    assert "as a plain signature" in lack.found
    assert "signed by ann@example.com (by https://tokens.forge.example), who is none" in lack.found
    (none,) = find_lacks(AttestationRule(demands=(demand,)), [])
    assert none.found == "no proof of its origin"


def test_a_judgement_is_told_in_words() -> None:
    lacks = find_lacks(AttestationRule(demands=(DEMAND,)), [])
    told = Judgement(found=(), refused=("one: bad", "two: bad"), lacks=lacks).why_not()
    assert told.endswith("not counted: one: bad; two: bad")
    assert told.startswith("its origin is not proven; expected with a signature of 1 of https://")
    met = Judgement(found=(PROOF,), refused=("one: bad",), lacks=())
    assert met.is_met
    assert met.why_not() == ""


def test_a_proof_is_written_without_what_is_not_known() -> None:
    assert ANN.to_json()["logged_at"] == "2026-01-31T08:00:00Z"
    assert "run" not in ANN.to_json()
    assert PROOF.in_words().endswith(
        "built from https://forge.example/o/r, logged 2026-01-31T08:00:00Z"
    )
