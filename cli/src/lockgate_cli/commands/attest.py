"""`lockgate attest`: proofs of origin for releases that are live already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import click

from lockgate_cli.api import Api
from lockgate_cli.attesting.adding import add_attached, only_new
from lockgate_cli.attesting.attaching import (
    Attached,
    AttestWish,
    attach,
    find_unsigned,
    read_files,
    sign_all,
    waiting_extras,
    with_attached,
)
from lockgate_cli.attesting.backfilling import plan_backfill
from lockgate_cli.attesting.coverage import Covered, Live, load_live, survey
from lockgate_cli.attesting.enforcing import (
    Demand,
    check_complete,
    parse_demand,
    trusted_root_for,
)
from lockgate_cli.attesting.files import read_folder
from lockgate_cli.attesting.judging import BundleReader, rule_judge, rules_in_force, tree_judge
from lockgate_cli.attesting.keyless import open_keyless
from lockgate_cli.attesting.matching import claim_of
from lockgate_cli.attesting.options import AttestOptions, takes_attestations
from lockgate_cli.attesting.telling import (
    added_json,
    coverage_json,
    say_added,
    say_backfill,
    say_covered,
    show_covered,
)
from lockgate_cli.attesting.trees import make_claims, prove_trees
from lockgate_cli.attesting.vouching import doubts_about
from lockgate_cli.ceremonies.changing import Change
from lockgate_cli.ceremonies.files import load_ceremony
from lockgate_cli.ceremonies.putting import put_into
from lockgate_cli.commands.attest_options import Attests, attest_options, rule_of
from lockgate_cli.context import Call, takes
from lockgate_cli.defaults import parse_options
from lockgate_cli.output import say, show_json, warn
from lockgate_cli.policies import edit_channel
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base
from lockgate_cli.roles import choose_role
from lockgate_cli.submitting import Outcome, load_keys
from lockgate_release.documents import parse_policy
from lockgate_release.errors import UsageError
from lockgate_release.layout import POLICY_PATH

__all__ = ["attest"]

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
_PATH = click.Path(path_type=Path)


@click.group()
def attest() -> None:
    """Add proofs of origin to releases that are live, and see what is covered.

    A release never changes. What is added to it stands in its extras, which publishers sign anew.
    """


@attest.command("list")
@click.argument("versions", nargs=-1)
@_JSON
@takes("app", "root", "server")
def list_covered(call: Call, *, versions: tuple[str, ...], as_json: bool) -> None:
    """Show what is attested of each live artifact, and what it lacks of its channels' policy."""
    with call.api() as api:
        base = load_newest_base(call, api, call.app, call.pinned_root())
        covered = _survey(api, base, _load(api, base, versions), {})
    if as_json:
        show_json({"app": base.app, **coverage_json(covered)})
        return
    show_covered(covered)
    say_covered(covered)


def _load(api: Api, base: Base, versions: Sequence[str]) -> tuple[Live, ...]:
    """Return these live releases, or all.

    Raises:
        UsageError: One is not live.
    """
    found = load_live(api, base, versions)
    missing = sorted({*versions} - {live.version for live in found})
    if missing:
        raise UsageError("not a live release", subject=", ".join(missing))
    return found


def _survey(
    api: Api,
    base: Base,
    releases: Sequence[Live],
    held: Mapping[str, Sequence[Attached]],
    demand: Demand | None = None,
    require: Path | None = None,
) -> tuple[Covered, ...]:
    """Return how it stands with each artifact, by the rule to come or the rules in force."""
    contents = {one.said.sha256: one.said.data for items in held.values() for one in items}
    reader = BundleReader(api=api, app=base.app, held=contents)
    rules = rules_in_force(base) if demand is None else demand.rules(base)
    if demand is not None:
        releases = [live for live in releases if demand.concerns(base, live)]
    root = trusted_root_for(api, base, require)
    return survey(releases, rule_judge(rules, root, reader), tree_judge(rules, root, reader))


