"""What every ledger must do with changes that wait for signatures."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName, Sha256Hex
from lockgate_server.ports import Attempt, Ledger, PendingChange, PendingSignature
from tests.contracts.test_ledger import APP, LATER, LEDGERS, NOW, OTHER, highest, intent

ONE, TWO = Sha256Hex("11" * 32), Sha256Hex("22" * 32)


@pytest.fixture(params=list(LEDGERS))
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made = LEDGERS[request.param](tmp_path)
    yield made
    made.close()


def signature(keyid: str = "key-1") -> PendingSignature:
    return PendingSignature(keyid=keyid, signature="ab" * 64, actor="ci (token-1)", at=NOW)


def change(
    change_id: Sha256Hex = ONE, *, app: AppName = APP, role: str = "releases", signed: int = 0
) -> PendingChange:
    return PendingChange(
        change_id=change_id,
        app=app,
        role=role,
        number=7,
        metadata=b"\x00list\xff",
        documents={"releases/1.0.0/release.json": b"\x00document\xff", "empty": b""},
        wishes={"offers": [{"channel": "stable", "exposure_bp": 100}]},
        title="publish 1.0.0",
        actor="ci (token-1)",
        began_at=NOW,
        signatures=tuple(signature(f"key-{number}") for number in range(signed)),
    )


def begin(ledger: Ledger, wanted: PendingChange, *, instead_of: str = "") -> bool:
    begun = intent(wanted.app, "pending.begin")
    return ledger.begin_pending(wanted, begun, now=NOW, instead_of=instead_of)


def sign(ledger: Ledger, *keyids: str, change_id: Sha256Hex = ONE) -> bool:
    added = [signature(keyid) for keyid in keyids]
    return ledger.add_signatures(APP, change_id, added, intent(action="pending.sign"), now=NOW)


def withdraw(ledger: Ledger, change_id: Sha256Hex = ONE, *, lost_to: int = 0) -> bool:
    wanted = intent(action="pending.withdraw")
    return ledger.withdraw_pending(APP, change_id, wanted, now=LATER, lost_to=lost_to)


def log(ledger: Ledger) -> list[tuple[str, str]]:
    entries = ledger.audit(None, limit=100)
    return [(entry.intent.action, entry.outcome) for entry in reversed(entries)]


def test_a_change_is_kept_as_it_came_and_its_entry_is_done(ledger: Ledger) -> None:
    wanted = change(signed=2)
    assert ledger.pending(APP) == ()
    assert begin(ledger, wanted)
    assert ledger.pending(APP) == (wanted,)
    assert log(ledger) == [("pending.begin", "done")]
    assert ledger.open_entries(APP) == ()
    assert ledger.verify_audit() is None


def test_the_same_change_again_changes_nothing(ledger: Ledger) -> None:
    begin(ledger, change(signed=1))
    assert not begin(ledger, replace(change(), title="another title"))
    assert ledger.pending(APP) == (change(signed=1),)
    assert len(log(ledger)) == 1


def test_a_role_has_one_pending_change_and_each_app_and_role_its_own(ledger: Ledger) -> None:
    begin(ledger, change())
    with pytest.raises(ConflictError, match="another change is pending"):
        begin(ledger, change(TWO))
    begin(ledger, change(TWO, role="previews"))
    begin(ledger, change(Sha256Hex("33" * 32), app=OTHER))
    assert [item.role for item in ledger.pending(APP)] == ["previews", "releases"]
    assert [item.change_id for item in ledger.pending(OTHER)] == ["33" * 32]


def test_what_nobody_has_signed_gives_way_to_what_names_it(ledger: Ledger) -> None:
    begin(ledger, change())
    begin(ledger, change(TWO), instead_of=ONE)
    assert [item.change_id for item in ledger.pending(APP)] == [TWO]
    sign(ledger, "key-1", change_id=TWO)
    with pytest.raises(ConflictError, match="another change is pending"):
        begin(ledger, change(), instead_of=TWO)
    assert [item.change_id for item in ledger.pending(APP)] == [TWO]


def test_a_key_signs_once(ledger: Ledger) -> None:
    begin(ledger, change())
    assert sign(ledger, "key-1", "key-1")
    assert not sign(ledger, "key-1")
    assert sign(ledger, "key-1", "key-2")
    (found,) = ledger.pending(APP)
    assert [item.keyid for item in found.signatures] == ["key-1", "key-2"]
    assert log(ledger) == [("pending.begin", "done"), *[("pending.sign", "done")] * 2]


def test_what_is_not_pending_is_not_signed(ledger: Ledger) -> None:
    with pytest.raises(ConflictError, match="not pending any more"):
        sign(ledger, "key-1")
    begin(ledger, change(app=OTHER))
    with pytest.raises(ConflictError, match="not pending any more"):
        sign(ledger, "key-1")
    assert log(ledger) == [("pending.begin", "done")]


def test_what_is_withdrawn_is_gone_and_remembered(ledger: Ledger) -> None:
    begin(ledger, change(signed=1))
    assert not ledger.was_withdrawn(APP, ONE)
    assert withdraw(ledger)
    assert not withdraw(ledger)
    assert ledger.pending(APP) == ()
    assert ledger.was_withdrawn(APP, ONE)
    assert not ledger.was_withdrawn(OTHER, ONE)
    assert log(ledger) == [("pending.begin", "done"), ("pending.withdraw", "done")]
    begin(ledger, change())
    assert not ledger.was_withdrawn(APP, ONE)
    assert ledger.pending(APP)[0].signatures == ()


def attempt(ledger: Ledger, number: int, change_id: Sha256Hex = ONE) -> int:
    wanted = Attempt(change_id=change_id, timestamp_version=number)
    return ledger.begin(intent(action="pending.live"), now=NOW, attempt=wanted)


def test_what_has_come_into_force_is_pending_no_more(ledger: Ledger) -> None:
    begin(ledger, change(signed=2))
    ledger.finish(attempt(ledger, 5), highest(5))
    assert ledger.pending(APP) == ()
    assert not ledger.was_withdrawn(APP, ONE)


def test_an_attempt_that_lost_leaves_it_pending(ledger: Ledger) -> None:
    begin(ledger, change(signed=2))
    ledger.abandon(attempt(ledger, 5))
    assert len(ledger.pending(APP)) == 1


def test_an_attempt_that_was_taken_for_lost_and_was_not_ends_it_all_the_same(
    ledger: Ledger,
) -> None:
    begin(ledger, change(signed=2))
    number = attempt(ledger, 5)
    ledger.abandon(number)
    ledger.finish(number, highest(5))
    assert ledger.pending(APP) == ()


def test_nothing_is_attempted_that_is_not_pending(ledger: Ledger) -> None:
    with pytest.raises(ConflictError, match="not pending any more"):
        attempt(ledger, 5)
    begin(ledger, change())
    withdraw(ledger)
    with pytest.raises(ConflictError, match="not pending any more"):
        attempt(ledger, 5)
    assert ("pending.live", "open") not in log(ledger)


def test_nothing_is_withdrawn_that_may_still_come_into_force(ledger: Ledger) -> None:
    begin(ledger, change(signed=2))
    number = attempt(ledger, 5)
    for _ in range(2):
        with pytest.raises(ConflictError, match="coming into force"):
            withdraw(ledger, lost_to=4)
        # That it was given up says nothing: whoever wrote it may only be slow.
        ledger.abandon(number)
    assert len(ledger.pending(APP)) == 1
    assert withdraw(ledger, lost_to=5)


def test_two_who_begin_at_the_same_moment_leave_one(ledger: Ledger) -> None:
    ids = [Sha256Hex(f"{number:064x}") for number in range(8)]

    def begin_one(change_id: Sha256Hex) -> bool:
        try:
            return begin(ledger, change(change_id))
        except ConflictError:
            return False

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert sum(pool.map(begin_one, ids)) == 1
    assert len(ledger.pending(APP)) == 1


def test_of_two_who_sign_and_withdraw_at_the_same_moment_one_is_refused(ledger: Ledger) -> None:
    for number in range(8):
        change_id = Sha256Hex(f"{number:064x}")
        begin(ledger, change(change_id, signed=1))

        def try_to_attempt(change_id: Sha256Hex = change_id, number: int = number) -> bool:
            try:
                return attempt(ledger, number + 1, change_id) > 0
            except ConflictError:
                return False

        def try_to_withdraw(change_id: Sha256Hex = change_id, number: int = number) -> bool:
            try:
                return withdraw(ledger, change_id, lost_to=number)
            except ConflictError:
                return False

        with ThreadPoolExecutor(max_workers=2) as pool:
            done = [pool.submit(try_to_attempt), pool.submit(try_to_withdraw)]
            assert sorted(item.result() for item in done) == [False, True]
        withdraw(ledger, change_id, lost_to=99)
