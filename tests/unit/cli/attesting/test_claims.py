"""What `lockgate attest claim` takes: artifacts, and nothing that only lies beside them."""

from pathlib import Path

import pytest

from lockgate_cli.attesting.trees import make_claims
from lockgate_cli.progress import Progress
from lockgate_release.errors import UsageError
from lockgate_release.provenance.tree_claims import tree_claim
from tests.simulators.archives import make_archive

SILENT = Progress(clock=lambda: 0.0, watched=False, quiet=True)


def test_a_claim_is_claimed_no_more(tmp_path: Path) -> None:
    """As `dist/*` would name it the second time."""
    archive, claim = tmp_path / "app.tar.gz", tmp_path / "app.tar.gz.tree-claim"
    archive.write_bytes(make_archive({"bin/app": b"1"}))
    (made,) = make_claims([archive], SILENT)
    made.write()
    assert claim.read_bytes() == tree_claim(made.sha256, made.tree_sha256)
    with pytest.raises(UsageError, match="a claim, and no artifact"):
        make_claims([archive, claim], SILENT)
