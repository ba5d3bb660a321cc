"""The command `lockgate` as somebody types it: in a folder, with an environment, at a terminal."""

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from lockgate_cli.context import Surroundings
from lockgate_cli.main import lockgate, run
from tests.simulators.publisher import NOW


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended and what it left on its two streams."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The data on stdout."""
        return json.loads(self.out)


@dataclass(kw_only=True)
class CommandLine:
    """One person or job. Time stands still unless it is moved; waiting takes none.

    Attributes:
        folder: Where they are.
        environ: Their environment.
        now: The present.
        watched: Whether they sit at a terminal.
        answers: What they will answer when asked, in turn; KeyboardInterrupt to interrupt, or
            something that happens while they think.
        questions: What they were asked.
        secrets: What they will type when asked for a passphrase or a PIN, in turn.
        waited_s: How long commands wanted to wait.
        while_waiting: What happens meanwhile, given how long it takes in seconds.
    """

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW
    watched: bool = False
    answers: list[str | BaseException | Callable[[], str]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    while_waiting: Callable[[float], object] = float

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)

    def _ask(self, question: str) -> str:
        self.questions.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, str) else answer()

    def _sleep(self, wait_s: float) -> None:
        self.waited_s.append(wait_s)
        self.while_waiting(wait_s)

    def _ask_secret(self, question: str) -> str:
        self.questions.append(question)
        return self.secrets.pop(0)

    def surroundings(self) -> Surroundings:
        return Surroundings(
            environ=self.environ,
            folder=self.folder,
            now=lambda: self.now,
            clock=lambda: 0.0,
            sleep=self._sleep,
            jitter=lambda: 0.5,
            watched=self.watched,
            new_id=lambda: "a-run",
            ask=self._ask,
            ask_secret=self._ask_secret,
        )

    def run(self, *arguments: str, command: click.Command = lockgate) -> Ended:
        """Type a command and see how it ends."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(list(arguments), self.surroundings(), command)
        return Ended(code=code, out=out.getvalue(), err=err.getvalue())

    def must(self, *arguments: str) -> Ended:
        """Type a command that has to go well."""
        ended = self.run(*arguments)
        assert ended.code == 0, ended.err
        return ended

    def must_end(self, code: int, arguments: Sequence[str], *words: str) -> Ended:
        """Type a command that has to end with this code, and say these words."""
        ended = self.run(*arguments)
        assert ended.code == code, (ended.code, ended.err)
        for word in words:
            assert word in ended.err, ended.err
        return ended
