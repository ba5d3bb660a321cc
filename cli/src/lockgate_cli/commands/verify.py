"""`lockgate verify`: who has built and signed a file or a release, proven without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from lockgate_cli.commands.explain import FROM, repository_of
from lockgate_cli.context import Call, read_file, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.output import show, show_json
from lockgate_cli.public_good import read_public_good
from lockgate_cli.repository import load_base, read_chain
from lockgate_cli.verifying import (
    Verdict,
    bundles_beside,
    digest_of,
    find_release,
    find_version,
    read_signed_root,
    rules_of,
    verify_file,
    verify_release,
)
from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
    is_name_pattern,
)
from lockgate_release.errors import ProvenanceError, UsageError
from lockgate_release.names import parse_channel_name

__all__ = ["verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Roots:
    """Where the trusted root is to come from."""

    file: str | None
    public_good: bool
    address: str | None


@click.command()
@click.argument("what", metavar="FILE|VERSION")
@click.option(
    "--identity",
    "identities",
    multiple=True,
    metavar="PATTERN",
    help="Who must have signed: a workflow's address or a mailbox; * is any run without /.",
)
@click.option("--issuer", metavar="URL", help="Who vouches for that identity, exactly.")
@click.option(
    "--predicate-type",
    "types",
    multiple=True,
    metavar="URI",
    help="Only such in-toto statements count.",
)
@click.option("--source-repository", default="", metavar="PATTERN", help="Where it was built from.")
@click.option("--workflow", default="", metavar="PATTERN", help="The workflow that built it.")
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    metavar="FILE",
    help="A bundle of the file; default: FILE.sigstore.json beside it.",
)
@click.option(
    "--trusted-root", metavar="FILE", help="What vouches for bundles; default: the app's."
)
@click.option(
    "--sigstore-public-good",
    "public_good",
    is_flag=True,
    help="Let the public Sigstore vouch, as in the installed sigstore.",
)
@click.option("--channel", help="Of a release: what this channel's policy demands.")
@FROM
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "server")
def verify(  # noqa: PLR0913 (one argument for each option)
    call: Call,
    *,
    what: str,
    identities: tuple[str, ...],
    issuer: str | None,
    types: tuple[str, ...],
    source_repository: str,
    workflow: str,
    bundles: tuple[str, ...],
    trusted_root: str | None,
    public_good: bool,
    channel: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Prove who has signed a file here, or every artifact of a release.

    A file is proven by the Sigstore bundles beside it, and needs no server where the trusted root
    is named; one without bundles is looked up among the artifacts of live releases. Releases are
    read through their signed lists, from the server or --from a mirror's folder. Without
    --identity, a release is held to the policy of its channels. No Sigstore service is asked for
    anything. Ends with 20 where something is not proven.
    """
    rule = _typed_rule(identities, issuer, types, source_repository, workflow)
    roots = _Roots(file=trusted_root, public_good=public_good, address=address)
    path = call.around.folder / what
    files = [call.around.folder / name for name in bundles]
    if path.is_file() and _is_on_its_own(call, path, files, rule):
        verdicts = _verify_alone(call, path, files, rule, roots, channel=channel)
    else:
        verdicts = _verify_release(call, what, rule, roots, channel=channel, bundles=bundles)
    if as_json:
        show_json({"what": what, "artifacts": [one.to_json() for one in verdicts]})
    else:
        _show(verdicts)
    _check(what, verdicts)


def _typed_rule(
    identities: tuple[str, ...],
    issuer: str | None,
    types: tuple[str, ...],
    source_repository: str,
    workflow: str,
) -> AttestationRule | None:
    """Return the rule that was typed, or None where none was.

    Raises:
        UsageError: A part of it is missing, or is no pattern.
    """
    if not identities and issuer is None and not (types or source_repository or workflow):
        return None
    if not identities or not issuer:
        raise UsageError(
            "half of whom you expect",
            expected="--identity and --issuer",
            hint="An identity counts only together with who vouches for it.",
        )
    for option, pattern in (
        *(("--identity", one) for one in identities),
        ("--source-repository", source_repository),
        ("--workflow", workflow),
    ):
        if pattern and not is_name_pattern(pattern):
            raise UsageError(
                "not a pattern",
                subject=option,
                expected="a name whose owner (host, or what follows @) is written out",
                found=repr(pattern[:80]),
            )
    demand = AttestationDemand(
        signers=tuple(SignerRule(identity=one, issuer=issuer) for one in identities),
        predicate_types=types,
        source_repository=source_repository,
        workflow=workflow,
    )
    return AttestationRule(demands=(demand,))


