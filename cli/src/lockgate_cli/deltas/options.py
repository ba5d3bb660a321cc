"""The options that say which deltas are made, and how."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from lockgate_cli.defaults import PublishOptions
from lockgate_cli.deltas.wish import DeltaWish
from lockgate_cli.fields import parse_field
from lockgate_cli.output import warn
from lockgate_release.deltas.algorithms import COLUMNS_1, ZSTD_1, check_makeable
from lockgate_release.errors import UsageError

T = TypeVar("T")

__all__ = ["DEFAULT_DELTAS", "DeltaOptions", "parse_memory", "takes_deltas"]

DEFAULT_DELTAS = 3
"""From how many releases, for each platform."""

DEFAULT_MEMORY = "2GB"
_MOST_DELTAS = 100
_LEAST_MEMORY_BYTES = 128 << 20
_SIZE = re.compile(r"(?P<number>[1-9][0-9]{0,12}) ?(?P<unit>B|kB|MB|GB|KiB|MiB|GiB)")
_UNITS = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaOptions:
    """What a command line said of it; None: nothing."""

    deltas: int | None = None
    memory: str | None = None
    algorithm: str | None = None

    def over(self, said: PublishOptions) -> DeltaWish:
        """Return what is wanted; `said` speaks where this says nothing.

        Raises:
            UsageError: A value is out of range, or such deltas cannot be made here.
        """
        most = _first(self.deltas, said.deltas, DEFAULT_DELTAS)
        if not 0 <= most <= _MOST_DELTAS:
            raise UsageError(
                "out of range", subject="deltas", expected=f"0 to {_MOST_DELTAS}", found=str(most)
            )
        memory = _first(self.memory, said.delta_memory, DEFAULT_MEMORY)
        algorithm = _first(self.algorithm, said.delta_algorithm, COLUMNS_1)
        if most and not self._is_makeable(algorithm, said):
            most = 0
        size_bytes = parse_field("delta_memory", parse_memory, memory)
        return DeltaWish(most=most, algorithm=algorithm, memory_bytes=size_bytes)

    def _is_makeable(self, algorithm: str, said: PublishOptions) -> bool:
        """Whether such deltas can be made here; only who has asked for them is refused."""
        try:
            check_makeable(algorithm)
        except UsageError as exc:
            asked = (self.deltas, self.algorithm, said.deltas, said.delta_algorithm)
            if any(value is not None for value in asked):
                raise
            warn(f"no deltas: {exc}")
            return False
        return True


def _first(one: T | None, other: T | None, default: T) -> T:
    if one is not None:
        return one
    return default if other is None else other


def parse_memory(text: str) -> int:
    """Return a size such as `2GB` or `512MiB` in bytes.

    Raises:
        UsageError: It is none, or less than deltas can be made in.
    """
    found = _SIZE.fullmatch(text.strip())
    size_bytes = int(found["number"]) * _UNITS[found["unit"]] if found else 0
    if size_bytes < _LEAST_MEMORY_BYTES:
        raise UsageError(
            "not a size to make deltas in", expected="128MiB or more, such as 2GB", found=repr(text)
        )
    return size_bytes


_OPTIONS = (
    click.option(
        "--delta-memory",
        "memory",
        metavar="SIZE",
        help=f"What making deltas may take. Default: {DEFAULT_MEMORY}.",
    ),
    click.option(
        "--delta-algorithm",
        "algorithm",
        metavar="NAME",
        help=f"{COLUMNS_1}, the smallest, or {ZSTD_1}, the quickest to make.",
    ),
)


def takes_deltas(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds these options, as one value called `delta_options`.

    Args:
        default: What `--deltas` does, in the words of the command.
    """
    count = click.option(
        "--deltas", type=click.IntRange(0, _MOST_DELTAS), metavar="N", help=default
    )

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(
            *arguments: Any,  # noqa: ANN401 (as click has it)
            deltas: int | None,
            memory: str | None,
            algorithm: str | None,
            **options: Any,  # noqa: ANN401 (as click has it)
        ) -> None:
            said = DeltaOptions(deltas=deltas, memory=memory, algorithm=algorithm)
            function(*arguments, delta_options=said, **options)

        for option in reversed((count, *_OPTIONS)):
            run = option(run)
        return run

    return decorate
