"""What `lockgate publish` refuses: bad input, and whom it does not trust."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.layout import target_key
from lockgate_release.names import Sha256Hex
from lockgate_server.ports import Scope
from tests.simulators.archives import make_tar_of
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


# Bad input.


@pytest.mark.parametrize("version", ["one", "1.0", "1.0.0/../2", "v1.0.0", ""])
def test_what_is_no_version_is_refused(desk: ReleaseDesk, version: str) -> None:
    desk.build("1.0.0")
    arguments = ["publish", "--version", version, "--channel", "stable"]
    arguments += ["--artifact", f"{PLATFORM}=demo-1.0.0.tar.gz"]
    before = desk.files()
    desk.person.must_end(ExitCode.USAGE, arguments, "version: not a version", repr(version))
    assert desk.files() == before


@pytest.mark.parametrize("exposure", ["half", "101%", "-1", "1.234%", "\u0661\u0660"])
def test_what_is_no_percentage_is_refused(desk: ReleaseDesk, exposure: str) -> None:
    desk.refuse(
        ExitCode.USAGE, "1.0.0", f"--exposure={exposure}", words="--exposure: not a percentage"
    )


def test_a_channel_that_is_none_is_refused(desk: ReleaseDesk) -> None:
    desk.refuse(
        ExitCode.USAGE, "1.0.0", "--channel", "Not One", words="--channel: not a channel name"
    )


def test_an_archive_with_a_way_out_is_refused_by_name(desk: ReleaseDesk) -> None:
    path = desk.build("1.0.0")
    path.write_bytes(make_tar_of([(tarfile.TarInfo("../outside"), b"x")]))
    desk.refuse(ExitCode.REFUSED, "1.0.0", words=path.name)


def test_two_artifacts_for_one_platform_are_refused_before_either_is_read(
    desk: ReleaseDesk,
) -> None:
    path = desk.build("1.0.0")
    twice = ("--artifact", f"{PLATFORM}={path.name}")
    refused = desk.refuse(ExitCode.USAGE, "1.0.0", *twice, words="two artifacts for one platform")
    assert "reading" not in refused.err


@pytest.mark.parametrize("option", ["--entrypoint", "--health"])
@pytest.mark.parametrize("program", ["bin/missing", "share/version", "../bin/app"])
def test_a_program_that_could_never_start_is_refused(
    desk: ReleaseDesk, option: str, program: str
) -> None:
    desk.refuse(ExitCode.USAGE, "1.0.0", option, program, words="no such program")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--tries", "0", "install.health.tries"),
        ("--health-timeout", "99999", "install.health.timeout_s"),
        ("--requires-from", "one", "requires.from_version"),
    ],
)
def test_an_instruction_out_of_range_is_refused_by_its_field(
    desk: ReleaseDesk, option: str, value: str, words: str
) -> None:
    desk.refuse(ExitCode.USAGE, "1.0.0", option, value, words=words)


def test_notes_that_are_not_text_are_refused(desk: ReleaseDesk) -> None:
    (desk.folder / "notes.md").write_bytes(b"\xff\xfe")
    desk.refuse(ExitCode.USAGE, "1.0.0", "--notes", "notes.md", words="not UTF-8")
    (desk.folder / "notes.md").write_text("x" * 100_001)
    desk.refuse(ExitCode.USAGE, "1.0.0", "--notes", "notes.md", words="100000")
    desk.refuse(ExitCode.USAGE, "1.0.0", "--notes", "missing.md", words="missing.md")


def test_a_release_that_would_reach_nobody_is_refused(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0")
    desk.refuse(ExitCode.USAGE, "1.0.0", words="reach nobody")


# Keys and trust.


def test_no_signature_is_refused_with_how_many_are_missing(tmp_path: Path) -> None:
    with open_desk(tmp_path) as desk:
        desk.init("--publishers", "3", "--publisher-threshold", "2")
        settings = desk.folder / "lockgate.toml"
        lines = settings.read_text("utf-8").splitlines(keepends=True)
        settings.write_text("".join(line for line in lines if not line.startswith("keys")))
        one = "keys/publisher/publisher-1.pem"
        two = "keys/publisher/publisher-2.pem"
        stranger = "keys/root/maintainer-1.pem"
        desk.refuse(ExitCode.USAGE, "1.0.0", words="0, so 2 missing")
        desk.refuse(ExitCode.USAGE, "1.0.0", words="--unsigned")
        more = ("--key", one, "--key", stranger)
        desk.refuse(ExitCode.USAGE, "1.0.0", *more, words="1, so 1 missing; not keys of this role")
        desk.publish("1.0.0", "--key", one, "--key", two)


def test_a_key_that_is_no_publisher_s_is_named(desk: ReleaseDesk) -> None:
    key = "keys/root/maintainer-1.pem"
    desk.refuse(ExitCode.USAGE, "1.0.0", "--key", key, words="maintainer-1.pem")


def test_a_key_that_cannot_be_read_is_this_machine_s_fault(desk: ReleaseDesk) -> None:
    desk.refuse(ExitCode.LOCAL, "1.0.0", "--key", "missing.pem", words="missing.pem")


def test_another_root_than_the_pinned_one_is_refused(desk: ReleaseDesk, tmp_path: Path) -> None:
    with open_desk(tmp_path / "other") as other:
        other.init()
        path = other.folder / "keys" / "root.json"
        desk.refuse(ExitCode.REFUSED, "1.0.0", "--root", str(path), words="cannot be verified")


def test_a_server_that_changes_a_document_is_not_built_upon(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    path = target_key(APP, "policy.json", _digest_of(desk, "policy.json"))
    found = desk.server.store.objects[path]
    object.__setattr__(found, "data", found.data.replace(b"semver", b"pep440"))
    desk.refuse(ExitCode.REFUSED, "1.1.0", words="policy.json")


def _digest_of(desk: ReleaseDesk, path: str) -> Sha256Hex:
    target = desk.chain().target(path)
    assert target is not None
    return Sha256Hex(target.hashes["sha256"])


def test_expired_metadata_is_not_built_upon(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.pass_time(days=8)
    desk.refuse(ExitCode.REFUSED, "1.1.0", words="timestamp")


def test_a_token_that_may_only_read_is_refused(desk: ReleaseDesk) -> None:
    token = desk.server.token(Scope.READ)
    ended = desk.refuse(ExitCode.DENIED, "1.0.0", "--token", token, words="does not allow")
    assert token not in ended.err
