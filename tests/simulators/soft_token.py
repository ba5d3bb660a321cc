"""A PKCS#11 token made of software, as Debian's softhsm2 has it, with one key on it.

    token = SoftToken(folder)
    token.uri                # hsm:2?label=lockgate
    token.environ            # what a process needs to find it; the PIN is apart

The key is made by a process of its own: the library keeps state in the process that loads it.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["SoftToken", "need_soft_token"]

_UTIL = "softhsm2-util"
_LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
_LABEL = "lockgate"
_MAKE_KEY = """
import os, sys, pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(os.environ["PYKCS11LIB"]).get_token(token_label=sys.argv[1])
with token.open(rw=True, user_pin=sys.argv[2]) as session:
    curve = session.create_domain_parameters(
        pkcs11.KeyType.EC,
        {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
        local=True,
    )
    curve.generate_keypair(id=bytes([2]), label="key", store=True)
"""


def _library() -> str:
    return next((path for path in _LIBRARIES if Path(path).exists()), "")


def need_soft_token() -> None:
    """Skips the test where softhsm2 is not installed; where CI is set, fails it."""
    if shutil.which(_UTIL) and _library():
        return
    missing = "softhsm2 is not installed: apt-get install softhsm2"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@dataclass(frozen=True, kw_only=True)
class SoftToken:
    """A token in a folder.

    Attributes:
        folder: Where its files lie.
        pin: What opens it.
    """

    folder: Path
    pin: str = "493827"

    def __post_init__(self) -> None:
        tokens = self.folder / "tokens"
        tokens.mkdir(parents=True)
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        label = ["--label", _LABEL, "--so-pin", "0" + self.pin, "--pin", self.pin]
        self._run(_UTIL, "--init-token", "--free", *label)
        self._run(sys.executable, "-c", _MAKE_KEY, _LABEL, self.pin)

    @property
    def uri(self) -> str:
        """The key, as `--key` has it."""
        return f"hsm:2?label={_LABEL}"

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to find the token."""
        return {
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
            "PYKCS11LIB": _library(),
        }

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, env={**os.environ, **self.environ}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
