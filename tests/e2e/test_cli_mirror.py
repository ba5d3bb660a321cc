"""`lockgate mirror`, against the real api app; what it writes is read by the real updater."""

import fcntl
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.decision import UpToDate
from lockgate_release.errors import ExitCode, ExpiredError, StaleMirrorError
from lockgate_release.instants import parse_instant, utc_now
from lockgate_release.trust.chain import Chain, load_chain
from lockgate_server.ports import Scope
from lockgate_updater import Updater, init
from tests.simulators.command_line import Ended
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """Clients look at the real clock, so everybody does."""
    with open_desk(tmp_path, utc_now()) as made:
        made.init()
        made.publish("1.0.0")
        yield made


def mirror(desk: ReleaseDesk, *more: str, folder: str = "copy") -> Ended:
    return desk.person.must("mirror", folder, *more)


def files_of(folder: Path) -> dict[str, bytes]:
    """All that is served of a copy."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lockgate-mirror" not in path.parts
    }


def held_chain(desk: ReleaseDesk, folder: str = "copy") -> Chain:
    files = files_of(desk.folder / folder)
    root = (desk.folder / "keys" / "root.json").read_bytes()
    return load_chain(lambda name: files.get(f"{APP}/metadata/{name}"), root, now=None)


def client_of(desk: ReleaseDesk, folder: str = "copy", *, home: str = "client") -> Updater:
    """A client that knows the copy alone."""
    place = desk.folder.parent / home
    if not place.exists():
        init(
            place,
            app=APP,
            repository=(desk.folder / folder).as_uri(),
            channel="stable",
            root=(desk.folder / "keys" / "root.json").read_bytes(),
        )
    return Updater.open(place, environ={"PATH": "/usr/bin:/bin"}, clock=lambda: desk.person.now)


def installed(desk: ReleaseDesk, folder: str = "copy", *, home: str = "client") -> str:
    """The version that a client of the copy ends up with."""
    client_of(desk, folder, home=home).update()
    link = (desk.folder.parent / home / "current").readlink().name
    return link.rpartition("-")[0]


def test_an_address_without_the_app_says_what_an_address_is(desk: ReleaseDesk) -> None:
    (desk.folder / "nothing").mkdir()
    mirror(desk)
    for address in (
        (desk.folder / "nothing").as_uri(),
        (desk.folder / "missing").as_uri(),
        (desk.folder / "copy" / APP).as_uri(),
        f"{desk.api}/{APP}",
    ):
        arguments = ["mirror", "other", "--from", address]
        desk.person.must_end(ExitCode.REFUSED, arguments, "no repository", "--from names")
    assert files_of(desk.folder / "other") == {}


def test_a_root_that_is_none_is_called_by_its_own_name(desk: ReleaseDesk) -> None:
    wrong = desk.folder / "wrong.json"
    targets = desk.folder / "copy" / APP / "metadata" / "1.targets.json"
    mirror(desk)
    for content in (b"{}", b"\x00", b"", targets.read_bytes()):
        wrong.write_bytes(content)
        arguments = ["mirror", "copy", "--root", "wrong.json"]
        desk.person.must_end(ExitCode.REFUSED, arguments, "wrong.json")


def test_a_copy_serves_the_updater_as_the_server_would(desk: ReleaseDesk) -> None:
    mirror(desk)
    assert installed(desk) == "1.0.0"
    copy, store = files_of(desk.folder / "copy"), desk.files()
    assert {path: store[path] for path in copy} == copy
    left_out = {path.split("/")[1] for path in store if path not in copy}
    assert left_out == {"metadata"}, "only what the newest state has replaced"


def test_what_is_there_is_not_fetched_again(desk: ReleaseDesk) -> None:
    first = mirror(desk, "--json").json()
    assert first["changed"]
    assert len(first["artifacts_fetched"]) == 1
    again = mirror(desk, "--json").json()
    assert (again["changed"], again["artifacts_fetched"], again["files_written"]) == (False, [], [])
    desk.publish("1.1.0")
    third = mirror(desk, "--json").json()
    assert len(third["artifacts_fetched"]) == 1
    assert installed(desk) == "1.1.0"


def test_a_dry_run_writes_nothing(desk: ReleaseDesk) -> None:
    said = mirror(desk, "--dry-run", "--json", "--prune").json()
    assert len(said["artifacts_fetched"]) == 1
    assert not (desk.folder / "copy").exists()


def test_a_copy_is_made_of_a_copy_without_a_server_or_a_token(desk: ReleaseDesk) -> None:
    mirror(desk)
    del desk.person.environ["LOCKGATE_TOKEN"]
    mirror(desk, "--from", (desk.folder / "copy").as_uri(), folder="second")
    assert files_of(desk.folder / "second") == files_of(desk.folder / "copy")
    mirror(desk, "--from", desk.api, folder="third")
    assert files_of(desk.folder / "third") == files_of(desk.folder / "copy")


# What is verified.


def test_a_copy_does_not_go_back(desk: ReleaseDesk) -> None:
    mirror(desk, folder="old")
    desk.publish("1.1.0")
    mirror(desk)
    before = files_of(desk.folder / "copy")
    old = (desk.folder / "old").as_uri()
    arguments = ["mirror", "copy", "--from", old, "--prune"]
    desk.person.must_end(ExitCode.REFUSED, arguments, "older state")
    assert files_of(desk.folder / "copy") == before


def test_an_artifact_with_other_bytes_is_not_put_in_place(desk: ReleaseDesk) -> None:
    mirror(desk, folder="bad")
    [artifact] = (desk.folder / "bad" / APP / "artifacts").rglob("*/*")
    artifact.write_bytes(b"!" * artifact.stat().st_size)
    arguments = ["mirror", "copy", "--from", (desk.folder / "bad").as_uri()]
    desk.person.must_end(ExitCode.REFUSED, arguments, "not the bytes that were signed")
    assert files_of(desk.folder / "copy") == {}


def test_a_document_with_other_bytes_is_not_put_in_place(desk: ReleaseDesk) -> None:
    mirror(desk, folder="bad")
    [document] = (desk.folder / "bad" / APP / "targets").rglob("*.release.json")
    document.write_bytes(document.read_bytes() + b" ")
    arguments = ["mirror", "copy", "--from", (desk.folder / "bad").as_uri()]
    desk.person.must_end(ExitCode.REFUSED, arguments, "not the bytes that were signed")
    assert files_of(desk.folder / "copy") == {}


def test_another_trust_root_refuses_all_of_it(desk: ReleaseDesk) -> None:
    with open_desk(desk.folder.parent / "other", utc_now()) as other:
        other.init()
        root = other.folder / "keys" / "root.json"
        arguments = ["mirror", "copy", "--root", str(root)]
        desk.person.must_end(ExitCode.REFUSED, arguments)
    assert files_of(desk.folder / "copy") == {}


@pytest.mark.parametrize(
    "pattern", ["artifacts/*/*", "targets/**/*.release.json", "metadata/*.json"]
)
def test_files_that_rot_in_the_copy_are_mended_by_the_next_run(
    desk: ReleaseDesk, pattern: str
) -> None:
    mirror(desk)
    right = files_of(desk.folder / "copy")
    for place in (desk.folder / "copy" / APP).glob(pattern):
        place.write_bytes(b"?" * place.stat().st_size)
    mirror(desk)
    assert files_of(desk.folder / "copy") == right


def test_a_partial_artifact_is_gone_on_with_and_never_trusted(desk: ReleaseDesk) -> None:
    mirror(desk, folder="whole")
    [artifact] = (desk.folder / "whole" / APP / "artifacts").rglob("*/*")
    begun = desk.folder / "copy" / ".lockgate-mirror" / APP / artifact.name
    begun.parent.mkdir(parents=True)
    for held in (artifact.read_bytes()[:100], b"?" * 100, b"?" * 100_000):
        shutil.rmtree(desk.folder / "copy" / APP, ignore_errors=True)
        begun.write_bytes(held)
        mirror(desk)
        assert files_of(desk.folder / "copy") == files_of(desk.folder / "whole")
        assert not begun.exists()


def test_two_runs_do_not_write_into_one_folder(desk: ReleaseDesk) -> None:
    mirror(desk)
    with (desk.folder / "copy" / ".lockgate-mirror" / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        desk.person.must_end(ExitCode.CONFLICT, ["mirror", "copy"], "another run")


def test_every_root_is_kept_also_those_before_the_pinned_one(desk: ReleaseDesk) -> None:
    desk.person.must("renew", "--role", "root")
    newest = desk.folder / "newest.json"
    newest.write_bytes(desk.files()[f"{APP}/metadata/2.root.json"])
    mirror(desk, "--root", str(newest), "--prune")
    held = {path for path in files_of(desk.folder / "copy") if path.endswith("root.json")}
    assert held == {f"{APP}/metadata/1.root.json", f"{APP}/metadata/2.root.json"}
    assert installed(desk) == "1.0.0"


# Channels, and what may go.


def test_a_copy_of_one_channel_holds_what_that_channel_needs(desk: ReleaseDesk) -> None:
    desk.publish("2.0.0", "--channel", "beta")
    mirror(desk, "--channel", "stable")
    held = files_of(desk.folder / "copy")
    assert not any("beta" in path or "2.0.0" in path for path in held)
    assert installed(desk) == "1.0.0"
    desk.person.must_end(ExitCode.USAGE, ["mirror", "copy", "--channel", "nightly"], "beta, stable")


def test_only_what_no_state_needs_any_more_is_pruned(desk: ReleaseDesk) -> None:
    mirror(desk)
    older = files_of(desk.folder / "copy")
    desk.publish("1.1.0")
    desk.person.must("releases", "retire", "1.0.0", "--yes")
    foreign = desk.folder / "copy" / APP / "README.txt"
    mirror(desk, "--prune")
    foreign.write_text("not ours")
    held = files_of(desk.folder / "copy")
    assert {path for path in older if path not in held} == set()
    desk.pass_time(days=29)
    desk.sign_again()
    mirror(desk, "--prune")
    assert any("1.0.0" in path for path in files_of(desk.folder / "copy"))
    desk.pass_time(days=2)
    desk.sign_again()
    mirror(desk, "--prune", "--dry-run")
    assert any("1.0.0" in path for path in files_of(desk.folder / "copy"))
    removed = mirror(desk, "--prune", "--json").json()["removed"]
    held = files_of(desk.folder / "copy")
    assert not any("1.0.0" in path for path in held)
    assert len([path for path in held if "/artifacts/" in path]) == 1
    assert f"{APP}/metadata/1.root.json" in held
    assert foreign.exists()
    assert removed
    assert installed(desk) == "1.1.0"


# Valid for longer.


def test_a_copy_that_is_valid_for_longer_outlives_the_server(desk: ReleaseDesk) -> None:
    before = desk.chain()
    said = mirror(desk, "--valid-for", "60d", "--json").json()
    span = parse_instant(said["expires_at"]) - desk.person.now
    assert timedelta(days=60) - span < timedelta(minutes=5)
    mirror(desk, folder="usual")
    assert installed(desk, home="early") == "1.0.0"
    desk.pass_time(days=59)
    assert installed(desk, home="late") == "1.0.0"
    with pytest.raises(ExpiredError):
        client_of(desk, "usual", home="frozen").update()
    desk.pass_time(days=2)
    with pytest.raises(ExpiredError):
        client_of(desk, home="too-late").update()
    assert before.timestamp.version + 2 == desk.chain().timestamp.version


def test_what_is_valid_for_longer_is_never_in_the_store(desk: ReleaseDesk) -> None:
    longest = max(
        role.signed.expires
        for role in (desk.chain().timestamp, desk.chain().snapshot, desk.chain().channels)
    )
    mirror(desk, "--valid-for", "60d")
    copy, store = files_of(desk.folder / "copy"), desk.files()
    own = {path: data for path, data in copy.items() if store.get(path) != data}
    assert f"{APP}/metadata/timestamp.json" in own
    pointers = ("timestamp.json", "version.json")
    assert not [path for path in own if path in store and not path.endswith(pointers)]
    assert not set(own.values()) & set(store.values())
    chain = desk.chain()
    for role in (chain.timestamp, chain.snapshot, chain.channels):
        assert role.signed.expires <= longest + timedelta(minutes=5)


def test_no_number_stands_for_two_contents(desk: ReleaseDesk) -> None:
    """Else a client that has seen both would go on from the wrong one."""
    mirror(desk, "--valid-for", "60d")
    held, live = held_chain(desk), desk.chain()
    for role in ("timestamp", "snapshot", "channels"):
        assert getattr(held, role).version < getattr(live, role).version
    ended = mirror(desk)
    assert "say --valid-for again" in ended.err
    assert held_chain(desk).timestamp.data == live.timestamp.data


def test_a_client_goes_between_copy_and_server_and_never_back(desk: ReleaseDesk) -> None:
    mirror(desk, folder="before")
    assert installed(desk, "before") == "1.0.0"
    mirror(desk, "--valid-for", "60d")
    settings = desk.folder.parent / "client" / "lockgate.toml"
    said = settings.read_text()
    settings.write_text(said.replace("/before", "/copy"))
    desk.pass_time(days=20)
    assert isinstance(client_of(desk).check(), UpToDate)
    desk.sign_again()
    settings.write_text(said.replace((desk.folder / "before").as_uri(), desk.api))
    assert isinstance(client_of(desk).check(), UpToDate)
    settings.write_text(said.replace("/before", "/copy"))
    with pytest.raises(StaleMirrorError):
        client_of(desk).update()


def test_a_copy_does_not_outlive_what_people_have_signed(desk: ReleaseDesk) -> None:
    desk.pass_time(days=130)
    desk.sign_again()
    ended = mirror(desk, "--valid-for", "90d", "--json")
    assert "releases ends then" in ended.err
    expires = desk.chain().releases.signed.expires
    assert held_chain(desk).timestamp.signed.expires == expires
    assert parse_instant(ended.json()["expires_at"]) == expires


def test_the_server_bounds_it_and_writes_it_down(desk: ReleaseDesk) -> None:
    before = desk.files()
    desk.person.must_end(ExitCode.USAGE, ["mirror", "copy", "--valid-for", "91d"], "at most")
    assert desk.files() == before
    mirror(desk, "--valid-for", "60d")
    entries = desk.person.must("audit", "--json").json()["entries"]
    assert entries[0]["action"] == "mirror.sign"
    assert entries[0]["details"]["valid_for_s"] == 60 * 86400


def test_signing_for_a_copy_takes_scope_admin(desk: ReleaseDesk) -> None:
    desk.person.environ["LOCKGATE_TOKEN"] = desk.server.token(Scope.PUBLISH)
    desk.person.must_end(ExitCode.DENIED, ["mirror", "copy", "--valid-for", "30d"])
    assert files_of(desk.folder / "copy") == {}


def test_nothing_is_signed_on_top_of_a_store_that_was_put_back(desk: ReleaseDesk) -> None:
    older = dict(desk.server.store.objects)
    desk.publish("1.1.0")
    desk.server.store.objects.clear()
    desk.server.store.objects.update(older)
    desk.person.must_end(ExitCode.REFUSED, ["mirror", "copy", "--valid-for", "30d"], "put back")
    assert files_of(desk.folder / "copy") == {}
