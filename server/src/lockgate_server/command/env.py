"""`lockgate-server env check`: whether a server can run here."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from lockgate_release.errors import ExitCode, LockgateError
from lockgate_release.instants import utc_now
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    print_json,
    show,
)
from lockgate_server.command.run import addresses_of
from lockgate_server.preflight.findings import Finding, failed
from lockgate_server.preflight.machine import look_at_folder, look_at_machine
from lockgate_server.preflight.names import find_unknown
from lockgate_server.preflight.parts import (
    look_at_address,
    look_at_backups,
    look_at_key_files,
    look_at_parts,
    objects_folder,
)
from lockgate_server.services.read.checks import Level

__all__ = ["env"]

_MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.FAILED: "FAILED"}


@click.group()
def env() -> None:
    """Find out whether a server can run here."""


@env.command()
@data_options
@json_option
def check(*, data: str | None, storage: str | None, as_json: bool) -> None:
    """Look at Python, folders, disk, clock, settings, store, database, keys and addresses.

    Before the first start, and whenever something is odd; a server may run meanwhile. Nothing is
    changed, but that the store is tried out below health/probe/. Ends with 22 where anything has
    failed; warnings alone end with 0.
    """
    here = Invocation.here()
    found = []
    for one in _look(here, data, storage):
        found.append(one)
        if not as_json:
            show(f"{_MARKS[one.level]:<8} {one.name:<18} {one.found}")
            if one.hint:
                show(f"{'':<27} {one.hint}")
    bad = [one for one in found if one.level is Level.FAILED]
    if as_json:
        print_json({"is_fit": not bad, "findings": [one.describe() for one in found]})
    if bad:
        sys.exit(ExitCode.LOCAL)


def _look(here: Invocation, data: str | None, storage: str | None) -> Iterator[Finding]:
    try:
        said = here.settings()
    except LockgateError as exc:
        yield failed("settings", str(exc))
        return
    yield from find_unknown(said.table, here.environ, said.origin.name)
    try:
        settings = here.server(data, storage)
        addresses = addresses_of(said, None, None)
    except LockgateError as exc:
        yield failed("settings", str(exc))
        return
    yield from look_at_machine(here.environ, settings.data)
    yield from look_at_folder("data", settings.data, is_private=True)
    objects = objects_folder(settings)
    if objects is not None and settings.storage:
        yield from look_at_folder("objects", objects, is_private=False)
    yield from look_at_key_files(settings.data / "keys")
    yield from look_at_parts(settings, here.environ, utc_now())
    for name, address in zip(("public side", "API"), addresses, strict=True):
        yield look_at_address(name, address, settings.run_file)
    yield look_at_backups(settings)
