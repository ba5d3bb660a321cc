"""Wheels made by hand: a zip, its list of files and its entry points; no build tool, no network."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping


def make_wheel(
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    scripts: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    record: Mapping[str, bytes] | None = None,
    unlisted: Mapping[str, bytes] | None = None,
) -> tuple[str, bytes]:
    """The wheel's file name and its bytes, equal for equal arguments.

    `record` tells its list other contents than the wheel holds; of `unlisted` it says nothing.
    """
    info = f"{name}-{version}.dist-info"
    lines = "".join(f"{command} = {target}\n" for command, target in (scripts or {}).items())
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: {tag}\n"
        ).encode(),
        f"{info}/entry_points.txt": f"[console_scripts]\n{lines}".encode(),
    }
    listed = {**whole, **(record or {})}
    rows = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in listed.items()]
    whole[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    whole |= unlisted or {}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in whole.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), data)
    return f"{name}-{version}-{tag}.whl", packed.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
