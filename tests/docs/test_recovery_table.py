"""The page of the recovery table says what the code's own table says, and names real tests."""

import re

from lockgate_updater.install import recovery
from tests.docs.tables import page, rows
from tests.unit.updater import test_recovery

_TEST = re.compile(r"(test_\w+)(?:\[([a-z-]+)\])?")


def test_the_page_has_the_very_table_of_the_code() -> None:
    said = [row[:3] for row in rows(page("recovery.md"), "state")]
    assert said == list(rows(recovery.__doc__ or "", "state"))


def test_each_row_names_a_test_that_exists() -> None:
    named = [row[3] for row in rows(page("recovery.md"), "state")]
    assert len(set(named)) == len(named)
    for name in named:
        found = _TEST.fullmatch(name)
        assert found, name
        assert hasattr(test_recovery, found[1]), name
        assert found[2] is None or found[2] in test_recovery.CASES, name
    assert len(test_recovery.CASES) == len(test_recovery.ROWS)
