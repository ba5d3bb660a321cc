"""The verbs that look after an installation: verify, repair."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping

from lockgate_release.errors import ExitCode
from lockgate_release.strict_json import Json
from lockgate_updater.command.events import observing, show_result
from lockgate_updater.command.options import open_updater
from lockgate_updater.command.output import error_json, print_json, print_words
from lockgate_updater.state.listing import Difference, TreeDiffersError

__all__ = ["repair", "verify"]


def verify(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Prove that the installed tree is the signed one, or name what differs."""
    try:
        version = open_updater(options, environ).verify()
    except TreeDiffersError as exc:
        if options.json:
            print_json({**error_json(exc), "differences": _differences_json(exc.differences)})
        _tell(exc.differences)
        print_words(f"lockgate-updater: {exc}")
        return exc.exit_code
    if options.json:
        print_json({"result": "verified", "version": version})
    print_words(f"{version} is exactly the tree that was signed")
    return ExitCode.OK


def repair(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Bring the installed tree to what was signed."""
    with observing(options) as observe:
        result = open_updater(options, environ).repair(progress=observe, dry_run=options.dry_run)
    show_result(
        options,
        {
            "result": "planned" if result.planned else "repaired",
            "version": result.version,
            "differences": _differences_json(result.differences),
            "from_disk": result.from_disk,
            "from_artifact": result.from_artifact,
            "fetched_bytes": result.fetched_bytes,
            "artifact_bytes": result.artifact_bytes,
        },
    )
    _tell(result.differences)
    print_words(str(result))
    return ExitCode.OK


def _tell(differences: Iterable[Difference]) -> None:
    for difference in differences:
        print_words(f"  {difference}")


def _differences_json(differences: Iterable[Difference]) -> list[Json]:
    return [{"path": item.path, "kind": item.kind.value} for item in differences]
