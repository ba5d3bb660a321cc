"""A tree that may not run any more, and nothing else at hand: run it, or stop? The machine says.

`if_revoked = "run"` (the default) starts it and says so loudly: a revocation leaves nobody without
a program. `if_revoked = "stop"` refuses, for machines where no program is better than that one.
"""

from __future__ import annotations

from lockgate_release.documents import Remedy
from lockgate_release.errors import LocalError
from lockgate_release.names import ChannelName
from lockgate_updater.events import Observer, Step, StepName
from lockgate_updater.session import Client
from lockgate_updater.state.configuration import IfRevoked
from lockgate_updater.state.memory import Memory

__all__ = ["RevokedError", "check_may_start", "why_not_allowed"]


class RevokedError(LocalError):
    """This machine's own policy forbids to start what is installed."""

    code = "local.revoked"


def why_not_allowed(memory: Memory, channel: ChannelName, version: str) -> str:
    """Return why a version may not run any more, as far as is known here, or "" if it may.

    A revocation that only blocks new installations lets it run.
    """
    if not version:
        return ""
    remedy = memory.revoked_in(channel).get(version)
    if remedy is not None and remedy is not Remedy.BLOCK_NEW:
        return f"{version} is revoked"
    floor = memory.floors.get(channel, "")
    if floor and memory.scheme and memory.scheme.parse(version) < memory.scheme.parse(floor):
        return f"{version} is below the floor {floor}"
    return ""


def check_may_start(client: Client, memory: Memory, version: str, observe: Observer) -> None:
    """Say so if what is about to be started may not run any more, or refuse it.

    Raises:
        RevokedError: This machine's policy is to stop.
    """
    configuration = client.configuration
    words = why_not_allowed(memory, configuration.channel, version)
    if not words:
        return
    if configuration.if_revoked == IfRevoked.STOP:
        raise RevokedError(
            f"{words}, and nothing allowed is at hand: this machine's policy is to stop",
            subject=str(client.home.root),
            hint='Update it, or say if_revoked = "run" in its lockgate.toml.',
        )
    text = f"WARNING: {words}, and nothing allowed is at hand; it is started all the same"
    observe(Step(name=StepName.WARNING, version=version, text=text))
