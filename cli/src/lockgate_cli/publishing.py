"""Publishing: the whole plan first, then uploads, then one signed list, then the offers.

A run that was cut off is finished by the same run again: what is uploaded stays uploaded, a list
that is in force is seen as such, and an offer that stands is not made twice. When somebody else
publishes at the same time, the new state is read and the list is planned and signed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.artifacts import (
    ArtifactFacts,
    ArtifactSource,
    check_platforms,
    describe,
    send,
)
from lockgate_cli.attesting.attaching import (
    Attached,
    AttestWish,
    attach,
    find_unsigned,
    sign_missing,
    spill,
    with_attached,
)
from lockgate_cli.attesting.foreseeing import check_demands
from lockgate_cli.attesting.matching import Signable
from lockgate_cli.context import Call
from lockgate_cli.deltas.wish import DeltaWish
from lockgate_cli.extras import describe_change, join_extras
from lockgate_cli.fields import parse_field
from lockgate_cli.joining import meet_waiting
from lockgate_cli.lifetimes import add_lifetime
from lockgate_cli.listing import Listing, NextList, listing_of
from lockgate_cli.plan import plan_offers, plan_release
from lockgate_cli.programs import check_programs
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base, Stored, load_stored
from lockgate_cli.roles import choose_role, lacks_approval
from lockgate_cli.sameness import check_same, check_same_notes
from lockgate_cli.scratch import scratch_folder
from lockgate_cli.submitting import Outcome, Plan, load_keys, load_publishers, submit_plan
from lockgate_cli.uploading.session import Outgoing, Uploads
from lockgate_release.documents import (
    ExtrasDocument,
    Install,
    ReleaseDocument,
    Requirements,
    parse_extras,
    parse_release,
)
from lockgate_release.errors import DocumentError, PendingError, UsageError
from lockgate_release.layout import extras_path, release_path
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.requests import OfferRequest
from lockgate_release.steering_requests import ChosenPlan

__all__ = [
    "Prepared",
    "Promotion",
    "Publication",
    "make_plan",
    "prepare",
    "submit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What somebody wants published.

    Attributes:
        app: The app.
        version: The release.
        channels: Where to offer it, at least one.
        sources: Its artifacts, at least one; none only where `document` is given.
        exposure_bp: To what share of clients, in basis points; None: everybody.
        chosen: The plans that its rollouts follow, by channel.
        lifetime_s: When its channels end, which are previews, in seconds from now; 0: they last.
        notes: What changed, or None where nothing was said.
        keep: How many of the newest releases stay live in any case, > 0.
        floors: Floors that are asked for.
        install: What to do with the unpacked tree.
        requires: What must hold before it may be installed.
        deltas: Which deltas are made to it.
        attest: Which attestations go with it.
        allow_unattested: Whoever publishes answers for its origin.
    """

    app: AppName
    version: str
    channels: tuple[ChannelName, ...]
    sources: tuple[ArtifactSource, ...]
    exposure_bp: int | None = None
    chosen: Mapping[ChannelName, ChosenPlan] = field(default_factory=dict)
    lifetime_s: int = 0
    notes: str | None = None
    keep: int = 50
    floors: Mapping[ChannelName, str] = field(default_factory=dict)
    install: Install = field(default_factory=Install)
    requires: Requirements = field(default_factory=Requirements)
    deltas: DeltaWish = field(default_factory=DeltaWish)
    attest: AttestWish = field(default_factory=AttestWish)
    allow_unattested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A live release that is to be offered in further channels, as it is.

    Attributes:
        app: The app.
        version: The release.
        source: A channel that it may be offered in already.
        channels: Where to offer it, at least one.
        exposure_bp: To what share of clients, in basis points; None: everybody.
        chosen: The plans that its rollouts follow, by channel.
        floors: Floors that are asked for.
        allow_unattested: Whoever promotes answers for its origin.
    """

    app: AppName
    version: str
    source: ChannelName
    channels: tuple[ChannelName, ...]
    exposure_bp: int | None = None
    chosen: Mapping[ChannelName, ChosenPlan] = field(default_factory=dict)
    floors: Mapping[ChannelName, str] = field(default_factory=dict)
    allow_unattested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A publication whose artifacts have been read.

    Attributes:
        wish: What is wanted.
        facts: What was found in the artifacts.
        document: The release's document, or None for what is live already.
        extras: Its extras, or None for a promotion. Where the release is live already, deltas and
            attestations that are missing there are added.
        beside: The files that the extras name: they go up beside the artifacts.
        attached: The attestations that the extras name, with their bytes: they go up too.
    """

    wish: Publication | Promotion
    facts: tuple[ArtifactFacts, ...] = ()
    document: ReleaseDocument | None = None
    extras: ExtrasDocument | None = None
    beside: tuple[Outgoing, ...] = ()
    attached: tuple[Attached, ...] = ()


