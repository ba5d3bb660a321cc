"""The steps of a release of Lockgate, as commands."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from releasing.building import ReleaseError, backend, build, compare
from releasing.checklist import run_checklist
from releasing.looking import check_tag, check_tree, notes, version
from releasing.rehearsing import pack_client, rehearse, try_wheels


def main(arguments: list[str] | None = None) -> int:
    """Do one step and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except ReleaseError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m releasing", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="STEP")

    def add(name: str, text: str, run: object) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(run=run)
        return verb

    for name, text, run in (
        ("build", "build the four distributions of a commit, the same for everybody", _build),
        ("compare", "build it once more elsewhere, and compare", _compare),
    ):
        verb = add(name, text, run)
        verb.add_argument("--commit", default="HEAD", help="a tag or commit (HEAD)")
        verb.add_argument("dist", type=Path, help="the folder of what is built")
    add("try", "install the client's wheels as people do", _try).add_argument("dist", type=Path)
    verb = add("pack", "pack the client as the updater's own app, for this platform", _pack)
    verb.add_argument("dist", type=Path)
    verb.add_argument("archive", type=Path, help="the .tar.gz to write")
    verb = add("rehearse", "publish them with our own tools, to a server on loopback", _rehearse)
    verb.add_argument("dist", type=Path)
    verb = add("notes", "print the notes of the release to come", _notes)
    verb.add_argument("--closed", action="store_true", help="their section must have the version")
    add("tree", "refuse a tree with changes, or a tag of another version", _tree)
    verb = add("check", "run docs/release-checklist.md", _check)
    verb.add_argument("steps", type=int, nargs="*", help="only these")
    return parser


def _build(options: argparse.Namespace) -> None:
    for name, sha256 in build(options.commit, options.dist).items():
        print(f"{sha256}  {name}")
    print(f"built with {backend()}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    found = compare(options.commit, options.dist)
    print(f"{len(found)} files, built twice, are the same")


def _try(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(*try_wheels(options.dist, Path(folder) / "tree"), sep="\n")


def _pack(options: argparse.Namespace) -> None:
    print(pack_client(options.dist, options.archive))


def _rehearse(options: argparse.Namespace) -> None:
    print(rehearse(options.dist))


def _notes(options: argparse.Namespace) -> None:
    print(notes(closed=options.closed), end="")


def _tree(_: argparse.Namespace) -> None:
    print(check_tree(), check_tag() or "no tag yet")


def _check(options: argparse.Namespace) -> int:
    return 1 if run_checklist(version(), options.steps) else 0


if __name__ == "__main__":
    sys.exit(main())
