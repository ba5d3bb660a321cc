"""Lockgate's TUF layer behind the command that tuf-conformance drives.

It decides nothing: `TufClient` verifies, `HttpTransport` fetches. What it adds is that a refusal
and a bug are told apart. A refusal is a `LockgateError` and exits with 1; anything else that
comes out is a bug of ours and exits with 70, which the suite takes for a failure whatever it
expected.
"""

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from lockgate_release.errors import LocalError, LockgateError, TrustError
from lockgate_release.trust.client import TufClient
from lockgate_updater.fetch.transport import HttpTransport

DONE = 0
REFUSED = 1
BUG = os.EX_SOFTWARE

log = logging.getLogger("lockgate-conformance")


def _anchor(arguments: argparse.Namespace) -> Path:
    # The suite reads every *.json that lies directly in the folder as trusted metadata.
    metadata: Path = arguments.metadata_dir
    return metadata / "anchor" / "root.json"


def init(arguments: argparse.Namespace) -> None:
    """Keep the root that trust begins with."""
    anchor = _anchor(arguments)
    anchor.parent.mkdir()
    shutil.copyfile(arguments.trusted_root, anchor)


def refresh(arguments: argparse.Namespace) -> None:
    """Bring the metadata up to date."""
    with closing(HttpTransport(environ={})) as transport:
        _open(arguments, transport).refresh()


def download(arguments: argparse.Namespace) -> None:
    """Bring the targets, in their order and through one client, into the folder for targets."""
    with closing(HttpTransport(environ={})) as transport:
        client = _open(arguments, transport)
        client.refresh()
        for path in arguments.target_name:
            # The folder is the client's own cache: what it keeps there is what the suite judges.
            if client.find(path) is None:
                raise TrustError("no such target", subject=path)
            log.info("%s is here", path)


def _open(arguments: argparse.Namespace, transport: HttpTransport) -> TufClient:
    try:
        bootstrap = _anchor(arguments).read_bytes()
    except OSError as exc:
        raise LocalError("not initialised", found=str(exc)) from exc
    return TufClient(
        metadata_url=arguments.metadata_url,
        targets_url=arguments.target_base_url,
        metadata=arguments.metadata_dir,
        targets=arguments.target_dir or arguments.metadata_dir / "unused",
        bootstrap=bootstrap,
        fetch=transport,
    )


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url", default="")
    verbs = parser.add_subparsers(required=True)
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "init": init,
        "refresh": refresh,
        "download": download,
    }
    for name, act in actions.items():
        verb = verbs.add_parser(name, help=act.__doc__)
        verb.set_defaults(act=act)
        if name == "init":
            verb.add_argument("trusted_root", type=Path)
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Carry out one command and return its exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    arguments = _parse(words)
    try:
        arguments.act(arguments)
    except LockgateError as exc:
        log.error("refused (%s): %s", exc.code, exc)  # noqa: TRY400 (no trace for a refusal)
        return REFUSED
    except Exception:
        log.exception("a bug of ours: no LockgateError")
        return BUG
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
