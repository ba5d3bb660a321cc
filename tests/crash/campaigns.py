"""Everything that is done to an updater here, and in which scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.crash.bench import Bench
from tests.crash.clocks import jump, jump_and_check, jump_and_watch
from tests.crash.faults import fail, fail_on
from tests.crash.kills import kill, kill_child, kill_recovery, start_program
from tests.crash.losses import cut_power
from tests.crash.scenarios import SCENARIOS
from tests.crash.servers import misbehave
from tests.crash.tally import Sample, Tally
from tests.crash.together import go_on_together, kill_at_random, race, start_meanwhile, take_over
from tests.crash.trace import compare_with_strace

__all__ = ["CAMPAIGNS", "Campaign"]

_KILLED = tuple(name for name in SCENARIOS if name != "large")
# A report that the disk refuses is lost, as it may be.
_ALL = tuple(name for name in _KILLED if name != "reports")
_UPDATES = ("first", "update", "failing", "replaced")
# A release is forgiven as many restarts as it has tries: here one.
_RESTARTED_ONCE = tuple(name for name in _KILLED if not SCENARIOS[name].reboots)

_WITH_CLOCK = (
    *("first", "update", "failing", "revoked", "replaced", "trial", "confirm", "quit", "run"),
    *("rollback", "repair", "reboot", "itself", "misfit"),
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is done, to which scenarios, and whether it must be done on a disk, not in memory."""

    act: Callable[[Bench, Sample], Tally]
    scenarios: tuple[str, ...] = _ALL
    on_disk: bool = False


CAMPAIGNS = {
    "strace": Campaign(compare_with_strace),
    "kill": Campaign(kill, _KILLED),
    "child": Campaign(kill_child, ("delta", "chain")),
    "start": Campaign(start_program),
    "recover": Campaign(kill_recovery, _RESTARTED_ONCE),
    "cut": Campaign(cut_power, _KILLED),
    "fault": Campaign(fail),
    "dead": Campaign(fail_on),
    "takeover": Campaign(take_over, (*_UPDATES, "delta")),
    "together": Campaign(go_on_together, (*_UPDATES, "delta")),
    "meanwhile": Campaign(start_meanwhile, ("update", "failing")),
    "race": Campaign(race, ("first", "update")),
    "server": Campaign(misbehave, ("first", "update", "failing", "revoked", "replaced")),
    "clock": Campaign(jump, _WITH_CLOCK),
    "asks": Campaign(jump_and_check, ("update",)),
    "watch": Campaign(jump_and_watch, ("update", "failing")),
    "random": Campaign(
        kill_at_random,
        ("first", "update", "failing", "revoked", "replaced", "large"),
        on_disk=True,
    ),
}
