"""How reports leave: to one address, in bounded time, kept if not heard, at no update's cost."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from lockgate_release.errors import UsageError
from lockgate_updater.report.log import MAX_KEPT, Log
from lockgate_updater.report.outbox import read_log
from lockgate_updater.report.reporter import SENDING_LIMIT_S
from tests.simulators.client import SimulatedClient
from tests.simulators.reporting import TAKEN, Listener, let_report
from tests.simulators.repository import HEALTHY, SICK, STABLE, RepositorySimulator, checked_by
from tests.simulators.scripted_server import Answer, scripted_server

NEXT = {**HEALTHY, "two": b"2"}


def _log(client: SimulatedClient) -> Log:
    return read_log(client.home / "state" / "reports.json")


def _set(client: SimulatedClient, *lines: str) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.writelines(f"{line}\n" for line in lines)


@pytest.mark.parametrize("status", [400, 404, 413, 301])
def test_what_is_not_wanted_is_not_sent_again(client: SimulatedClient, status: int) -> None:
    client.update()
    with scripted_server(Answer(status=status)) as server:
        let_report(client, server)
        client.update()
        client.update()
        assert len(server.requests) == 1
    assert _log(client).waiting == ()
    assert client.updater.status().reports.answer == f"status {status}"


@pytest.mark.parametrize(
    "answer",
    [Answer(status=500), Answer(status=429), Answer(status=408), Answer(hangs_up=True)],
)
def test_what_could_not_be_taken_is_sent_again_as_it_was(
    client: SimulatedClient, repository: RepositorySimulator, answer: Answer
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    with scripted_server(answer, answer, TAKEN) as server:
        let_report(client, server)
        assert client.update() == "updated"
        waiting = _log(client).waiting
        assert len(waiting) == 3
        client.update()
        client.update()
        listener = Listener(server)
        assert listener.outcomes() == [("2.0.0", "healthy", "")]
        assert len(listener.enrolled) == 1
    assert _log(client).waiting == ()


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_be_left_alone_is(client: SimulatedClient, status: int) -> None:
    client.update()
    busy = Answer(status=status, headers={"Retry-After": "7200"})
    with scripted_server(busy, TAKEN) as server:
        let_report(client, server)
        client.update()
        client.now += timedelta(hours=1)
        client.update()
        assert len(server.requests) == 1
        client.now += timedelta(hours=2)
        client.update()
        assert len(server.requests) == 2


def test_a_wish_that_a_wrong_clock_put_far_off_is_not_heeded(client: SimulatedClient) -> None:
    client.update()
    busy = Answer(status=503, headers={"Retry-After": "999999999"})
    with scripted_server(busy, TAKEN) as server:
        let_report(client, server)
        now = client.now
        client.now += timedelta(days=2)
        client.update()
        client.now = now
        client.update()
        assert len(server.requests) == 2


def test_a_redirect_is_not_followed_and_secrets_stay(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    with scripted_server(TAKEN) as thief:
        away = Answer(status=307, headers={"Location": f"{thief.url}/reports"})
        with scripted_server(away) as server:
            _set(client, 'headers = ["Authorization: Bearer secret"]')
            let_report(client, server)
            repository.publish("2.0.0", NEXT)
            client.update()
            assert server.requests
            # Nor does the address that is configured get them: it is not the repository's host.
            assert all("authorization" not in request.headers for request in server.requests)
        assert thief.requests == []


def test_the_owners_headers_go_to_the_repositorys_own_host(client: SimulatedClient) -> None:
    client.update()
    with scripted_server(TAKEN) as server:
        _set(client, 'headers = ["X-Site: one"]', f'mirrors = ["{server.url}"]')
        let_report(client, server)
        client.update()
        assert [request.headers["x-site"] for request in server.requests] == ["one"]


def test_reports_take_the_clients_proxy(client: SimulatedClient) -> None:
    client.update()
    with scripted_server(TAKEN) as proxy:
        _set(client, f'proxy = "{proxy.url}"')
        _set(client, "reports = true", 'reports_url = "http://reports.test/demo/reports"')
        client.update()
        assert [item.path for item in proxy.requests] == ["http://reports.test/demo/reports"]


@contextmanager
def _raw_server(talk: Callable[[socket.socket, threading.Event], object]) -> Iterator[str]:
    """A server of one connection after another that says what `talk` says."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(65536)
                    try:
                        talk(connection, ended)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def _never_answers(_: socket.socket, ended: threading.Event) -> None:
    ended.wait()


