"""The settings of reports: what is said is what a child is told, and nonsense is refused."""

from ipaddress import ip_network

import pytest

from lockgate_release.errors import UsageError
from lockgate_server.reporting import Reporting, read_reporting


@pytest.mark.parametrize(
    "said",
    [
        Reporting(),
        Reporting(is_on=False),
        Reporting(share_bp=1),
        Reporting(share_bp=10_000),
        Reporting(trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("2001:db8::1/128"))),
    ],
)
def test_a_child_is_told_what_was_said(said: Reporting) -> None:
    environ = said.to_environ()
    assert read_reporting(lambda name: environ.get(f"LOCKGATE_{name.upper()}")) == said


def test_unsaid_reports_are_taken_in_and_nobody_is_believed() -> None:
    assert read_reporting(lambda _: None) == Reporting(is_on=True, share_bp=0, trusted_proxies=())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("report_intake", "yes"),
        ("report_share", "0%"),
        ("report_share", "101%"),
        ("report_share", "-1"),
        ("report_share", "nan"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "10.0.0.1,10.0.0.2"),
        ("trusted_proxies", "localhost"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        read_reporting({name: value}.get)
