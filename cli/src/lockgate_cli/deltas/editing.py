"""Deltas of live releases: listed, added, dropped. Nothing is published anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lockgate_cli.api import Api
from lockgate_cli.attesting.coverage import load_live
from lockgate_cli.attesting.foreseeing import find_useless_deltas
from lockgate_cli.context import Call
from lockgate_cli.deltas.adding import choose_named, choose_useful, delta_folder
from lockgate_cli.deltas.sources import Pair
from lockgate_cli.deltas.wish import DeltaWish
from lockgate_cli.extras import join_extras
from lockgate_cli.joining import refuse_while_signed
from lockgate_cli.output import warn
from lockgate_cli.reissuing import reissue
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base, Stored, load_stored
from lockgate_cli.roles import choose_role
from lockgate_cli.submitting import Outcome, Plan, load_keys
from lockgate_release.documents import Delta, ExtrasDocument
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.names import AppName, ChannelName

__all__ = ["Added", "Listed", "Which", "add", "drop", "list_deltas"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A delta of a live release.

    Attributes:
        version: The release it leads to.
        delta: What its extras say of it.
        archive_bytes: Size of the archive that it saves.
        is_live: Whether the release that it begins at is live still.
    """

    version: str
    delta: Delta
    archive_bytes: int
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which of a release's deltas are meant; what is empty means all.

    Attributes:
        from_versions: Where they begin.
        platforms: For which machines.
        algorithms: How they are encoded.
    """

    from_versions: frozenset[str] = frozenset()
    platforms: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset()

    def has(self, delta: Delta) -> bool:
        """Whether this one is meant."""
        return (
            (not self.from_versions or delta.from_version in self.from_versions)
            and (not self.platforms or delta.platform in self.platforms)
            and (not self.algorithms or delta.algorithm in self.algorithms)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What came of adding.

    Attributes:
        outcome: What was put in force; None: there was nothing to make, or it was not agreed to.
        deltas: The deltas that were made.
        reasons: Why others were not.
        useless: Which clients may use none of them, and why, a sentence each.
    """

    outcome: Outcome | None = None
    deltas: tuple[Delta, ...] = ()
    reasons: tuple[str, ...] = ()
    useless: tuple[str, ...] = ()


def list_deltas(api: Api, base: Base, version: str | None) -> Iterator[Listed]:
    """Yield the deltas of one release, or of every live one, newest first.

    Raises:
        UsageError: There is no such release.
        LockgateError: What is live cannot be read.
    """
    order = base.policy.versions.parse
    versions = [version] if version else [entry.version for entry in base.entries.values()]
    for name in sorted(versions, key=order, reverse=True):
        stored = _need(api, base, name)
        sizes = {item.platform: item.size for item in stored.document.artifacts}
        for delta in stored.extras.deltas if stored.extras else ():
            yield Listed(
                version=name,
                delta=delta,
                archive_bytes=sizes.get(delta.platform, 0),
                is_live=base.find(delta.from_version) is not None,
            )


def _need(api: Api, base: Base, version: str) -> Stored:
    stored = load_stored(api, base, version)
    if stored is None:
        raise UsageError("not a live release", subject=version)
    return stored


