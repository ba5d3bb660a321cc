"""`lockgate-server storage check`: what a store can do, by experiment."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

import click

from lockgate_release.errors import LockgateError
from lockgate_release.instants import utc_now
from lockgate_release.strict_json import JsonObject
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    print_json,
    say,
    show,
)
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.probing.checking import Surroundings, check_store
from lockgate_server.stores.probing.findings import Finding, refuse_weak

__all__ = ["check"]


@click.command()
@data_options
@json_option
def check(data: str | None, storage: str | None, *, as_json: bool) -> None:
    """Prove by experiment what a store can do.

    Needs no server, and no data folder where --storage names a store. Writes below health/probe/
    only, and removes it again. Ends with 22 when something is lacking that a server needs.
    """
    address = _address(data, storage)
    around = Surroundings(run=secrets.token_hex(8), now=utc_now, sleep=time.sleep)
    store = open_store(address)
    try:
        findings = check_store(store, around)
        found = list(findings) if as_json else _print_rows(findings)
    finally:
        store.close()
    if as_json:
        print_json(_describe(address, found))
    refuse_weak(found, address)
    say(f"{address}: fit for releases")


def _address(data: str | None, storage: str | None) -> str:
    here = Invocation.here()
    return here.settings().get("storage", storage) or here.server(data).store_address


def _print_rows(findings: Iterable[Finding]) -> list[Finding]:
    """Print what is found as it is found, and return it all."""
    found = []
    for one in findings:
        need = "needed" if one.is_needed else "nice to have"
        show(f"{one.answer:<8} {need:<13} {one.name:<48} {one.found}")
        found.append(one)
    return found


def _describe(address: str, findings: list[Finding]) -> JsonObject:
    return {
        "storage": address,
        "is_fit": _is_fit(findings, address),
        "findings": [
            {
                "code": one.code,
                "name": one.name,
                "is_needed": one.is_needed,
                "answer": one.answer.value,
                "found": one.found,
            }
            for one in findings
        ],
    }


def _is_fit(findings: list[Finding], address: str) -> bool:
    try:
        refuse_weak(findings, address)
    except LockgateError:
        return False
    return True
