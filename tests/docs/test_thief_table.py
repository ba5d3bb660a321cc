"""The table of what a thief gets names a test for each cell, and each of them exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CELLS = re.compile(r"^\| (?:can|cannot) \| .+ \| `(test_\w+)` \|$", re.MULTILINE)


def test_every_cell_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "explanation" / "trust.md").read_text("utf-8")
    named = CELLS.findall(page)
    lines = [line for line in page.splitlines() if line.startswith(("| can |", "| cannot |"))]
    assert len(named) == len(lines) > 30
    code = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in code] == []
