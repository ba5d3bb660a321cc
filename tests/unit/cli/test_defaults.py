"""What `lockgate.toml` says about every publish."""

import pytest

from lockgate_cli.defaults import PublishOptions, parse_options, read_floors, split_command
from lockgate_release.errors import UsageError
from lockgate_release.settings import Settings


def settings(**table: object) -> Settings:
    return Settings(table=table)


def test_the_table_is_read_whole() -> None:
    said = parse_options(
        settings(
            publish={
                "entrypoint": "bin/app",
                "health": "bin/app --check 'two words'",
                "health_timeout_s": 5,
                "tries": 2,
                "reaches_server": True,
                "requires_from": "1.0.0",
                "capabilities": ["b", "a"],
                "keep": 7,
            }
        )
    )
    install, requires = said.install(), said.requires()
    assert install.entrypoint == "bin/app"
    assert install.health.command == ("bin/app", "--check", "two words")
    assert (install.health.timeout_s, install.health.tries) == (5, 2)
    assert install.health.reaches_server
    assert (requires.from_version, requires.capabilities) == ("1.0.0", ("a", "b"))
    assert said.keep == 7


def test_a_command_may_be_a_list() -> None:
    said = parse_options(settings(publish={"health": ["bin/app", "a b"]}))
    assert said.install().health.command == ("bin/app", "a b")


def test_a_flag_speaks_before_the_file() -> None:
    flags = PublishOptions(entrypoint="flag", tries=None)
    file = PublishOptions(entrypoint="file", tries=4)
    assert flags.over(file) == PublishOptions(entrypoint="flag", tries=4)
    no = PublishOptions(reaches_server=False)
    assert no.over(PublishOptions(reaches_server=True)).install() == PublishOptions().install()


def test_nothing_said_is_what_documents_say_by_default() -> None:
    install = PublishOptions().install()
    assert (install.entrypoint, install.health.command) == ("", ())


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"entry_point": "x"}, "publish.entry_point"),
        ({"tries": "3"}, "publish.tries"),
        ({"tries": True}, "publish.tries"),
        ({"reaches_server": 1}, "publish.reaches_server"),
        ({"reaches_server": "yes"}, "publish.reaches_server"),
        ({"capabilities": [1]}, r"publish.capabilities"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(table: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_options(settings(publish=table))


@pytest.mark.parametrize("name", ["publish", "floors"])
def test_a_table_must_be_a_table(name: str) -> None:
    with pytest.raises(UsageError, match="a table"):
        (parse_options if name == "publish" else read_floors)(settings(**{name: "x"}))


def test_floors_are_read_by_channel() -> None:
    assert read_floors(settings(floors={"stable": "1.2.0"})) == {"stable": "1.2.0"}


@pytest.mark.parametrize("floors", [{"stable": 1}, {"No Channel": "1.0.0"}])
def test_a_wrong_floor_is_refused(floors: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        read_floors(settings(floors=floors))


def test_a_quotation_that_does_not_end_is_refused() -> None:
    with pytest.raises(UsageError, match="not a command"):
        split_command("bin/app 'oops")
