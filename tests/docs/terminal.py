"""A terminal in which a page is typed, line by line, and what the page says of each line is held.

Behind a line, `# exit code 30: "some words"` says how it ends and what it prints; a line that says
nothing ends with 0. A server that a page starts gets free ports, and the page's addresses are
rewritten to them; nothing else is changed, unless `rewrites` says so.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.docs.pages import LEFT_OUT, Block, Line, commands_in
from tests.simulators.server_process import ServerProcess

__all__ = ["Ended", "Terminal"]

_TIMEOUT_S = 60
_PUBLIC, _API = "http://127.0.0.1:8080", "http://127.0.0.1:8081"
_EXAMPLE = "https://releases.example.com"
_EXIT_CODE = re.compile(r"exit code (\d+)")
_WORDS = re.compile(r'"([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a line ended, and what it printed on both streams."""

    line: Line
    code: int
    said: str


@dataclass(kw_only=True)
class Terminal:
    """Somebody in a folder of their own, who types what a page says.

    Attributes:
        folder: Where they are, and their home.
        rewrites: What they type instead, by what stands on the page.
        server_environ: What a server that a page starts finds in its environment.
    """

    folder: Path
    rewrites: dict[str, str] = field(default_factory=dict)
    server_environ: dict[str, str] = field(default_factory=dict)
    _servers: list[ServerProcess] = field(default_factory=list)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_servers()

    def stop_servers(self) -> None:
        """Stop every server that was started."""
        while self._servers:
            self._servers.pop().stop()

    def follow(self, blocks: Iterable[Block]) -> list[Ended]:
        """Type these blocks, and hold every line to what its comment says.

        A line with an ellipsis cannot be typed, and is not.
        """
        return [
            self._follow(block, line)
            for block in blocks
            for line in block.typed()
            if LEFT_OUT not in line.text
        ]

    def type(self, text: str) -> Ended:
        """Type one line, and see how it ends."""
        text = self._rewritten(text)
        line = Line(number=0, text=text, comment="")
        for words in commands_in(text):
            if words[:2] == ["lockgate-server", "run"]:
                return Ended(line=line, code=0, said=self._start(words))
        return self._run(line)

    def run_python(self, block: Block) -> str:
        """Run a block of Python as a program of its own, and return what it printed."""
        done = self._process([sys.executable, "-W", "error", "-c", self._rewritten(block.text)])
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _rewritten(self, text: str) -> str:
        for old, new in self.rewrites.items():
            text = text.replace(old, new)
        return text

    def _follow(self, block: Block, line: Line) -> Ended:
        ended = self.type(line.text)
        where = f"{block.page.name}:{line.number}: {line.text}\n{ended.said}"
        code = _EXIT_CODE.search(line.comment)
        assert ended.code == int(code[1] if code else 0), where
        for words in _WORDS.findall(line.comment):
            assert words in ended.said, f"{where}\nshould have said: {words}"
        return Ended(line=line, code=ended.code, said=ended.said)

    def _start(self, words: list[str]) -> str:
        assert words[2] == "--data", "the harness knows how to start a server with --data alone"
        assert len(words) == 4, words
        server = ServerProcess(self.folder / words[3], **self.server_environ)
        server.start()
        self._servers.append(server)
        self.rewrites |= {_PUBLIC: server.public, _API: server.api, _EXAMPLE: server.public}
        return server.said()

    def _run(self, line: Line) -> Ended:
        """Run a line by bash; what it exports is there for the next one."""
        kept = self.folder / ".exported"
        script = f"{line.text}\ncode=$?\nexport -p > {kept}\nexit $code"
        if kept.exists():
            script = f". {kept}\n{script}"
        done = self._process(["bash", "-c", script])
        return Ended(line=line, code=done.returncode, said=done.stdout)

    def _process(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        strange = {name for name in os.environ if name.startswith("LOCKGATE_")}
        environ = {name: value for name, value in os.environ.items() if name not in strange}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**environ, "HOME": str(self.folder), "PATH": programs},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
