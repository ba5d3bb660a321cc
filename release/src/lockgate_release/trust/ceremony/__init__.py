"""Ceremonies: a change of keys or rules that several people sign, on a file that is carried.

`make_ceremony` builds what would bring a wish about, `examine` finds what a file really changes,
`tell_changes` says it in words, `add_signatures` signs. Nothing here reads a disk or a clock.
"""

from __future__ import annotations

from lockgate_release.trust.ceremony.arrangement import (
    ONLINE,
    Arrangement,
    Speakers,
    add_key,
    check_arrangement,
    find_key,
    read_arrangement,
    remove_key,
    replace_key,
    set_threshold,
    warnings_of,
)
from lockgate_release.trust.ceremony.demands import Demand, fingerprint
from lockgate_release.trust.ceremony.examining import Examined, examine
from lockgate_release.trust.ceremony.file import PARTS, Base, Ceremony, parse_ceremony
from lockgate_release.trust.ceremony.making import (
    Wish,
    add_signatures,
    base_of,
    changed_parts,
    make_ceremony,
    make_first,
    merge_signatures,
)
from lockgate_release.trust.ceremony.telling import (
    tell_changes,
    tell_demand,
    tell_rights,
    tell_warnings,
)

__all__ = [
    "ONLINE",
    "PARTS",
    "Arrangement",
    "Base",
    "Ceremony",
    "Demand",
    "Examined",
    "Speakers",
    "Wish",
    "add_key",
    "add_signatures",
    "base_of",
    "changed_parts",
    "check_arrangement",
    "examine",
    "find_key",
    "fingerprint",
    "make_ceremony",
    "make_first",
    "merge_signatures",
    "parse_ceremony",
    "read_arrangement",
    "remove_key",
    "replace_key",
    "set_threshold",
    "tell_changes",
    "tell_demand",
    "tell_rights",
    "tell_warnings",
    "warnings_of",
]
