"""The state that is written on top of: read through the TUF chain, as from a hostile mirror.

1. The chain begins at the root that the ledger has pinned, not at one the store names.
2. The pointer is read once, with its etag; everything else follows from those bytes.
3. A document counts only with the length and the digest that the chain names for it.
4. A state below the highest that was ever signed here is refused: the store was put back.
5. A state of which the ledger has no record is refused: after a lost database, a person decides.
6. A state whose numbers no server reaches is refused: whoever has the online key would leave none
   to count on with, once that key is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from lockgate_release.documents import (
    ChannelDocument,
    PolicyDocument,
    ReleaseDocument,
    parse_channel,
    parse_policy,
    parse_release,
)
from lockgate_release.errors import (
    ConflictError,
    DigestMismatchError,
    DocumentError,
    StaleMirrorError,
    TrustError,
)
from lockgate_release.layout import POLICY_PATH, target_key, timestamp_key
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.trust.chain import Chain, Read, load_chain
from lockgate_release.trust.roles import Role
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import Etag, Highest, Ledger, ObjectStore
from lockgate_server.services.objects import HeldObject, read_object

__all__ = [
    "Base",
    "check_database_not_lost",
    "check_recorded",
    "further_sequence",
    "highest_of",
    "read_base",
    "read_release",
    "read_state",
    "read_target",
]

_ROLE = "role/"


_HIGHEST = 2**52
"""Half of the numbers there are: what is above has not been counted up to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The verified state of one app.

    Attributes:
        app: The app.
        chain: Its metadata.
        etag: What the pointer was read under: a change is conditional on it.
        policy: The maintainers' rules.
        channels: What each channel offers.
        recorded: How far the app had got, by the ledger, before any of this was read. Read later,
            it could be newer than an honest state: somebody may write in between.
    """

    app: AppName
    chain: Chain
    etag: Etag
    policy: PolicyDocument
    channels: Mapping[ChannelName, ChannelDocument]
    recorded: Highest | None

    @property
    def timestamp_version(self) -> int:
        """The number of the state."""
        return self.chain.timestamp.version


def read_base(store: ObjectStore, ledger: Ledger, app: AppName) -> Base:
    """Return the state of an app, verified (rules 1 to 3).

    Raises:
        NotFoundError: There is no such app.
        ConflictError: The store holds it, and the database was lost.
        TrustError: The store does not hold a state that the pinned root vouches for.
        StaleMirrorError: The store has lost a state that was signed here.
        TransportError: The store cannot be reached.
    """
    pinned = ledger.pinned_root(app)
    if pinned is None:
        check_database_not_lost(store, app)
        raise NotFoundError("no such app", subject=app, hint="lockgate init registers one.")
    recorded = ledger.highest(app)
    pointer = read_object(store, timestamp_key(app))
    if pointer is None:
        if recorded is not None:
            raise StaleMirrorError("the store has lost its state", subject=timestamp_key(app))
        raise NotFoundError(
            "registered halfway", subject=app, hint="Send the same registration again."
        )
    return read_state(store, app, pointer, pinned, recorded)


def check_database_not_lost(store: ObjectStore, app: AppName) -> None:
    """Refuse an app that the store holds, where the database does not know it.

    Raises:
        ConflictError: The store holds it.
        TransportError: The store cannot be reached.
    """
    if store.head(timestamp_key(app)) is not None:
        raise ConflictError(
            "the store holds an app that the database does not know",
            subject=app,
            hint="The database was lost or is another server's. Bring it back, or see "
            "lockgate-server rebuild.",
        )


def read_state(
    store: ObjectStore,
    app: AppName,
    pointer: HeldObject,
    pinned: bytes,
    recorded: Highest | None,
) -> Base:
    """Return the state that a pointer leads to, verified from a pinned root.

    Raises:
        TrustError: The store does not hold a state that the pinned root vouches for.
        TransportError: The store cannot be reached.
    """
    try:
        return _read_verified(store, app, pointer, pinned, recorded)
    except DocumentError as exc:
        # Whoever asks for a change has sent nothing wrong: it is the store that holds it.
        raise TrustError(
            f"the store holds what cannot be used: {exc.what}",
            subject=exc.subject,
            expected=exc.expected,
            found=exc.found,
        ) from exc


def _read_verified(
    store: ObjectStore,
    app: AppName,
    pointer: HeldObject,
    pinned: bytes,
    recorded: Highest | None,
) -> Base:
    chain = load_chain(_reader(store, app, pointer.data), pinned, now=None)
    target = chain.target(POLICY_PATH)
    if target is None:
        raise TrustError("no policy", subject="targets", expected=POLICY_PATH)
    return Base(
        app=app,
        chain=chain,
        etag=pointer.etag,
        policy=parse_policy(read_target(store, app, POLICY_PATH, target)),
        channels=_read_channels(store, app, chain),
        recorded=recorded,
    )


def _reader(store: ObjectStore, app: AppName, timestamp: bytes) -> Read:
    def read(name: str) -> bytes | None:
        if name == "timestamp.json":
            return timestamp
        found = read_object(store, f"{app}/metadata/{name}")
        return None if found is None else found.data

    return read


def _read_channels(
    store: ObjectStore, app: AppName, chain: Chain
) -> Mapping[ChannelName, ChannelDocument]:
    channels = {}
    for path, target in chain.channels.signed.targets.items():
        document = parse_channel(read_target(store, app, path, target), subject=path)
        if document.app != app:
            raise TrustError(
                "another app's document", subject=path, expected=app, found=document.app
            )
        channels[document.channel] = document
    return MappingProxyType(channels)


def read_target(store: ObjectStore, app: AppName, path: str, target: TargetFile) -> bytes:
    """Return the bytes of a document that the chain names (rule 3).

    Raises:
        TrustError: It is missing.
        DigestMismatchError: Its bytes are not the ones that were signed.
    """
    sha256 = Sha256Hex(target.hashes.get("sha256", ""))
    found = read_object(store, target_key(app, path, sha256), limit_bytes=target.length)
    if found is None:
        raise TrustError("missing from the store", subject=path, expected=sha256)
    try:
        target.verify_length_and_hashes(found.data)
    except LengthOrHashMismatchError as exc:
        raise DigestMismatchError(
            "not the bytes that were signed", subject=path, found=str(exc)
        ) from exc
    return found.data


def read_release(store: ObjectStore, base: Base, path: str) -> ReleaseDocument:
    """Return the document of a live release.

    Raises:
        NotFoundError: No publisher lists it.
        TrustError: It is missing from the store.
        DigestMismatchError: Its bytes are not the ones that were signed.
        DocumentError: It is not one.
    """
    target = base.chain.target(path)
    if target is None or path not in base.chain.entries():
        raise NotFoundError("no live release", subject=path)
    return parse_release(read_target(store, base.app, path, target), subject=path)


def highest_of(base: Base) -> Highest:
    """Return how far an app has got in this state."""
    return Highest(
        root=base.chain.root.version,
        timestamp=base.chain.timestamp.version,
        snapshot=base.chain.snapshot.version,
        releases=base.chain.releases.version,
        sequences={
            **{name: document.sequence for name, document in base.channels.items()},
            **_further_numbers(base.chain),
        },
    )


def _further_numbers(chain: Chain) -> dict[str, int]:
    """Return the numbers of further lists, also of roles that are delegated no more.

    A snapshot never drops a name.
    """
    main = {f"{role.value}.json" for role in (Role.TARGETS, Role.RELEASES, Role.CHANNELS)}
    return {
        further_sequence(name.removesuffix(".json")): meta.version
        for name, meta in chain.snapshot.signed.meta.items()
        if name not in main
    }


def further_sequence(role: str) -> str:
    """Return the name under which the number of a further role's list is recorded.

    It stands among the sequences of channels, none of whose names has a slash.
    """
    return f"{_ROLE}{role}"


def check_recorded(base: Base) -> None:
    """Refuse a state that the ledger does not know, or that is older or far newer (4 to 6).

    Raises:
        StaleMirrorError: The state is older, or nothing is known of it.
        TrustError: Its numbers are driven up.
    """
    recorded = base.recorded
    if recorded is None:
        raise StaleMirrorError(
            "the database does not know this app's state",
            subject=base.app,
            hint="The database was lost or is another server's. Nothing is signed on top of a "
            "state that may be old: see lockgate-server rebuild.",
        )
    found = highest_of(base)
    numbers = [
        (name, getattr(recorded, name), getattr(found, name))
        for name in ("root", "timestamp", "snapshot", "releases")
    ]
    # A channel may be dropped, as a role never is; that this state is no older says its pointer.
    numbers += [
        (f"sequence of {name}", sequence, found.sequences.get(name, 0))
        for name, sequence in recorded.sequences.items()
        if name in found.sequences or name.startswith(_ROLE)
    ]
    for name, newest, current in numbers:
        if current < newest:
            raise StaleMirrorError(
                "the store was put back to an older state",
                subject=f"{base.app}: {name}",
                expected=f"at least {newest}",
                found=str(current),
                hint="Nothing is signed on top of it. Bring the newest files back.",
            )
        if current > _HIGHEST:
            raise TrustError(
                "a number that no server reaches: somebody else has signed with its key",
                subject=f"{base.app}: {name}",
                expected=f"at most {_HIGHEST}",
                found=str(current),
                hint="Bring this server's own files back, and replace its key: "
                "docs/how-to/rotate-the-online-key.md",
            )
