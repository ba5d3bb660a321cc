"""What `env check` finds, before a server finds it the hard way."""

import json
import os
import re
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_server.preflight.machine import judge_room, look_at_folder
from lockgate_server.preflight.names import find_unknown
from lockgate_server.services.read.checks import Level
from tests.docs.pages import ROOT
from tests.simulators.server_scene import APP
from tests.simulators.server_site import ServerSite, type_command

MIB = 1 << 20


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServerSite]:
    made = ServerSite(tmp_path)
    made.data.chmod(0o700)
    made.environ |= {"LOCKGATE_LISTEN": "127.0.0.1:0"}
    yield made
    made.close()


def found(site: ServerSite, code: int = 0) -> dict[str, tuple[str, str]]:
    ended = site.type("env", "check", "--data", site.data, "--json", code=code)
    assert ended.json()["is_fit"] is (code == 0)
    # Of several of a name the worst counts; it is said last by `failed`.
    order = ["ok", "warning", "failed"]
    findings = sorted(ended.json()["findings"], key=lambda one: order.index(one["level"]))
    return {one["name"]: (one["level"], one["found"] + one["hint"]) for one in findings}


def test_a_server_that_is_well_is_told_so(site: ServerSite) -> None:
    names = found(site)
    well = {"python", "data", "store", "database", "clock", f"key of {APP}", "API", "key files"}
    assert {name: names[name][0] for name in well} == dict.fromkeys(well, "ok")
    shown = site.type("env", "check", "--data", site.data).out
    assert re.search(r"^ok +store +file://.*fit for releases$", shown, re.MULTILINE)


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ended = type_command("env", "check", "--data", data, LOCKGATE_LISTEN="127.0.0.1:0")
    assert (ended.code, list(tmp_path.iterdir())) == (0, [])
    assert "will be made" in ended.out


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"LOCKGATE_STORGE": "x"}, "Is LOCKGATE_STORAGE meant?"),
        ({"LOCKGATE_ZZZ": "x"}, "settings.md has every name"),
    ],
)
def test_a_name_that_nothing_reads_is_a_warning(
    site: ServerSite, environ: dict[str, str], words: str
) -> None:
    site.environ |= environ
    level, said = found(site)["settings"]
    assert level == "warning"
    assert words in said


def test_a_name_in_the_file_that_nothing_reads_is_a_warning() -> None:
    table = {"data": "d", "gc_grac": "7d", "publish": {}, "floors": {}, "keep": 2}
    (one,) = find_unknown(table, {}, "lockgate.toml")
    assert (one.level, one.found, one.hint) == (
        Level.WARNING,
        "lockgate.toml: gc_grac: nothing reads this",
        "Is gc_grace meant?",
    )


def test_every_variable_of_the_page_is_known() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    named = set(re.findall(r"`(LOCKGATE_[A-Z_<>]+)", page))
    environ = {name.replace("<APP>", "MYAPP"): "x" for name in named}
    assert len(environ) > 50
    unknown = [one for one in find_unknown({}, environ, "") if one.level is not Level.OK]
    assert [one.found for one in unknown] == []


def test_a_setting_that_makes_no_sense_has_failed(site: ServerSite) -> None:
    site.environ |= {"LOCKGATE_GC": "often"}
    level, said = found(site, ExitCode.LOCAL)["settings"]
    assert level == "failed"
    assert "daily or off" in said


def test_a_key_that_others_can_read_or_that_is_none_has_failed(site: ServerSite) -> None:
    key = site.data / "keys" / f"{APP}.pem"
    key.chmod(0o640)
    assert "others can read it" in found(site, ExitCode.LOCAL)["key files"][1]
    key.chmod(0o600)
    key.write_bytes(b"rubbish")
    names = found(site, ExitCode.LOCAL)
    assert names["key files"][0] == names[f"key of {APP}"][0] == "failed"
    key.unlink()
    assert found(site, ExitCode.LOCAL)[f"key of {APP}"][0] == "failed"


def test_a_folder_that_others_can_see_into_is_a_warning(site: ServerSite) -> None:
    site.data.chmod(0o755)
    level, said = found(site)["data"]
    assert level == "warning"
    assert "chmod 700" in said


def test_a_database_that_is_damaged_or_from_the_future_has_failed(site: ServerSite) -> None:
    later = datetime.now().astimezone() + timedelta(hours=1)
    site.scene.pass_time(later.replace(microsecond=0))
    site.scene.publish("1.1.0")
    assert "behind what was done" in found(site, ExitCode.LOCAL)["clock"][1]
    site.close()
    site.ledger_path.write_bytes(b"no database" * 1000)
    assert found(site, ExitCode.LOCAL)["database"][0] == "failed"


def test_objects_that_are_gone_have_failed_and_are_not_made(site: ServerSite) -> None:
    site.lose_objects()
    assert found(site, ExitCode.LOCAL)["store"][0] == "failed"
    assert not site.objects.exists()


def test_a_restore_that_broke_off_has_failed(site: ServerSite) -> None:
    (site.data / "restoring.json").write_text('"x"\n', "utf-8")
    assert found(site, ExitCode.LOCAL)["restore"][0] == "failed"


def test_an_address_that_is_taken_has_failed_unless_it_is_this_server_s_own(
    site: ServerSite,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site.environ["LOCKGATE_API_LISTEN"] = f"127.0.0.1:{taken.getsockname()[1]}"
        assert found(site, ExitCode.LOCAL)["API"][0] == "failed"
        run_file = site.data / "run.json"
        run_file.write_text(json.dumps({"pid": os.getpid()}), "utf-8")
        assert found(site)["API"][0] == "ok"


def test_where_backups_go_must_be_in_reach(site: ServerSite) -> None:
    assert "none are made" in found(site)["backups"][1]
    backup = site.back_up()
    site.environ["LOCKGATE_BACKUP_TO"] = str(site.backups)
    assert backup.name in found(site)["backups"][1]
    site.environ["LOCKGATE_BACKUP_TO"] = "s3://not a bucket"
    assert found(site, ExitCode.LOCAL)["backups"][0] == "failed"


def test_how_much_room_is_enough() -> None:
    assert judge_room("x", 2000 * MIB, 100_000 * MIB).level is Level.OK
    assert judge_room("x", 900 * MIB, 100_000 * MIB).level is Level.WARNING
    assert judge_room("x", 900 * MIB, 10_000 * MIB).level is Level.OK
    assert judge_room("x", 99 * MIB, 1000 * MIB).level is Level.FAILED


def test_a_file_in_the_place_of_a_folder_has_failed(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"")
    first, _ = look_at_folder("data", file, is_private=True)
    assert (first.level, first.found) == (Level.FAILED, f"{file} is no folder")
