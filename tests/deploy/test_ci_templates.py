"""The templates for CI services, run as those services run them: by bash, inputs as variables."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from lockgate_release.digests import digest_bytes
from tests.docs.pages import ROOT
from tests.simulators.release_desk import ReleaseDesk, open_desk
from tests.simulators.scripted_server import Answer, scripted_server
from tests.simulators.sigstore import SLSA, WORKFLOW, SigstoreSimulator, serve_sigstore

ACTION = ROOT / "deploy" / "github" / "action.yml"
CLAIM = ROOT / "deploy" / "github" / "claim" / "action.yml"
TEMPLATE = ROOT / "deploy" / "gitlab" / "publish.yml"
TIMEOUT_S = 60
LOCKGATE = Path(sys.executable).with_name("lockgate")


@dataclass(frozen=True, kw_only=True)
class Ran:
    code: int
    err: str
    result: str = ""
    summary: str = ""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """A server with nothing published yet."""
    with open_desk(tmp_path, datetime.now(UTC)) as made:
        made.init()
        yield made


@pytest.fixture(scope="module")
def refusing_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseDesk]:
    """The same for tests in which nothing is ever published."""
    with open_desk(tmp_path_factory.mktemp("ci"), datetime.now(UTC)) as made:
        made.init()
        yield made


def publisher_key(desk: ReleaseDesk) -> str:
    return (desk.folder / "keys/publisher/publisher-1.pem").read_text("utf-8")


def action(path: Path = ACTION) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def operations_of(desk: ReleaseDesk) -> list[str]:
    """Which runs the audit log names, newest first."""
    entries: list[dict[str, Any]] = desk.person.must("audit", "--json").json()["entries"]
    return [entry["operation_id"] for entry in entries if entry["action"] == "publish"]


def run_action(
    desk: ReleaseDesk,
    service: Mapping[str, str] = MappingProxyType({}),
    path: Path = ACTION,
    runs: Path = LOCKGATE,
    /,
    **inputs: str,
) -> Ran:
    """Run the action's last step as a runner does: its inputs and defaults, its files.

    Args:
        desk: Where it publishes.
        service: What else the CI service puts into the environment.
        path: The action.
        runs: The program that the action has installed as `lockgate`.
        inputs: The action's.
    """
    said = action(path)
    defaults = {name: item.get("default", "") for name, item in said["inputs"].items()}
    values = {**defaults, **{name.replace("_", "-"): value for name, value in inputs.items()}}
    step = said["runs"]["steps"][-1]
    folder = desk.folder.parent / "runner"
    (folder / "lockgate" / "bin").mkdir(parents=True, exist_ok=True)
    program = folder / "lockgate" / "bin" / "lockgate"
    program.unlink(missing_ok=True)
    program.symlink_to(runs)
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("", "utf-8")
    environ = {
        **os.environ,
        "RUNNER_TEMP": str(folder),
        "GITHUB_RUN_ID": "4711",
        "GITHUB_RUN_ATTEMPT": "2",
        **service,
        **{name: str(path) for name, path in files.items()},
        **{name: _fill_in(text, values) for name, text in step["env"].items()},
    }
    ran = _bash(step["run"], desk.folder, environ)
    output = files["GITHUB_OUTPUT"].read_text("utf-8")
    found = re.fullmatch(r"(?:result|subjects)<<(\S+)\n(.*)\n\1\n", output, re.DOTALL)
    return Ran(
        code=ran.returncode,
        err=ran.stderr,
        result=found[2] if found else "",
        summary=files["GITHUB_STEP_SUMMARY"].read_text("utf-8"),
    )


def _fill_in(text: str, inputs: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], text)


def _bash(script: str, folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_action_publishes_what_it_is_told(desk: ReleaseDesk) -> None:
    desk.build("1.0.0")
    notes = desk.folder / "NOTES.md"
    notes.write_text("It begins.\n", "utf-8")
    ran = run_action(
        desk,
        version="v1.0.0",
        channel="stable beta",
        artifacts="linux-x86_64=demo-1.0.0.tar.gz\r\n\n",
        token=desk.person.environ["LOCKGATE_TOKEN"],
        publisher_key=publisher_key(desk),
        arguments="--entrypoint=bin/app\n--notes=NOTES.md\n",
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.result)["version"] == "1.0.0"
    assert json.loads(ran.result)["operation_id"] == "github-4711-2"
    assert "1.0.0" in ran.summary
    assert desk.offers("stable") == desk.offers("beta") == {"1.0.0": 10_000}
    assert set(operations_of(desk)) == {"github-4711-2"}


def test_the_action_signs_as_the_job_it_runs_in_and_attaches_what_others_made(
    desk: ReleaseDesk,
) -> None:
    data = desk.build("1.0.0").read_bytes()
    with serve_sigstore() as sigstore, scripted_server(_token(sigstore)) as github:
        (desk.folder / "sigstore.json").write_text(sigstore.trust_config, "utf-8")
        (desk.folder / "slsa.json").write_bytes(sigstore.attest({"x": digest_bytes(data)}))
        ran = run_action(
            desk,
            {
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/token?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
            },
            version="1.0.0",
            channel="stable",
            artifacts="linux-x86_64=demo-1.0.0.tar.gz",
            token=desk.person.environ["LOCKGATE_TOKEN"],
            publisher_key=publisher_key(desk),
            sigstore="true",
            attestations="slsa.json\n",
            arguments="--trust-config=sigstore.json",
        )
        (asked,) = github.requests
    assert ran.code == 0, ran.err
    assert f"signed by {WORKFLOW.identity} (by {WORKFLOW.issuer})" in ran.err
    found = json.loads(ran.result)["attestations"]
    assert sorted(item["predicate_type"] for item in found) == ["", "", SLSA]
    assert "audience=sigstore" in asked.path
    assert asked.headers["authorization"] == "bearer of-the-job"


def test_the_action_for_builders_writes_the_claims_of_trees(refusing_desk: ReleaseDesk) -> None:
    names = ("demo-7.2.0.tar.gz", "demo-7.3.0.tar.gz")
    for version in ("7.2.0", "7.3.0"):
        refusing_desk.build(version)
    lines = f"linux-x86_64={names[0]}\r\n\n{names[1]}\n"
    ran = run_action(refusing_desk, {}, CLAIM, artifacts=lines)
    assert ran.code == 0, ran.err
    for name in names:
        claim = (refusing_desk.folder / f"{name}.tree-claim").read_text("ascii")
        sha256 = digest_bytes((refusing_desk.folder / name).read_bytes())
        assert claim.startswith(f"lockgate-tree-claim-1\nartifact {sha256}\ntree ")
    named = [f"./{name}{ending}" for name in names for ending in ("", ".tree-claim")]
    assert ran.result.splitlines() == named
    assert not re.search(r"subject-path:.*\*", CLAIM.read_text("utf-8"))


def test_the_action_for_builders_names_what_lies_elsewhere_as_it_was_named(
    refusing_desk: ReleaseDesk,
) -> None:
    path = refusing_desk.build("7.4.0")
    ran = run_action(refusing_desk, {}, CLAIM, artifacts=f"any={path}")
    assert ran.code == 0, ran.err
    assert ran.result.splitlines() == [str(path), f"{path}.tree-claim"]


@pytest.mark.parametrize("text", ["$(touch pwned)", "--json", "x; touch pwned", "`touch pwned`"])
def test_the_action_for_builders_runs_nothing_that_a_stranger_names(
    refusing_desk: ReleaseDesk, text: str
) -> None:
    ran = run_action(refusing_desk, {}, CLAIM, artifacts=text)
    assert ran.code != 0
    assert not list(refusing_desk.folder.rglob("pwned*"))


def _token(sigstore: SigstoreSimulator) -> Answer:
    return Answer(body=json.dumps({"value": sigstore.token()}).encode())


def test_a_job_without_the_permission_is_told_of_it(refusing_desk: ReleaseDesk) -> None:
    refusing_desk.build("7.1.0")
    ran = run_action(
        refusing_desk,
        {"GITHUB_ACTIONS": "true"},
        version="7.1.0",
        channel="stable",
        artifacts="linux-x86_64=demo-7.1.0.tar.gz",
        token=refusing_desk.person.environ["LOCKGATE_TOKEN"],
        publisher_key=publisher_key(refusing_desk),
        sigstore="true",
    )
    assert ran.code != 0
    assert "permissions: id-token: write" in ran.err


def test_a_publish_that_is_refused_fails_the_job_and_says_why(refusing_desk: ReleaseDesk) -> None:
    ran = run_action(
        refusing_desk,
        version="7.0.0",
        channel="stable",
        artifacts="linux-x86_64=not-there.tar.gz",
        token=refusing_desk.person.environ["LOCKGATE_TOKEN"],
        publisher_key=publisher_key(refusing_desk),
    )
    assert ran.code != 0
    assert "not-there.tar.gz" in ran.err
    assert ran.result == ran.summary == ""


HOSTILE = [
    "1.0.0; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    '1.0.0" && touch pwned && echo "',
    "1.0.0\ntouch pwned",
]


NAMED = ["version", "channel", "artifacts", "arguments", "server", "attestations"]


def _named_by_a_stranger(desk: ReleaseDesk, name: str, text: str) -> dict[str, str]:
    """A tag is named by whoever may push one, and it becomes an input."""
    return {
        "version": "8.0.0",
        "channel": "stable",
        "artifacts": "linux-x86_64=not-there.tar.gz",
        "token": desk.person.environ["LOCKGATE_TOKEN"],
        "publisher_key": publisher_key(desk),
        name: text,
    }


@pytest.mark.parametrize("name", NAMED)
def test_nothing_that_a_stranger_names_is_published(refusing_desk: ReleaseDesk, name: str) -> None:
    inputs = _named_by_a_stranger(refusing_desk, name, HOSTILE[NAMED.index(name) % len(HOSTILE)])
    assert run_action(refusing_desk, **inputs).code != 0
    assert not list(refusing_desk.folder.rglob("pwned*"))


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_names_reaches_the_command_as_words_and_nothing_of_it_is_run(
    refusing_desk: ReleaseDesk, tmp_path: Path, name: str, text: str
) -> None:
    said = tmp_path / "said"
    program = tmp_path / "lockgate"
    program.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" "$LOCKGATE_SERVER" >{said}\nexit 2\n')
    program.chmod(0o755)
    inputs = _named_by_a_stranger(refusing_desk, name, text)
    ran = run_action(refusing_desk, {}, ACTION, program, **inputs)
    assert ran.code == 2, ran.err
    assert not list(refusing_desk.folder.rglob("pwned*"))
    words = said.read_text("utf-8").split("\0")
    # Channels are parted by spaces; of everything else, the words stay together.
    expected = {"touch", "pwned"} if name == "channel" else {"touch pwned"}
    assert all(any(part in word for word in words) for part in expected), words


def test_no_input_is_text_of_a_script() -> None:
    for step in action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_action_installs_what_is_in_this_repository() -> None:
    install = action()["runs"]["steps"][0]["run"]
    found = re.findall(r"\$GITHUB_ACTION_PATH/(\S+)\"", install)
    assert len(found) == 2
    for path in found:
        assert (ACTION.parent / path / "pyproject.toml").exists()


def test_the_template_publishes_what_it_is_told(desk: ReleaseDesk) -> None:
    job = yaml.safe_load(TEMPLATE.read_text("utf-8"))[".lockgate-publish"]
    desk.build("2.0.0")
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **job["variables"],
        "VERSION": "v2.0.0",
        "CHANNEL": "stable",
        "ARTIFACTS": "linux-x86_64=demo-2.0.0.tar.gz\n",
        "ARGUMENTS": "--entrypoint=bin/app\n",
        "LOCKGATE_TOKEN": desk.person.environ["LOCKGATE_TOKEN"],
        "LOCKGATE_PUBLISHER_KEY": publisher_key(desk),
        "CI_PIPELINE_ID": "12",
        "CI_JOB_ID": "34",
    }
    [script] = job["script"]
    # GitLab takes bash where the image has it, and sh where not.
    ran = _bash(script, desk.folder, environ)
    assert ran.returncode == 0, ran.stderr
    assert desk.offers("stable") == {"2.0.0": 10_000}
    assert operations_of(desk)[0] == "gitlab-12-34"
    assert list((desk.folder / ".lockgate").iterdir())
    again = subprocess.run(
        ["sh", "-c", script], cwd=desk.folder, env=environ, capture_output=True, check=False
    )
    assert again.returncode == 0, again.stderr