def _is_on_its_own(
    call: Call, path: Path, files: Sequence[Path], rule: AttestationRule | None
) -> bool:
    """Whether a file is verified by bundles at hand, and not as a release's artifact."""
    beside = rule is not None and bundles_beside(path)
    return bool(files or beside) or call.app_if_said is None


def _verify_alone(
    call: Call,
    path: Path,
    files: Sequence[Path],
    rule: AttestationRule | None,
    roots: _Roots,
    *,
    channel: str | None,
) -> tuple[Verdict, ...]:
    if channel is not None or rule is None:
        raise UsageError(
            "whom do you expect?" if rule is None else "a file is in no channel",
            subject=path.name,
            expected="--identity and --issuer",
            hint="A signature by just anybody proves nothing.",
        )
    chosen = files or bundles_beside(path)
    return (verify_file(path, chosen, rule, _read_root(call, roots)),)


def _verify_release(
    call: Call,
    what: str,
    rule: AttestationRule | None,
    roots: _Roots,
    *,
    channel: str | None,
    bundles: tuple[str, ...],
) -> tuple[Verdict, ...]:
    if bundles:
        raise UsageError("no such file", subject=what, hint="--bundle is for a file on its own.")
    if channel is not None and rule is not None:
        raise UsageError("one rule or the other", expected="--channel or --identity")
    name = None if channel is None else parse_field("--channel", parse_channel_name, channel)
    _check_app(call, what)
    path = call.around.folder / what
    only = digest_of(path) if path.is_file() else None
    with repository_of(call, roots.address) as source:
        base = load_base(source, call.app, call.pinned_root(), now=call.around.now())
        version = what if only is None else find_version(source, base, only)
        find_release(base, version)
        rules = {"": rule} if rule is not None else rules_of(base, version, name)
        root = _named_root(call, roots)
        if root is None:
            root = read_signed_root(source, call.app, base.chain)
        return verify_release(source, base, version, rules, root, only=only)


def _check_app(call: Call, what: str) -> None:
    if call.app_if_said is None:
        raise UsageError(
            "no such file", subject=what, hint="For a release, say --app, --root and --server."
        )


def _read_root(call: Call, roots: _Roots) -> bytes:
    """Return what vouches for the bundles of a file on its own."""
    named = _named_root(call, roots)
    if named is not None:
        return named
    if call.app_if_said is None:
        raise UsageError(
            "who vouches for bundles?",
            expected="--trusted-root FILE or --sigstore-public-good",
            hint="Or say --app, --root and --server: what its maintainers have signed is taken.",
        )
    with ExitStack() as stack:
        source = stack.enter_context(repository_of(call, roots.address))
        chain = read_chain(source, call.app, call.pinned_root(), now=call.around.now())
        return read_signed_root(source, call.app, chain)


def _named_root(call: Call, roots: _Roots) -> bytes | None:
    if roots.public_good and roots.file is not None:
        raise UsageError(
            "one trusted root or the other", expected="--trusted-root or --sigstore-public-good"
        )
    if roots.public_good:
        return read_public_good()[0]
    return None if roots.file is None else read_file(call.around.folder / roots.file)


def _show(verdicts: Iterable[Verdict]) -> None:
    for one in verdicts:
        label = f"{one.name} ({one.platform})" if one.platform else one.name
        demanded = f" for {one.demanded_by}" if one.demanded_by else ""
        show(f"{label}: {'proven' if one.judgement.is_met else 'not proven'}{demanded}")
        for proof in one.judgement.found:
            show(f"  {proof.in_words()}")
        if one.tree is not None and one.judgement.is_met:
            why = "proven" if one.tree.is_met else "not proven, so clients take no deltas to it"
            show(f"  the tree in it: {why}")
        if not one.judgement.is_met:
            show(f"  {one.judgement.why_not()}")


def _check(what: str, verdicts: tuple[Verdict, ...]) -> None:
    """Refuse what is not proven, after it has been shown.

    Raises:
        ProvenanceError: Something is not.
    """
    lacking = [one for one in verdicts if not one.judgement.is_met]
    if lacking:
        raise ProvenanceError(
            "its origin is not proven",
            subject=what,
            expected="all of it proven",
            found=f"{len(verdicts) - len(lacking)} of {len(verdicts)} proven",
            hint="Do not use it unless you know why.",
        )
