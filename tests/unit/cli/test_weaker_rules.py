"""A channel's rule takes the place of `*`'s, whole: what it lets off is named."""

from dataclasses import replace

import pytest

from lockgate_cli.weaker import weaker_rules
from lockgate_release.documents import (
    ApprovalRule,
    ChannelPolicy,
    ManualCheck,
    PolicyDocument,
    SignatureRule,
)
from lockgate_release.names import AppName
from tests.unit.release.builders import ATTESTED

ANN, BOB = "a" * 64, "b" * 64
EVERY = ChannelPolicy(
    signatures=SignatureRule(threshold=2, keys=(ANN, BOB)),
    approvals=ApprovalRule(threshold=1, keys={ANN: {}}),
    attestations=ATTESTED,
    manual_check=ManualCheck.WAIT,
)


def _said(rule: ChannelPolicy, every: ChannelPolicy | None = EVERY) -> str:
    rules = {"beta": rule} | ({"*": every} if every else {})
    found = weaker_rules(PolicyDocument(app=AppName("demo"), channels=rules))
    assert len(found) <= 1
    return found[0].partition("it lacks ")[2] if found else ""


def test_a_rule_that_names_one_thing_is_told_of_all_that_it_lets_off() -> None:
    said = _said(ChannelPolicy())
    for words in ("signatures by 2", "approvals by 1", "proof of origin", "wait for their turn"):
        assert words in said
    assert said.count(";") >= 3


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (replace(EVERY, attestations=None), "the proof of origin"),
        (replace(EVERY, approvals=None), "approvals by 1"),
        (replace(EVERY, approvals=ApprovalRule(threshold=1, keys={BOB: {}})), "whom * names app"),
        (replace(EVERY, signatures=None), "signatures by 2"),
        (replace(EVERY, signatures=SignatureRule(threshold=2)), "publishers whom * names"),
        (replace(EVERY, manual_check=ManualCheck.THROUGH), "wait for their turn"),
    ],
)
def test_each_demand_that_is_missing_is_named_alone(rule: ChannelPolicy, words: str) -> None:
    assert words in _said(rule)
    assert ";" not in _said(rule)


def test_who_demands_as_much_or_more_is_not_warned_of() -> None:
    assert _said(EVERY) == ""
    stricter = SignatureRule(threshold=3, keys=(ANN, BOB))
    assert _said(replace(EVERY, signatures=stricter)) == ""
    assert _said(EVERY, ChannelPolicy()) == ""
    assert _said(ChannelPolicy(), None) == ""
    named = replace(EVERY, approvals=ApprovalRule(threshold=0, keys={ANN: {}}))
    assert _said(replace(EVERY, approvals=None), named) == ""
