"""A client that reports, the server it reports to, and what that server has heard."""

from dataclasses import dataclass

from lockgate_release.reports import Active, Enrolled, Fared, Report, parse_reports
from tests.simulators.client import SimulatedClient
from tests.simulators.scripted_server import Answer, ScriptedServer

TAKEN = Answer(status=202, body=b'{"accepted":1,"dropped":0}')


@dataclass
class Listener:
    """What a server has heard, each report once: a repeated one counts once, by its nonce."""

    server: ScriptedServer

    @property
    def reports(self) -> list[Report]:
        """Every distinct report, in the order in which it was heard first."""
        heard: dict[Report, None] = {}
        for request in self.server.requests:
            batch = parse_reports(request.body)
            assert batch.malformed == 0
            heard |= dict.fromkeys(batch.reports)
        return list(heard)

    @property
    def enrolled(self) -> list[Enrolled]:
        return [report for report in self.reports if isinstance(report, Enrolled)]

    @property
    def fared(self) -> list[Fared]:
        return [report for report in self.reports if isinstance(report, Fared)]

    @property
    def active(self) -> list[Active]:
        return [report for report in self.reports if isinstance(report, Active)]

    def arms(self) -> list[tuple[str, str, int]]:
        """Release, arm and epoch of each enrolment."""
        return [
            (item.cohort.version, item.cohort.arm.value, item.cohort.epoch)
            for item in self.enrolled
        ]

    def outcomes(self) -> list[tuple[str, str, str]]:
        """Release, outcome and failure of each outcome, every one under its enrolment's nonce."""
        known = {item.nonce: item.cohort for item in self.enrolled}
        assert all(known[item.nonce] == item.cohort for item in self.fared)
        return [
            (item.cohort.version, item.outcome.value, item.failure.value) for item in self.fared
        ]


def let_report(
    client: SimulatedClient, server: ScriptedServer, path: str = "/demo/reports"
) -> None:
    """Have the client report to this server."""
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write(f'reports = true\nreports_url = "{server.url}{path}"\n')