def add(
    call: Call,
    api: Api,
    app: AppName,
    version: str,
    *,
    named: Sequence[str],
    wanted: Collection[ChannelName],
    wish: DeltaWish,
    agree: Callable[[tuple[Pair, ...]], bool],
) -> Added:
    """Make deltas to a live release and put them in force, if `agree` says so.

    Args:
        call: This run.
        api: The server.
        app: The app.
        version: The release that they lead to.
        named: The releases that they begin at; empty: those that save clients most.
        wanted: Channels that it will be promoted to: their clients count as well.
        wish: How many, and how.
        agree: Is shown what is to be made before anything is fetched.

    Raises:
        UsageError: A release is not live, a channel offers nothing, or there is no key to sign
            with.
        LocalError: A delta that was asked for by name could not be made.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept publishing first.
        LockgateError: The server refused, or could not be reached.
    """
    from lockgate_cli.deltas.making import make_deltas, tell_made  # noqa: PLC0415 (seldom needed)

    base = load_newest_base(call, api, app, call.pinned_root())
    stored = _need(api, base, version)
    live = stored.extras.deltas if stored.extras else ()
    if named:
        pairs = choose_named(api, base, stored.document, named, wish, live)
    else:
        channels = _channels(base, version, wanted)
        pairs = choose_useful(api, base, stored.document, channels, wish, live)
    useless = _warn_of_useless(api, base, version, wanted, pairs)
    if not pairs or not agree(pairs):
        return Added(useless=useless)
    _check_signing(call, api, base, version)
    with delta_folder(pairs) as folder:
        made = make_deltas(call, api, app, pairs, folder, wish=wish, files={})
        tell_made(made)
        deltas = tuple(one.delta for one in made if one.delta is not None)
        failed = [one for one in made if one.delta is None and not one.size_bytes]
        if named and failed:
            raise LocalError("could not be made", subject=failed[0].line())
        outcome = None
        if deltas:
            outcome = reissue(
                call,
                api,
                app,
                {version: lambda extras: join_extras(extras, deltas)},
                title=f"add {_count(deltas)} to {version}",
                beside=[one.file for one in made if one.file is not None],
            )
    reasons = tuple(one.line() for one in made if one.delta is None)
    return Added(outcome=outcome, deltas=deltas, reasons=reasons, useless=useless)


def _channels(base: Base, version: str, wanted: Iterable[ChannelName]) -> tuple[ChannelName, ...]:
    """Return the channels whose clients may come to a release: its own, and the wanted ones."""
    for name in wanted:
        if name not in base.channels:
            raise UsageError(
                "a channel that offers nothing, so that nobody comes from there",
                subject=name,
                expected=" or ".join(sorted(base.channels)),
            )
    found = base.find(version)
    return tuple(dict.fromkeys((*(found[1].channels if found else ()), *wanted)))


def _warn_of_useless(
    api: Api, base: Base, version: str, wanted: Iterable[ChannelName], pairs: Sequence[Pair]
) -> tuple[str, ...]:
    """Say, before they are made, which of these deltas no client may use, and return it."""
    (live,) = load_live(api, base, [version])
    live = replace(live, channels=tuple(dict.fromkeys((*live.channels, *wanted))))
    useless = find_useless_deltas(api, base, live, {pair.new.platform for pair in pairs})
    for text in useless:
        warn(text)
    return useless


def _check_signing(call: Call, api: Api, base: Base, version: str) -> None:
    """Refuse before the work what would be refused after it.

    Raises:
        UsageError: There is no key to sign with.
        PendingError: Another change waits for signatures.
    """
    role = choose_role(base, version)
    if load_keys(call, base.chain, role).missing:
        refuse_while_signed(api, base.app, role, version)


def drop(
    call: Call,
    api: Api,
    app: AppName,
    version: str,
    which: Which,
    *,
    agree: Callable[[tuple[Delta, ...], Plan], bool],
) -> tuple[tuple[Delta, ...], Outcome]:
    """Take deltas out of a release's extras, if `agree` says so, and return them.

    Their files go with the next garbage collection.

    Raises:
        UsageError: The release is not live, has no such delta, or there is no key to sign with.
        PendingError: Another change waits for signatures.
        ConflictError: Others kept publishing first.
        LockgateError: The server refused, or could not be reached.
    """
    dropped: list[Delta] = []

    def without(extras: ExtrasDocument) -> ExtrasDocument:
        dropped[:] = [delta for delta in extras.deltas if which.has(delta)]
        if not dropped:
            raise UsageError(
                "no such delta",
                subject=version,
                expected="; ".join(_names(extras.deltas)) or "none: it has none",
            )
        return replace(
            extras, deltas=tuple(delta for delta in extras.deltas if not which.has(delta))
        )

    outcome = reissue(
        call,
        api,
        app,
        {version: without},
        title=f"drop deltas of {version}",
        agree=lambda plan: agree(tuple(dropped), plan),
    )
    return tuple(dropped), outcome


def _names(deltas: Iterable[Delta]) -> Iterator[str]:
    for delta in deltas:
        yield f"from {delta.from_version} for {delta.platform} by {delta.algorithm}"


def _count(deltas: Collection[Delta]) -> str:
    return f"{len(deltas)} {'delta' if len(deltas) == 1 else 'deltas'}"
