"""What was reported, as a test tells it: cohorts in a list."""

from dataclasses import dataclass, field
from datetime import datetime

from lockgate_release.gate import Arm
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.rollout.counts import Cohort, Opening
from tests.simulators.memory_reports import MemoryReportLedger

LINUX = Platform("linux-x86_64")


@dataclass
class ToldCounts(MemoryReportLedger):
    """The counts of one release; every other one has none.

    Attributes:
        version: The release.
        told: Its cohorts.
        first: How its first canaries fare.
        heard_at: When a report was last counted.
    """

    version: str = "1.1.0"
    told: list[Cohort] = field(default_factory=list)
    first: Opening = field(default_factory=Opening)
    heard_at: datetime | None = None

    def enrol(
        self, arm: Arm, count: int, *, bad: int = 0, epoch: int = 1, at: datetime, loops: int = 0
    ) -> None:
        """Let so many enrol in an hour, and so many of them fare badly."""
        self.told.append(
            Cohort(
                arm=arm,
                epoch=epoch,
                platform=LINUX,
                from_version="1.0.0",
                began_at=at,
                enrolled=count,
                healthy=count - bad,
                bad=bad,
                crash_loops=loops,
            )
        )

    def fare(
        self,
        at: datetime,
        *,
        canaries: tuple[int, int],
        control: tuple[int, int],
        epoch: int = 1,
    ) -> None:
        """Let both arms enrol in an hour: how many, and how many of them fare badly."""
        self.enrol(Arm.OFFERED, canaries[0], bad=canaries[1], epoch=epoch, at=at)
        self.enrol(Arm.CONTROL, control[0], bad=control[1], epoch=epoch, at=at)

    def cohorts(self, app: AppName, channel: ChannelName, version: str) -> tuple[Cohort, ...]:
        known = super().cohorts(app, channel, version)
        return (*known, *self.told) if version == self.version else known

    def opening(self, app: AppName, channel: ChannelName, version: str, *, first: int) -> Opening:
        known = super().opening(app, channel, version, first=first)
        return self.first if version == self.version else known

    def last_report_at(self, app: AppName, channel: ChannelName, version: str) -> datetime | None:
        known = super().last_report_at(app, channel, version)
        return self.heard_at if version == self.version else known
