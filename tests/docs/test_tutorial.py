"""The tutorial, the front page and the how-tos, typed as they are written, on a real server."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.platforms import current_platform
from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.terminal import Terminal
from tests.simulators.log_reader import read_log

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial" / "first-release.md"
README = ROOT / "README.md"
HOW_TO = DOCS / "how-to"
ANOTHER = "linux-aarch64" if current_platform() != "linux-aarch64" else "linux-x86_64"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    # The pages say linux-x86_64; whoever follows them says what their own machine is.
    platforms = {"linux-aarch64": ANOTHER, "linux-x86_64": current_platform()}
    with Terminal(folder=tmp_path, rewrites=platforms) as terminal:
        yield terminal


def _blocks(page: Path, *languages: str) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in languages or not languages]


def _build(folder: Path, version: str, archive: str) -> None:
    """Leave what CI would have built: a program that says its version and its arguments."""
    program = folder / "tree" / "bin" / "myapp"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\necho myapp {version} "$@"\n', "utf-8")
    program.chmod(0o755)
    (folder / archive).parent.mkdir(exist_ok=True)
    with tarfile.open(folder / archive, "w:gz") as packed:
        packed.add(program, "bin/myapp")


def _installed(home: Path) -> str:
    return (home / "current").readlink().name


def test_the_tutorial_ends_as_it_says(terminal: Terminal, tmp_path: Path) -> None:
    install, *blocks = _blocks(TUTORIAL)
    assert "make setup" in install.text
    typed = terminal.follow(blocks)
    assert sum(bool(ended.line.comment) for ended in typed) >= 8, "the page claims too little"
    # 1. What the server made, what it prints, and what it keeps of a token.
    data = tmp_path / "data"
    addresses = json.loads((data / "run.json").read_text("utf-8"))
    assert all(addresses[side] in typed[0].said for side in ("public", "api"))
    assert {"objects", "ledger.sqlite3"} <= {path.name for path in data.iterdir()}
    kept = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    token = terminal.type("echo $LOCKGATE_TOKEN").said.strip()
    assert token.startswith("lg_")
    assert not [content for content in kept if token.encode() in content]
    # 2. Three things in keys/, none of whose secrets the server has; and lockgate.toml.
    keys = tmp_path / "keys"
    assert {path.name for path in keys.iterdir()} == {"root", "publisher", "root.json"}
    secrets = [path.read_bytes() for path in keys.rglob("*.pem")]
    assert len(secrets) == 2
    assert not {*secrets} & {*kept}
    assert 'app = "hello"' in (tmp_path / "lockgate.toml").read_text("utf-8")
    # 4. to 6. One link says that the good release is the program.
    current = tmp_path / "client" / "current"
    assert current.resolve().parent == tmp_path / "client" / "versions"
    assert "1.0.0" in (current / "bin" / "hello").read_text("utf-8")


def test_the_front_page_ends_as_it_says(terminal: Terminal, tmp_path: Path) -> None:
    run, client, revoke = _blocks(README, "")[1:]
    home = tmp_path / ".myapp"
    _build(tmp_path, "1.0.0", "myapp-1.0.0.tar.gz")
    terminal.follow([run])
    *_, started = terminal.follow([client])
    assert started.said == "myapp 1.0.0 --its --own arguments\n"
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "root.json").write_bytes((tmp_path / "keys" / "root.json").read_bytes())
    for page in (README, HOW_TO / "python-program.md"):
        for block in _blocks(page, "python"):
            assert "1.0.0 is installed" in terminal.run_python(block)
    _build(tmp_path, "1.0.1", "myapp-1.0.1.tar.gz")
    (publish,) = (line.text for line in run.typed() if line.text.startswith("lockgate publish"))
    assert terminal.type(publish.replace("1.0.0", "1.0.1")).code == 0
    assert terminal.type("lockgate-updater update --home ~/.myapp").code == 0
    assert _installed(home).startswith("1.0.1-")
    # At a terminal it asks for the version; here nobody is there to type it.
    terminal.rewrites["lockgate revoke"] = "lockgate revoke --yes"
    terminal.follow([revoke])
    assert terminal.type("lockgate-updater update --home ~/.myapp").code == 0
    assert _installed(home).startswith("1.0.0-")


def test_the_how_tos_end_as_they_say(terminal: Terminal, tmp_path: Path) -> None:
    server, init = _blocks(README, "")[1].typed(), "lockgate init myapp --keys keys"
    for line in server:
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    assert terminal.type(f"{init} --server http://127.0.0.1:8080").code == 0
    for version, page in (("1.4.0", "publish-from-ci"), ("2.0.0", "roll-out-in-steps")):
        _build(tmp_path, version, "dist/myapp-x86_64.tar.gz")
        _build(tmp_path, version, "dist/myapp-aarch64.tar.gz")
        (tmp_path / "NOTES.md").write_text("What changed.\n", "utf-8")
        terminal.follow(_blocks(HOW_TO / f"{page}.md", ""))
        client = next(iter(_blocks(HOW_TO / "ship-a-client.md", "")))
        terminal.follow([client])
    for page in (
        "clients-stuck",
        "take-back-a-release",
        "renew",
        "keep-the-bucket-small",
        "mirror",
        "preview-channels",
    ):
        terminal.follow(_blocks(HOW_TO / f"{page}.md", "", "sh"))
    assert _installed(tmp_path / ".myapp").startswith("2.0.0-")
    *_, mirror = _blocks(HOW_TO / "ship-a-client.md", "")
    terminal.rewrites["file:///media/mirror"] = (tmp_path / "data" / "objects").as_uri()
    terminal.follow([mirror])
    assert _installed(tmp_path / ".myapp").startswith("1.4.0-")


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page reads the log with jq")
def test_following_an_operation_ends_as_it_says(terminal: Terminal, tmp_path: Path) -> None:
    for line in _blocks(README, "")[1].typed():
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    init = "lockgate init myapp --keys keys --server http://127.0.0.1:8080"
    assert terminal.type(init).code == 0
    _build(tmp_path, "1.4.0", "dist/myapp-x86_64.tar.gz")
    typed = terminal.follow(_blocks(HOW_TO / "follow-an-operation.md", ""))
    assert sum(bool(ended.line.comment) for ended in typed) >= 7, "the page claims too little"
    lines = read_log((tmp_path / "data.log").read_text("utf-8"))
    mine = [line for line in lines if line.get("operation_id") == "build-7"]
    assert {line["event"] for line in mine} >= {"request.served", "change.in-force"}
    assert len({line["request_id"] for line in mine}) > 3
    (change,) = (line for line in mine if line["event"] == "change.in-force")
    assert (change["version"], change["channel"], change["epoch"]) == ("1.4.0", "stable", 1)


def test_a_rollout_by_evidence_ends_as_it_says(terminal: Terminal, tmp_path: Path) -> None:
    for line in _blocks(README, "")[1].typed():
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    init = "lockgate init myapp --keys keys --server http://127.0.0.1:8080"
    assert terminal.type(init).code == 0
    _build(tmp_path, "2.0.0", "dist/myapp-x86_64.tar.gz")
    page = HOW_TO / "roll-out-by-evidence.md"
    settings = tmp_path / "lockgate.toml"
    (plan,) = _blocks(page, "toml")
    settings.write_text(settings.read_text("utf-8") + plan.text, "utf-8")
    typed = terminal.follow(_blocks(page, ""))
    assert sum(bool(ended.line.comment) for ended in typed) >= 6, "the page claims too little"


def test_the_keys_of_a_team_are_kept_and_changed_as_the_pages_say(
    terminal: Terminal, tmp_path: Path
) -> None:
    # What caches are waited for is not what the pages are about.
    terminal.server_environ = {"LOCKGATE_ROOT_WAITS": "1s", "LOCKGATE_KEY_OVERLAP": "1s"}
    for line in _blocks(README, "")[1].typed():
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    terminal.type("export LOCKGATE_KEY_PASSPHRASE='correct horse battery'")
    # At a terminal it asks whether to sign; here nobody is there to type yes.
    terminal.rewrites["lockgate root sign"] = "lockgate root sign --yes"
    typed = terminal.follow(_blocks(HOW_TO / "keys.md", ""))
    assert terminal.type("lockgate keys generate spare.pem --name spare").code == 0
    typed += terminal.follow(_blocks(HOW_TO / "change-keys.md", ""))
    assert sum(bool(ended.line.comment) for ended in typed) >= 15, "the pages claim too little"
    listed = json.loads(terminal.type("lockgate keys list --json 2>/dev/null").said)["keys"]
    assert {one["name"] for one in listed if one["role"] == "root"} == {"laptop", "desk", "spare"}
    assert {one["name"] for one in listed if one["role"] == "releases"} == {"ci-2"}
    # No server, no file that went round, holds anything secret.
    secrets = [(tmp_path / f"{name}.pem").read_bytes() for name in ("laptop", "desk", "ci")]
    carried = [path.read_bytes() for path in tmp_path.glob("*.json")]
    assert carried
    assert not [data for data in carried if any(secret in data for secret in secrets)]


def test_the_server_s_key_is_replaced_as_the_page_says(terminal: Terminal, tmp_path: Path) -> None:
    terminal.server_environ = {"LOCKGATE_ROOT_WAITS": "1s"}
    for line in _blocks(README, "")[1].typed():
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    init = "lockgate init myapp --keys keys --server http://127.0.0.1:8080"
    assert terminal.type(init).code == 0
    terminal.rewrites["lockgate root sign"] = "lockgate root sign --yes"
    before = (tmp_path / "data" / "keys" / "myapp.pem").read_bytes()
    typed = terminal.follow(_blocks(HOW_TO / "rotate-the-online-key.md", ""))
    assert sum(bool(ended.line.comment) for ended in typed) >= 9, "the page claims too little"
    (left,) = (tmp_path / "data" / "keys").iterdir()
    assert left.name == "myapp.pem"
    assert left.read_bytes() != before


def test_what_several_people_publish_waits_and_goes_live_as_the_page_says(
    terminal: Terminal, tmp_path: Path
) -> None:
    for line in _blocks(README, "")[1].typed():
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    _build(tmp_path, "1.4.0", "dist/myapp-x86_64.tar.gz")
    (tmp_path / "NOTES.md").write_text("What changed.\n", "utf-8")
    # At a terminal they ask whether to sign; here nobody is there to type yes.
    terminal.rewrites["lockgate root sign"] = "lockgate root sign --yes"
    terminal.rewrites["lockgate sign"] = "lockgate sign --yes"
    typed = terminal.follow(_blocks(HOW_TO / "sign-together.md", ""))
    assert sum(bool(ended.line.comment) for ended in typed) >= 12, "the page claims too little"
    terminal.follow(_blocks(HOW_TO / "ship-a-client.md", "")[:1])
    assert _installed(tmp_path / ".myapp").startswith("1.4.0-")


def test_the_bar_is_raised_as_the_page_says(terminal: Terminal, tmp_path: Path) -> None:
    for line in _blocks(README, "")[1].typed():
        if line.text.startswith(("lockgate-server", "export")):
            terminal.type(line.text)
    init = "lockgate init myapp --keys keys --server http://127.0.0.1:8080"
    assert terminal.type(init).code == 0
    _build(tmp_path, "1.4.0", "dist/myapp-x86_64.tar.gz")
    artifact = f"{current_platform()}=dist/myapp-x86_64.tar.gz"
    publish = f"lockgate publish --version 1.4.0 --channel stable --artifact {artifact}"
    assert terminal.type(publish).code == 0
    typed = terminal.follow(_blocks(HOW_TO / "raise-the-bar.md", ""))
    assert sum(bool(ended.line.comment) for ended in typed) >= 11, "the page claims too little"
    shown = terminal.type("lockgate policy show")
    assert '"previews/*/release.json"' in shown.said