def prepare(
    call: Call,
    api: Api,
    base: Base,
    wish: Publication,
    begin: Callable[[Path, Sha256Hex | None], None],
) -> Prepared:
    """Return the publication with its artifacts read and its document made.

    What can be refused without reading them is refused first. Each file is then handed to `begin`,
    and again with its digest once that is known, so that it can be on its way while files are read.

    Raises:
        UsageError: It makes no sense as it was said.
        ArchiveError: An artifact is damaged, or contains what must not be unpacked.
        LocalError: An artifact cannot be read.
        TransportError: One that was uploaded before could not be fetched.
        DigestMismatchError: The server answered with other bytes.
    """
    _plan_list(base, wish)
    check_platforms(wish.sources)
    if wish.requires.from_version:
        parse_field("requires.from_version", base.policy.versions.parse, wish.requires.from_version)
    _plan_offers(base, wish)
    for source in wish.sources:
        if source.path is not None:
            begin(source.path, None)
    facts = tuple(_describe_all(call, api, wish, begin))
    document = ReleaseDocument(
        app=wish.app,
        version=wish.version,
        released_at=call.around.now(),
        artifacts=tuple(found.artifact for found in facts),
        install=wish.install,
        requires=wish.requires,
    )
    attached = attach(wish.attest, document.artifacts, wish.version)
    plain = ExtrasDocument(app=wish.app, version=wish.version, notes=wish.notes or "")
    extras = with_attached(plain, attached)
    try:
        parse_release(document.to_bytes())
        parse_extras(extras.to_bytes())
    except DocumentError as exc:
        raise UsageError(
            exc.what, subject=exc.subject, expected=exc.expected, found=exc.found
        ) from exc
    return Prepared(wish=wish, facts=facts, document=document, extras=extras, attached=attached)


def _describe_all(
    call: Call, api: Api, wish: Publication, begin: Callable[[Path, Sha256Hex | None], None]
) -> Iterator[ArtifactFacts]:
    stem = f"{wish.app}-{wish.version}"
    for source in sorted(wish.sources, key=lambda source: source.platform):
        found = describe(source, api, wish.app, stem=stem, progress=call.progress())
        check_programs(wish.install, found)
        if source.path is not None:
            begin(source.path, found.artifact.sha256)
        yield found


def make_plan(base: Base, prepared: Prepared, stored: Stored | None) -> Plan:
    """Return all that is to be done so that the wish is in force.

    Args:
        base: The state in force.
        prepared: What is wanted.
        stored: The release as it stands, if it is live already.

    Raises:
        ConflictError: The version is live with other bytes.
        UsageError: It makes no sense in the state in force.
    """
    wish = prepared.wish
    following = _plan_list(base, wish)
    documents: dict[str, bytes] = {}
    extras = prepared.extras
    if stored is None:
        if prepared.document is None or extras is None:
            raise UsageError("not a live release", subject=wish.version)
        documents[release_path(wish.version, folder=following.role)] = prepared.document.to_bytes()
    elif isinstance(wish, Promotion):
        _check_source(base, wish)
    elif prepared.document is not None:
        check_same(stored, prepared.document)
        check_same_notes(stored, wish.version, wish.notes)
    if stored is not None:
        extras, following = _add_extras(stored, prepared, following)
    if extras is not None:
        documents[extras_path(wish.version, folder=following.role)] = extras.to_bytes()
    offers, unapproved = _withhold(base, wish.version, _plan_offers(base, wish))
    return Plan(
        base=base,
        following=following,
        documents=documents,
        offers=offers,
        title=_title_of(wish),
        unapproved=unapproved,
        to_sign=_find_unsigned(prepared, stored),
    )


def _find_unsigned(prepared: Prepared, stored: Stored | None) -> tuple[Signable, ...]:
    """Return what is still to be signed by Sigstore; nothing where that was not asked for."""
    wish, document = prepared.wish, prepared.document
    if not isinstance(wish, Publication) or wish.attest.keyless is None or document is None:
        return ()
    return find_unsigned(document.artifacts, prepared.extras, stored.extras if stored else None)


