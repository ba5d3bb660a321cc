"""Every updater of format 1 reads every other's journal: what lies in `journals/` stays readable.

Those were written by the first updater that had this format, and are never made anew.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.names import Sha256Hex
from lockgate_updater.state.journal import Attempt, Record, State, load_record, store_record
from tests.docs.tables import page, rows, section

JOURNALS = Path(__file__).with_name("journals")
GOLDEN = sorted(JOURNALS.glob("*.json"))
TYPES = {"integer": int, "text": str, "boolean": bool}


def _fields(heading: str) -> dict[str, str]:
    text = section(page("journal.md"), heading)
    return {row[0]: row[1] for row in rows(text, "field")}


def _hold_to_format_1(fields: dict[str, Any]) -> None:
    """What the first reader of format 1 demands, as the page has it; it ignores anything more."""
    for heading, found in (("## Record", fields), ("## Attempt", fields["attempt"])):
        if found is None:
            assert fields["state"] == "idle"
            continue
        for name, kind in _fields(heading).items():
            assert name in found, name
            if kind != "object":
                assert type(found[name]) is TYPES[kind], name


def test_a_journal_of_each_state_was_kept() -> None:
    wanted = {f"{state.value}-{kind}" for state in State for kind in ("first", "update")}
    assert {path.stem for path in GOLDEN} == wanted


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_first_journals_are_still_read_and_say_the_same(path: Path, tmp_path: Path) -> None:
    kept = json.loads(path.read_bytes())
    record = load_record(path)
    assert record is not None
    assert record.state.value == kept["state"]
    assert record.installed == kept["installed"]
    store_record(tmp_path / "journal.json", record)
    again = json.loads((tmp_path / "journal.json").read_bytes())
    assert {name: again[name] for name in kept if name != "attempt"} == {
        name: kept[name] for name in kept if name != "attempt"
    }
    if kept["attempt"] is not None:
        assert {name: again["attempt"][name] for name in kept["attempt"]} == kept["attempt"]
    _hold_to_format_1(kept)


FOLDERS = st.sampled_from(["1.0.0-0000000f", "2.0.0-0123abcd"])
ATTEMPTS = st.builds(
    Attempt,
    id=st.uuids().map(str),
    folder=FOLDERS,
    version=st.just("2.0.0"),
    release_sha256=st.just(Sha256Hex("ab" * 32)),
    back_to=FOLDERS | st.just(""),
    tries_left=st.integers(0, 9),
    quarantine=st.booleans(),
    reason=st.text(max_size=50),
)


@given(state=st.sampled_from(State), attempt=ATTEMPTS, recoveries=st.integers(0, 20))
def test_what_is_written_today_is_what_the_first_reader_demands(
    tmp_path_factory: pytest.TempPathFactory, state: State, attempt: Attempt, recoveries: int
) -> None:
    path = tmp_path_factory.mktemp("home") / "journal.json"
    is_idle = state is State.IDLE
    record = Record(state=state, attempt=None if is_idle else attempt, recoveries=recoveries)
    store_record(path, record)
    _hold_to_format_1(json.loads(path.read_bytes()))
    assert load_record(path) == record


def test_the_page_has_no_field_that_the_record_has_not() -> None:
    known = {field.name for field in dataclasses.fields(Record)} | {"format"}
    assert set(_fields("## Record")) <= known
    assert set(_fields("## Attempt")) <= {field.name for field in dataclasses.fields(Attempt)}


def test_a_field_that_is_not_known_is_ignored(tmp_path: Path) -> None:
    kept = json.loads((JOURNALS / "trial-update.json").read_bytes())
    kept["later"] = kept["attempt"]["later"] = {"a": 1}
    path = tmp_path / "journal.json"
    path.write_text(json.dumps(kept))
    assert load_record(path) == load_record(JOURNALS / "trial-update.json")
