"""A next list of releases that too few publishers have signed yet: read, weighed, joined together.

1. A change is told from every other by its id: SHA-256 over the app's name, the role's name and
   what is signed, whoever has signed it. Two people who see the same id see the same list.
2. Whether a signature counts is python-tuf's to say, by the keys and the threshold that targets
   give the role.
3. A signature that comes with a list and does not fit it is not passed over: either it is by no
   key of the role, or what was signed is another list than this one. One that was kept is: keys
   may have been taken out of the role since.

What the caller must still do: everything that a list which is signed to the end must pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Metadata, Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ConflictError, DocumentError, TrustError
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.trust.chain import Chain, parse_metadata
from lockgate_release.trust.key_names import named_by
from lockgate_release.trust.sign import to_bytes

__all__ = [
    "PartlySigned",
    "change_id_of",
    "check_plain",
    "read_partly_signed",
    "sign_partly",
    "without_signatures",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlySigned:
    """A next list of a role, and which of the role's keys have signed it.

    Attributes:
        change_id: What tells it from every other change.
        role: The role that signs it.
        metadata: The list, with those signatures that count.
        threshold: How many keys must sign.
        signed: The keys that have, by their ids.
        unsigned: The keys that may yet, by their ids.
    """

    change_id: Sha256Hex
    role: str
    metadata: Metadata[Targets]
    threshold: int
    signed: Mapping[str, Key]
    unsigned: Mapping[str, Key]

    @property
    def signed_list(self) -> Targets:
        """What is signed."""
        return self.metadata.signed

    @property
    def missing(self) -> int:
        """How many signatures are missing, 0 where none is."""
        return max(0, self.threshold - len(self.signed))

    @property
    def is_complete(self) -> bool:
        """Whether enough keys have signed."""
        return not self.missing

    def to_bytes(self) -> bytes:
        """Return the list with its signatures, as it is stored."""
        return to_bytes(self.metadata)


def change_id_of(app: AppName, role: str, metadata: Metadata[Targets]) -> Sha256Hex:
    """Return what tells a change from every other (rule 1)."""
    return digest_bytes(f"{app}\n{role}\n".encode() + metadata.signed_bytes)


def read_partly_signed(
    app: AppName,
    chain: Chain,
    role: str,
    data: bytes,
    signatures: Iterable[tuple[str, str]] = (),
) -> PartlySigned:
    """Return the list that follows the one in force, with the signatures that count.

    Args:
        app: The app.
        chain: The state in force.
        role: The role that signs the list.
        data: The list, with or without signatures.
        signatures: More of them: the key's id, and the signature in hexadecimal.

    Raises:
        DocumentError: It is no list.
        ConflictError: It follows another list than the one in force.
        TrustError: A signature does not fit it, or is by no key of the role (rule 3); or there is
            no such role.
    """
    name = f"the next {role}"
    if role not in chain.release_roles:
        raise TrustError(
            "no such role of releases", subject=role, expected=", ".join(chain.release_roles)
        )
    metadata = parse_metadata(Targets, data, name)
    base = chain.list_of(role)
    number = base.version + 1 if base else 1
    if metadata.signed.version != number:
        raise ConflictError(
            "it does not follow the list in force",
            subject=name,
            expected=f"number {number}",
            found=str(metadata.signed.version),
            hint="Somebody else was first: withdraw it, and publish again.",
        )
    added = dict(signatures)
    sent = metadata.signatures.keys() | added.keys()
    partly = weigh_signatures(app, chain, role, metadata, added.items())
    strange = sorted(sent - partly.signed.keys())
    if strange:
        raise TrustError(
            "a signature is of another list than this one"
            if strange[0] in partly.unsigned
            else "a signature is by no key of the role",
            subject=name,
            expected=f"of change {partly.change_id[:12]}, by one of "
            f"{len(partly.signed) + len(partly.unsigned)} keys",
            found=f"key {strange[0]}",
        )
    return partly


def check_plain(signed: Targets, *, subject: str) -> None:
    """Refuse a list that holds more than entries with their marks: nobody is told of the rest.

    One that delegates hands its publishers' word on to somebody else. Clients follow no such
    delegation, and nobody should sign one.

    Raises:
        DocumentError: It does.
    """
    if signed.delegations is not None:
        roles = ", ".join(map(repr, signed.delegations.roles or ())) or "hash bins"
        raise DocumentError(
            "a list that delegates", subject=subject, expected="entries alone", found=roles[:200]
        )
    for path, target in signed.targets.items():
        strange = sorted({*target.unrecognized_fields} - {"custom"})
        if strange or set(target.hashes) != {"sha256"}:
            raise DocumentError(
                "an entry that says more than an entry does",
                subject=f"{subject}: {path}"[:200],
                expected="length, sha256 and custom",
                found=", ".join(map(repr, (*strange, *target.hashes)))[:200],
            )


def weigh_signatures(
    app: AppName,
    chain: Chain,
    role: str,
    metadata: Metadata[Targets],
    signatures: Iterable[tuple[str, str]] = (),
) -> PartlySigned:
    """Return a list with those signatures, beside it and in it, that count (rule 2).

    Args:
        app: The app.
        chain: The state in force.
        role: The role that signs the list.
        metadata: The list; signatures that do not count are taken out of it.
        signatures: More of them: the key's id, and the signature in hexadecimal.

    Raises:
        TrustError: Targets name no such role.
    """
    for keyid, text in signatures:
        metadata.signatures[keyid] = Signature(keyid, text)
    try:
        found = chain.targets.signed.get_verification_result(
            role, metadata.signed_bytes, metadata.signatures
        )
    except ValueError as exc:
        raise TrustError("no such role", subject=role, found=str(exc)[:200]) from exc
    for keyid in metadata.signatures.keys() - found.signed.keys():
        del metadata.signatures[keyid]
    return PartlySigned(
        change_id=change_id_of(app, role, metadata),
        role=role,
        metadata=metadata,
        threshold=found.threshold,
        signed=named_by(chain.targets.signed, found.signed),
        unsigned=named_by(chain.targets.signed, found.unsigned),
    )


def sign_partly(partly: PartlySigned, signers: Iterable[Signer]) -> tuple[tuple[str, str], ...]:
    """Return signatures of the list: each key's id, and the signature in hexadecimal."""
    metadata = Metadata[Targets].from_bytes(without_signatures(partly.to_bytes()))
    made = [metadata.sign(signer, append=True) for signer in signers]
    return tuple((signature.keyid, signature.signature) for signature in made)


def without_signatures(data: bytes) -> bytes:
    """Return the list without any signature.

    Raises:
        DocumentError: It is no list.
    """
    metadata = parse_metadata(Targets, data, "releases")
    metadata.signatures.clear()
    return to_bytes(metadata)
