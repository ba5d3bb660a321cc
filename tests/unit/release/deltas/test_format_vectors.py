"""The vectors of `docs/reference/delta-format.md` hold: what was written once can always be read.

`python -m tests.unit.release.deltas.test_format_vectors` writes them anew; the format may only
change together with its name.
"""

from __future__ import annotations

import base64
import io
import json
import random
import zlib
from pathlib import Path

import pytest

from lockgate_release.deltas.decoding import decode_solid
from lockgate_release.deltas.encoding import encode_solid
from tests.unit.release.deltas.programs import ARM64, X86_64, program
from tests.unit.release.deltas.rows import Bytes

VECTORS = Path(__file__).resolve().parents[4] / "docs" / "reference" / "delta-format-vectors.json"


def _cases() -> dict[str, tuple[bytes, bytes, int]]:
    text = b"".join(b"line %d of many\n" % number for number in range(900))
    return {
        "x86": (program(X86_64, functions=60), program(X86_64, functions=60, inserted_bytes=16), 0),
        "arm64": (program(ARM64, functions=60), program(ARM64, functions=60, inserted_bytes=32), 0),
        "plain": (text, text[:5000] + b"one more\n" + text[4000:].replace(b"77", b"78"), 0),
        "blocks": (random.Random(5).randbytes(9) * 120_000, b"head" * 300_000, 51 << 20),
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write() -> None:
    cases = {}
    for name, (old, new, memory_bytes) in _cases().items():
        out = io.BytesIO()
        encode_solid(Bytes(old), Bytes(new), out, memory_bytes=memory_bytes or 1 << 28)
        cases[name] = {
            "old_zlib": _text(zlib.compress(old, 9)),
            "delta": _text(out.getvalue()),
            "new_zlib": _text(zlib.compress(new, 9)),
        }
    VECTORS.write_text(json.dumps({"codec": "lockgate-columns-1", "cases": cases}, indent=1) + "\n")


@pytest.mark.parametrize("name", _cases())
def test_what_a_vector_holds_is_made_from_its_old_bytes(name: str) -> None:
    case = json.loads(VECTORS.read_text())["cases"][name]
    old = zlib.decompress(base64.b64decode(case["old_zlib"]))
    new = zlib.decompress(base64.b64decode(case["new_zlib"]))
    patch = io.BytesIO(base64.b64decode(case["delta"]))
    assert b"".join(decode_solid(Bytes(old), patch, size_bytes=len(new))) == new


if __name__ == "__main__":
    _write()
