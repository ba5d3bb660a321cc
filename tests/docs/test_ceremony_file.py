"""The page of ceremony files and public key files: its tables name what is written, and no more."""

import json

from lockgate_release.trust import ceremony as cer
from lockgate_release.trust.key_names import KEY_NAMES
from lockgate_release.trust.public_keys import parse_key_file, to_key_file
from tests.docs.tables import page, rows, section
from tests.simulators.ceremony_people import PEOPLE_ROLES, People

PAGE = page("ceremony-file.md")


def _named(heading: str) -> set[str]:
    return {cells[0].strip("`") for cells in rows(section(PAGE, heading), "field")}


def test_the_table_of_ceremony_files_names_each_field_that_is_written() -> None:
    body = json.loads(People().make(renew=["root"]).to_bytes())
    written = {*body, *(f"base.{name}" for name in body["base"])}
    assert _named("## A ceremony file") == written


def test_the_table_of_public_key_files_names_each_field_that_is_written() -> None:
    people = People()
    data = to_key_file(people.newcomer("anna"))
    assert _named("## A public key file") == set(json.loads(data))
    assert parse_key_file(data, subject="anna.pub").unrecognized_fields


def test_names_stand_where_the_page_says() -> None:
    people = People()
    people.change(cer.add_key(people.arrangement(), PEOPLE_ROLES, people.newcomer("anna")))
    assert f"`{KEY_NAMES}`" in PAGE
    assert list(people.chain().root.signed.unrecognized_fields[KEY_NAMES].values()) == ["anna"]
