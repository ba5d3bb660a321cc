"""Two jobs that publish at once, and one that was cut off, both end well."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, EnvironBuilder

from lockgate_release.errors import ExitCode
from tests.simulators.api_server import serve_app
from tests.simulators.command_line import CommandLine
from tests.simulators.release_desk import ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


def test_two_jobs_that_publish_at_once_both_end_well(desk: ReleaseDesk) -> None:
    for version in ("0.9.0", "1.0.0", "1.1.0"):
        desk.publish(version)

    def overtake() -> str:
        desk.publish("1.2.0")
        return "y"

    slow = CommandLine(folder=desk.folder, environ=desk.person.environ, watched=True)
    slow.answers = [overtake]
    ended = slow.must(*desk.publish_arguments("1.3.0", "--keep", "2"))
    assert "somebody else published first" in ended.err
    assert "found 5. Reading the state again" in ended.err
    assert "- 1.0.0 vanishes" in ended.err
    assert desk.versions() == {"1.1.0", "1.2.0", "1.3.0"}
    assert desk.offers() == {"1.3.0": 10_000}


def test_the_same_version_published_by_another_job_meanwhile_is_a_conflict(
    desk: ReleaseDesk,
) -> None:
    for version in ("0.9.0", "1.0.0", "1.1.0"):
        desk.publish(version)
    (desk.folder / "mine").write_bytes(b"#!/bin/sh\n")
    arguments = ["publish", "--version", "1.2.0", "--channel", "stable", "--keep", "1"]

    def overtake() -> str:
        desk.publish("1.2.0")
        return "y"

    slow = CommandLine(folder=desk.folder, environ=desk.person.environ, watched=True)
    slow.answers = [overtake]
    slow.must_end(ExitCode.CONFLICT, [*arguments, "--artifact", "any=mine"], "other content")
    assert desk.offers() == {"1.2.0": 10_000}


class Gateway:
    """Stands before the api app, and spoils the answers to what it is told to spoil."""

    def __init__(self, app: Flask, path: str) -> None:
        self.app = app
        self.path = path
        self.spoils = 0
        self.lets_through = True

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if self.spoils and environ["PATH_INFO"].endswith(self.path):
            self.spoils -= 1
            if self.lets_through:
                # The app has done it; only its answer is lost.
                Client(self.app).open(EnvironBuilder.from_environ(environ))
            start_response("502 Bad Gateway", [("Content-Length", "0")])
            return [b""]
        return self.app(environ, start_response)


@pytest.fixture
def gateway(desk: ReleaseDesk) -> Iterator[Gateway]:
    made = Gateway(desk.server.api(), "/publish")
    with serve_app(made) as address:
        desk.person.environ["LOCKGATE_SERVER"] = address
        yield made


def test_a_lost_answer_is_found_to_have_been_a_yes(desk: ReleaseDesk, gateway: Gateway) -> None:
    gateway.spoils = 1
    assert "Reading the state again" in desk.publish("1.0.0").err
    assert desk.offers() == {"1.0.0": 10_000}
    assert desk.chain().releases.version == 2


def test_a_publish_that_was_cut_off_shows_clients_the_old_state_and_is_finished_by_the_next(
    desk: ReleaseDesk, gateway: Gateway
) -> None:
    desk.publish("1.0.0")
    gateway.spoils, gateway.lets_through = 99, False
    ended = desk.person.run(*desk.publish_arguments("1.1.0"))
    assert ended.code == ExitCode.TRANSPORT
    assert desk.offers() == {"1.0.0": 10_000}
    gateway.spoils = 0
    assert "already on the server" in desk.publish("1.1.0").err
    assert desk.offers() == {"1.1.0": 10_000}


def test_a_publish_cut_off_between_two_channels_is_finished_by_the_next(
    desk: ReleaseDesk, gateway: Gateway
) -> None:
    desk.publish("1.0.0", "--channel", "stable")
    gateway.spoils, gateway.lets_through = 99, False
    both = ("--channel", "stable", "--channel", "beta")
    assert desk.person.run(*desk.publish_arguments("1.0.0", *both)).code == ExitCode.TRANSPORT
    gateway.spoils = 0
    desk.publish("1.0.0", *both)
    assert desk.offers("stable") == desk.offers("beta") == {"1.0.0": 10_000}
