"""Who built what a channel would offer, held against what its policy demands. Reads the store.

1. Every artifact of the release is proven, whatever client it is for: the release's document, its
   extras and the trusted root come from what is signed, or is about to be, and each bundle is what
   the extras say.
2. What was found is remembered by the digests of demand, trusted root, document and extras, so that
   the next change verifies nothing anew. A bundle that was missing may come: that is not kept.
3. sigstore verifies; whatever it refuses proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

from tuf.api.metadata import Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Attestation,
    ChannelOffer,
    ExtrasDocument,
    Shortfall,
    parse_extras,
    parse_release,
)
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import RepositoryError
from lockgate_release.layout import TRUSTED_ROOT_PATH, artifact_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import dump_json
from lockgate_server.ports import ObjectStore
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.base import read_target

__all__ = ["OriginMemory", "Origins"]

_MOST = 10_000


class OriginMemory:
    """What one process has found out; shared by its threads."""

    def __init__(self) -> None:
        """Nothing was found yet."""
        self._found: dict[str, Shortfall | None] = {}
        self._lock = Lock()

    def find(self, key: str) -> tuple[Shortfall | None] | None:
        """Return what was found under these digests, in a tuple, or None where nothing was."""
        with self._lock:
            return (self._found[key],) if key in self._found else None

    def keep(self, key: str, lack: Shortfall | None) -> None:
        """Remember what was found, and forget the oldest beyond what there is room for."""
        with self._lock:
            self._found[key] = lack
            if len(self._found) > _MOST:
                del self._found[next(iter(self._found))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Proofs of origin in one state.

    Attributes:
        store: Where documents and bundles are.
        app: Whose.
        targets: Who names the trusted root.
        lists: The list of each role of releases, as it is or will be.
        sent: Documents that the store may not have yet, by path.
        memory: What was found before.
    """

    store: ObjectStore
    app: AppName
    targets: Targets
    lists: Mapping[str, Targets]
    sent: Mapping[str, bytes] = field(default_factory=dict)
    memory: OriginMemory = field(default_factory=OriginMemory)

    def shortfall(self, rule: AttestationRule, offer: ChannelOffer, role: str) -> Shortfall | None:
        """Return what is demanded of a release's artifacts and not proven, or None.

        A document that is missing or damaged proves nothing, and keeps nobody from taking back.

        Raises:
            TransportError: The store cannot be reached.
        """
        listed = self.lists.get(role)
        extras_path = offer.path.replace("/release.json", "/extras.json")
        if listed is None or offer.path not in listed.targets:
            return Shortfall(what="no publisher lists it", expected=offer.path, found="nothing")
        if TRUSTED_ROOT_PATH not in self.targets.targets:
            return Shortfall(
                what="no trusted root to verify its origin with",
                expected=TRUSTED_ROOT_PATH,
                found="nothing",
            )
        key = self._key(rule, listed, offer.path, extras_path)
        known = self.memory.find(key)
        if known is not None:
            return known[0]
        missing: list[str] = []
        try:
            lack = self._judge(rule, listed, offer.path, extras_path, missing)
        except RepositoryError as exc:
            return Shortfall(
                what="its origin is not proven", expected="whole documents", found=str(exc)
            )
        if not missing:
            self.memory.keep(key, lack)
        return lack

    def _key(self, rule: AttestationRule, listed: Targets, path: str, extras_path: str) -> str:
        extras = listed.targets.get(extras_path)
        parts = (
            digest_bytes(dump_json(rule.to_json())),
            self.targets.targets[TRUSTED_ROOT_PATH].hashes.get("sha256", ""),
            listed.targets[path].hashes.get("sha256", ""),
            extras.hashes.get("sha256", "") if extras else "",
        )
        return " ".join((self.app, *parts))

    def _judge(
        self,
        rule: AttestationRule,
        listed: Targets,
        path: str,
        extras_path: str,
        missing: list[str],
    ) -> Shortfall | None:
        # sigstore costs half a second and 50 MB: only an app that demands attestations pays.
        from lockgate_release.provenance.choosing import bundles_about  # noqa: PLC0415
        from lockgate_release.provenance.judging import judge_attestations  # noqa: PLC0415

        root = self._read(self.targets, TRUSTED_ROOT_PATH)
        document = parse_release(self._read(listed, path), subject=path)
        extras: ExtrasDocument | None = None
        if extras_path in listed.targets:
            extras = parse_extras(self._read(listed, extras_path), subject=extras_path)
        for artifact in document.artifacts:
            about = bundles_about(extras.attestations if extras else (), artifact.sha256, rule)
            judgement = judge_attestations(rule, self._fetch(about, missing), artifact.sha256, root)
            if not judgement.is_met:
                lack = judgement.lacks[0]
                reasons = "; ".join([lack.found, *judgement.refused, *missing])
                return Shortfall(
                    what=f"{lack.what}: {artifact.name}", expected=lack.expected, found=reasons
                )
        return None

    def _fetch(self, about: tuple[Attestation, ...], missing: list[str]) -> Iterator[bytes]:
        for attestation in about:
            data = self._read_bundle(attestation.sha256, attestation.size)
            if data is None:
                missing.append(f"bundle {attestation.sha256[:12]} is missing from the store")
            else:
                yield data

    def _read_bundle(self, sha256: Sha256Hex, size_bytes: int) -> bytes | None:
        from lockgate_release.provenance.bundles import MAX_BUNDLE_BYTES  # noqa: PLC0415 (as above)

        if size_bytes > MAX_BUNDLE_BYTES:
            return None
        key = artifact_key(self.app, sha256)
        found = read_object(self.store, key, limit_bytes=size_bytes)
        return found.data if found is not None and digest_bytes(found.data) == sha256 else None

    def _read(self, named: Targets, path: str) -> bytes:
        """Return a document as its entry says; what was sent was held to it already, or is here."""
        target = named.targets[path]
        data = self.sent.get(path)
        if data is not None and digest_bytes(data) == target.hashes.get("sha256"):
            return data
        return read_target(self.store, self.app, path, target)
