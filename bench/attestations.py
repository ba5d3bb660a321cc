"""What proving an artifact's origin costs, beside sigstore-python verifying the same bundle.

A Sigstore instance on loopback signs one artifact: plainly, and by an in-toto statement. The rival
in one process is sigstore's API with the trusted root read anew, as we do for each judgement; as
commands, `sigstore verify identity` with the same root. Processor time, in turns; medians.

Bar: at most 1.3 times the rival.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.processes import medians_in_turns
from bench.table import Table
from lockgate_release.digests import digest_bytes
from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from lockgate_release.provenance.judging import judge_attestations
from tests.simulators.sigstore import WORKFLOW, SigstoreSimulator, serve_sigstore

ROUNDS = 9
CALLS = 200
BAR = 1.3
_DATA = b"an artifact" * 1000


def run() -> Table:
    """Measure calls and commands, rivals in turns."""
    table = Table(heads=("what", "rival", "ours in ms", "rival's in ms", "ratio"))
    with tempfile.TemporaryDirectory() as name, serve_sigstore() as sigstore:
        folder = Path(name)
        bundles = {
            "a plain signature": sigstore.sign(_DATA),
            "an in-toto statement": sigstore.attest({"artifact": digest_bytes(_DATA)}),
        }
        for what, bundle in bundles.items():
            _measure_calls(table, sigstore, what, bundle, folder)
            _measure_commands(table, sigstore, what, bundle, folder)
    return table


def _measure_calls(
    table: Table, sigstore: SigstoreSimulator, what: str, bundle: bytes, folder: Path
) -> None:
    signer = SignerRule(identity=WORKFLOW.identity, issuer=WORKFLOW.issuer)
    rule = AttestationRule(demands=(AttestationDemand(signers=(signer,)),))
    trusted_root, sha256 = sigstore.trusted_root, digest_bytes(_DATA)
    root = folder / "root.json"
    root.write_bytes(trusted_root)

    def ours() -> None:
        assert judge_attestations(rule, [bundle], sha256, trusted_root).is_met

    times = _in_turns({"ours": ours, "rival": _rival(bundle, root)})
    _add(table, f"{what}: one judgement", "sigstore's API", times)


def _rival(bundle: bytes, root: Path) -> Callable[[], None]:
    from sigstore.hashes import HashAlgorithm, Hashed  # noqa: PLC0415 (the rival's own)
    from sigstore.models import Bundle, TrustedRoot  # noqa: PLC0415 (the same)
    from sigstore.verify import Verifier, policy  # noqa: PLC0415 (the same)

    digest = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(digest_bytes(_DATA)))
    wanted = policy.Identity(identity=WORKFLOW.identity, issuer=WORKFLOW.issuer)
    is_statement = b'"dsseEnvelope"' in bundle

    def verify() -> None:
        verifier = Verifier(trusted_root=TrustedRoot.from_file(str(root)))
        read = Bundle.from_json(bundle)
        if is_statement:
            verifier.verify_dsse(read, wanted)
        else:
            verifier.verify_artifact(digest, read, wanted)

    return verify


def _in_turns(calls: Mapping[str, Callable[[], None]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(CALLS + 1):
        for name, call in calls.items():
            began_s = time.process_time()
            call()
            spent_s = time.process_time() - began_s
            if number:
                times[name].append(spent_s)
    return {name: statistics.median(found) for name, found in times.items()}


def _measure_commands(
    table: Table, sigstore: SigstoreSimulator, what: str, bundle: bytes, folder: Path
) -> None:
    artifact, config = folder / "artifact", folder / "config.json"
    artifact.write_bytes(_DATA)
    (folder / "artifact.sigstore.json").write_bytes(bundle)
    config.write_text(sigstore.trust_config)
    programs = Path(sys.executable).parent
    ours = [str(programs / "lockgate"), "verify", str(artifact), "--issuer", WORKFLOW.issuer]
    ours += ["--identity", WORKFLOW.identity, "--trusted-root", str(folder / "root.json")]
    rival = [str(programs / "sigstore"), "--trust-config", str(config), "verify", "identity"]
    rival += ["--cert-identity", WORKFLOW.identity, "--cert-oidc-issuer", WORKFLOW.issuer]
    rival += ["--bundle", str(folder / "artifact.sigstore.json"), str(artifact)]
    times = medians_in_turns({"ours": ours, "rival": rival}, ROUNDS)
    _add(table, f"{what}: lockgate verify", "sigstore verify identity", times)


def _add(table: Table, what: str, rival: str, times: Mapping[str, float]) -> None:
    shown = table.judge(round(times["ours"] / times["rival"], 2), at_most=BAR)
    ours, theirs = (f"{times[name] * 1e3:.1f}" for name in ("ours", "rival"))
    table.add(what, rival, ours, theirs, shown)
