"""The vectors of `docs/reference/delta-file.md`: what was written once is read for ever.

`python -m tests.unit.release.deltas.test_delta_vectors ALGORITHM` makes the delta of one of them
anew; a format may only change together with its name.
"""

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.deltas.container import read_head
from lockgate_release.digests import digest_tree
from tests.unit.release.deltas.trees import Pair

VECTORS = Path(__file__).resolve().parents[4] / "docs" / "reference" / "delta-file-vectors.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]


def _write(root: Path, tree: dict[str, Any]) -> None:
    for name in tree["folders"]:
        (root / name).mkdir()
    for name, (mode, content) in tree["files"].items():
        (root / name).write_text(content)
        (root / name).chmod(0o755 if mode == "x" else 0o644)
    for name, target in tree["links"].items():
        (root / name).symlink_to(target)


@pytest.mark.parametrize("case", CASES, ids=[case["algorithm"] for case in CASES])
def test_a_delta_of_the_vectors_leads_to_its_tree(tmp_path: Path, case: dict[str, Any]) -> None:
    pair = Pair(tmp_path)
    _write(pair.old_root, case["old"])
    _write(pair.new_root, case["new"])
    delta = bytes.fromhex(case["delta"])
    pair.delta.write_bytes(delta)

    head = read_head(io.BytesIO(delta), subject="")
    pair.apply()

    assert (head.algorithm, head.plan.hex()) == (case["algorithm"], case["plan"])
    assert digest_tree(pair.old_root).sha256 == case["old_tree_sha256"]
    assert digest_tree(pair.new_root).sha256 == case["new_tree_sha256"]
    assert digest_tree(pair.made_root).sha256 == case["new_tree_sha256"]


def _make_anew(algorithm: str) -> None:
    vectors = json.loads(VECTORS.read_text())
    for case in vectors["cases"]:
        if case["algorithm"] == algorithm:
            with tempfile.TemporaryDirectory() as folder:
                pair = Pair(Path(folder))
                _write(pair.old_root, case["old"])
                _write(pair.new_root, case["new"])
                pair.make(algorithm)
                case["delta"] = pair.delta.read_bytes().hex()
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    _make_anew(sys.argv[1])
