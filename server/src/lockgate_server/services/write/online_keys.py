"""The server's own key of an app, replaced: the next one is made, both sign, the old one goes.

1. The next key is made beside the old one, and everything of the server's is signed again by both
   at once: from then on whoever verifies by either finds what it needs.
2. A ceremony names the next key in root and for `channels`. It is refused before both sign.
3. Root names the next key now. Both go on signing for those whom a cache tells that there is no
   such root; when that can be nobody any more, a job lets go of the old key, for ever.

At no moment does this server hold more than two keys of an app: the second rotation waits for the
end of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key
from tuf.api.metadata import Root

from lockgate_release.errors import ConflictError, LocalError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.layout import metadata_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject
from lockgate_release.trust.chain import Verified
from lockgate_release.trust.roles import Role
from lockgate_server.ports import Intent
from lockgate_server.services.write.base import Base, highest_of
from lockgate_server.services.write.changing import Plan, change_app, read_settled
from lockgate_server.services.write.composing import Change, online_keys
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.standing import older_roots

__all__ = [
    "KeyState",
    "describe_for_status",
    "describe_keys",
    "drop_key",
    "end_overlap",
    "key_states",
    "make_next_key",
]

_SIGNED = frozenset({Role.TIMESTAMP, Role.SNAPSHOT, Role.CHANNELS})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """A key of the server's, and what it is good for now.

    Attributes:
        key_id: It.
        is_named: Whether what is in force could not be verified without it.
        is_old: Whether root has named it before, and names its successor now.
        overlap_ends_at: Until when it signs along for those who still hold an older root; None
            where nobody does.
        variable: The environment variable that names it, or "" where it is a file.
    """

    key_id: str
    is_named: bool
    is_old: bool
    overlap_ends_at: datetime | None
    variable: str

    @property
    def part(self) -> str:
        """What it is in the rotation: `in-force`, `next` or `old`."""
        if self.is_named:
            return "in-force"
        return "old" if self.is_old else "next"

    def to_json(self) -> JsonObject:
        """Return it as a client of the API reads it."""
        ends = self.overlap_ends_at
        return {
            "keyid": self.key_id,
            "part": self.part,
            "variable": self.variable,
            "overlap_ends_at": None if ends is None else format_instant(ends),
        }


def key_states(deps: WriteDeps, base: Base) -> tuple[KeyState, ...]:
    """Return every key that signs for the app now, the one in force first.

    Raises:
        LocalError: One cannot be read.
        TransportError: The store cannot be reached.
    """
    needed = online_keys(base)
    named = {key.keyid for key in needed}
    held = deps.keys.held(base.app, needed)
    has_moved = any(one.is_next and one.key.keyid in base.chain.online_key_ids() for one in held)
    older = older_roots(deps, base) if len(held) > 1 else {}
    states = [
        KeyState(
            key_id=one.key.keyid,
            is_named=one.key.keyid in named,
            is_old=has_moved and one.key.keyid not in named,
            overlap_ends_at=_overlap_end(deps, base, older, one.key.keyid),
            variable=one.variable,
        )
        for one in held
    ]
    return tuple(sorted(states, key=lambda state: not state.is_named))


def describe_keys(deps: WriteDeps, base: Base) -> JsonObject:
    """Return which keys sign for the app, and what they are.

    Raises:
        LocalError: One cannot be read.
        TransportError: The store cannot be reached.
    """
    return {"keys": [state.to_json() for state in key_states(deps, base)]}


def describe_for_status(deps: WriteDeps, base: Base) -> tuple[list[Json], list[str]]:
    """Return the keys as the status shows them, and what people should know of them.

    Raises:
        TransportError: The store cannot be reached.
    """
    try:
        states = key_states(deps, base)
    except (LocalError, UsageError) as exc:
        return [], [f"nothing can be signed: {exc}"]
    warnings = []
    if not any(state.is_named for state in states):
        warnings.append("nothing can be signed: root names another key than this server has")
    for state in states:
        short = f"{state.key_id[:16]}…"
        if state.part == "next":
            warnings.append(f"the next online key {short} signs along: maintainers name it next")
        elif state.is_old and state.overlap_ends_at is not None:
            ends = format_instant(state.overlap_ends_at)
            warnings.append(f"the old online key {short} signs along until {ends}")
        elif state.is_old and state.variable:
            warnings.append(f"the old online key {short} is not needed: empty {state.variable}")
    return [state.to_json() for state in states], warnings


def _overlap_end(
    deps: WriteDeps, base: Base, older: dict[int, Root], key_id: str
) -> datetime | None:
    """Return when nobody will hold a root any more that names this key, and not the one in force.

    Raises:
        TransportError: The store cannot be reached.
    """
    if key_id in base.chain.online_key_ids():
        return None
    for number in sorted(older, reverse=True):
        if key_id in older[number].roles[Role.TIMESTAMP.value].keyids:
            info = deps.store.head(metadata_key(base.app, Role.ROOT, number + 1))
            return None if info is None else info.modified_at + deps.patience.overlap
    return None


def make_next_key(deps: WriteDeps, app: AppName, caller: Caller) -> Key:
    """Return the public half of the app's next key; from now on both sign everything.

    The same again changes nothing, and finishes what broke off.

    Raises:
        NotFoundError: There is no such app.
        ConflictError: The rotation before is not over.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: A key can be neither read nor written.
    """
    base = read_settled(deps, app)
    for state in key_states(deps, base):
        if state.is_old:
            raise ConflictError(
                "the rotation before is not over",
                subject=f"online key of {app}",
                found=f"{state.key_id[:16]}… still signs along",
                hint="It ends by itself; lockgate-server key show says when.",
            )
    key = deps.keys.create_next(app)

    def plan(base: Base) -> Plan[None]:
        if _has_signed(base, key):
            return Plan(change=None, answer=None)
        change = Change(
            action="online-key.next",
            details={"keyid": key.keyid},
            channels=tuple(base.channels.values()),
            resigned=_SIGNED,
        )
        return Plan(change=change, answer=None)

    change_app(deps, app, caller, plan)
    return key


def _has_signed(base: Base, key: Key) -> bool:
    chain = base.chain
    return all(
        _is_signed_by(words, key) for words in (chain.timestamp, chain.snapshot, chain.channels)
    )


def _is_signed_by(words: Verified, key: Key) -> bool:  # type: ignore[type-arg]
    metadata = words.metadata
    signature = metadata.signatures.get(key.keyid)
    if signature is None:
        return False
    try:
        key.verify_signature(signature, metadata.signed_bytes)
    except (UnverifiedSignatureError, VerificationError):
        return False
    return True


def drop_key(
    deps: WriteDeps, app: AppName, caller: Caller, *, anyway: bool = False
) -> KeyState | None:
    """Let go of the key that is not in force: the old one, or a next one that is not wanted.

    Args:
        deps: What a change needs.
        app: The app.
        caller: Who wants it.
        anyway: Even an old one that some clients may still need.

    Raises:
        NotFoundError: There is no such app.
        UsageError: Clients may still need it.
        RepositoryError: The store holds no state that can be verified.
        TransportError: The store cannot be reached.
        LocalError: The key lies in the environment, or cannot be removed.
    """
    base = read_settled(deps, app)
    state = next((one for one in key_states(deps, base) if not one.is_named), None)
    if state is None:
        return None
    if state.overlap_ends_at is not None and not anyway:
        raise UsageError(
            "clients behind caches may still need this key",
            subject=f"online key of {app}",
            expected=f"a time after {format_instant(state.overlap_ends_at)}",
            found=format_instant(deps.now()),
            hint="It goes by itself then. --yes drops it now: such clients say 'unknown' until "
            "their caches see the new root.",
        )
    _drop(deps, base, state, caller)
    return state


def end_overlap(deps: WriteDeps, app: AppName, caller: Caller) -> str | None:
    """Let go of the old key once nobody can need it; return which it was.

    Raises:
        RepositoryError: The store holds no state that can be verified.
        TransportError: The store cannot be reached.
        LocalError: The key cannot be removed.
    """
    if not deps.keys.has_next(app):
        return None  # as nearly always: this runs every minute, and asks the store for nothing
    base = read_settled(deps, app)
    for state in key_states(deps, base):
        # What the environment names goes when a person takes it away: the status says so.
        if state.is_old and state.overlap_ends_at is None and not state.variable:
            _drop(deps, base, state, caller)
            return state.key_id
    return None


def _drop(deps: WriteDeps, base: Base, state: KeyState, caller: Caller) -> None:
    number = deps.ledger.begin(
        Intent(
            app=base.app,
            actor=caller.actor,
            action="online-key.drop",
            details={"dropped_keyid": state.key_id, "part": state.part},
            request_id=caller.request_id,
            operation_id=caller.operation_id,
            timestamp_sha256="",
        ),
        now=deps.now(),
    )
    deps.keys.drop(base.app, state.key_id)
    deps.ledger.finish(number, highest_of(base))
