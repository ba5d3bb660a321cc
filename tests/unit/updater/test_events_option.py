"""`--events`: one JSON object a line for each event, and the result at the end."""

import json
from pathlib import Path

import pytest

from lockgate_updater.command import main
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.http_server import serve
from tests.simulators.repository import RepositorySimulator


def lines_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    capsys.readouterr()
    main(arguments)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_event_is_a_line_and_the_result_is_the_last(
    client: SimulatedClient, repository: RepositorySimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(repository) as server:
        told = lines_of(capsys, "update", "--events", *place(client.home, server.address))
    assert next(line["name"] for line in told if line["event"] == "step") == "offered"
    assert [line["name"] for line in told if line["event"] == "step"][-1] == "committed"
    assert any(line["event"] == "progress" for line in told)
    assert told[-1]["event"] == "result"
    assert told[-1]["outcome"] == "updated"


def test_an_error_is_the_result_too(
    client: SimulatedClient, repository: RepositorySimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.spoil("timestamp", Kind.STATUS, 500)
    with serve(repository) as server:
        told = lines_of(capsys, "update", "--events", *place(client.home, server.address))
    assert [(line["event"], line["code"]) for line in told] == [("result", "transport")]


def test_a_round_of_watch_is_a_line(
    client: SimulatedClient, repository: RepositorySimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(repository) as server:
        address = place(client.home, server.address)
        told = lines_of(capsys, "watch", "--once", "--events", *address)
        again = lines_of(capsys, "watch", "--once", "--json", "--check-only", *address)
    assert told[0]["event"] == "step"
    assert (told[-1]["event"], told[-1]["outcome"]) == ("round", "updated")
    assert [line["outcome"] for line in again] == ["up-to-date"]


def place(home: Path, address: str) -> tuple[str, ...]:
    return ("--home", str(home), "--repository", address)
