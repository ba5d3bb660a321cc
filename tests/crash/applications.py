"""What is installed in the scenarios: small trees that say who they are, and fail if they must."""

from __future__ import annotations

import random

from lockgate_release.documents import HealthCheck, Install, PythonWheels
from tests.simulators.archives import Tree
from tests.simulators.own_updater import PROGRAM
from tests.simulators.wheels import make_wheel

__all__ = ["UPDATER", "WHEELS", "kin_tree", "plain_tree", "updater_tree", "wheels_tree"]

_NOISE_BYTES = 150_000

WHEELS = Install(
    entrypoint="bin/app",
    health=HealthCheck(command=("bin/python", "-IS", "-c", "import sys")),
    python=PythonWheels(wheels="wheels"),
)
"""How a Python application is installed."""
UPDATER = Install(entrypoint=PROGRAM, health=HealthCheck(command=(PROGRAM, "--version")))
"""How an updater is."""


def plain_tree(version: str, *, sick: bool = False) -> Tree:
    """A small application: programs, a folder in a folder, an empty file, more than one chunk."""
    return {
        "bin/app": f"#!/bin/sh\necho this is {version}\nexit {int(sick)}\n".encode(),
        "bin/check": f"#!/bin/sh\nexit {int(sick)}\n".encode(),
        f"lib/{version}/empty": b"",
        "lib/data": random.Random(version).randbytes(_NOISE_BYTES),
    }


def kin_tree(version: str) -> Tree:
    """One that has much in common with its other versions: files that stay, change and move."""
    noise = random.Random("kin").randbytes(_NOISE_BYTES)
    return {
        "bin/app": f"#!/bin/sh\necho this is {version}\n".encode(),
        "bin/check": b"#!/bin/sh\nexit 0\n",
        "lib/same": noise[:20_000],
        "lib/data": noise[:90_000] + version.encode() + noise[90_000:],
        f"lib/{version}/moved": noise[:10_000],
        f"lib/{version}/empty": b"",
    }


def wheels_tree(version: str) -> Tree:
    """An application of two wheels, the second of which the first one needs."""
    main = f"import words\ndef main():\n    print(words.THIS_IS, {version!r})\n".encode()
    app = make_wheel(
        "app",
        version,
        {"app/__init__.py": b"", "app/main.py": main},
        scripts={"app": "app.main:main"},
    )
    words = make_wheel("words", "1.0", {"words.py": b"THIS_IS = 'this is'\n"})
    return {f"wheels/{name}": data for name, data in (app, words)}


def updater_tree(version: str, app: str, *, sick: bool = False) -> Tree:
    """A stand-in for an updater: it answers what it is asked before it is trusted, and no more.

    `sick` lets it see another state in the app's home than there is. (What a real one answers is
    tried in tests/unit/updater/test_self_update.py; here it would cost a third of a second a try.)
    """
    state = "committed" if sick else "idle"
    return {
        PROGRAM: f"""#!/bin/sh
case $1 in
    --version) echo this is {version} ;;
    status) echo '{{"app": "{app}", "state": "{state}", "installed": "1.0.0"}}' ;;
esac
""".encode()
    }
