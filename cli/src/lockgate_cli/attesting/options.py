"""The options that say which attestations go with a release."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lockgate_cli.attesting.attaching import AttestWish, read_wish
from lockgate_cli.attesting.keyless import TOKEN_VARIABLE, KeylessWish
from lockgate_cli.context import Call
from lockgate_cli.defaults import PublishOptions
from lockgate_release.errors import UsageError

__all__ = ["AttestOptions", "takes_attestations"]

_PATH = click.Path(path_type=Path)
_SIGNING = (
    click.option(
        "--sigstore/--no-sigstore",
        default=None,
        help="Sign each artifact, and the claim of the tree in it, by Sigstore, as the job that "
        "this runs in.",
    ),
    click.option(
        "--identity-token-file",
        "token_file",
        metavar="FILE",
        type=_PATH,
        help=f"Sign as this OpenID Connect token says. Default: {TOKEN_VARIABLE}, or the job's.",
    ),
    click.option(
        "--trust-config",
        metavar="FILE",
        type=_PATH,
        help="Sign with a private instance of Sigstore: its trust config.",
    ),
)
_FILES = (
    click.option(
        "--attestation",
        "files",
        multiple=True,
        metavar="FILE",
        type=_PATH,
        help="A Sigstore bundle, GitHub's attestations, or an SBOM; repeatable.",
    ),
    click.option(
        "--bundle-dir",
        metavar="FOLDER",
        type=_PATH,
        help="Take the *.sigstore.json there that speak about the artifacts.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestOptions:
    """What a command line said about attestations; None: nothing.

    Attributes:
        sigstore: Whether to sign.
        token_file: The identity's token.
        trust_config: That of a private instance.
        files: Files that were named.
        bundle_dir: Where bundles lie.
    """

    sigstore: bool | None = None
    token_file: Path | None = None
    trust_config: Path | None = None
    files: tuple[Path, ...] = ()
    bundle_dir: Path | None = None

    def read(self, call: Call, said: PublishOptions) -> AttestWish:
        """Return what is wanted, its files read; `said` speaks where this says nothing.

        Raises:
            UsageError: Options contradict each other, or a file holds no attestation.
            LocalError: A file cannot be read.
        """
        sigstore = bool(said.sigstore) if self.sigstore is None else self.sigstore
        if not sigstore and (self.token_file or self.trust_config):
            raise UsageError(
                "says how to sign, and not to sign",
                subject="--identity-token-file" if self.token_file else "--trust-config",
                expected="--sigstore too",
            )
        folder = call.around.folder
        bundles = _below(folder, self.bundle_dir)
        if bundles is None and said.bundle_dir:
            bundles = call.settings.path(said.bundle_dir)
        keyless = None
        if sigstore:
            keyless = KeylessWish(
                token_file=_below(folder, self.token_file),
                trust_config=_below(folder, self.trust_config)
                or (call.settings.path(said.trust_config) if said.trust_config else None),
            )
        return read_wish(
            [folder / path for path in self.files],
            bundles,
            keyless,
        )


def _below(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else folder / path


def takes_attestations(
    *, files: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds these options, as one value called `attesting`.

    Args:
        files: Whether the command takes files by options too.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        names = ["sigstore", "token_file", "trust_config", *(["files", "bundle_dir"] * files)]

        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as click has it)
            own = {name: options.pop(name) for name in names}
            function(*arguments, attesting=AttestOptions(**own), **options)

        for option in reversed((*_SIGNING, *(_FILES if files else ()))):
            run = option(run)
        return run

    return decorate