@attest.command()
@click.argument("version")
@click.argument("files", nargs=-1, type=_PATH)
@takes_attestations(files=False)
@_DRY_RUN
@_JSON
@takes("app", "root", "keys", "server", "sending", "waiting")
def add(
    call: Call,
    *,
    version: str,
    files: tuple[Path, ...],
    attesting: AttestOptions,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add the attestations in FILES to the live release VERSION, or sign it by Sigstore.

    Each file has to speak about one of its artifacts, or the claim of a tree in one. What it has
    already is not added again. Signing warns where a channel takes just that for its builder's
    word.
    """
    wish = attesting.read(call, parse_options(call.settings))
    named = read_files(call.around.folder / path for path in files)
    if not named and wish.keyless is None:
        raise UsageError("nothing to add", subject=version, expected="FILES or --sigstore")
    with call.api() as api:
        base = load_newest_base(call, api, call.app, call.pinned_root())
        (live,) = _load(api, base, [version])
        found = attach(AttestWish(named=named), live.artifacts, version)
        signed, doubts = _sign(call, api, base, live, wish, found, dry_run=dry_run)
        new = {version: only_new(live.extras, found + signed)}
        outcomes = () if dry_run else add_attached(call, api, base, new)
        say_added(base.app, new, outcomes, dry_run=dry_run)
        if as_json:
            came = added_json(base.app, new, outcomes, dry_run=dry_run)
            show_json({**came, "warnings": list(doubts)})


def _sign(
    call: Call,
    api: Api,
    base: Base,
    live: Live,
    wish: AttestWish,
    found: Sequence[Attached],
    *,
    dry_run: bool,
) -> tuple[tuple[Attached, ...], tuple[str, ...]]:
    """Return bundles over what nothing is signed of yet, and what deserves a second look in it.

    Neither where that was not asked for. People are warned before anything is signed.
    """
    if wish.keyless is None:
        return (), ()
    role = choose_role(base, live.version)
    known = with_attached(live.extras, found)
    waiting = waiting_extras(api, base.app, role, live.version)
    unsigned = find_unsigned(live.artifacts, known, waiting)
    for one in unsigned:
        say(f"> {one.name} is signed by Sigstore")
    if dry_run or not unsigned:
        return (), ()
    # Keys first: what Sigstore has signed is in a public log for ever.
    load_keys(call, base.chain, role)
    claimed = [item for item in live.artifacts if claim_of(item) in unsigned]
    prove_trees(api, base.app, claimed, call.progress())
    keyless = open_keyless(wish.keyless, call.around.environ)
    doubts = doubts_about(keyless.signatory, live.version, rules_in_force(base)(live))
    for text in doubts:
        warn(text)
    return tuple(sign_all(unsigned, keyless.sign)), doubts


@attest.command()
@click.argument("artifacts", nargs=-1, required=True, type=_PATH)
@_DRY_RUN
@_JSON
@takes()
def claim(call: Call, *, artifacts: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Write the claim of the tree in each of ARTIFACTS beside it: what your builder signs too.

    Each is unpacked for it, and its claim has its name with .tree-claim behind it. No server is
    asked. Clients of a channel that demands proofs of origin take deltas to no other release than
    one whose trees were vouched for so.
    """
    made = make_claims([call.around.folder / path for path in artifacts], call.progress())
    for one in made:
        if not dry_run:
            one.write()
        say(f"{one.file}: {one.claim_sha256}")
    if dry_run:
        say("Nothing was done: this was --dry-run.")
    if as_json:
        show_json({"claims": [one.to_json() for one in made], "dry_run": dry_run})


@attest.command()
@click.option(
    "--from-dir",
    "folder",
    required=True,
    metavar="FOLDER",
    type=_PATH,
    help="Where the attestations are, folders below it included.",
)
@click.option("--channel", metavar="NAME", help="Whose releases are to be covered.")
@attest_options
@click.option(
    "--require",
    metavar="FILE",
    type=_PATH,
    help="When all is covered, demand it: by this ceremony file.",
)
@_DRY_RUN
@_JSON
@takes("app", "root", "keys", "server", "sending", "waiting")
def backfill(
    call: Call,
    *,
    folder: Path,
    channel: str | None,
    require: Path | None,
    dry_run: bool,
    as_json: bool,
    **attests: Unpack[Attests],
) -> None:
    """Add the attestations in a folder to the live releases they speak about; report coverage.

    With --channel and --attest, what counts is what that rule would count; with --require too, the
    rule is put into a ceremony file for maintainers to sign, if every artifact that the channel may
    offer meets it. Otherwise nothing is demanded, and the exit code is 2.
    """
    if attests["no_attest"]:
        raise UsageError("demands nothing", subject="--no-attest", hint="lockgate policy edit.")
    demand = parse_demand(channel, rule_of(attests), require)
    file = None if require is None else call.around.folder / require
    found, broken = read_folder(call.around.folder / folder)
    with call.api() as api:
        base = load_newest_base(call, api, call.app, call.pinned_root())
        releases = load_live(api, base)
        plan = plan_backfill(releases, found)
        say_backfill(plan, broken)
        covered = _survey(api, base, plan.onto(releases), plan.additions, demand, file)
        outcomes = () if dry_run else add_attached(call, api, base, plan.additions)
        say_added(base.app, plan.additions, outcomes, dry_run=dry_run)
        if as_json:
            show_json(
                {
                    **added_json(base.app, plan.additions, outcomes, dry_run=dry_run),
                    **coverage_json(covered),
                    "known": plan.known,
                    "strangers": list(plan.strangers),
                    "broken": list(broken),
                }
            )
        else:
            show_covered(covered)
        say_covered(covered)
        if demand is not None and file is not None:
            check_complete(covered)
            _require(call, api, base, demand, file, outcomes, dry_run=dry_run)


def _require(
    call: Call,
    api: Api,
    base: Base,
    demand: Demand,
    file: Path,
    outcomes: Sequence[Outcome],
    *,
    dry_run: bool,
) -> None:
    """Put the demand into a ceremony file.

    Raises:
        UsageError: What covers the releases is not in force yet.
        LockgateError: The file cannot be made.
    """
    if any(outcome.pending is not None for outcome in outcomes):
        raise UsageError(
            "what covers them waits for signatures",
            subject="--require",
            expected="all of it in force",
            hint="`lockgate sign` adds one; run this again afterwards.",
        )
    earlier = load_ceremony(file) if file.exists() else None
    known = earlier.documents.get(POLICY_PATH) if earlier else None
    rules = edit_channel(parse_policy(known) if known else base.policy, demand.edit())
    change = Change(title=f"what {demand.channel} demands", policy=rules.to_bytes())
    put_into(call, api, file, change, dry_run=dry_run, as_json=False)
