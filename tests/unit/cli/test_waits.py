"""How long to wait before something is tried again."""

import pytest

from lockgate_cli.waits import WaitRules

RULES = WaitRules(sleep=lambda _: None, jitter=lambda: 1.0)
NOW = "Sat, 21 Nov 2026 12:00:00 GMT"
SOON = "Sat, 21 Nov 2026 12:00:07 GMT"


def test_waits_double_up_to_a_minute() -> None:
    assert [RULES.wait_s(failures) for failures in (1, 2, 3, 8, 9)] == [0.5, 1.0, 2.0, 60.0, 60.0]


def test_no_two_clients_wait_alike() -> None:
    lucky = WaitRules(sleep=lambda _: None, jitter=lambda: 0.0)
    assert lucky.wait_s(3) == 1.0
    assert RULES.wait_s(3) == 2.0


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "999999"}, 60.0),
        ({"retry-after": SOON, "date": NOW}, 7.0),
        ({"retry-after": NOW, "date": SOON}, 0.0),
        ({"retry-after": SOON}, 0.5),
        ({"retry-after": "soon", "date": NOW}, 0.5),
        ({"retry-after": "-1"}, 0.5),
        ({"retry-after": "1.5"}, 0.5),
        ({"retry-after": SOON, "date": NOW.replace(" GMT", "")}, 0.5),
        ({}, 0.5),
    ],
)
def test_what_the_server_asks_for_goes_first_in_seconds_or_as_a_date(
    headers: dict[str, str], wait_s: float
) -> None:
    assert RULES.wait_s(1, headers) == wait_s
