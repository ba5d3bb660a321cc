"""Lines of a log, each held to the registry: whoever reads them here proves them on the way."""

import json
from typing import Any

from lockgate_release.log.fields import COMMON, FIELDS, Kind
from lockgate_release.log.registry import EVENTS

__all__ = ["faults_of_line", "read_log"]

_TYPES: dict[Kind, type] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.OBJECT: dict}
_ALWAYS = {"at", "level", "part", "pid", "event"}


def faults_of_line(line: dict[str, Any]) -> list[str]:
    """What is not as the registry says, in words; nothing where all is."""
    event = EVENTS.get(str(line.get("event")))
    if event is None:
        return [f"no such event: {line.get('event')!r}"]
    faults = [f"{name} is missing" for name in sorted(_ALWAYS - line.keys())]
    faults += [f"{name} is no field" for name in line.keys() - {*COMMON, *event.fields}]
    for name, value in line.items():
        known = COMMON.get(name) or FIELDS.get(name)
        if known is not None and type(value) is not _TYPES[known.kind]:
            faults.append(f"{name} is {value!r}, no {known.kind}")
    if event.name != "library.said" and line.get("level") != event.level_name:
        faults.append(f"level {line.get('level')}")
    return faults


def read_log(text: str) -> list[dict[str, Any]]:
    """Every line, as the registry says it should be."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    faults = [(line, faults) for line in lines if (faults := faults_of_line(line))]
    assert not faults, faults
    return lines
