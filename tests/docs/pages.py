"""The pages of this repository as tests read them: blocks, command lines, code in words."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.generate import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHELL = frozenset({"", "sh", "bash", "console", "ini", "yaml", "text"})

LEFT_OUT = "…"
"""What stands on a page for words that the reader fills in."""

_FENCE = re.compile(r"^( *)```(\w*)\s*$")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SUBSTITUTION = re.compile(r"\$\((.*?)\)")
_COMMENT = re.compile(r"(?:^|\s)#(?:\s+(.*))?$")
_OPERATORS = frozenset("();<>|&")
_NAMES_SOMETHING = frozenset({"-t", "install", "cd", "--from"})
"""What stands before the name of a program that is not run there."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a block, what was continued with a backslash put together.

    Attributes:
        number: Where it begins on its page, from 1.
        text: What is typed.
        comment: What stands behind `#`, or "".
    """

    number: int
    text: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """What stands between two fences."""

    page: Path
    number: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def typed(self) -> Iterator[Line]:
        """What somebody types who follows the page, line by line."""
        parts: list[str] = []
        for number, line in enumerate(self.lines, self.number + 1):
            parts.append(line.removesuffix("\\").strip())
            if line.endswith("\\"):
                continue
            text = " ".join(parts)
            comment = _COMMENT.search(text)
            typed = (text[: comment.start()] if comment else text).strip()
            if typed:
                said = (comment[1] or "") if comment else ""
                yield Line(number=number - len(parts) + 1, text=typed, comment=said)
            parts = []


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            opened = (number, fence[1], fence[2]) if fence else None
            lines = []
        elif fence and not fence[2]:
            began, _, language = opened
            found.append(Block(page=page, number=began, language=language, lines=tuple(lines)))
            opened = None
        else:
            lines.append(line.removeprefix(opened[1]))
    assert opened is None, f"{name_of(page)}:{opened}: a block that does not end"
    return found


def inline_code(page: Path) -> Iterator[tuple[int, str]]:
    """The pieces of code within the words of a page, each with its line's number."""
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            for match in _INLINE.finditer(line):
                yield number, match[1]


def commands_in(text: str) -> Iterator[list[str]]:
    """The calls of Lockgate's programs in one line of shell, each as its words."""
    for inner in _SUBSTITUTION.findall(text):
        yield from commands_in(inner)
    words = _words(_SUBSTITUTION.sub("SUBSTITUTED", text))
    for place, word in enumerate(words):
        program = re.sub(r"^.*/bin/", "", word)
        if program not in PROGRAMS or (place and words[place - 1] in _NAMES_SOMETHING):
            continue
        if words[0] == "docker" and place == len(words) - 1:
            continue  # an image, which runs what it was built to run
        end = (i for i, later in enumerate(words) if i > place and set(later) <= _OPERATORS)
        yield [program, *words[place + 1 : next(end, len(words))]]


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="".join(sorted(_OPERATORS)))
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
