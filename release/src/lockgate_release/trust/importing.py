"""The public half of a key that a service or a token holds, asked of it through securesystemslib.

The services' own libraries are imported when they are asked, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlparse

from securesystemslib.signer import (
    AWSSigner,
    AzureSigner,
    GCPSigner,
    HSMSigner,
    Key,
    SSlibKey,
    VaultSigner,
)

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.trust.keys import Ask, load_signer, secret_asker

__all__ = ["find_public_key"]


def find_public_key(uri: str, *, environ: Mapping[str, str], ask: Ask | None) -> tuple[str, Key]:
    """Return the URI to sign with, and the public half of the key it names.

    Args:
        uri: A path, `env:NAME`, or the address of a key service.
        environ: The environment.
        ask: Asks for a passphrase or a PIN; None: nobody is there.

    Raises:
        UsageError: The URI names no key.
        LocalError: The key cannot be reached or read.
    """
    scheme = uri.partition(":")[0] if ":" in uri else ""
    importer = _IMPORTERS.get(scheme)
    if importer is None:
        signer = load_signer(uri, known_keys=(), environ=environ, ask=ask)
        return uri, signer.public_key
    try:
        return importer(uri, secret_asker(uri, environ, ask))
    except (LocalError, UsageError):
        raise
    except Exception as exc:  # each service has exceptions of its own
        raise LocalError(
            "the key could not be asked for",
            subject=uri,
            found=f"{type(exc).__name__}: {exc}"[:300],
            hint="Each service needs its library: pip install 'securesystemslib[EXTRA]', EXTRA "
            "being hsm, awskms, gcpkms, azurekms or vault.",
        ) from exc


def _from_token(uri: str, secret: Ask) -> tuple[str, SSlibKey]:
    parts = urlparse(uri)
    label = dict(parse_qsl(parts.query)).get("label")
    return HSMSigner.import_(int(parts.path) if parts.path else None, label, secret)


def _from_gcp(uri: str, _secret: Ask) -> tuple[str, SSlibKey]:
    return GCPSigner.import_(urlparse(uri).path)


def _from_aws(uri: str, _secret: Ask) -> tuple[str, SSlibKey]:
    return AWSSigner.import_(urlparse(uri).path)


def _from_azure(uri: str, _secret: Ask) -> tuple[str, SSlibKey]:
    parts = urlparse(uri)
    names = parts.path.split("/")
    if parts.hostname is None or names[:2] != ["", "keys"] or len(names) < 3:
        raise UsageError(
            "not a key's address",
            subject=uri,
            expected="azurekms://VAULT.vault.azure.net/keys/NAME",
        )
    return AzureSigner.import_(parts.hostname.partition(".")[0], names[2])


def _from_vault(uri: str, _secret: Ask) -> tuple[str, SSlibKey]:
    return VaultSigner.import_(urlparse(uri).path.partition("/")[0])


_IMPORTERS: Mapping[str, Callable[[str, Ask], tuple[str, SSlibKey]]] = {
    "hsm": _from_token,
    "gcpkms": _from_gcp,
    "awskms": _from_aws,
    "azurekms": _from_azure,
    "hv": _from_vault,
}
