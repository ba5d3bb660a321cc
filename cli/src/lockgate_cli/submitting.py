"""From a plan to what came of it: signed and sent, or kept until other publishers have signed too.

1. With as many keys as must sign, the list is in force with the answer.
2. With fewer, or with none and `--unsigned`, the server keeps it with everything it is for, and
   nothing of it reaches clients: `lockgate sign` adds what is missing.
3. Where another change waits, nothing is done: who began it, and who has signed, is said instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lockgate_cli.answers import table_of
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.attesting.matching import Signable
from lockgate_cli.context import Call
from lockgate_cli.listing import NextList, describe_list
from lockgate_cli.output import say, say_again
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.problems import UnableError
from lockgate_cli.remembering import note_signed
from lockgate_cli.repository import Base
from lockgate_cli.signing import keys_of, load_signers, sign_next_list
from lockgate_release.errors import ConflictError, PendingError, TransportError
from lockgate_release.names import ChannelName
from lockgate_release.pending_requests import MAX_TITLE, LiftWish, PendingRequest, Wishes
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.needed import signatures_needed
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import Signer

__all__ = [
    "Outcome",
    "Plan",
    "Publishers",
    "keep_pending",
    "load_keys",
    "load_publishers",
    "outcome_of",
    "submit_plan",
]

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that will be done, and nothing of it done yet.

    Attributes:
        base: The verified state that it is planned on.
        following: The next list of releases.
        documents: The bytes of documents that are new, by path.
        offers: The offers that are still to be made.
        lifts: The revocations that are taken back with it.
        title: What it is, for those who are to sign it.
        unapproved: Channels that cannot offer it before people have approved it for them.
        to_sign: What is to be signed by Sigstore before the list is.
    """

    base: Base
    following: NextList
    documents: Mapping[str, bytes] = field(default_factory=dict)
    offers: tuple[OfferRequest, ...] = ()
    lifts: tuple[LiftWish, ...] = ()
    title: str = ""
    unapproved: tuple[ChannelName, ...] = ()
    to_sign: tuple[Signable, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.following.changed or bool(self.offers) or bool(self.to_sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        plan: What was done, or would be.
        timestamp_version: The number of the state that is in force.
        releases_version: The number of its list of releases.
        pending: The change that waits for signatures, as the server tells it; None: nothing waits.
    """

    plan: Plan
    timestamp_version: int | None = None
    releases_version: int | None = None
    pending: JsonDict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishers:
    """Who signs here.

    Attributes:
        signers: Their keys.
        threshold: How many must sign; 0 where there is nothing to sign.
    """

    signers: tuple[Signer, ...] = ()
    threshold: int = 0

    @property
    def missing(self) -> int:
        """How many signatures others must add."""
        return max(0, self.threshold - len(self.signers))


def load_publishers(call: Call, plan: Plan) -> Publishers:
    """Return who signs the next list here; nobody where there is nothing to sign.

    Raises:
        UsageError: There is no key to sign with.
        LocalError: A key cannot be read.
    """
    if not plan.following.changed:
        return Publishers()
    publishers = load_keys(call, plan.base.chain, plan.following.role)
    needed = signatures_needed(
        publishers.threshold,
        plan.base.policy,
        plan.following.role,
        plan.base.channels,
        [offer.channel for offer in plan.offers],
    )
    return replace(publishers, threshold=needed)


def load_keys(call: Call, chain: Chain, role: str = Role.RELEASES.value) -> Publishers:
    """Return who can sign a role's list here: some of those who must, or none if so said.

    Raises:
        UsageError: There is no key to sign with, or one is not the role's while some are missing.
        LocalError: A key cannot be read.
    """
    keys, threshold = keys_of(chain, role)
    if call.flags.unsigned:
        return Publishers(threshold=threshold)
    signers = load_signers(
        call.key_uris("keys"),
        role=role,
        keys=keys,
        threshold=threshold,
        environ=call.around.environ,
        ask=call.ask_secret,
        some=True,
    )
    return Publishers(signers=signers, threshold=threshold)


def submit_plan(call: Call, api: Api, plan: Plan, plan_again: Callable[[], Plan]) -> Outcome:
    """Sign and submit a plan; where somebody else moved first, submit what `plan_again` returns.

    Raises:
        UsageError: There is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept moving first.
        LockgateError: The server refused, or could not be reached.
    """
    for attempt in range(1, _ATTEMPTS):
        try:
            return _submit_once(call, api, plan)
        except (UnableError, PendingError):
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


def _submit_once(call: Call, api: Api, plan: Plan) -> Outcome:
    publishers = load_publishers(call, plan)
    if publishers.missing:
        return keep_pending(call, api, plan, publishers)
    offers: list[OfferRequest | None] = list(plan.offers)
    answer: Mapping[str, object] = {}
    if plan.following.changed:
        releases = sign_next_list(
            plan.base.chain, plan.following, plan.documents, publishers.signers, call.around.now()
        )
        first = offers.pop(0) if offers else None
        request = PublishRequest(
            releases=releases, documents=plan.documents, offer=first, role=plan.following.role
        )
        answer = api.publish(plan.base.app, request)
        note_signed(call, plan.base, plan.following.role)
    for offer in offers:
        answer = api.publish(plan.base.app, PublishRequest(offer=offer))
    return outcome_of(plan, answer)


def keep_pending(call: Call, api: Api, plan: Plan, publishers: Publishers) -> Outcome:
    """Have the server keep the next list, with the signatures there are, until others sign.

    Raises:
        PendingError: Another change waits for signatures.
        ConflictError: Somebody else moved first.
        LockgateError: The server refused, or could not be reached.
    """
    releases = sign_next_list(
        plan.base.chain, plan.following, plan.documents, publishers.signers, call.around.now()
    )
    request = PendingRequest(
        releases=releases,
        title=plan.title[:MAX_TITLE],
        documents=plan.documents,
        wishes=Wishes(offers=plan.offers, lifts=plan.lifts),
        role=plan.following.role,
    )
    return outcome_of(plan, PendingApi.of(api).begin(plan.base.app, request))


def outcome_of(plan: Plan, answer: Mapping[str, object]) -> Outcome:
    """Return what came of a plan, by the server's answer."""
    return Outcome(
        plan=plan,
        timestamp_version=_number(answer, "timestamp_version"),
        releases_version=_number(answer, "releases_version"),
        pending=table_of(answer, "pending") or None,
    )


def _number(answer: Mapping[str, object], name: str) -> int | None:
    value = answer.get(name)
    return value if isinstance(value, int) else None
