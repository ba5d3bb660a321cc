"""A desk whose channel demands proofs of origin, and a client of it: the scene of two modules."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lockgate_release.instants import utc_now
from lockgate_updater import Updater
from tests.simulators.archives import make_archive
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.sigstore import SigstoreSimulator

__all__ = ["BOTS", "KEYLESS", "MAINTAINER", "client_of", "open_demanding_desk"]

KEYLESS = ("--sigstore", "--trust-config", "sigstore.json")
BOTS = "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v*"
MAINTAINER = "keys/root/maintainer-1.pem"


@contextmanager
def open_demanding_desk(
    tmp_path: Path,
    sigstore: SigstoreSimulator,
    trees: Mapping[str, Mapping[str, bytes]] | None = None,
) -> Iterator[ReleaseDesk]:
    """CI has an identity; stable offers 1.0.0, attested, and demands that from now on.

    Args:
        tmp_path: An empty folder.
        sigstore: Who vouches for identities.
        trees: What is built of each version; of the others, what any desk builds.
    """
    with open_desk(tmp_path, utc_now()) as desk:
        desk.init()
        (desk.folder / "sigstore.json").write_text(sigstore.trust_config)
        (desk.folder / "ours.json").write_bytes(sigstore.trusted_root)
        desk.person.environ["SIGSTORE_ID_TOKEN"] = sigstore.token()
        for version, tree in (trees or {}).items():
            (desk.folder / f"{APP}-{version}.tar.gz").write_bytes(make_archive(tree))
        desk.publish("1.0.0", *KEYLESS)
        desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
        desk.person.must("policy", "edit", "c.json", "--channel", "stable", "--attest", BOTS)
        desk.person.must("root", "sign", "c.json", "--key", MAINTAINER, "--yes")
        desk.person.must("root", "submit", "c.json")
        yield desk


def client_of(desk: ReleaseDesk, *, allow_unattested: bool = False) -> Updater:
    """The client in the folder `client`, made where there is none yet."""
    home = desk.folder / "client"
    if not home.exists():
        root = (desk.folder / "keys" / "root.json").read_bytes()
        Updater.create(home, app=APP, repository=desk.api, channel="stable", root=root)
    return Updater.open(
        home, environ={}, clock=lambda: desk.person.now, allow_unattested=allow_unattested
    )
