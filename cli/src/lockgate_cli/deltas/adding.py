"""Deltas for a release that is being published, or is live already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.context import Call
from lockgate_cli.deltas.sources import LEAST_ARCHIVE_BYTES, Pair, choose_pairs, rank_versions
from lockgate_cli.deltas.usage import read_usage
from lockgate_cli.deltas.wish import DeltaWish
from lockgate_cli.extras import join_extras
from lockgate_cli.output import format_size, warn
from lockgate_cli.publishing import Prepared, Publication
from lockgate_cli.repository import Base, load_stored
from lockgate_cli.scratch import scratch_folder
from lockgate_cli.submitting import Plan
from lockgate_release.documents import Delta, ReleaseDocument
from lockgate_release.errors import LockgateError, UsageError
from lockgate_release.names import ChannelName

__all__ = [
    "add_deltas",
    "choose_for_publish",
    "choose_named",
    "choose_useful",
    "delta_folder",
    "describe_pairs",
]


def choose_for_publish(api: Api, base: Base, prepared: Prepared, plan: Plan) -> tuple[Pair, ...]:
    """Return the deltas to make for a release that is to appear; none for one that is live.

    What is live has the deltas that it was given: `lockgate deltas add` gives it more.

    Raises:
        LockgateError: What is live cannot be read.
    """
    wish = prepared.wish
    if not isinstance(wish, Publication) or prepared.document is None:
        return ()
    if wish.version not in plan.following.appears:
        return ()
    return choose_useful(api, base, prepared.document, wish.channels, wish.deltas)


def choose_useful(
    api: Api,
    base: Base,
    new: ReleaseDocument,
    channels: Collection[ChannelName],
    wish: DeltaWish,
    live: Iterable[Delta] = (),
) -> tuple[Pair, ...]:
    """Return the pairs that save clients most, by what they report and by what is offered.

    Raises:
        LockgateError: What is live cannot be read.
    """
    if not wish.most or all(item.size < LEAST_ARCHIVE_BYTES for item in new.artifacts):
        return ()
    lowest = new.requires.from_version
    ranked = rank_versions(base, new.version, channels, {}, from_version=lowest)
    if len(ranked) > wish.most:
        usage = read_usage(api, base.app)
        ranked = rank_versions(base, new.version, channels, usage, from_version=lowest)
    return choose_pairs(
        new,
        ranked,
        _where_readable(_reader(api, base)),
        most=wish.most,
        live=live,
        algorithm=wish.algorithm,
    )


def choose_named(
    api: Api,
    base: Base,
    new: ReleaseDocument,
    versions: Sequence[str],
    wish: DeltaWish,
    live: Iterable[Delta] = (),
) -> tuple[Pair, ...]:
    """Return the pairs from the releases that somebody has named.

    Raises:
        UsageError: One is not live, or is the release itself.
        LockgateError: What is live cannot be read.
    """
    for version in versions:
        if version == new.version or base.find(version) is None:
            raise UsageError(
                "no release that a delta could begin at",
                subject=version,
                expected="another live release",
            )
    return choose_pairs(
        new,
        versions,
        _reader(api, base),
        most=len(versions) + len(list(live)),
        live=live,
        algorithm=wish.algorithm,
    )


def _reader(api: Api, base: Base) -> Callable[[str], ReleaseDocument | None]:
    def read(version: str) -> ReleaseDocument | None:
        stored = load_stored(api, base, version)
        return None if stored is None else stored.document

    return read


def _where_readable(
    read: Callable[[str], ReleaseDocument | None],
) -> Callable[[str], ReleaseDocument | None]:
    """Return a reader that passes over what cannot be read: that costs a delta, and no more."""

    def try_to_read(version: str) -> ReleaseDocument | None:
        try:
            return read(version)
        except LockgateError as exc:
            warn(f"no delta from {version}: {exc}")
            return None

    return try_to_read


def describe_pairs(pairs: Iterable[Pair]) -> list[str]:
    """Return a line for each delta that is to be made."""
    return [
        f"  delta {pair.name}, to be made: {format_size(pair.old.size)} to "
        f"{format_size(pair.new.size)}"
        for pair in pairs
    ]


@contextmanager
def delta_folder(pairs: Sequence[Pair]) -> Iterator[Path]:
    """Yield an empty folder for what is fetched and made, gone afterwards; none for no pairs.

    Raises:
        LocalError: The disk is in the way.
    """
    if not pairs:
        yield Path()
        return
    with scratch_folder("deltas") as folder:
        yield folder


def add_deltas(
    call: Call, api: Api, prepared: Prepared, pairs: Sequence[Pair], folder: Path
) -> Prepared:
    """Return the publication with its deltas made; what could not be made is said and left out."""
    from lockgate_cli.deltas.making import make_deltas, tell_made  # noqa: PLC0415 (seldom needed)

    wish = prepared.wish
    if not pairs or prepared.extras is None or not isinstance(wish, Publication):
        return prepared
    files = {facts.artifact.platform: facts.path for facts in prepared.facts}
    made = make_deltas(call, api, wish.app, pairs, folder, wish=wish.deltas, files=files)
    tell_made(made)
    deltas = [one.delta for one in made if one.delta is not None]
    beside = [one.file for one in made if one.file is not None]
    return replace(
        prepared,
        extras=join_extras(prepared.extras, deltas),
        beside=(*prepared.beside, *beside),
    )
