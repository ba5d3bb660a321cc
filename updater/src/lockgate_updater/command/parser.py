"""What can be typed: a table of verbs and their options. Imports only what a cold start needs.

A parser is made for the verb that was asked for; all of them are made for help and for documents.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lockgate_updater import __version__

__all__ = ["PROGRAM", "VERBS", "Verb", "build_parser", "fill_parser", "parse_arguments"]

PROGRAM = "lockgate-updater"
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

Adder = Callable[[argparse.ArgumentParser], object]


class Verb(NamedTuple):
    """One verb of the command line.

    Attributes:
        text: What it does, in a few words.
        module: Where its function is, below `lockgate_updater.command`.
        options: What adds its options to a parser.
    """

    text: str
    module: str
    options: tuple[Adder, ...]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Keeps one installed app up to date: checks, verifies, installs, goes back.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        fill_parser(verbs.add_parser(name, help=verb.text, allow_abbrev=False), name)
    return parser


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says; one that makes no sense ends the process, with help.

    Args:
        arguments: Verb and options.
    """
    name = arguments[0] if arguments else ""
    if name not in VERBS:
        return build_parser().parse_args(arguments)
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {name}", allow_abbrev=False)
    return fill_parser(parser, name).parse_args(arguments[1:])


def fill_parser(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """Give a parser what it needs for a verb, and return it."""
    verb = VERBS[name]
    parser.description = f"{verb.text.capitalize()}."
    parser.set_defaults(verb=name)
    for add in verb.options:
        add(parser)
    return parser


def _home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", help="the client's home (LOCKGATE_HOME)")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _look(parser: argparse.ArgumentParser) -> None:
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


def _events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", action="store_true", help="print one JSON object a line: each event, the result"
    )


def _force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force",
        action="store_true",
        help="a person asks: pass the gate (never a revocation, the floor, or verification)",
    )


def _unattested(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-unattested",
        action="store_true",
        help="take, for once, what the channel demands a proof of origin for and nobody has proven",
    )


def _switch(name: str, text: str) -> Adder:
    return lambda parser: parser.add_argument(name, action="store_true", help=text)


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--app", metavar="APP", help="the app")
    parser.add_argument("--repository", metavar="URL", help="where releases come from")
    parser.add_argument("--root", metavar="FILE", help="the trust anchor, root.json")
    parser.add_argument("--channel", metavar="C", help="the channel to follow (stable)")
    parser.add_argument("--client-id", metavar="UUID", default="", help="instead of a random one")
    parser.add_argument(
        "--reports", action="store_true", help="report how releases fare, naming nobody"
    )


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--program", metavar="PATH", default="", help="a program of the tree, not the release's own"
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="-- ARG",
        help="for the program; where the release names none, the first names it",
    )


def _release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--release", metavar="VERSION", default="", help="a live release to read of instead"
    )


def _shell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


_COMMON = (_home, _json)
VERBS = {
    "init": Verb("make a home for a client", "acting", (*_COMMON, _init)),
    "check": Verb("say what an update would do", "looking", (*_COMMON, _look, _force, _unattested)),
    "update": Verb(
        "download, prove, switch, and commit or roll back",
        "acting",
        (
            *_COMMON,
            _look,
            _force,
            _unattested,
            _events,
            _switch("--dry-run", "print the plan and do nothing"),
        ),
    ),
    "watch": Verb(
        "keep up to date: look, act, wait, until a signal ends it",
        "watching",
        (
            *_COMMON,
            _look,
            _events,
            _switch("--once", "look once, at once, and end"),
            _switch("--check-only", "look and tell, and install nothing"),
        ),
    ),
    "status": Verb("say what stands on this machine; asks nobody", "acting", _COMMON),
    "reports": Verb("print every report that waits, or was sent last", "reporting", _COMMON),
    "confirm": Verb("commit the release on trial: it works", "acting", _COMMON),
    "rollback": Verb("go back to the last good version", "acting", (*_COMMON, _events)),
    "explain": Verb(
        "print the whole chain of reasoning", "looking", (*_COMMON, _look, _force, _unattested)
    ),
    "notes": Verb(
        "print what the offered release brings, or the installed one",
        "looking",
        (*_COMMON, _look, _force, _release),
    ),
    "self-update": Verb(
        "update the updater that looks after this home", "itself", (*_COMMON, _force)
    ),
    "verify": Verb("prove that the installed tree is the signed one", "tending", _COMMON),
    "doctor": Verb(
        "look for everything that can be wrong here; change nothing",
        "doctoring",
        (*_COMMON, _look, _switch("--deep", "read every file of the installed tree")),
    ),
    "repair": Verb(
        "bring the installed tree to what was signed",
        "tending",
        (*_COMMON, _look, _events, _switch("--dry-run", "print what differs, do nothing")),
    ),
    "run": Verb("start the installed program", "acting", (_home, _run)),
    "completion": Verb(
        "print what makes bash, zsh or fish complete this command", "completion", (_shell,)
    ),
}
