"""What an updater can do only where an optional library is installed. Looks, and imports none."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec

__all__ = [
    "ATTESTATIONS",
    "PYTHON_WHEELS",
    "ZSTD",
    "archive_capability",
    "name_extras",
    "optional_capabilities",
]

ZSTD = "archive/tar.zst"
"""Unpacks archives compressed with zstd."""
PYTHON_WHEELS = "python-wheels"
"""Installs a release's wheels into an environment of their own."""
ATTESTATIONS = "attestations"
"""Verifies who built an artifact, where a channel demands a proof of it."""

_LIBRARIES: Mapping[str, str] = {
    ZSTD: "backports.zstd",
    PYTHON_WHEELS: "installer",
    ATTESTATIONS: "sigstore",
}
_EXTRAS: Mapping[str, str] = {
    ZSTD: "lockgate-updater[zstd]",
    PYTHON_WHEELS: "lockgate-updater[python]",
    ATTESTATIONS: "lockgate-updater[attestations]",
}
_ZSTD_IN_PYTHON = (3, 14)
"""Since when Python reads zstd by itself (PEP 784)."""


def optional_capabilities() -> frozenset[str]:
    """Return which of them this Python has."""
    return frozenset(name for name in _LIBRARIES if _is_here(name))


def _is_here(capability: str) -> bool:
    if capability == ZSTD and sys.version_info >= _ZSTD_IN_PYTHON:
        return True
    try:
        return find_spec(_LIBRARIES[capability]) is not None
    except ModuleNotFoundError:
        return False  # Not even the package that the library is a part of.


def name_extras(missing: Iterable[str]) -> str:
    """Return how to get what is missing, in brackets after a space, or "" where nothing helps."""
    extras = ", ".join(_EXTRAS[name] for name in sorted(missing) if name in _EXTRAS)
    return f" (install {extras})" if extras else ""


def archive_capability(kind: str) -> str:
    """Return the capability that unpacking archives of this kind is called."""
    return f"archive/{kind}"
