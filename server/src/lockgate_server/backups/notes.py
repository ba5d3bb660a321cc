"""The note in a server's folder that a restore has begun: no server starts while it is there."""

from __future__ import annotations

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import UsageError
from lockgate_release.strict_json import dump_json
from lockgate_server.backups.drafts import sync_folder
from lockgate_server.backups.manifest import LEDGER, Manifest
from lockgate_server.settings import ServerSettings
from lockgate_server.stores.disk import disk_errors

__all__ = ["check_free", "check_same_backup", "finish_broken_off", "note_begun", "note_done"]


def note_begun(settings: ServerSettings, manifest: Manifest) -> None:
    """Note that a backup is about to be put back.

    Raises:
        LocalError: The disk is in the way.
    """
    path = settings.restore_file
    with disk_errors(str(path)):
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(dump_json(digest_bytes(manifest.to_bytes())))
        new.replace(path)
        sync_folder(path.parent)


def note_done(settings: ServerSettings) -> None:
    """Take the note away.

    Raises:
        LocalError: The disk is in the way.
    """
    with disk_errors(str(settings.data)):
        settings.restore_file.unlink()
        sync_folder(settings.data)


def finish_broken_off(settings: ServerSettings, manifest_sha256: str) -> bool:
    """Take away the note of a restore of this backup that was killed at its very end.

    The database is the last thing that is put in place, and no server starts while the note is
    there: so where both are, nothing but taking it away was left to do.

    Raises:
        LocalError: The disk is in the way.
    """
    if _noted(settings) != manifest_sha256 or not settings.ledger_path.exists():
        return False
    note_done(settings)
    return True


def check_free(settings: ServerSettings) -> None:
    """Refuse a folder in which a server is.

    Raises:
        UsageError: One is.
    """
    if settings.restore_file.exists():
        return
    for path in sorted(settings.data.glob(f"{LEDGER}*")):
        raise UsageError(
            "a server's database is there",
            subject=str(path),
            expected="a folder without one",
            hint="Move it away first, if it is lost or damaged: nothing is overwritten.",
        )


def check_same_backup(settings: ServerSettings, manifest_sha256: str) -> None:
    """Refuse a folder in which the restore of another backup has broken off.

    Raises:
        UsageError: One has.
    """
    if _noted(settings) not in {"", manifest_sha256}:
        raise UsageError(
            "the restore of another backup broke off here",
            subject=str(settings.data),
            hint="Finish that one, or begin in an empty folder.",
        )


def _noted(settings: ServerSettings) -> str:
    try:
        return settings.restore_file.read_text("utf-8").strip().strip('"')
    except OSError:
        return ""
