"""Whose word bundles are worth: another instance, another day, a bit of another kind."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate_release.errors import ProvenanceError
from lockgate_release.provenance.bundles import BundleVerifier
from lockgate_release.provenance.judging import judge_attestations
from tests.attacks.bundle_claims import DATA, RULE, SHA256, assert_unproven, judge
from tests.simulators.sigstore import SigstoreSimulator, serve_sigstore


@pytest.fixture
def own() -> Iterator[SigstoreSimulator]:
    """One whose knobs a test may turn, and whom nobody trusts."""
    with serve_sigstore() as simulator:
        yield simulator


# -- By whom it was certified, and when -----------------------------------------------------


def test_another_instance_speaks_for_nobody(
    sigstore: SigstoreSimulator, own: SigstoreSimulator
) -> None:
    """A staging instance certifies whom it likes: its root is not the one that was signed."""
    assert_unproven(judge(sigstore, own.sign(DATA)), "CertValidationError")


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_each_part_of_the_instance_must_be_the_one_that_was_signed(
    sigstore: SigstoreSimulator, own: SigstoreSimulator, part: str
) -> None:
    root = json.loads(sigstore.trusted_root)
    root[part] = json.loads(own.trusted_root)[part]
    bundle = sigstore.sign(DATA)
    assert judge_attestations(RULE, [bundle], SHA256, sigstore.trusted_root).is_met
    assert not judge_attestations(RULE, [bundle], SHA256, json.dumps(root).encode()).is_met


@pytest.mark.parametrize("away", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_certificate_is_good_for_its_own_minutes(own: SigstoreSimulator, away: timedelta) -> None:
    """Whoever finds an old key signs with it in vain: the log tells when."""
    own.log.moment = datetime.now(UTC) + away
    assert_unproven(judge(own, own.sign(DATA)), "not valid at validation time")


def test_the_time_that_is_told_is_the_logs(own: SigstoreSimulator) -> None:
    own.log.moment = (datetime.now(UTC) + timedelta(minutes=2)).replace(microsecond=0)
    (proof,) = judge(own, own.sign(DATA)).found
    assert proof.logged_at == own.log.moment


def test_without_sigstore_nothing_is_proven_and_its_extra_is_named(
    sigstore: SigstoreSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = sigstore.sign(DATA)
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    with pytest.raises(ProvenanceError, match=r"lockgate-release\[attestations\]"):
        judge(sigstore, bundle)


@pytest.mark.parametrize(
    "root",
    [b"", b"{}", b"[]", b"\xff", b'{"mediaType": "x"}', b'{}, "trustedRoot": {}', b"[" * 200_000],
)
def test_without_a_root_nothing_is_judged(sigstore: SigstoreSimulator, root: bytes) -> None:
    with pytest.raises(ProvenanceError, match="trusted root"):
        judge_attestations(RULE, [sigstore.sign(DATA)], SHA256, root)


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_root_without_one_of_its_parts_verifies_nothing(
    sigstore: SigstoreSimulator, part: str
) -> None:
    root = json.loads(sigstore.trusted_root)
    root[part] = []
    try:
        met = judge_attestations(RULE, [sigstore.sign(DATA)], SHA256, json.dumps(root).encode())
    except ProvenanceError:
        return
    assert not met.is_met


# -- Bit by bit -----------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_proves_nothing_else(
    genuine: tuple[bytes, bytes], data: st.DataObject
) -> None:
    """Refused, or what was not signed over: never another signer, another time, another build."""
    root, bundle = genuine
    verifier = BundleVerifier(root)
    proven = verifier.verify(bundle, SHA256)
    place = data.draw(st.integers(0, len(bundle) - 1))
    flipped = bytearray(bundle)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = verifier.verify(bytes(flipped), SHA256)
    except ProvenanceError:
        return
    assert replace(found, bundle_sha256=proven.bundle_sha256) == proven


@pytest.fixture(scope="module", params=["signature", "statement"])
def genuine(request: pytest.FixtureRequest, sigstore: SigstoreSimulator) -> tuple[bytes, bytes]:
    is_plain = request.param == "signature"
    bundle = sigstore.sign(DATA) if is_plain else sigstore.attest({"a": SHA256})
    return sigstore.trusted_root, bundle
