"""The trusted root of the public Sigstore, as the sigstore package that is installed brings it.

sigstore's own ways to it read a cache in somebody's home folder, which nobody verifies. The file in
the package is what its maintainers shipped, and whoever installed the package has checked its hash.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from urllib.parse import quote

from lockgate_release.errors import LocalError, UsageError

__all__ = ["read_public_good"]

_REPOSITORY = "https://tuf-repo-cdn.sigstore.dev"


def read_public_good() -> tuple[bytes, str]:
    """Return the trusted root and what to call it, for people.

    Raises:
        UsageError: sigstore is not installed, or has none where it had it.
        LocalError: It cannot be read.
    """
    try:
        number = version("sigstore")
        place = files("sigstore") / "_store" / quote(_REPOSITORY, safe="") / "trusted_root.json"
        data = place.read_bytes()
    except (PackageNotFoundError, ModuleNotFoundError, FileNotFoundError) as exc:
        raise UsageError(
            "no trusted root in an installed sigstore",
            subject="--sigstore-public-good",
            expected="the package sigstore 4.5 or later",
            hint="Install lockgate-release[attestations], or say --from-file with a copy.",
        ) from exc
    except OSError as exc:
        raise LocalError("cannot be read", subject="sigstore", found=str(exc)) from exc
    return data, f"the public Sigstore, as in sigstore {number}"
