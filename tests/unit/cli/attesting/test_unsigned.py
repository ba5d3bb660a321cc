"""Over which artifacts Sigstore still has to sign."""

from lockgate_cli.attesting.attaching import AttestWish, attach, find_unsigned, with_attached
from lockgate_cli.attesting.reading import read_attestations
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact, ExtrasDocument
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Platform
from tests.simulators.attestations import as_bytes, signature, statement

PLAIN = ExtrasDocument(app=AppName("demo"), version="1.0.0")


def artifact(platform: str, content: str) -> Artifact:
    sha256 = digest_bytes(content.encode())
    return Artifact(
        platform=Platform(platform),
        name=f"{platform}.tar.gz",
        kind="tar.gz",
        size=1,
        sha256=sha256,
        tree_sha256=sha256,
        tree_size=1,
        path=artifact_path(sha256),
    )


INTEL, ARM = artifact("linux-x86_64", "intel"), artifact("linux-aarch64", "arm")


def extras_with(value: object) -> ExtrasDocument:
    named = read_attestations(as_bytes(value), subject="x.json")
    return with_attached(PLAIN, attach(AttestWish(named=named), (INTEL, ARM), "1.0.0"))


def test_a_signature_over_one_artifact_leaves_the_others_unsigned() -> None:
    assert find_unsigned((INTEL, ARM), extras_with(signature(INTEL.sha256))) == (ARM,)


def test_a_statement_is_no_signature() -> None:
    both = statement(INTEL.sha256, ARM.sha256)
    assert find_unsigned((INTEL, ARM), extras_with(both)) == (INTEL, ARM)


def test_a_signature_counts_wherever_it_is_listed() -> None:
    known = extras_with(signature(INTEL.sha256)), None, extras_with(signature(ARM.sha256))
    assert find_unsigned((INTEL, ARM), *known) == ()


def test_one_file_for_two_platforms_is_signed_once() -> None:
    assert len(find_unsigned((INTEL, artifact("linux-armv7l", "intel")))) == 1
