"""Tables and examples of the reference pages, as tests read them."""

import re
from collections.abc import Iterator
from pathlib import Path

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
_CODE = re.compile(r"^`([^`]*)`$")
_EXAMPLE = re.compile(r"<!-- example: ([a-z]+) -->\n```\w*\n(.*?)```", re.DOTALL)


def page(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its rank."""
    _, _, rest = text.partition(f"\n{heading}\n")
    assert rest, f"no heading {heading!r}"
    rank = heading.split(" ", 1)[0]
    return rest.split(f"\n{rank} ", 1)[0]


def rows(text: str, first_heading: str) -> Iterator[list[str]]:
    """The cells below this heading of a first column. A cell of code is the code."""
    inside = False
    for line in text.splitlines():
        cells = [_CODE.sub(r"\1", cell.strip()) for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            if inside:
                return
        elif inside:
            if set(line) - set("|- "):
                yield cells
        else:
            inside = cells[0] == first_heading
    assert inside, f"no table of {first_heading!r}"


def examples(text: str) -> dict[str, str]:
    """The blocks that are marked as examples, by their names."""
    return dict(_EXAMPLE.findall(text))
