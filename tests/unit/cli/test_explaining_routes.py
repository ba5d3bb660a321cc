"""What clients fetch, told of releases whose deltas say more than they should."""

from lockgate_cli.explaining_routes import describe_fetching
from lockgate_release.deltas.routes import Node
from lockgate_release.documents import Artifact
from lockgate_release.documents.delta import Delta
from lockgate_release.layout import artifact_path
from lockgate_release.names import Platform, Sha256Hex
from lockgate_release.versions import VersionScheme

ANY = Platform("any")
CODEC = "lockgate-columns-1"


def sha256(digit: str) -> Sha256Hex:
    return Sha256Hex(digit * 64)


def delta(from_version: str, digit: str) -> Delta:
    return Delta(
        platform=ANY,
        from_version=from_version,
        from_tree_sha256=sha256(digit),
        algorithm=CODEC,
        size=10,
        sha256=sha256(digit),
        path=artifact_path(sha256(digit)),
        memory_bytes=0,
        scratch_bytes=0,
    )


def test_a_version_that_the_app_cannot_have_is_nobodys() -> None:
    artifact = Artifact(
        platform=ANY,
        name="app.tar.gz",
        kind="tar.gz",
        size=1000,
        sha256=sha256("a"),
        tree_sha256=sha256("b"),
        tree_size=3000,
        path=artifact_path(sha256("a")),
    )
    deltas = (delta("1.0.0", "1"), delta("banana", "2"))
    found = describe_fetching(
        Node(version="2.0.0", artifacts=(artifact,), deltas=deltas),
        artifact,
        "",
        read=lambda _version: None,
        order=VersionScheme.SEMVER.parse,
        algorithms={CODEC},
        no_deltas="",
    )
    assert [(way["installed"], way["kind"]) for way in found["ways"]] == [("1.0.0", "delta")]
