"""Beginning a ceremony, or taking one more change into a file that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate_cli.ceremonies.files import load_ceremony, store_ceremony
from lockgate_cli.ceremonies.state import State, check_same_app, read_state
from lockgate_cli.context import Call
from lockgate_cli.repository import FileReader
from lockgate_release.errors import ConflictError, LocalError, UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.names import AppName
from lockgate_release.trust.ceremony import (
    Arrangement,
    Ceremony,
    Examined,
    Wish,
    base_of,
    changed_parts,
    examine,
    make_ceremony,
    make_first,
    read_arrangement,
)
from lockgate_release.trust.ceremony.examining import removed_in
from lockgate_release.trust.ceremony.file import read_root, read_targets
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.roles import Role

__all__ = ["Change", "Edit", "begin_or_extend"]

Edit = Callable[[Arrangement], Arrangement]
"""Returns who speaks for what after a change; raises what the change cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that somebody asks for.

    Attributes:
        title: What to call it, for people.
        edit: What becomes of who speaks for what.
        renew: Roles to sign again.
        policy: The policy's bytes, where it changes.
        trusted_root: The bytes of Sigstore's trusted root, where it comes or changes.
        removed: Documents that go, by path; the policy comes along.
    """

    title: str
    edit: Edit = lambda arrangement: arrangement
    renew: frozenset[str] = frozenset()
    policy: bytes | None = None
    trusted_root: bytes | None = None
    removed: frozenset[str] = frozenset()


def begin_or_extend(
    call: Call, source: FileReader, path: Path, change: Change, *, dry_run: bool
) -> tuple[Examined, State, bool] | None:
    """Leave the change in the file, together with what was in it; return how it stands.

    A file that would change nothing any more goes: nobody is to sign it.

    Args:
        call: This run.
        source: Where the state in force is read.
        path: The ceremony file; begun where there is none.
        change: What is asked for.
        dry_run: Whether to write nothing.

    Returns:
        The ceremony as it is now, the state in force, and whether the file was there before. None
        where nothing is left of it.

    Raises:
        UsageError: Nothing would change, or somebody would be locked out.
        ConflictError: What the file holds follows another state than the one in force.
        LockgateError: The state cannot be read, or the file not written.
    """
    earlier = load_ceremony(path) if path.exists() else None
    made: Ceremony | None
    if earlier is not None:
        check_same_app(call, earlier)
    if earlier is not None and earlier.is_first:
        made, state = _extend_first(earlier, change), State(chain=None, policy=None)
    else:
        app = call.app if earlier is None else earlier.app
        state = read_state(call, source, app)
        assert state.chain is not None
        made = _make(app, state.chain, earlier, change, call)
    if made is None:
        if not dry_run:
            _remove(path)
        return None
    examined = examine(made, state.chain, call.around.now())
    if not dry_run:
        store_ceremony(path, made)
    return examined, state, earlier is not None


def _make(
    app: AppName, chain: Chain, earlier: Ceremony | None, change: Change, call: Call
) -> Ceremony | None:
    """Return the ceremony with the change, or None where what was there is undone by it."""
    if earlier is None:
        arrangement = read_arrangement(chain.root.signed, chain.targets.signed)
        wish = Wish(
            arrangement=change.edit(arrangement),
            policy=change.policy,
            trusted_root=change.trusted_root,
            renew=change.renew,
            removed=change.removed,
        )
        return make_ceremony(app, change.title, chain, wish, call.around.now())
    _check_follows(earlier, chain)
    before = Wish(
        arrangement=_arrangement_in(earlier, chain),
        policy=earlier.documents.get(POLICY_PATH),
        trusted_root=earlier.documents.get(TRUSTED_ROOT_PATH),
        removed=removed_in(chain, read_targets(earlier), earlier.documents),
    )
    removed = before.removed | change.removed
    if change.trusted_root is not None:
        removed -= {TRUSTED_ROOT_PATH}
    # What changed is looked at anew; what somebody had signed again without a change stays.
    renewed = earlier.parts.keys() - changed_parts(chain, before, earlier.made_at)
    wish = replace(
        before,
        arrangement=change.edit(before.arrangement),
        policy=change.policy or before.policy,
        trusted_root=None
        if TRUSTED_ROOT_PATH in removed
        else change.trusted_root or before.trusted_root,
        removed=removed,
        renew=change.renew | renewed,
    )
    if not wish.renew and not changed_parts(chain, wish, earlier.made_at):
        return None
    title = _join(earlier.title, change.title)
    return make_ceremony(app, title, chain, wish, earlier.made_at, earlier=earlier)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise LocalError("cannot be removed", subject=str(path), found=str(exc)) from exc


def _join(earlier: str, title: str) -> str:
    return earlier if title in earlier.split("; ") else f"{earlier}; {title}"[:200]


def _check_follows(earlier: Ceremony, chain: Chain) -> None:
    """Refuse a file whose keys or rules follow an older state; a newer list is taken in."""
    base, current = earlier.base, base_of(chain)
    if (base.root, base.root_sha256, base.targets) != (
        current.root,
        current.root_sha256,
        current.targets,
    ):
        raise ConflictError(
            "made for another state than the one in force",
            subject="FILE",
            expected=f"root {current.root} and targets {current.targets}",
            found=f"root {base.root} and targets {base.targets}",
            hint="Begin anew, in another file: what it would change is no longer in force.",
        )


def _arrangement_in(earlier: Ceremony, chain: Chain) -> Arrangement:
    root, targets = read_root(earlier), read_targets(earlier)
    return read_arrangement(
        root.signed if root else chain.root.signed,
        targets.signed if targets else chain.targets.signed,
    )


def _extend_first(earlier: Ceremony, change: Change) -> Ceremony:
    root, targets = read_root(earlier), read_targets(earlier)
    if root is None or targets is None or POLICY_PATH not in earlier.documents:
        raise UsageError("lacks a part", subject="FILE", expected=f"{Role.ROOT}, {Role.TARGETS}")
    arrangement = change.edit(read_arrangement(root.signed, targets.signed))
    policy = change.policy or earlier.documents[POLICY_PATH]
    title = _join(earlier.title, change.title)
    return make_first(earlier.app, title, arrangement, policy, earlier.made_at)
