"""What one client is: flags, then its environment, then the file in its home. Reads that file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lockgate_release.errors import UsageError
from lockgate_release.names import (
    AppName,
    ChannelName,
    Platform,
    parse_app_name,
    parse_channel_name,
    parse_platform,
)
from lockgate_release.platforms import current_platform
from lockgate_release.settings import SETTINGS_FILE, Settings, load_settings
from lockgate_updater.fetch.network import Network, parse_address, read_network
from lockgate_updater.state.home import Home

__all__ = ["Configuration", "IfRevoked", "load_configuration"]

DEFAULT_KEEP = 2


class IfRevoked(StrEnum):
    """What to do where nothing may run that is at hand."""

    RUN = "run"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What one client is.

    Attributes:
        app: The app. Only the home says it: another app needs another home.
        repository: The address that the app's folder lies below.
        network: Proxy, headers and bandwidth.
        mirrors: Where the same files can be had if they cannot be had there, in this order.
        channel: The channel it follows.
        platform: Its platform tag.
        keep: How many good versions stay on the disk, the current one included, 1 or more.
        pinned: The only version its owner wants, or "".
        skipped: Versions its owner does not want.
        ca: A file of certificate authorities to trust instead of the system's, or "".
        if_revoked: What a start does where all that is at hand is revoked or below the floor.
        quiet_hours: When `watch` installs nothing new, such as `22:00-06:00`, or "".
        check_interval_s: How long `watch` waits between checks at most, in seconds, or None.
        reports: Whether it reports how releases fare, naming nobody.
        reports_url: Where to instead of the repository, or "".
        deltas: Whether what changed may be fetched in place of whole archives.
    """

    app: AppName
    repository: str
    channel: ChannelName
    platform: Platform
    keep: int = DEFAULT_KEEP
    pinned: str = ""
    skipped: frozenset[str] = frozenset()
    ca: str = ""
    if_revoked: IfRevoked = IfRevoked.RUN
    quiet_hours: str = ""
    check_interval_s: int | None = None
    mirrors: tuple[str, ...] = ()
    network: Network = field(default_factory=Network)
    reports: bool = False
    reports_url: str = ""
    deltas: bool = True

    @property
    def sources(self) -> tuple[str, ...]:
        """The repository, and then its mirrors."""
        return (self.repository, *self.mirrors)

    def addresses_of(self, path: str) -> tuple[str, ...]:
        """Return where a file below the app's folder can be had, in the order to ask."""
        return tuple(f"{source}/{self.app}/{path}" for source in self.sources)

    @property
    def reports_to(self) -> str:
        """Where reports are sent to, or "" where none are made: switched off, or no server."""
        if not self.reports:
            return ""
        is_folder = self.repository.startswith("file://")
        return self.reports_url or ("" if is_folder else self.addresses_of("reports")[0])


def load_configuration(
    home: Home, environ: Mapping[str, str], flags: Mapping[str, str | None] | None = None
) -> Configuration:
    """Return what the client in `home` is: flags, then environment, then the home's file.

    Raises:
        UsageError: The home was never made, or a setting makes no sense.
        LocalError: The file cannot be read.
    """
    if not home.settings.is_file():
        raise UsageError(
            "no client lives here",
            subject=str(home.root),
            expected=SETTINGS_FILE,
            hint="Make one with: lockgate-updater init --home DIR …",
        )
    said = flags or {}
    settings = load_settings(home.root, environ)
    fixed = Settings(table=settings.table, origin=settings.origin)
    ca = settings.get("ca", said.get("ca")) or ""
    platform = settings.get("platform", said.get("platform"))
    return Configuration(
        app=parse_app_name(fixed.need("app")),
        repository=parse_address(settings.need("repository", said.get("repository"))),
        channel=parse_channel_name(settings.need("channel", said.get("channel"))),
        platform=parse_platform(platform) if platform else current_platform(),
        keep=_read_keep(settings),
        pinned=settings.get("pin", said.get("pin")) or "",
        # An option adds: skipping one version more must not bring another one back.
        skipped=frozenset((*settings.get_all("skip"), *(said.get("skip") or "").split())),
        ca=str(settings.path(ca)) if ca else "",
        mirrors=tuple(map(parse_address, settings.get_all("mirrors"))),
        network=read_network(settings, environ),
        if_revoked=_read_if_revoked(settings),
        quiet_hours=settings.get("quiet_hours") or "",
        check_interval_s=_read_interval(settings),
        reports=settings.switch("reports"),
        reports_url=_read_reports_url(settings),
        deltas=settings.switch("deltas", unsaid=True),
    )


def _read_reports_url(settings: Settings) -> str:
    text = settings.get("reports_url") or ""
    if text and parse_address(text).startswith("file://"):
        raise UsageError(
            "wrong setting", subject="reports_url", expected="http:// or https://", found=repr(text)
        )
    return text


def _read_if_revoked(settings: Settings) -> IfRevoked:
    text = settings.get("if_revoked") or IfRevoked.RUN
    try:
        return IfRevoked(text)
    except ValueError as exc:
        raise UsageError(
            "wrong setting", subject="if_revoked", expected="run or stop", found=repr(text)
        ) from exc


def _read_interval(settings: Settings) -> int | None:
    value = settings.table.get("check_interval_s")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 60 <= value <= 86_400:
        raise UsageError(
            "wrong setting",
            subject=f"{settings.origin}: check_interval_s",
            expected="seconds from 60 to 86400",
        )
    return value


def _read_keep(settings: Settings) -> int:
    value = settings.table.get("keep", DEFAULT_KEEP)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(
            "wrong setting", subject=f"{settings.origin}: keep", expected="an integer from 1"
        )
    return value
