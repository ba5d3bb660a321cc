"""How a home is made: once in the life of a client. Writes the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, Root

from lockgate_release.errors import TrustError, UsageError
from lockgate_release.names import parse_app_name, parse_channel_name
from lockgate_release.settings import load_settings
from lockgate_updater.fetch.network import parse_address
from lockgate_updater.state.durable import read_own_file, write_durably
from lockgate_updater.state.home import Home
from lockgate_updater.state.identity import machine_identity, store_client_id

__all__ = ["init"]

_MAX_ROOT_BYTES = 512_000


def init(
    folder: Path | str,
    *,
    app: str,
    repository: str,
    channel: str,
    root: bytes,
    client_id: str = "",
    reports: bool = False,
) -> None:
    """Make a home for a client; the same again changes nothing.

    Args:
        folder: Where; it is created with mode 0700.
        app: The app's name.
        repository: The address that the app's folder lies below.
        channel: The channel to follow.
        root: The trust anchor: the content of the `root.json` that maintainers hand out.
        client_id: A UUID in lower case, or "" to draw one.
        reports: Whether it reports how releases fare.

    Raises:
        UsageError: An argument makes no sense, or another client lives there.
        TrustError: `root` is no valid root.
        LocalError: The disk refuses.
    """
    home = Home.at(folder)
    settings: dict[str, str | bool] = {
        "app": parse_app_name(app),
        "repository": parse_address(repository),
        "channel": parse_channel_name(channel),
    }
    if reports:
        settings["reports"] = True
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    text = "# What this Lockgate client is.\n" + "".join(lines)
    _check_root(root)
    _refuse_another(home, settings, root)
    home.prepare()
    if client_id:
        _store_client_id(home, client_id)
    if not home.settings.exists():
        write_durably(home.anchor, root)
        write_durably(home.settings, text.encode())


def _check_root(root: bytes) -> None:
    try:
        found = Metadata[Root].from_bytes(root)
        found.signed.verify_delegate("root", found.signed_bytes, found.signatures)
    except (TufError, AttributeError, ValueError) as exc:
        raise TrustError("not a valid root", subject="root.json", found=str(exc)[:200]) from exc


def _refuse_another(home: Home, settings: Mapping[str, str | bool], root: bytes) -> None:
    if not home.settings.exists():
        return
    table = load_settings(home.root, {}).table
    same = all(table.get(name) == value for name, value in settings.items())
    if not same or read_own_file(home.anchor, limit_bytes=_MAX_ROOT_BYTES) != root:
        raise UsageError(
            "another client lives here",
            subject=str(home.root),
            expected=", ".join(f"{name} {value}" for name, value in settings.items()),
            found=", ".join(f"{name} {table.get(name)}" for name in settings),
            hint="Edit its lockgate.toml, or take another folder.",
        )


def _store_client_id(home: Home, client_id: str) -> None:
    store_client_id(home.identity, client_id, machine_identity())
