"""The main job on real input: publish, update, hold, break, roll back, revoke.

Run by `make demo`. Everything it types is a command you can type; everything it claims is checked,
and the first claim that does not hold ends it with a non-zero exit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":  # started by its path: let `demo` be found as a package
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.program import BROKEN, ENTRYPOINT, FIRST, NAME, SECOND, Build, fetch_builds
from demo.stage import BIN, Stage, StageError
from lockgate_release.errors import ExitCode
from lockgate_release.platforms import current_platform

_READY_TIMEOUT_S = 60
_MOST_CLIENTS = 24
OLDEST = "client-1"
"""The client that has had both good releases, and so has somewhere to go back to."""


def main() -> int:
    """Play the whole story and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="leave the server running at the end")
    keep = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="lockgate-demo-"))
    stage = Stage(folder=folder)
    try:
        with _server(stage, keep=keep) as (public, api):
            _play(stage, public, api)
            stage.summarise()
            if keep:
                _say_how_to_look_around(stage, public, api)
    except (StageError, subprocess.SubprocessError, OSError) as exc:
        print(f"\nThe demonstration failed: {exc}\nIts folder is {folder}", file=sys.stderr)
        return 1
    if not keep:
        shutil.rmtree(folder)
    return 0


@contextmanager
def _server(stage: Stage, *, keep: bool) -> Iterator[tuple[str, str]]:
    """Run a server on an empty folder, and stop it at the end unless it is to be kept."""
    stage.say("1. A server starts on an empty folder: files, SQLite, no set-up")
    command = ["lockgate-server", "run", "--data", "data", "--listen", "127.0.0.1:0"]
    stage.note("$ " + " ".join(command))
    log = (stage.folder / "server.log").open("wb")
    process = subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        cwd=stage.folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        addresses = _wait_until_ready(stage, process)
        stage.note(f"public side {addresses[0]}, maintainers' API {addresses[1]}")
        yield addresses
    except BaseException:
        keep = False
        raise
    finally:
        log.close()
        if not keep:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=_READY_TIMEOUT_S)


