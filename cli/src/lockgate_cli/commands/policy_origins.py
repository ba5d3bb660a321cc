"""`lockgate policy trusted-root`: puts before maintainers what origins are verified with."""

from __future__ import annotations

from pathlib import Path

import click

from lockgate_cli.ceremonies.changing import Change
from lockgate_cli.ceremonies.files import load_ceremony
from lockgate_cli.ceremonies.putting import put_into, show_nothing
from lockgate_cli.commands.explain import FROM
from lockgate_cli.commands.policy import check_registered, policy
from lockgate_cli.commands.root import FILE, source_of
from lockgate_cli.context import Call, read_file, takes
from lockgate_cli.output import say, warn
from lockgate_cli.public_good import read_public_good
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base, FileReader, read_document
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import parse_policy
from lockgate_release.documents.trusted_root import MAX_TRUSTED_ROOT_BYTES, parse_trusted_root
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.trust.ceremony import Ceremony
from lockgate_release.trust.ceremony.examining import removed_in
from lockgate_release.trust.ceremony.file import read_targets

__all__ = ["policy"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
_PATH = click.Path(dir_okay=False, path_type=Path)


@policy.command("trusted-root")
@FILE
@click.option(
    "--from-file",
    "chosen",
    metavar="TRUSTED_ROOT",
    type=_PATH,
    help="Sigstore's trusted root as JSON: that of a private instance, or one you have verified.",
)
@click.option(
    "--sigstore-public-good",
    "public_good",
    is_flag=True,
    help="The public Sigstore's, as the sigstore package that is installed here brings it.",
)
@click.option(
    "--remove",
    is_flag=True,
    help="Trust nobody's word on who built a release any more; refused while a channel demands it.",
)
@FROM
@click.option("--dry-run", is_flag=True, help="Say what would come of it; write nothing.")
@_JSON
@takes("app", "root", "server")
def trusted_root(
    call: Call,
    *,
    file: Path,
    chosen: Path | None,
    public_good: bool,
    remove: bool,
    address: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put what proofs of origin are verified with into the ceremony FILE, for maintainers to sign.

    Whoever stands in it vouches for who built a release. Clients take it from the app's own signed
    targets, and from nowhere else. Renew it when Sigstore's services change their keys.
    """
    if [public_good, chosen is not None, remove].count(True) != 1:
        raise UsageError(
            "which trusted root?",
            expected="one of --from-file FILE, --sigstore-public-good and --remove",
        )
    new, name = (None, "") if remove else _read_new(call, chosen)
    path = call.around.folder / file
    earlier = load_ceremony(path) if path.exists() else None
    check_registered(earlier, file)
    with source_of(call, earlier, address) as reader:
        base = load_newest_base(call, reader, call.app, call.pinned_root())
        if _standing(reader, base, earlier) == new:
            where = "in force" if earlier is None else f"in {file}"
            found = (
                f"this trusted root is {where} already"
                if new
                else f"{base.app} has no trusted root"
            )
            say(f"Nothing to do: {found}.")
            show_nothing(base.app, as_json=as_json)
            return
        if new is None:
            change = _removal(reader, base, earlier)
        else:
            warn(
                f"whoever signs this trusts {name} (SHA-256 {digest_bytes(new)}): compare it with "
                "what somebody else has, from another place"
            )
            change = Change(title="who vouches for origins", trusted_root=new)
        put_into(call, reader, file, change, dry_run=dry_run, as_json=as_json)


def _read_new(call: Call, chosen: Path | None) -> tuple[bytes, str]:
    """Return the trusted root to come, and what to call it."""
    data, source = (
        (read_file(call.around.folder / chosen), chosen.name)
        if chosen is not None
        else read_public_good()
    )
    _check(data, source)
    return data, source


def _standing(reader: FileReader, base: Base, earlier: Ceremony | None) -> bytes | None:
    """Return the trusted root as the ceremony leaves it, or as it is in force; None: there is none.

    Raises:
        RepositoryError: What is in force cannot be verified.
        TransportError: It could not be fetched.
    """
    chain, gone = base.chain, frozenset[str]()
    if earlier is not None:
        if TRUSTED_ROOT_PATH in earlier.documents:
            return earlier.documents[TRUSTED_ROOT_PATH]
        gone = removed_in(chain, read_targets(earlier), earlier.documents)
    if TRUSTED_ROOT_PATH in gone or TRUSTED_ROOT_PATH not in chain.targets.signed.targets:
        return None
    return read_document(reader, base.app, chain, TRUSTED_ROOT_PATH)


def _removal(reader: FileReader, base: Base, earlier: Ceremony | None) -> Change:
    """Return the change that takes the trusted root away, with the policy that does without.

    Raises:
        UsageError: A channel demands proofs of origin.
    """
    known = earlier.documents if earlier is not None else {}
    policy = known.get(POLICY_PATH) or read_document(reader, base.app, base.chain, POLICY_PATH)
    rules = parse_policy(policy).channels
    asking = sorted(name for name, rule in rules.items() if rule.attestations is not None)
    if asking:
        raise UsageError(
            "proofs of origin are demanded, and nobody could verify them any more",
            subject=TRUSTED_ROOT_PATH,
            found=", ".join(asking),
            hint=f"Lift that in the same ceremony first: lockgate policy edit FILE --channel "
            f"'{asking[0]}' --no-attest.",
        )
    return Change(
        title="nobody vouches for origins",
        policy=policy,
        removed=frozenset({TRUSTED_ROOT_PATH}),
    )


def _check(data: bytes, source: str) -> None:
    if len(data) > MAX_TRUSTED_ROOT_BYTES:
        raise UsageError(
            "too large", subject=source, expected=f"at most {MAX_TRUSTED_ROOT_BYTES} bytes"
        )
    try:
        parse_trusted_root(data, subject=source)
    except DocumentError as exc:
        raise UsageError(
            exc.what, subject=exc.subject, expected=exc.expected, found=exc.found
        ) from exc
