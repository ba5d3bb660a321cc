"""The page on attestations, typed as it is written, with a Sigstore instance of our own."""

import tarfile
from pathlib import Path

from lockgate_release.digests import digest_bytes
from lockgate_release.platforms import current_platform
from tests.docs.pages import ROOT, blocks_of
from tests.docs.terminal import Terminal
from tests.simulators.sigstore import serve_sigstore, workflow

PAGE = ROOT / "docs" / "how-to" / "attest.md"
JOB = workflow("myorg/myapp", "refs/tags/v1.4.0")
BUILD = "dist/myapp-x86_64.tar.gz"


def build(folder: Path) -> bytes:
    """Leave what CI would have built."""
    program = folder / "myapp"
    program.write_text("#!/bin/sh\necho myapp\n", "utf-8")
    program.chmod(0o755)
    path = folder / BUILD
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as packed:
        packed.add(program, "bin/myapp")
    return path.read_bytes()


def test_origins_are_attested_and_demanded_as_the_page_says(tmp_path: Path) -> None:
    data = build(tmp_path)
    rewrites = {
        "linux-x86_64": current_platform(),
        "--sigstore-public-good": "--from-file ours.json",
    }
    with Terminal(folder=tmp_path, rewrites=rewrites) as terminal, serve_sigstore() as sigstore:
        for line in (
            "lockgate-server run --data data",
            "export LOCKGATE_TOKEN=$(lockgate-server token create --data data --scope admin)",
            "lockgate init myapp --server http://127.0.0.1:8080 --keys keys",
        ):
            assert terminal.type(line).code == 0
        (tmp_path / "ours.json").write_bytes(sigstore.trusted_root)
        (tmp_path / "instance.json").write_text(sigstore.trust_config, "utf-8")
        settings = tmp_path / "lockgate.toml"
        private = '\n[publish]\ntrust_config = "instance.json"\n'
        settings.write_text(settings.read_text("utf-8") + private, "utf-8")
        (tmp_path / "myapp.sigstore.json").write_bytes(sigstore.sign(data, JOB))
        (tmp_path / "bundles").mkdir()
        provenance = sigstore.attest({"myapp": digest_bytes(data)}, JOB)
        (tmp_path / "bundles" / "provenance.jsonl").write_bytes(provenance)
        terminal.type(f"export SIGSTORE_ID_TOKEN={sigstore.token(JOB)}")
        typed = terminal.follow(blocks_of(PAGE))
        assert sum(bool(ended.line.comment) for ended in typed) >= 6, "the page claims too little"
        shown = terminal.type("lockgate policy show").said
    assert "https://github.com/myorg/myapp/.github/workflows/release.yml@refs/tags/v*" in shown
