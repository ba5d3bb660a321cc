"""What every ledger must do, whoever made it."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json
from lockgate_server.ports import Highest, Intent, Ledger, Scope
from lockgate_server.stores.audit_chain import chain_entry
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.memory_ledger import MemoryLedger

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
APP, OTHER = AppName("app"), AppName("other")
SECRET = "5e" * 32

LEDGERS: dict[str, Callable[[Path], Ledger]] = {
    "sqlite": lambda folder: SqliteLedger(folder / "ledger.db"),
    "memory": lambda _: MemoryLedger(),
}


@pytest.fixture(params=list(LEDGERS))
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made = LEDGERS[request.param](tmp_path)
    yield made
    made.close()


def intent(app: AppName = APP, action: str = "publish", **details: str | int) -> Intent:
    return Intent(
        app=app,
        actor="ci (token-1)",
        action=action,
        details=details,
        request_id="r-1",
        timestamp_sha256="ab" * 32,
    )


def highest(number: int, **sequences: int) -> Highest:
    return Highest(
        root=number, timestamp=number, snapshot=number, releases=number, sequences=sequences
    )


# --- tokens ----------------------------------------------------------------------------------


def test_a_token_is_found_by_its_secrets_hash_and_by_nothing_else(ledger: Ledger) -> None:
    made = ledger.create_token(scope=Scope.PUBLISH, label="ci", secret_sha256=SECRET, now=NOW)
    assert (made.scope, made.label, made.created_at) == (Scope.PUBLISH, "ci", NOW)
    assert made.revoked_at is None
    assert ledger.find_token(SECRET) == made
    for other in (SECRET.upper(), SECRET[:-1], "", made.token_id, "ci", "%"):
        assert ledger.find_token(other) is None


def test_a_revoked_token_is_not_found_and_still_listed(ledger: Ledger) -> None:
    made = ledger.create_token(scope=Scope.ADMIN, label="", secret_sha256=SECRET, now=NOW)
    assert ledger.revoke_token(made.token_id, now=LATER)
    assert ledger.find_token(SECRET) is None
    assert ledger.tokens() == (replace(made, revoked_at=LATER),)


def test_only_a_living_token_can_be_revoked(ledger: Ledger) -> None:
    made = ledger.create_token(scope=Scope.READ, label="x", secret_sha256=SECRET, now=NOW)
    assert not ledger.revoke_token("nobody", now=LATER)
    assert ledger.revoke_token(made.token_id, now=LATER)
    assert not ledger.revoke_token(made.token_id, now=LATER + timedelta(hours=1))
    assert ledger.tokens()[0].revoked_at == LATER


def test_tokens_are_listed_oldest_first_with_ids_of_their_own(ledger: Ledger) -> None:
    made = [
        ledger.create_token(scope=Scope.READ, label=label, secret_sha256=label * 64, now=NOW)
        for label in "cab"
    ]
    assert ledger.tokens() == tuple(made)
    assert len({token.token_id for token in made}) == 3


def test_a_secret_serves_one_token_only_even_when_revoked(ledger: Ledger) -> None:
    made = ledger.create_token(scope=Scope.READ, label="x", secret_sha256=SECRET, now=NOW)
    for _ in range(2):
        with pytest.raises(ConflictError, match="such a token"):
            ledger.create_token(scope=Scope.ADMIN, label="y", secret_sha256=SECRET, now=NOW)
        ledger.revoke_token(made.token_id, now=LATER)
    assert len(ledger.tokens()) == 1


# --- apps ------------------------------------------------------------------------------------


def test_an_app_is_trusted_by_the_root_it_was_pinned_to(ledger: Ledger) -> None:
    assert ledger.apps() == ()
    assert ledger.pinned_root(APP) is None
    ledger.pin_app(OTHER, b"\x00other root\xff")
    ledger.pin_app(APP, b"root")
    assert ledger.apps() == (APP, OTHER)
    assert ledger.pinned_root(OTHER) == b"\x00other root\xff"


def test_an_app_is_pinned_once(ledger: Ledger) -> None:
    ledger.pin_app(APP, b"root")
    ledger.pin_app(APP, b"root")
    with pytest.raises(ConflictError, match="app: pinned to another root"):
        ledger.pin_app(APP, b"another root")
    assert ledger.pinned_root(APP) == b"root"


# --- the audit log ---------------------------------------------------------------------------


def test_an_intent_is_open_until_its_outcome_is_known(ledger: Ledger) -> None:
    first = ledger.begin(intent(version="1.0"), now=NOW)
    second = ledger.begin(intent(version="2.0"), now=LATER)
    other = ledger.begin(intent(OTHER), now=LATER)
    assert [entry.number for entry in ledger.open_entries(APP)] == [first, second]
    assert [entry.number for entry in ledger.open_entries(OTHER)] == [other]
    ledger.finish(first, highest(1))
    ledger.abandon(second)
    assert ledger.open_entries(APP) == ()
    outcomes = {entry.number: entry.outcome for entry in ledger.audit(None, limit=10)}
    assert outcomes == {first: "done", second: "abandoned", other: "open"}


def test_an_entry_says_who_what_when_and_why(ledger: Ledger) -> None:
    wanted = intent(reason="größer \N{SNOWMAN}", exposure_bp=500)
    number = ledger.begin(wanted, now=NOW.replace(microsecond=999_999))
    (entry,) = ledger.open_entries(APP)
    assert entry.intent == wanted
    assert (entry.number, entry.at, entry.outcome) == (number, NOW, "open")


def test_a_time_is_kept_in_utc_and_must_be_aware(ledger: Ledger) -> None:
    ledger.begin(intent(), now=NOW.astimezone(timezone(timedelta(hours=5))))
    assert ledger.audit(None, limit=1)[0].at.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="aware"):
        ledger.begin(intent(), now=datetime(2026, 1, 31))  # noqa: DTZ001
    assert len(ledger.audit(None, limit=10)) == 1


def test_nested_details_come_back_as_they_were(ledger: Ledger) -> None:
    details: dict[str, Json] = {
        "channels": ["stable", "beta"],
        "rollout": {"to": 10_000, "why": None},
        "x": True,
    }
    ledger.begin(replace(intent(), details=details), now=NOW)
    assert ledger.audit(None, limit=1)[0].intent.details == details


def test_what_a_caller_changes_later_does_not_change_the_log(ledger: Ledger) -> None:
    details: dict[str, str] = {"reason": "bad"}
    ledger.begin(replace(intent(), details=details), now=NOW)
    details["reason"] = "good"
    assert ledger.audit(None, limit=1)[0].intent.details == {"reason": "bad"}
    assert ledger.verify_audit() is None


def test_the_log_is_read_newest_first_and_up_to_a_limit(ledger: Ledger) -> None:
    for number in range(6):
        ledger.begin(intent(APP if number % 2 else OTHER), now=NOW)
    assert [entry.number for entry in ledger.audit(None, limit=4)] == [6, 5, 4, 3]
    assert [entry.number for entry in ledger.audit(APP, limit=2)] == [6, 4]
    assert [entry.number for entry in ledger.audit(APP, limit=100)] == [6, 4, 2]
    assert ledger.audit(AppName("nobody"), limit=5) == ()
    assert ledger.audit(None, limit=0) == ledger.audit(None, limit=-1) == ()


def test_anybody_can_compute_the_chain(ledger: Ledger) -> None:
    wanted = [intent(version="1.0"), intent(OTHER, "revoke", reason="größer"), intent()]
    for one in wanted:
        ledger.begin(one, now=NOW)
    before = "0" * 64
    for number, one in enumerate(wanted, start=1):
        text = json.dumps(
            {
                "number": number,
                "at": "2026-01-31T08:00:00Z",
                "app": one.app,
                "actor": one.actor,
                "action": one.action,
                "details": one.details,
                "request_id": one.request_id,
                "timestamp_sha256": one.timestamp_sha256,
            },
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
        )
        before = hashlib.sha256(f"{before}{text}\n".encode()).hexdigest()
        assert ledger.audit(None, limit=100)[-number].chain_sha256 == before


def test_an_untouched_log_is_whole(ledger: Ledger) -> None:
    assert ledger.verify_audit() is None
    for number in range(1, 8):
        ledger.begin(intent(n=number), now=NOW)
    for number in (3, 1, 2):
        ledger.finish(number, highest(number))
    ledger.abandon(5)
    ledger.finish(5, highest(5))
    assert ledger.verify_audit() is None


def test_an_outcome_changes_no_link_of_the_entries(ledger: Ledger) -> None:
    ledger.begin(intent(), now=NOW)
    link = ledger.audit(None, limit=1)[0].chain_sha256
    ledger.finish(1, highest(1))
    assert ledger.audit(None, limit=1)[0].chain_sha256 == link


def test_that_a_timestamp_was_in_force_is_final(ledger: Ledger) -> None:
    first, second = ledger.begin(intent(), now=NOW), ledger.begin(intent(), now=NOW)
    ledger.finish(first, highest(1))
    ledger.abandon(first)
    assert ledger.audit(None, limit=2)[1].outcome == "done"
    ledger.finish(first, highest(2))
    ledger.abandon(second)
    ledger.abandon(second)
    ledger.finish(second, highest(3))
    assert [entry.outcome for entry in ledger.audit(None, limit=2)] == ["done", "done"]
    assert ledger.highest(APP) == highest(3)


@pytest.mark.parametrize("number", [0, -1, 2, 10**6])
def test_a_number_nobody_was_given_is_a_bug(ledger: Ledger, number: int) -> None:
    ledger.begin(intent(), now=NOW)
    with pytest.raises(ValueError, match="no entry"):
        ledger.finish(number, highest(9))
    with pytest.raises(ValueError, match="no entry"):
        ledger.abandon(number)
    assert ledger.highest(APP) is None
    assert ledger.audit(None, limit=1)[0].outcome == "open"


# --- the highest state -----------------------------------------------------------------------


def test_nothing_was_signed_before_the_first_write_is_finished(ledger: Ledger) -> None:
    ledger.pin_app(APP, b"root")
    number = ledger.begin(intent(), now=NOW)
    assert ledger.highest(APP) is None
    ledger.abandon(number)
    assert ledger.highest(APP) is None


def test_each_app_has_a_highest_state_of_its_own(ledger: Ledger) -> None:
    ledger.finish(ledger.begin(intent(APP), now=NOW), highest(3, stable=2))
    ledger.finish(ledger.begin(intent(OTHER), now=NOW), highest(7, stable=9))
    assert ledger.highest(APP) == highest(3, stable=2)
    assert ledger.highest(OTHER) == highest(7, stable=9)


def test_no_number_is_ever_lowered_whatever_the_others_do(ledger: Ledger) -> None:
    ledger.finish(ledger.begin(intent(), now=NOW), highest(5, stable=5, beta=5))
    mixed = Highest(root=4, timestamp=6, snapshot=3, releases=7, sequences={"stable": 4, "pr-1": 1})
    ledger.finish(ledger.begin(intent(), now=NOW), mixed)
    assert ledger.highest(APP) == Highest(
        root=5, timestamp=6, snapshot=5, releases=7, sequences={"stable": 5, "beta": 5, "pr-1": 1}
    )


NUMBERS = st.integers(min_value=1, max_value=2**53)
STATES = st.builds(
    Highest,
    root=NUMBERS,
    timestamp=NUMBERS,
    snapshot=NUMBERS,
    releases=NUMBERS,
    sequences=st.dictionaries(st.sampled_from(["stable", "beta", "pr-1"]), NUMBERS),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(STATES, min_size=1, max_size=4))
def test_the_highest_state_is_the_highest_of_all(ledger: Ledger, states: list[Highest]) -> None:
    # One ledger serves every example, so each has an app of its own.
    app = AppName(f"app-{len(ledger.audit(None, limit=10**6))}")
    for state in states:
        ledger.finish(ledger.begin(intent(app), now=NOW), state)
    found = ledger.highest(app)
    assert found is not None
    for field in ("root", "timestamp", "snapshot", "releases"):
        assert getattr(found, field) == max(getattr(state, field) for state in states)
    for channel in ("stable", "beta", "pr-1"):
        seen = [state.sequences[channel] for state in states if channel in state.sequences]
        assert found.sequences.get(channel) == (max(seen) if seen else None)


# --- leases ----------------------------------------------------------------------------------


def test_a_lease_is_held_by_one_until_it_runs_out(ledger: Ledger) -> None:
    lease = ledger.take_lease("resign", "worker-1", now=NOW, until=LATER)
    assert lease is not None
    assert (lease.name, lease.holder, lease.expires_at) == ("resign", "worker-1", LATER)
    just_before = LATER - timedelta(seconds=1)
    assert ledger.take_lease("resign", "worker-2", now=just_before, until=LATER) is None
    assert ledger.take_lease("other job", "worker-2", now=NOW, until=LATER) is not None
    assert ledger.take_lease("resign", "worker-2", now=LATER, until=LATER) is not None


def test_a_lease_that_a_wrong_clock_has_made_long_holds_nobody_up(ledger: Ledger) -> None:
    next_year = NOW + timedelta(days=365)
    span = LATER - NOW
    ledger.take_lease("resign", "worker-1", now=next_year, until=next_year + span)
    taken = ledger.take_lease("resign", "worker-2", now=NOW, until=LATER)
    assert taken is not None
    assert (taken.holder, taken.expires_at) == ("worker-2", LATER)


def test_a_holder_extends_its_lease(ledger: Ledger) -> None:
    much_later = LATER + timedelta(hours=1)
    ledger.take_lease("resign", "worker-1", now=NOW, until=LATER)
    extended = ledger.take_lease("resign", "worker-1", now=NOW, until=much_later)
    assert extended is not None
    assert extended.expires_at == much_later
    assert ledger.take_lease("resign", "worker-2", now=LATER, until=much_later) is None


def test_a_lease_is_given_back_by_its_holder_only(ledger: Ledger) -> None:
    ledger.release_lease("resign", "nobody")
    ledger.take_lease("resign", "worker-1", now=NOW, until=LATER)
    ledger.release_lease("resign", "worker-2")
    assert ledger.take_lease("resign", "worker-2", now=NOW, until=LATER) is None
    ledger.release_lease("resign", "worker-1")
    assert ledger.take_lease("resign", "worker-2", now=NOW, until=LATER) is not None


# --- all at once -----------------------------------------------------------------------------


def test_looking_whether_it_is_usable_changes_nothing(ledger: Ledger) -> None:
    assert ledger.is_usable()
    assert ledger.is_usable()
    assert [*ledger.audit(None, limit=5), *ledger.tokens(), *ledger.apps()] == []
    assert ledger.take_lease("job", "worker-1", now=NOW, until=LATER) is not None


def test_threads_write_one_whole_log(ledger: Ledger) -> None:
    start = threading.Barrier(4)

    def work(worker: int) -> int:
        start.wait()
        for turn in range(5):
            number = ledger.begin(intent(worker=worker), now=NOW)
            ledger.finish(number, highest(worker * 10 + turn + 1))
        return sum(
            ledger.take_lease("job", f"worker-{worker}", now=NOW, until=LATER) is not None
            for _ in range(2)
        )

    with ThreadPoolExecutor(4) as pool:
        leases = list(pool.map(work, range(4)))
    assert sorted(leases) == [0, 0, 0, 2]
    assert sorted(entry.number for entry in ledger.audit(None, limit=99)) == list(range(1, 21))
    assert ledger.open_entries(APP) == ()
    assert ledger.highest(APP) == highest(35)
    assert ledger.verify_audit() is None


def test_an_operation_is_kept_with_its_entry_and_is_part_of_its_link(ledger: Ledger) -> None:
    ledger.begin(intent(), now=NOW)
    ledger.begin(replace(intent(), operation_id="ci-7"), now=NOW)
    with_one, without = ledger.audit(None, limit=2)
    assert (with_one.intent.operation_id, without.intent.operation_id) == ("ci-7", "")
    assert ledger.verify_audit() is None
    link = chain_entry(without.chain_sha256, 2, NOW, replace(with_one.intent, operation_id=""))
    assert with_one.chain_sha256 != link
