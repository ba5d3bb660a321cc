"""Publishing: the whole plan first, then uploads, then one signed list, then the offers.

A run that was cut off is finished by the same run again: what is uploaded stays uploaded, a list
that is in force is seen as such, and an offer that stands is not made twice. When somebody else
publishes at the same time, the new state is read and the list is planned and signed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.artifacts import ArtifactFacts, ArtifactSource, describe, send
from lockgate_cli.context import Call
from lockgate_cli.fields import parse_field
from lockgate_cli.lifetimes import add_lifetime
from lockgate_cli.listing import Listing, NextList, describe_list, listing_of
from lockgate_cli.output import say, say_again
from lockgate_cli.plan import plan_offers, plan_release
from lockgate_cli.problems import UnableError
from lockgate_cli.programs import check_programs
from lockgate_cli.remembering import load_newest_base, note_signed
from lockgate_cli.repository import Base, Stored, load_stored
from lockgate_cli.sameness import check_same, check_same_notes
from lockgate_cli.signing import keys_of, load_signers, sign_next_list
from lockgate_cli.uploading.session import Uploads
from lockgate_release.documents import (
    ExtrasDocument,
    Install,
    ReleaseDocument,
    Requirements,
    parse_extras,
    parse_release,
)
from lockgate_release.errors import ConflictError, DocumentError, TransportError, UsageError
from lockgate_release.layout import extras_path, release_path
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.steering_requests import ChosenPlan
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import Signer

__all__ = [
    "Outcome",
    "Plan",
    "Prepared",
    "Promotion",
    "Publication",
    "load_keys",
    "load_publishers",
    "make_plan",
    "prepare",
    "submit",
    "submit_plan",
]

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.4


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
    """

    app: AppName
    version: str
    source: ChannelName
    channels: tuple[ChannelName, ...]
    exposure_bp: int | None = None
    chosen: Mapping[ChannelName, ChosenPlan] = field(default_factory=dict)
    floors: Mapping[ChannelName, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that will be done, and nothing of it done yet.

    Attributes:
        base: The verified state that it is planned on.
        following: The next list of releases.
        documents: The bytes of documents that are new, by path.
        offers: The offers that are still to be made.
    """

    base: Base
    following: NextList
    documents: Mapping[str, bytes]
    offers: tuple[OfferRequest, ...]

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.following.changed or bool(self.offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    plan: Plan
    timestamp_version: int | None = None
    releases_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A publication whose artifacts have been read.

    Attributes:
        wish: What is wanted.
        facts: What was found in the artifacts.
        document: The release's document, or None for what is live already.
    """

    wish: Publication | Promotion
    facts: tuple[ArtifactFacts, ...] = ()
    document: ReleaseDocument | None = None


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
    try:
        parse_release(document.to_bytes())
        parse_extras(_extras_of(wish).to_bytes())
    except DocumentError as exc:
        raise UsageError(
            exc.what, subject=exc.subject, expected=exc.expected, found=exc.found
        ) from exc
    return Prepared(wish=wish, facts=facts, document=document)


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
    documents: Mapping[str, bytes] = {}
    if stored is None:
        if prepared.document is None or not isinstance(wish, Publication):
            raise UsageError("not a live release", subject=wish.version)
        documents = {
            release_path(wish.version): prepared.document.to_bytes(),
            extras_path(wish.version): _extras_of(wish).to_bytes(),
        }
    elif isinstance(wish, Promotion):
        _check_source(base, wish)
    elif prepared.document is not None:
        check_same(stored, prepared.document)
        check_same_notes(stored, wish.version, wish.notes)
    return Plan(
        base=base,
        following=_plan_list(base, wish),
        documents=documents,
        offers=_plan_offers(base, wish),
    )


def submit(
    call: Call, api: Api, prepared: Prepared, plan: Plan, pinned: bytes, uploads: Uploads
) -> Outcome:
    """Carry out a plan; plan anew where somebody else moved first.

    Raises:
        UsageError: Too few publishers' keys were given.
        ConflictError: Others kept moving first, or published the same version otherwise.
        LockgateError: The server refused, or could not be reached.
    """
    wish = prepared.wish

    def plan_again() -> Plan:
        base = load_newest_base(call, api, wish.app, pinned)
        return make_plan(base, prepared, load_stored(api, base, wish.version))

    # Keys first: an upload is for nothing when nobody can sign.
    load_publishers(call, plan)
    send(api, wish.app, uploads, prepared.facts)
    return submit_plan(call, api, plan, plan_again)


def submit_plan(call: Call, api: Api, plan: Plan, plan_again: Callable[[], Plan]) -> Outcome:
    """Sign and submit a plan; where somebody else moved first, submit what `plan_again` returns.

    Raises:
        UsageError: Too few publishers' keys were given.
        ConflictError: Others kept moving first.
        LockgateError: The server refused, or could not be reached.
    """
    for attempt in range(1, _ATTEMPTS):
        try:
            return _submit_once(call, api, plan)
        except UnableError:
            raise
        except (ConflictError, TransportError) as exc:
            # A lost answer may have been a yes: reading the state again tells.
            say_again(exc)
        call.around.sleep(_FIRST_WAIT_S * 2**attempt * call.around.jitter())
        plan = plan_again()
        if not plan.changed:
            return Outcome(plan=plan)
        for line in describe_list(plan.following):
            say(line)
    return _submit_once(call, api, plan)


def load_publishers(call: Call, plan: Plan) -> tuple[Signer, ...]:
    """Return who signs the next list; nobody where there is nothing to sign.

    Raises:
        UsageError: Too few publishers' keys were given.
        LocalError: A key cannot be read.
    """
    return load_keys(call, plan.base) if plan.following.changed else ()


def load_keys(call: Call, base: Base) -> tuple[Signer, ...]:
    """Return who can sign a list of releases.

    Raises:
        UsageError: Too few publishers' keys were given.
        LocalError: A key cannot be read.
    """
    keys, threshold = keys_of(base.chain, Role.RELEASES)
    return load_signers(
        call.key_uris("keys"),
        role=Role.RELEASES,
        keys=keys,
        threshold=threshold,
        environ=call.around.environ,
        ask=call.ask_secret,
    )


def _submit_once(call: Call, api: Api, plan: Plan) -> Outcome:
    signers = load_publishers(call, plan)
    offers: list[OfferRequest | None] = list(plan.offers)
    answer: Mapping[str, object] = {}
    if plan.following.changed:
        releases = sign_next_list(
            plan.base.chain, plan.following, plan.documents, signers, call.around.now()
        )
        first = offers.pop(0) if offers else None
        request = PublishRequest(releases=releases, documents=plan.documents, offer=first)
        answer = api.publish(plan.base.app, request)
        note_signed(call, plan.base)
    for offer in offers:
        answer = api.publish(plan.base.app, PublishRequest(offer=offer))
    return Outcome(
        plan=plan,
        timestamp_version=_number(answer, "timestamp_version"),
        releases_version=_number(answer, "releases_version"),
    )


def _number(answer: Mapping[str, object], name: str) -> int | None:
    value = answer.get(name)
    return value if isinstance(value, int) else None


def _plan_list(base: Base, wish: Publication | Promotion) -> NextList:
    listing: Listing = listing_of(base)
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
    return add_lifetime(base, wish.version, wish.channels, offers, lifetime_s)


def _extras_of(wish: Publication) -> ExtrasDocument:
    return ExtrasDocument(app=wish.app, version=wish.version, notes=wish.notes or "")


def _check_source(base: Base, wish: Promotion) -> None:
    """Refuse to promote from where the release has never been."""
    channels = base.entries[release_path(wish.version)].channels
    if wish.source not in channels:
        raise UsageError(
            "not in that channel",
            subject=wish.version,
            expected=f"one of {', '.join(sorted(channels))}",
            found=wish.source,
        )
