"""A new app: keys, first metadata, registration. Every step may be the last before a power cut.

The order makes a second run finish the first one: keys are written before anything is signed with
them and never written again; `root.json` is on disk before the server has it; and the server's
answer, not our memory, says whether the app is registered, and so whether to sign anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.ceremonies.files import write_whole
from lockgate_cli.output import say
from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import (
    ConflictError,
    LocalError,
    TransportError,
    UsageError,
)
from lockgate_release.layout import POLICY_PATH
from lockgate_release.names import AppName
from lockgate_release.requests import RegisterRequest
from lockgate_release.trust.keys import (
    Ask,
    generate_signer,
    load_signer,
    parse_public_key,
    public_keys_of,
    write_private_key,
)
from lockgate_release.trust.sign import (
    Key,
    Signer,
    first_root,
    first_targets,
    next_releases,
    to_bytes,
)
from lockgate_release.versions import VersionScheme

__all__ = ["KeyFolder", "NewApp", "check_thresholds", "initialise", "load_or_make_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApp:
    """What somebody wants set up.

    Attributes:
        app: The app.
        maintainers: How many maintainers' keys are made.
        threshold: How many of the maintainers' keys must sign, from 1 on.
        publishers: How many publishers' keys are made.
        publisher_threshold: How many of the publishers' keys must sign, from 1 on.
        versions: How the app's versions are ordered.
    """

    app: AppName
    maintainers: int = 1
    threshold: int = 1
    publishers: int = 1
    publisher_threshold: int = 1
    versions: VersionScheme = VersionScheme.SEMVER


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFolder:
    """Where an app's keys and its trust anchor lie.

    Attributes:
        path: The folder.
        passphrase: What maintainers' keys that are made are encrypted with; "" leaves them plain.
            Publishers' keys go to CI, where nobody is there to type it.
        environ: The environment, for the passphrase of keys that are there.
        ask: Asks a person for it, or None.
    """

    path: Path
    passphrase: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    ask: Ask | None = None

    @property
    def root(self) -> Path:
        """The trust anchor: what clients are shipped with."""
        return self.path / "root.json"

    def maintainer(self, number: int) -> Path:
        """Return where a maintainer's key lies."""
        return self.path / "root" / f"maintainer-{number}.pem"

    def publisher(self, number: int) -> Path:
        """Return where a publisher's key lies."""
        return self.path / "publisher" / f"publisher-{number}.pem"


def initialise(api: Api, new: NewApp, folder: KeyFolder, now: datetime) -> bool:
    """Leave the app registered and its keys in `folder`; return whether it was not before.

    Raises:
        UsageError: The thresholds make no sense.
        ConflictError: The app is registered with another root.
        LocalError: The folder cannot be read or written.
        LockgateError: The server refused, or could not be reached.
    """
    check_thresholds(new)
    try:
        online = parse_public_key(api.online_key(new.app), subject="online key")
    except ConflictError:
        _check_registered(api, new.app, folder)
        return False
    maintainers, publishers = load_or_make_all(new, folder)
    request = _sign(new, maintainers, publishers, online, now)
    # Before the server has it: a lost answer must not leave a registered app without its anchor.
    write_whole(folder.root, request.root)
    api.register(new.app, request)
    return True


def check_thresholds(new: NewApp, *, maintainers: int = 0, publishers: int = 0) -> None:
    """Refuse thresholds that nobody could reach.

    Args:
        new: What is wanted.
        maintainers: How many maintainers' keys other people have given.
        publishers: How many publishers' keys.

    Raises:
        UsageError: One cannot be reached.
    """
    pairs = {
        "--threshold": (new.threshold, new.maintainers + maintainers),
        "--publisher-threshold": (new.publisher_threshold, new.publishers + publishers),
    }
    for option, (threshold, number) in pairs.items():
        if not 1 <= threshold <= number:
            raise UsageError(
                "more signatures than keys",
                subject=option,
                expected=f"1 to {number}",
                found=str(threshold),
            )


def _check_registered(api: Api, app: AppName, folder: KeyFolder) -> None:
    """Make sure that the app that is registered is the one of this folder."""
    registered = api.read_file(app, "metadata/1.root.json")
    if registered is None:
        raise TransportError("the server says it has a root and does not show it", subject=app)
    try:
        own = folder.root.read_bytes()
    except FileNotFoundError:
        own = b""
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(folder.root), found=str(exc)) from exc
    if own != registered:
        raise ConflictError(
            "registered already, with another root",
            subject=f"app {app}",
            expected=f"the root in {folder.root}",
            found="another one" if own else "one that is not in this folder",
            hint="Say the folder it was made in, or choose another name.",
        )


def load_or_make_all(new: NewApp, folder: KeyFolder) -> tuple[list[Signer], list[Signer]]:
    """Return the maintainers' and the publishers' signers of a folder, new ones where none are.

    Raises:
        LocalError: A key cannot be read or written.
    """
    maintainers = range(1, new.maintainers + 1)
    publishers = range(1, new.publishers + 1)
    return (
        [
            _load_or_make(folder, folder.maintainer(number), folder.passphrase)
            for number in maintainers
        ],
        [_load_or_make(folder, folder.publisher(number), "") for number in publishers],
    )


def _load_or_make(folder: KeyFolder, path: Path, passphrase: str) -> Signer:
    """Return the signer whose key is at `path`, with a new key where there was none."""
    if path.exists():
        say(f"using the key that is there: {path}")
        return load_signer(f"file2:{path}", known_keys=(), environ=folder.environ, ask=folder.ask)
    signer = generate_signer()
    write_private_key(signer, path, passphrase=passphrase)
    return signer


def _sign(
    new: NewApp,
    maintainers: list[Signer],
    publishers: list[Signer],
    online: Key,
    now: datetime,
) -> RegisterRequest:
    policy = PolicyDocument(app=new.app, versions=new.versions)
    targets = first_targets(
        policy, maintainers, public_keys_of(publishers), new.publisher_threshold, online, now
    )
    return RegisterRequest(
        root=to_bytes(first_root(maintainers, new.threshold, online, now)),
        targets=to_bytes(targets),
        releases=to_bytes(next_releases(None, {}, publishers, now)),
        documents={POLICY_PATH: policy.to_bytes()},
    )