def _drips_headers(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not ended.wait(0.05):
        connection.sendall(b"x")


def _never_ends_its_body(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 202 Accepted\r\n\r\n")
    while not ended.is_set():
        connection.sendall(b"x" * 65536)


@pytest.mark.parametrize("talk", [_never_answers, _drips_headers, _never_ends_its_body])
def test_a_hostile_server_costs_an_update_a_few_seconds_and_nothing_else(
    client: SimulatedClient,
    repository: RepositorySimulator,
    talk: Callable[[socket.socket, threading.Event], object],
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    with _raw_server(talk) as address:
        _set(client, "reports = true", f'reports_url = "{address}/demo/reports"')
        began = time.monotonic()
        assert client.update() == "updated"
        # Not a measure of speed: it would be forever.
        assert time.monotonic() - began < SENDING_LIMIT_S * 6
    assert client.runs() == "2.0.0"


def test_a_server_that_is_not_there_is_no_error_and_no_warning(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    _set(client, "reports = true", f'reports_url = "{address}/demo/reports"')
    repository.publish("2.0.0", SICK, install=checked_by("bin/app"))
    events: list[object] = []
    assert client.update(events=events) == "rolled-back"  # type: ignore[arg-type]
    assert not [event for event in events if getattr(event, "name", "") == "warning"]
    assert len(_log(client).waiting) == 3


def test_what_waits_is_bounded_and_the_oldest_goes(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, exposure_bp=1)
    with scripted_server(Answer(status=500)) as server:
        let_report(client, server)
        client.update()
        for epoch in range(2, MAX_KEPT):
            (offer, *others) = repository.channels[STABLE].offers
            rollout = type(offer.rollout)(
                salt=offer.rollout.salt, exposure_bp=1, control_bp=9_999, epoch=epoch
            )
            repository.issue(STABLE, offers=(offer.with_rollout(rollout), *others))
            client.update()
    log = _log(client)
    assert len(log.waiting) == MAX_KEPT
    assert len(log.enrolments) < MAX_KEPT
    assert log.enrolments[-1].cohort.epoch == MAX_KEPT - 1


@pytest.mark.parametrize(
    "damage", [b"{", b'{"format": 1}', b'{"format": 1, "enrolments": [{"report": {}}]}']
)
def test_a_damaged_file_is_set_aside_and_begun_anew(client: SimulatedClient, damage: bytes) -> None:
    client.update()
    path = client.home / "state" / "reports.json"
    path.write_bytes(damage)
    with scripted_server(TAKEN) as server:
        let_report(client, server)
        assert client.update() == "up-to-date"
        assert len(Listener(server).active) == 1
    assert path.with_name("reports.json.damaged-1").read_bytes() == damage


def test_a_newer_updaters_file_is_left_alone_and_costs_a_warning(client: SimulatedClient) -> None:
    client.update()
    path = client.home / "state" / "reports.json"
    path.write_bytes(b'{"format": 2}')
    with scripted_server(TAKEN) as server:
        let_report(client, server)
        events: list[object] = []
        assert client.update(events=events) == "up-to-date"  # type: ignore[arg-type]
        assert server.requests == []
    assert path.read_bytes() == b'{"format": 2}'
    assert "newer updater" in str(events[-1])


def test_reports_go_below_the_apps_folder_or_where_the_owner_says(
    client: SimulatedClient,
) -> None:
    assert client.updater.configuration.reports_to == ""
    _set(client, "reports = true")
    assert client.updater.configuration.reports_to == "http://repository.test/demo/reports"
    _set(client, 'reports_url = "https://reports.test/x"')
    assert client.updater.configuration.reports_to == "https://reports.test/x"


@pytest.mark.parametrize(
    "line", ['reports = "yes"', "reports = 1", 'reports_url = "file:///x"', 'reports_url = "x"']
)
def test_a_setting_that_makes_no_sense_is_refused(client: SimulatedClient, line: str) -> None:
    _set(client, line)
    with pytest.raises(UsageError):
        _ = client.updater
