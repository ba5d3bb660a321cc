"""Every trouble at every request that a change makes of the store, and what is left of it.

After each: what clients see is whole and is the old state or the new one; the command told the
truth about which; and the same command again, with a store that is well, completes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockgate_release.errors import ExitCode, LockgateError
from tests.crash.tally import Sample, Tally, timed
from tests.faults.bench import APP, Bench
from tests.simulators.command_line import Ended
from tests.simulators.fault_proxy import Fault, Seen, Trouble

__all__ = ["CHANGES", "Change", "requests_of", "try_trouble"]

_HONEST = {ExitCode.OK, ExitCode.TRANSPORT, ExitCode.LOCAL, ExitCode.CONFLICT}


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that people do to an app.

    Attributes:
        prepare: Returns the version that it will be done to.
        act: Does it, by the command.
        is_done: Whether what is in force says so.
    """

    prepare: Callable[[Bench], str]
    act: Callable[[Bench, str], Ended]
    is_done: Callable[[Bench, str], bool]


def _publish_one(bench: Bench) -> str:
    version = bench.next_version()
    bench.must(bench.publish(version))
    return version


def _is_offered(bench: Bench, version: str) -> bool:
    return bench.look().offers()[:1] == [(version, 10_000)]


def _is_revoked(bench: Bench, version: str) -> bool:
    return version in bench.look().revoked()


CHANGES = {
    "publish": Change(prepare=Bench.next_version, act=Bench.publish, is_done=_is_offered),
    "revoke": Change(prepare=_publish_one, act=Bench.revoke, is_done=_is_revoked),
}


def requests_of(bench: Bench, name: str) -> list[Seen]:
    """What the change asks of the store when nothing goes wrong."""
    change = CHANGES[name]
    version = change.prepare(bench)
    bench.proxy.forget()
    bench.must(change.act(bench, version))
    assert change.is_done(bench, version)
    return list(bench.proxy.seen)


def try_trouble(
    bench: Bench, name: str, trouble: Trouble, sample: Sample, requests: list[Seen]
) -> Tally:
    """Meet the trouble at each of the requests of the change, one at a time."""
    change = CHANGES[name]
    with timed(name, trouble.value) as tally:
        points = [index for index, seen in enumerate(requests) if _matters(trouble, seen)]
        tally.points = len(points)
        for index in sample.of(points):
            where = f"request {index}, {requests[index].method} {requests[index].path}"
            tally.add(where, _try_one(bench, change, Fault(trouble, skip=index)))
    return tally


def _matters(trouble: Trouble, seen: Seen) -> bool:
    if trouble is Trouble.STALE_LIST:
        return "list-type=2" in seen.query
    return True


def _try_one(bench: Bench, change: Change, fault: Fault) -> str:
    """Return what was broken, or ""."""
    version = change.prepare(bench)
    bench.proxy.plan(fault)
    ended = change.act(bench, version)
    struck = bench.proxy.heal()
    wrong = _judge(bench, change, version, ended)
    again = change.act(bench, version)
    if again.code != ExitCode.OK:
        wrong = wrong or f"again: {again.code}, {again.err}"
    if not wrong and not change.is_done(bench, version):
        wrong = "again: said to be done, and is not"
    wrong = wrong or _ask_client(bench) or _look_at_ledger(bench)
    return wrong or ("" if struck else "the trouble was never met")


def _judge(bench: Bench, change: Change, version: str, ended: Ended) -> str:
    if ended.code not in _HONEST:
        return f"ended with {ended.code}: {ended.err}"
    try:
        is_done = change.is_done(bench, version)
    except (AssertionError, LockgateError) as exc:
        return f"what is in force is not whole: {exc}"
    if ended.code == ExitCode.OK and not is_done:
        return "said to be done, and is not"
    return _ask_client(bench)


def _ask_client(bench: Bench) -> str:
    """Let the client update, and hold it against what is in force."""
    newest = bench.look().offers()[0][0]
    try:
        runs = bench.update()
    except LockgateError as exc:
        return f"a client met {exc}"
    return "" if runs == newest else f"a client runs {runs}, {newest} is offered"


def _look_at_ledger(bench: Bench) -> str:
    open_entries = [entry.intent.action for entry in bench.ledger.open_entries(APP)]
    highest = bench.ledger.highest(APP)
    in_force = bench.look().chain.timestamp.version
    if highest is None or highest.timestamp > in_force:
        return f"the ledger knows {highest}, {in_force} is in force"
    return f"open in the ledger: {open_entries}" if len(open_entries) > 1 else ""
