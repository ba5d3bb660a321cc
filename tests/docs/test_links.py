"""Every link from one file of this repository to another leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, name_of

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:")


def _links(text: str) -> Iterator[str]:
    # What stands in code is no link.
    plain = re.sub(r"`[^`\n]*`(?!\])", "", _FENCED.sub("", text))
    yield from (link for link in _LINK.findall(plain) if not _OUTSIDE.match(link))


def _anchors(text: str) -> set[str]:
    """The anchors that a page's headings get: lower case, spaces to hyphens, signs left out."""
    headings = re.findall(r"^#+ +(.*?) *$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(source: Path, text: str) -> list[str]:
    broken = []
    for link in _links(text):
        path, _, anchor = link.partition("#")
        target = (source.parent / path).resolve() if path else source
        is_there = target.is_relative_to(ROOT) and target.exists()
        if is_there and anchor and target.suffix == ".md":
            is_there = anchor in _anchors(target.read_text("utf-8"))
        if not is_there:
            broken.append(link)
    return broken


@pytest.mark.parametrize("source", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(source: Path) -> None:
    assert _broken(source, source.read_text("utf-8")) == []


def test_a_broken_link_is_seen() -> None:
    text = (
        "# A heading, here\n[a](missing.md) [b](README.md) [c](#a-heading-here) [d](#none) "
        "[e](../outside) [f](https://example.invalid) `[g](code.md)`\n```\n[h](block.md)\n```\n"
    )
    source = ROOT / "README.md"
    links = ["missing.md", "README.md", "#a-heading-here", "#none", "../outside"]
    assert list(_links(text)) == links
    assert _anchors(text) == {"a-heading-here"}
    assert _broken(source, "[a](missing.md) [b](README.md) [c](README.md#none) [e](../x)") == [
        "missing.md",
        "README.md#none",
        "../x",
    ]


def test_there_are_links_to_check() -> None:
    assert sum(len(list(_links(page.read_text("utf-8")))) for page in PAGES) > 30


def test_every_page_of_the_reference_is_in_its_list() -> None:
    folder = ROOT / "docs" / "reference"
    listed = set(_links((folder / "README.md").read_text("utf-8")))
    assert listed == {path.name for path in folder.glob("*.md")} - {"README.md"}
