"""What can be typed: verbs and options, and nothing else. Imports only what a cold start needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from lockgate_updater import __version__

__all__ = ["build_parser"]

_EXIT_CODES = """\
exit codes:
  0   done; check: up to date
  1   a bug
  2   a request that makes no sense
  10  check: something is to be done (an offer, or a revoked release to leave)
  11  check: held, with the reason
  12  check: unknown, with the reason
  20  refused by verification      21  the network       22  this machine
  30  update: the release failed and was rolled back
  125 run: the launcher itself failed; otherwise run ends with the program's own code

Settings come from flags, then LOCKGATE_* in the environment, then lockgate.toml in the home.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="lockgate-updater",
        description="Keeps one installed app up to date: checks, verifies, installs, goes back.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_init(_verb(verbs, "init", "make a home for a client"))
    _add_common(_verb(verbs, "check", "say what an update would do"), _add_look, _add_force)
    update = _verb(verbs, "update", "download, prove, switch, and commit or roll back")
    _add_common(update, _add_look, _add_force, _add_events)
    update.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    watch = _verb(verbs, "watch", "keep up to date: look, act, wait, until a signal ends it")
    _add_common(watch, _add_look, _add_events)
    watch.add_argument("--once", action="store_true", help="look once, at once, and end")
    watch.add_argument(
        "--check-only", action="store_true", help="look and tell, and install nothing"
    )
    _add_common(_verb(verbs, "status", "say what stands on this machine; asks nobody"))
    _add_common(_verb(verbs, "confirm", "commit the release on trial: it works"))
    _add_common(_verb(verbs, "rollback", "go back to the last good version"), _add_events)
    explain = _verb(verbs, "explain", "print the whole chain of reasoning")
    _add_common(explain, _add_look, _add_force)
    itself = _verb(verbs, "self-update", "update the updater that looks after this home")
    _add_common(itself, _add_force)
    _add_common(_verb(verbs, "verify", "prove that the installed tree is the signed one"))
    doctor = _verb(verbs, "doctor", "look for everything that can be wrong here; change nothing")
    _add_common(doctor, _add_look)
    doctor.add_argument("--deep", action="store_true", help="read every file of the installed tree")
    repair = _verb(verbs, "repair", "bring the installed tree to what was signed")
    _add_common(repair, _add_look, _add_events)
    repair.add_argument("--dry-run", action="store_true", help="print what differs, do nothing")
    _add_run(_verb(verbs, "run", "start the installed program"))
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=text, description=text.capitalize() + ".")


def _add_home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", help="the client's home (LOCKGATE_HOME)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _add_common(
    parser: argparse.ArgumentParser, *more: Callable[[argparse.ArgumentParser], None]
) -> None:
    _add_home(parser)
    for add in more:
        add(parser)


def _add_look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repository", metavar="URL", help="where releases come from")
    parser.add_argument("--channel", metavar="C", help="the channel to follow")
    parser.add_argument("--ca", metavar="FILE", help="certificate authorities to trust")
    parser.add_argument("--pin", metavar="VERSION", help="the only version that is wanted")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="VERSION",
        help="a version that is not wanted, besides those of the settings; can be repeated",
    )


def _add_events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", action="store_true", help="print one JSON object a line: each event, the result"
    )


def _add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force",
        action="store_true",
        help="a person asks: pass the gate (never a revocation, the floor, or verification)",
    )


def _add_init(parser: argparse.ArgumentParser) -> None:
    _add_home(parser)
    parser.add_argument("--app", metavar="APP", help="the app")
    parser.add_argument("--repository", metavar="URL", help="where releases come from")
    parser.add_argument("--root", metavar="FILE", help="the trust anchor, root.json")
    parser.add_argument("--channel", metavar="C", help="the channel to follow (stable)")
    parser.add_argument("--client-id", metavar="UUID", default="", help="instead of a random one")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", help="the client's home (LOCKGATE_HOME)")
    parser.add_argument(
        "--program", metavar="PATH", default="", help="a program of the tree, not the release's own"
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="-- ARG",
        help="for the program; where the release names none, the first names it",
    )
