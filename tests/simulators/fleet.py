"""A fleet that reports: clients of both arms, each with its nonce, as counted by a real ledger."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import CohortKey, Enrolled, Failure, Fared, Outcome, hour_of
from lockgate_server.ports.reports import Admitted, ReportLedger

_LINUX = Platform("linux-x86_64")
_STABLE = ChannelName("stable")


@dataclass(kw_only=True)
class FleetSimulator:
    """Clients of one release in one channel, which come from 1.0.0."""

    app: AppName
    version: str
    channel: ChannelName = _STABLE
    _nonces: Iterator[int] = field(default_factory=itertools.count)

    def reports(
        self, arm: Arm, count: int, *, bad: int = 0, epoch: int, hour: datetime
    ) -> list[Enrolled | Fared]:
        """What so many clients send that enrol in an hour, the bad ones first."""
        cohort = CohortKey(
            channel=self.channel,
            version=self.version,
            epoch=epoch,
            arm=arm,
            platform=_LINUX,
            from_version="1.0.0",
            hour=hour_of(hour),
        )
        sent: list[Enrolled | Fared] = []
        for place in range(count):
            nonce = f"{next(self._nonces):032x}"
            sent.append(Enrolled(nonce=nonce, cohort=cohort))
            is_bad = place < bad
            sent.append(
                Fared(
                    nonce=nonce,
                    cohort=cohort,
                    outcome=Outcome.BAD if is_bad else Outcome.HEALTHY,
                    failure=Failure.HEALTH if is_bad else Failure.NONE,
                )
            )
        return sent

    def tell(
        self,
        ledger: ReportLedger,
        *,
        canaries: tuple[int, int],
        control: tuple[int, int],
        epoch: int = 1,
        now: datetime,
    ) -> None:
        """Count both arms: how many enrol in this hour, and how many of them fare badly."""
        told = [
            *self.reports(Arm.OFFERED, canaries[0], bad=canaries[1], epoch=epoch, hour=now),
            *self.reports(Arm.CONTROL, control[0], bad=control[1], epoch=epoch, hour=now),
        ]
        until = now + timedelta(days=2)
        admitted = [Admitted(app=self.app, report=report, until=until) for report in told]
        ledger.add(admitted, {}, now=now)
