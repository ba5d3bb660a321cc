"""Settings: the flag, then the environment, then the file, and a plain word when there is none."""

from pathlib import Path

import pytest

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.settings import SETTINGS_FILE, Settings, load_settings


def _load(folder: Path, text: str = "", **environ: str) -> Settings:
    if text:
        (folder / SETTINGS_FILE).write_text(text)
    return load_settings(folder, environ)


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    settings = _load(tmp_path, 'server = "file"', LOCKGATE_SERVER="environment")
    assert settings.get("server", "flag") == "flag"
    assert settings.get("server") == "environment"
    assert _load(tmp_path).get("server") == "file"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert _load(tmp_path, 'server = "file"', LOCKGATE_SERVER="").get("server") == "file"
    assert _load(tmp_path, 'keys = "k"', LOCKGATE_KEYS="").get_all("keys") == ("k",)


def test_what_is_said_nowhere_is_none(tmp_path: Path) -> None:
    assert _load(tmp_path).get("server") is None
    assert _load(tmp_path).get_all("keys") == ()


def test_what_is_needed_and_said_nowhere_names_the_three_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path).need("api_listen")
    for place in ("--api-listen", "LOCKGATE_API_LISTEN", str(tmp_path / SETTINGS_FILE)):
        assert place in str(caught.value)


def test_what_is_needed_is_found(tmp_path: Path) -> None:
    assert _load(tmp_path, 'app = "demo"').need("app") == "demo"


@pytest.mark.parametrize("value", ["1", "true", "[]", "{}", "1.5"])
def test_a_text_setting_of_another_type_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match=r"wrong type of setting.*a text"):
        _load(tmp_path, f"server = {value}").get("server")


def test_many_values_come_from_flags_environment_or_file(tmp_path: Path) -> None:
    settings = _load(tmp_path, 'keys = ["a", "b"]', LOCKGATE_KEYS=" c\td ")
    assert settings.get_all("keys", ("e",)) == ("e",)
    assert settings.get_all("keys") == ("c", "d")
    assert _load(tmp_path).get_all("keys") == ("a", "b")


@pytest.mark.parametrize("value", ["1", "[1]", '["a", 1]', "{}"])
def test_many_values_of_another_type_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match=r"wrong type of setting.*texts"):
        _load(tmp_path, f"keys = {value}").get_all("keys")


def test_a_relative_path_of_the_file_is_below_its_folder(tmp_path: Path) -> None:
    assert _load(tmp_path).path("keys/a.pem") == tmp_path / "keys/a.pem"
    assert _load(tmp_path).path("/keys/a.pem") == Path("/keys/a.pem")


@pytest.mark.parametrize("content", [b"server = ", b"\xff", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SETTINGS_FILE).write_bytes(content)
    with pytest.raises(UsageError, match=f"{SETTINGS_FILE}: not TOML"):
        load_settings(tmp_path, {})


def test_a_file_nested_without_end_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not TOML"):
        _load(tmp_path, "a = " + "[" * 100_000)


def test_a_file_that_cannot_be_read_is_this_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).mkdir()
    with pytest.raises(LocalError, match="cannot be read"):
        load_settings(tmp_path, {})