def _wait_until_ready(stage: Stage, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Return the public and the API address once the server says that it is ready."""
    ready = stage.folder / "data" / "run.json"
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            log = (stage.folder / "server.log").read_text("utf-8", "replace")
            raise StageError(f"the server did not start:\n{log}")
        time.sleep(0.05)
    run = json.loads(ready.read_text("utf-8"))
    return run["public"], run["api"]


def _play(stage: Stage, public: str, api: str) -> None:
    first, second, broken = _prepare(stage, api)
    _publish_and_install(stage, public, first)
    inside, outside = _hold_some(stage, public, second)
    _widen(stage, inside, outside)
    _break_and_roll_back(stage, broken)
    _revoke_and_leave(stage)


def _prepare(stage: Stage, api: str) -> tuple[Build, Build, Build]:
    stage.say(f"2. Fetching a real program: two consecutive releases of {NAME}, from its wheels")
    builds = fetch_builds(stage.folder, stage.note)
    stage.say("3. A maintainer takes a token and creates the app; the keys never touch the server")
    token = stage.run(
        "lockgate-server", "token", "create", "--data", "data", "--scope", "admin", quiet=True
    )
    stage.note("$ lockgate-server token create --data data --scope admin")
    stage.secrets["LOCKGATE_TOKEN"] = token.strip()
    stage.run("lockgate", "init", NAME, "--server", api, "--keys", "keys")
    return builds


def _publish(stage: Stage, build: Build, *more: str) -> None:
    command = ["lockgate", "publish", "--app", NAME, "--version", build.version]
    command += ["--channel", "stable", "--artifact", f"{current_platform()}={build.archive.name}"]
    command += ["--entrypoint", ENTRYPOINT, "--health", f"{ENTRYPOINT} --version"]
    stage.run(*command, *more)


def _publish_and_install(stage: Stage, public: str, build: Build) -> None:
    stage.say(f"4. Release CI publishes {build.version} to everybody, and a client installs it")
    _publish(stage, build)
    _make_client(stage, public, OLDEST)
    stage.run("lockgate-updater", "update", "--home", OLDEST)
    stage.show("The installed program runs", found=_version_of(stage, OLDEST), expected=FIRST)


def _make_client(stage: Stage, public: str, home: str, *, quiet: bool = False) -> None:
    command = ["lockgate-updater", "init", "--home", home, "--app", NAME]
    command += ["--repository", public, "--root", "keys/root.json", "--channel", "stable"]
    stage.run(*command, quiet=quiet)


def _version_of(stage: Stage, home: str) -> str:
    """Return what the installed program itself says its version is."""
    program = stage.folder / home / "current" / ENTRYPOINT
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def _hold_some(stage: Stage, public: str, build: Build) -> tuple[str, str]:
    """Publish to half of the clients; return one that is offered it and one that is held."""
    stage.say(
        f"5. {build.version} goes to half of the clients; the gate decides on each client itself"
    )
    _publish(stage, build, "--exposure", "50%")
    first_is_inside = _check_code(stage, OLDEST) == ExitCode.OFFER
    for number in range(2, _MOST_CLIENTS):
        other = f"client-{number}"
        _make_client(stage, public, other, quiet=True)
        offered = stage.ask("lockgate-updater", "check", "--home", other, exits=ExitCode.OFFER)
        stage.note(f"a new client, {other}, is offered {offered['version']}")
        if (offered["version"] == SECOND) is not first_is_inside:
            break
    else:
        raise StageError(f"the gate treats {_MOST_CLIENTS} clients alike")
    inside, outside = (OLDEST, other) if first_is_inside else (other, OLDEST)
    if outside == other:
        stage.run("lockgate-updater", "update", "--home", other, quiet=True)
        stage.note(f"so {other} installs {_version_of(stage, other)}")
    stage.run("lockgate-updater", "check", "--home", inside, exits=ExitCode.OFFER)
    stage.run("lockgate-updater", "check", "--home", outside, exits=ExitCode.HELD)
    stage.shown.append((f"The gate offers {SECOND} to", inside))
    stage.shown.append((f"The gate holds {SECOND} back from", outside))
    return inside, outside


def _check_code(stage: Stage, home: str) -> int:
    done = subprocess.run(
        [str(BIN / "lockgate-updater"), "check", "--home", home],
        cwd=stage.folder,
        capture_output=True,
        check=False,
    )
    return done.returncode


def _widen(stage: Stage, inside: str, outside: str) -> None:
    stage.say("6. The offered client updates; then the rollout is opened and the held one follows")
    stage.run("lockgate-updater", "update", "--home", inside)
    stage.show("The offered client now runs", found=_version_of(stage, inside), expected=SECOND)
    stage.run(
        "lockgate", "rollout", "set", NAME, SECOND, "--channel", "stable", "--exposure", "100%"
    )
    stage.run("lockgate-updater", "update", "--home", outside)
    stage.show("The held client now runs", found=_version_of(stage, outside), expected=SECOND)


def _break_and_roll_back(stage: Stage, build: Build) -> None:
    stage.say(
        f"7. {build.version} is published: signed in order, but half of its program is missing"
    )
    _publish(stage, build)
    stage.run("lockgate-updater", "update", "--home", OLDEST, exits=ExitCode.ROLLED_BACK)
    stage.show(
        "After the failed health check it runs", found=_version_of(stage, OLDEST), expected=SECOND
    )
    verdict = stage.ask("lockgate-updater", "check", "--home", OLDEST, exits=11)
    stage.show(f"{BROKEN} is held because it is", found=verdict["obstacle"], expected="quarantined")


def _revoke_and_leave(stage: Stage) -> None:
    stage.say(f"8. {SECOND} turns out to be bad too: it is revoked, and clients leave it")
    reason = "the demonstration says so"
    stage.run("lockgate", "revoke", NAME, SECOND, "--reason", reason, "--yes")
    stage.run("lockgate-updater", "update", "--home", OLDEST)
    stage.show("After the revocation it runs", found=_version_of(stage, OLDEST), expected=FIRST)
    stage.run("lockgate-updater", "explain", "--home", OLDEST)


def _say_how_to_look_around(stage: Stage, public: str, api: str) -> None:
    stage.say("The server is left running")
    stage.note(f"cd {stage.folder}")
    stage.note(f"export LOCKGATE_TOKEN={stage.secrets['LOCKGATE_TOKEN']} PATH={BIN}:$PATH")
    stage.note(f"curl {public}/{NAME}/channels/stable/version.json")
    stage.note(f"curl {public}/health/snapshot      curl {api}/api/v1/openapi.json")
    stage.note(
        "lockgate status      lockgate releases list      lockgate-updater status --home client-1"
    )
    pid = json.loads((stage.folder / "data" / "run.json").read_text("utf-8"))["pid"]
    stage.note(f"to stop it: kill {pid}")


if __name__ == "__main__":
    sys.exit(main())
