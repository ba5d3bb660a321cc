"""Processor time of whole processes, rivals in turns."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence

Command = Sequence[str]


def cpu_time_s(command: Command) -> float:
    """Return the user and system time of a process, children included, in seconds.

    Raises:
        RuntimeError: It failed.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read()
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} exited with {process.returncode}: {errors.decode()}")
    return usage.ru_utime + usage.ru_stime


def medians_in_turns(commands: Mapping[str, Command], rounds: int) -> dict[str, float]:
    """Return each command's median processor time in seconds, measured in turns.

    The first round warms the caches and does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            spent = cpu_time_s(command)
            if number:
                times[name].append(spent)
    return {name: statistics.median(found) for name, found in times.items()}