def _add_extras(
    stored: Stored, prepared: Prepared, following: NextList
) -> tuple[ExtrasDocument | None, NextList]:
    """Return the extras with what is missing in those that are live, or None: nothing is."""
    if prepared.extras is None:
        return None, following
    wish = prepared.wish
    live = stored.extras or ExtrasDocument(app=wish.app, version=wish.version)
    after = join_extras(live, prepared.extras.deltas, prepared.extras.attestations)
    said = describe_change(live, after)
    if not said:
        return None, following
    return after, replace(following, changes=(*following.changes, *said))


def _without_deltas(prepared: Prepared) -> Prepared:
    extras = prepared.extras
    return replace(prepared, extras=None if extras is None else replace(extras, deltas=()))


def _withhold(
    base: Base, version: str, offers: tuple[OfferRequest, ...]
) -> tuple[tuple[OfferRequest, ...], tuple[ChannelName, ...]]:
    """Return the offers that can be made now, and the channels that wait for approval."""
    waiting = tuple(o.channel for o in offers if lacks_approval(base, version, o.channel))
    return tuple(offer for offer in offers if offer.channel not in waiting), waiting


def _title_of(wish: Publication | Promotion) -> str:
    verb = "publish" if isinstance(wish, Publication) else "promote"
    return f"{verb} {wish.version} to {', '.join(wish.channels)}"


def submit(
    call: Call, api: Api, prepared: Prepared, plan: Plan, pinned: bytes, uploads: Uploads
) -> Outcome:
    """Carry out a plan; plan anew where somebody else moved first.

    Raises:
        UsageError: There is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept moving first, or published the same version otherwise.
        LockgateError: The server refused, or could not be reached.
    """
    wish = prepared.wish

    def plan_again() -> Plan:
        base = load_newest_base(call, api, wish.app, pinned)
        return make_plan(base, prepared, load_stored(api, base, wish.version))

    # Keys first: an upload is for nothing when nobody can sign.
    load_publishers(call, plan)
    if plan.to_sign:
        prepared = _sign(call, api, prepared, plan)
        plan = plan_again()
    if prepared.document is not None and prepared.extras is not None:
        asking = () if wish.allow_unattested else wish.channels
        check_demands(api, plan.base, asking, prepared.document, prepared.extras, prepared.attached)
    with scratch_folder("attestations") as folder:
        beside = (*prepared.beside, *spill(prepared.attached, folder))
        send(api, wish.app, uploads, prepared.facts, beside)
    try:
        return submit_plan(call, api, plan, plan_again)
    except PendingError as exc:
        base = load_newest_base(call, api, wish.app, pinned)

        def plan_onto(state: Base, stored: Stored | None) -> Plan:
            # Deltas depend on what clients use by now: they are no reason to change what waits.
            ours = prepared if stored is None else _without_deltas(prepared)
            return make_plan(state, ours, stored or load_stored(api, base, wish.version))

        return meet_waiting(call, api, base, plan, wish.version, plan_onto, exc)


def _sign(call: Call, api: Api, prepared: Prepared, plan: Plan) -> Prepared:
    """Return the publication with a bundle over each file and tree that nobody has signed yet."""
    wish, extras = prepared.wish, prepared.extras
    assert isinstance(wish, Publication)
    assert wish.attest.keyless is not None
    assert extras is not None
    role = plan.following.role
    load_keys(call, plan.base.chain, role)
    signed = sign_missing(
        api, wish.attest.keyless, call.around.environ, plan.to_sign, (wish.app, role, wish.version)
    )
    return replace(
        prepared,
        extras=with_attached(extras, signed),
        attached=(*prepared.attached, *signed),
    )


def _plan_list(base: Base, wish: Publication | Promotion) -> NextList:
    listing: Listing = listing_of(base, choose_role(base, wish.version, wish.channels))
    return plan_release(
        listing,
        version=wish.version,
        channels=wish.channels,
        floors=wish.floors,
        keep=wish.keep if isinstance(wish, Publication) else None,
    )


def _plan_offers(base: Base, wish: Publication | Promotion) -> tuple[OfferRequest, ...]:
    offers = plan_offers(base, wish.version, wish.channels, wish.exposure_bp, wish.chosen)
    lifetime_s = wish.lifetime_s if isinstance(wish, Publication) else 0
    offers = add_lifetime(base, wish.version, wish.channels, offers, lifetime_s)
    return tuple(replace(offer, allow_unattested=wish.allow_unattested) for offer in offers)


def _check_source(base: Base, wish: Promotion) -> None:
    """Refuse to promote from where the release has never been."""
    found = base.find(wish.version)
    channels = found[1].channels if found else ()
    if wish.source not in channels:
        raise UsageError(
            "not in that channel",
            subject=wish.version,
            expected=f"one of {', '.join(sorted(channels))}",
            found=wish.source,
        )
