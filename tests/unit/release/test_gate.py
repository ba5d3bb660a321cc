"""The gate: sticky, only widening, drawn anew for each release, closed to what is malformed."""

import hashlib
import hmac
import json
import uuid
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.gate import Arm, bucket, choose_arm, is_client_id, is_salt

VECTORS = json.loads(
    resources.files("lockgate_release").joinpath("gate_vectors.json").read_text("utf-8")
)
SALT = "0196720b2521dd0259f43e4cee7f05f5"
CLIENT = "f5c3a801-8c14-451a-a9a2-ece128cb1ff4"
SALTS = st.binary(min_size=16, max_size=16).map(bytes.hex)
CLIENTS = st.uuids().map(str)
SHARES = st.integers(0, 10_000)


def _by_the_written_definition(salt: str, client_id: str) -> int:
    """HMAC by RFC 2104's own construction, and the place by decimal fractions of 2**64."""
    key = bytes(int(salt[at : at + 2], 16) for at in range(0, 32, 2)).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + client_id.encode()).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()
    place = 0
    for byte in outer[:8]:
        place = place * 256 + byte
    return place * 10_000 // 2**64


@pytest.mark.parametrize("case", VECTORS["valid"])
def test_published_vector(case: dict[str, Any]) -> None:
    assert bucket(case["salt"], case["client_id"]) == case["bucket"]
    arm = choose_arm(
        case["salt"],
        case["client_id"],
        exposure_bp=case["exposure_bp"],
        control_bp=case["control_bp"],
    )
    assert arm == case["arm"]


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["why"])
def test_published_vector_that_must_be_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"salt|client id|shares"):
        choose_arm(
            case["salt"],
            case["client_id"],
            exposure_bp=case["exposure_bp"],
            control_bp=case["control_bp"],
        )


def test_the_vectors_hold_every_arm_and_both_ends() -> None:
    valid = VECTORS["valid"]
    assert {case["arm"] for case in valid} == {arm.value for arm in Arm}
    assert {0, 10_000} <= {case["exposure_bp"] for case in valid}
    assert any(case["bucket"] == case["exposure_bp"] for case in valid), "the first one outside"
    assert any(case["bucket"] == case["exposure_bp"] - 1 for case in valid), "the last one inside"


@pytest.mark.parametrize("case", VECTORS["valid"])
def test_a_vector_agrees_with_the_written_definition(case: dict[str, Any]) -> None:
    place = _by_the_written_definition(case["salt"], case["client_id"])
    assert case["bucket"] == place
    if place < case["exposure_bp"]:
        assert case["arm"] == "offered"
    elif place < case["exposure_bp"] + case["control_bp"]:
        assert case["arm"] == "control"
    else:
        assert case["arm"] == "outside"


@given(SALTS, CLIENTS)
def test_the_bucket_is_the_one_of_the_written_definition(salt: str, client_id: str) -> None:
    assert bucket(salt, client_id) == _by_the_written_definition(salt, client_id)
    assert 0 <= bucket(salt, client_id) <= 9_999


def test_the_bucket_is_a_function_of_the_raw_salt_and_not_of_its_hex() -> None:
    wrong = hmac.digest(SALT.encode(), CLIENT.encode(), "sha256")
    assert bucket(SALT, CLIENT) != int.from_bytes(wrong[:8], "big") * 10_000 >> 64


def test_whoever_was_in_stays_in_at_every_wider_exposure() -> None:
    place = bucket(SALT, CLIENT)
    for exposure_bp in range(10_001):
        arm = choose_arm(SALT, CLIENT, exposure_bp=exposure_bp, control_bp=0)
        assert arm is (Arm.OFFERED if exposure_bp > place else Arm.OUTSIDE)


@given(SALTS, CLIENTS, SHARES)
def test_the_arms_divide_everybody(salt: str, client_id: str, exposure_bp: int) -> None:
    arm = choose_arm(salt, client_id, exposure_bp=exposure_bp, control_bp=10_000 - exposure_bp)
    assert arm is not Arm.OUTSIDE


@given(SALTS, CLIENTS)
def test_nobody_at_0_and_everybody_at_10000(salt: str, client_id: str) -> None:
    assert choose_arm(salt, client_id, exposure_bp=0, control_bp=0) is Arm.OUTSIDE
    assert choose_arm(salt, client_id, exposure_bp=10_000, control_bp=0) is Arm.OFFERED


def test_the_shares_come_out_as_asked() -> None:
    """10,000 clients; the bounds are five standard deviations of a binomial away."""
    arms = [
        choose_arm(
            SALT, str(uuid.UUID(int=n << 64 | 0x4000 << 48)), exposure_bp=1000, control_bp=3000
        )
        for n in range(10_000)
    ]
    assert 850 <= arms.count(Arm.OFFERED) <= 1150
    assert 2770 <= arms.count(Arm.CONTROL) <= 3230


def test_another_salt_draws_anew() -> None:
    clients = [str(uuid.UUID(int=n)) for n in range(1000)]
    first = [bucket("00" * 16, client) < 1000 for client in clients]
    second = [bucket("01" * 16, client) < 1000 for client in clients]
    both = sum(a and b for a, b in zip(first, second, strict=True))
    assert both < 40, "the same clients would always be first"


@pytest.mark.parametrize(
    "salt",
    ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "0" * 31 + "\n", "\u0660" * 32, " " + "0" * 31],
)
def test_a_malformed_salt_fails_closed(salt: str) -> None:
    assert not is_salt(salt)
    with pytest.raises(ValueError, match="salt"):
        choose_arm(salt, CLIENT, exposure_bp=10_000, control_bp=0)


@pytest.mark.parametrize(
    "client_id",
    ["", CLIENT.upper(), CLIENT.replace("-", ""), "{" + CLIENT + "}", CLIENT + "\n", CLIENT[:-1]],
)
def test_a_malformed_client_id_fails_closed(client_id: str) -> None:
    assert not is_client_id(client_id)
    with pytest.raises(ValueError, match="client id"):
        choose_arm(SALT, client_id, exposure_bp=10_000, control_bp=0)


@pytest.mark.parametrize(("exposure_bp", "control_bp"), [(-1, 0), (0, -1), (10_001, 0), (9_999, 2)])
def test_shares_that_are_none_fail_closed(exposure_bp: int, control_bp: int) -> None:
    with pytest.raises(ValueError, match="shares of 10000"):
        choose_arm(SALT, CLIENT, exposure_bp=exposure_bp, control_bp=control_bp)
