"""`lockgate-server storage verify`: hash again everything that is needed."""

from __future__ import annotations

import sys

import click

from lockgate_release.errors import ExitCode, LockgateError
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject
from lockgate_server.assembly import open_write_deps
from lockgate_server.command.apps import describe_refusal, each_app, named_apps
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    print_json,
    show,
)
from lockgate_server.command.progress import Progress, format_bytes
from lockgate_server.services.collect.verifying import Verification, verify_app
from lockgate_server.services.collect.walking import Fault

__all__ = ["verify"]


@click.command()
@click.option("--app", "names", multiple=True, help="Only this app. Can be repeated.")
@data_options
@json_option
def verify(names: tuple[str, ...], data: str | None, storage: str | None, *, as_json: bool) -> None:
    """Hash again everything that a client may ask for, and say what is missing or damaged.

    Also what is there beside: garbage that `gc` will remove, what a publish is about to name, and
    what Lockgate never wrote. Ends with 20 where anything is missing or damaged.
    """
    here = Invocation.here()
    with (
        open_write_deps(here.existing_server(data, storage), here.environ) as deps,
        Progress() as tell,
    ):
        answers, code = each_app(
            named_apps(deps.ledger, names), lambda app: verify_app(deps, app, tell=tell)
        )
    if as_json:
        print_json({"apps": [_describe(app, answer) for app, answer in answers.items()]})
    wrong = False
    for answer in answers.values():
        if isinstance(answer, Verification):
            wrong = wrong or not answer.is_whole
            if not as_json:
                _show(answer)
    if code or wrong:
        sys.exit(code or ExitCode.REFUSED)


def _show(found: Verification) -> None:
    for fault in found.missing:
        show(f"missing  {fault.key}  ({fault.by})")
    for fault in found.damaged:
        show(f"damaged  {fault.key}: {fault.what}  ({fault.by})")
    for verdict in found.unknown:
        show(f"unknown  {verdict.info.key}")
    size = format_bytes(sum(verdict.info.size_bytes for verdict in found.extra))
    show(
        f"{found.app}: {found.checked} objects as signed, {format_bytes(found.checked_bytes)}; "
        f"{len(found.missing)} missing, {len(found.damaged)} damaged; "
        f"{len(found.extra)} extra, {size}"
    )


def _describe(app: AppName, answer: Verification | LockgateError) -> JsonObject:
    if isinstance(answer, LockgateError):
        return describe_refusal(app, answer)
    extra: list[Json] = [
        {"key": v.info.key, "bytes": v.info.size_bytes, "why": v.why} for v in answer.extra
    ]
    return {
        "app": app,
        "checked": answer.checked,
        "checked_bytes": answer.checked_bytes,
        "missing": [_describe_fault(fault) for fault in answer.missing],
        "damaged": [_describe_fault(fault) for fault in answer.damaged],
        "extra": extra,
        "unknown": [verdict.info.key for verdict in answer.unknown],
    }


def _describe_fault(fault: Fault) -> JsonObject:
    return {"key": fault.key, "what": fault.what, "by": fault.by}
