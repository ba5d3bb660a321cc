"""`lockgate init` against the real api app: keys, registration, and interruptions."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.settings import load_settings
from lockgate_release.trust.roles import Role
from lockgate_server.ports import Scope
from tests.simulators.api_server import serve_app
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        yield made


def init_arguments(desk: ReleaseDesk, *more: str) -> list[str]:
    return ["init", APP, "--server", desk.api, "--keys", "keys", *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_app_is_set_up_with_its_two_kinds_of_keys_apart(desk: ReleaseDesk) -> None:
    ended = desk.init()
    keys = desk.folder / "keys"
    assert set(contents(keys)) == {
        "root/maintainer-1.pem",
        "publisher/publisher-1.pem",
        "root.json",
    }
    for path in keys.glob("*/*.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert desk.chain().root.version == 1
    assert "offline" in ended.err
    assert "lockgate root add-key" in ended.err
    assert "LOCKGATE_PUBLISHER_KEY" in ended.err
    assert b"PRIVATE" not in ended.err.encode() + ended.out.encode()


def test_the_settings_that_are_written_are_those_that_are_read(desk: ReleaseDesk) -> None:
    desk.init()
    settings = load_settings(desk.folder, {})
    assert settings.need("app") == APP
    assert settings.need("server") == desk.api
    assert settings.path(settings.need("root")).exists()
    assert [settings.path(path).exists() for path in settings.get_all("keys")] == [True]
    assert [settings.path(path).exists() for path in settings.get_all("root_keys")] == [True]


def test_settings_that_are_there_are_shown_and_not_touched(desk: ReleaseDesk) -> None:
    own = desk.folder / "lockgate.toml"
    own.write_text('app = "another"\n')
    ended = desk.init()
    assert own.read_text() == 'app = "another"\n'
    assert f'app = "{APP}"' in ended.out


def test_thresholds_are_what_was_asked_for(desk: ReleaseDesk) -> None:
    desk.init(
        "--maintainers", "3", "--threshold", "2", "--publishers", "2", "--publisher-threshold", "2"
    )
    chain = desk.chain()
    for role in (Role.ROOT, Role.TARGETS):
        assert len(chain.root.signed.roles[role.value].keyids) == 3
        assert chain.root.signed.roles[role.value].threshold == 2
    keys, threshold = chain.release_keys()
    assert (len(keys), threshold) == (2, 2)


@pytest.mark.parametrize("option", ["--threshold", "--publisher-threshold"])
def test_more_signatures_than_keys_is_refused_before_any_key_is_made(
    desk: ReleaseDesk, option: str
) -> None:
    desk.person.must_end(ExitCode.USAGE, init_arguments(desk, option, "2"), option)
    assert contents(desk.folder) == {}


@pytest.mark.parametrize("name", ["Demo", "api", "a/b", ".."])
def test_what_is_no_app_name_is_refused(desk: ReleaseDesk, name: str) -> None:
    arguments = ["init", name, "--server", desk.api, "--keys", "keys"]
    desk.person.must_end(ExitCode.USAGE, arguments, "app name")
    assert contents(desk.folder) == {}


def test_an_app_whose_keys_could_be_taken_for_anothers_is_refused_in_words(
    desk: ReleaseDesk,
) -> None:
    desk.init()
    arguments = ["init", f"{APP}-next", "--server", desk.api, "--keys", "others"]
    desk.person.must_end(ExitCode.USAGE, arguments, "could not be told", "Choose another name")


def test_a_second_init_changes_nothing_and_says_so(desk: ReleaseDesk) -> None:
    desk.init()
    before, files = contents(desk.folder), desk.files()
    assert "registered already" in desk.init().err
    assert contents(desk.folder) == before
    assert desk.files() == files


def test_an_init_that_got_no_answer_is_finished_by_the_next(desk: ReleaseDesk) -> None:
    # The keys were written, and the server was gone when it came to registering.
    desk.person.environ["LOCKGATE_TOKEN"] = desk.server.token(Scope.READ)
    desk.person.must_end(ExitCode.DENIED, init_arguments(desk))
    desk.person.environ["LOCKGATE_TOKEN"] = desk.server.token(Scope.ADMIN)
    desk.init()
    assert desk.chain().root.version == 1


def test_keys_that_are_there_are_used_and_never_written_again(desk: ReleaseDesk) -> None:
    desk.init()
    kept = {name: data for name, data in contents(desk.folder).items() if name.endswith(".pem")}
    with open_desk(desk.folder.parent / "second") as second:
        arguments = ["init", APP, "--server", second.api, "--keys", "keys"]
        desk.person.environ.update(second.person.environ)
        ended = desk.person.must(*arguments)
    assert "using the key that is there" in ended.err
    assert kept.items() <= contents(desk.folder).items()


def test_another_s_app_is_not_taken_over(desk: ReleaseDesk) -> None:
    desk.init()
    files = desk.files()
    other = desk.elsewhere("other", **desk.person.environ)
    other.must_end(ExitCode.CONFLICT, init_arguments(desk), "another root")
    assert desk.files() == files
    assert contents(other.folder) == {}


def test_the_public_address_will_do(desk: ReleaseDesk) -> None:
    port = int(desk.api.rpartition(":")[2])
    with serve_app(desk.server.public(port)) as public:
        desk.person.must("init", APP, "--server", public, "--keys", "keys")
    assert desk.chain().root.version == 1


def test_a_folder_that_cannot_be_written_is_this_machine_s_fault(desk: ReleaseDesk) -> None:
    (desk.folder / "keys").write_text("in the way")
    desk.person.must_end(ExitCode.LOCAL, init_arguments(desk), "keys")


def test_an_app_may_order_its_versions_as_python_does(desk: ReleaseDesk) -> None:
    desk.init("--versions", "pep440")
    desk.publish("1.0.post1")
    assert desk.versions() == {"1.0.post1"}


def test_maintainers_keys_are_encrypted_where_that_is_asked_for(desk: ReleaseDesk) -> None:
    desk.person.must_end(ExitCode.USAGE, init_arguments(desk, "--encrypt"), "no passphrase")
    assert contents(desk.folder) == {}
    desk.person.environ["LOCKGATE_KEY_PASSPHRASE"] = "correct horse battery"
    desk.init("--encrypt")
    kept = contents(desk.folder / "keys")
    assert b"ENCRYPTED" in kept["root/maintainer-1.pem"]
    assert b"ENCRYPTED" not in kept["publisher/publisher-1.pem"]
    desk.person.must("renew", "--role", "root")
    del desk.person.environ["LOCKGATE_KEY_PASSPHRASE"]
    desk.person.must_end(ExitCode.LOCAL, ["renew", "--role", "root"], "the key is encrypted")
    desk.publish("1.0.0")
