"""Over which artifacts, and claims of their trees, Sigstore still has to sign."""

from lockgate_cli.attesting.attaching import AttestWish, attach, find_unsigned, with_attached
from lockgate_cli.attesting.matching import Signable
from lockgate_cli.attesting.reading import read_attestations
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact, ExtrasDocument
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Platform
from lockgate_release.provenance.tree_claims import digest_tree_claim
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


def signed(*artifacts: Artifact) -> tuple[Signable, ...]:
    """These, and the claims of the trees in them."""
    return tuple(
        one
        for item in artifacts
        for one in (
            Signable(item.name, item.sha256),
            Signable(f"{item.name}.tree-claim", digest_tree_claim(item.sha256, item.tree_sha256)),
        )
    )


def extras_with(value: object) -> ExtrasDocument:
    named = read_attestations(as_bytes(value), subject="x.json")
    return with_attached(PLAIN, attach(AttestWish(named=named), (INTEL, ARM), "1.0.0"))


def test_a_signature_over_one_artifact_leaves_its_tree_and_the_others_unsigned() -> None:
    found = find_unsigned((INTEL, ARM), extras_with(signature(INTEL.sha256)))
    assert found == signed(INTEL, ARM)[1:]


def test_a_signature_over_the_claim_of_a_tree_leaves_its_artifact_unsigned() -> None:
    plain, claim = signed(ARM)
    assert find_unsigned((ARM,), extras_with(signature(claim.sha256))) == (plain,)


def test_a_statement_is_no_signature() -> None:
    both = statement(INTEL.sha256, ARM.sha256)
    assert find_unsigned((INTEL, ARM), extras_with(both)) == signed(INTEL, ARM)


def test_a_signature_counts_wherever_it_is_listed() -> None:
    one, other = (
        [extras_with(signature(each.sha256)) for each in signed(it)] for it in (INTEL, ARM)
    )
    assert find_unsigned((INTEL, ARM), *one, None, *other) == ()


def test_one_file_for_two_platforms_is_signed_once() -> None:
    assert find_unsigned((INTEL, artifact("linux-armv7l", "intel"))) == (
        Signable("linux-armv7l.tar.gz", INTEL.sha256),
        Signable("linux-armv7l.tar.gz.tree-claim", signed(INTEL)[1].sha256),
    )
