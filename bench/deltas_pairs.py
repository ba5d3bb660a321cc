"""Consecutive releases of real applications, pinned by version and hash, and their canonical tars.

They are fetched with the ordinary clients of their registries, pip and npm, when the benchmark
runs, and kept in the folder that `LOCKGATE_BENCH_CACHE` names (default: a temporary one).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = "LOCKGATE_BENCH_CACHE"


@dataclass(frozen=True)
class Package:
    """One file of a registry.

    Attributes:
        requirement: `name==version` for pip, `name@version` for npm.
        platform: pip's tag of the platform; empty for npm.
        sha256: Of the file, in hex.
    """

    requirement: str
    platform: str
    sha256: str


@dataclass(frozen=True)
class Pair:
    """Two releases of one application, and what it is."""

    name: str
    what: str
    old: Package
    new: Package


def _pip(name: str, platform: str, old: tuple[str, str], new: tuple[str, str]) -> list[Package]:
    return [Package(f"{name}=={version}", platform, sha256) for version, sha256 in (old, new)]


def _npm(name: str, old: tuple[str, str], new: tuple[str, str]) -> list[Package]:
    return [Package(f"{name}@{version}", "", sha256) for version, sha256 in (old, new)]


PAIRS = (
    Pair(
        "cryptography",
        "a wheel of one Rust extension",
        *_pip(
            "cryptography",
            "manylinux_2_34_x86_64",
            ("50.0.1", "51afcfceb15597cf2635068e4ac9a56b2abde622edde17f37d85fd7b5306497a"),
            ("50.0.2", "9dab55f57c74c3cad24c323bacbbd04be4705ba6eb0d92e920b1fc4837ed5079"),
        ),
    ),
    Pair(
        "numpy",
        "a wheel of compiled C extensions and Python",
        *_pip(
            "numpy",
            "manylinux_2_28_x86_64",
            ("2.5.3", "b7e18c623bb5c95acb3b3328861272816ba199fb531921c5d6d0b675f1fde9e3"),
            ("2.5.4", "fbde6962867ee75b48b0ee29b2b9372ec5d617799dbaf38e82dc0596f2f7738a"),
        ),
    ),
    Pair(
        "basedpyright",
        "5,400 small texts and JavaScript",
        *_pip(
            "basedpyright",
            "any",
            ("1.40.1", "222dc0382caf9816eb23a27cb7059fa96356ddc500b3b7b306072848fd650244"),
            ("1.40.2", "3a53aeb93a86675ded0e12bc27bd8476c1742356de07ad8cab67bff18110c690"),
        ),
    ),
    Pair(
        "ruff",
        "one Rust program",
        *_pip(
            "ruff",
            "manylinux_2_17_x86_64",
            ("0.17.4", "2cd025509b2e15721b426fc70fd946d71f43b3db3b08e946dfec2d696d911690"),
            ("0.17.5", "40ca8afaac309b41a5b2e09e4e7beb1f824826b93c25697c4d74f573324fba4e"),
        ),
    ),
    Pair(
        "ruff-arm64",
        "one Rust program for ARM64",
        *_pip(
            "ruff",
            "manylinux_2_17_aarch64",
            ("0.17.4", "8ea6e0017c785f7282092b11e46338e4ebed1b9e575ebf2e55a8a1eda968241a"),
            ("0.17.5", "6f6a7b138edf9cc402ca736a59d9525e6d766e5395760b72e7e146e6251ac963"),
        ),
    ),
    Pair(
        "uv",
        "one Rust program",
        *_pip(
            "uv",
            "manylinux_2_17_x86_64",
            ("0.13.7", "2c9bdc4a872b60a93c5f26c0791089ea11585a4f9d3b3c017d78eb8487505e25"),
            ("0.13.8", "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984"),
        ),
    ),
    Pair(
        "esbuild",
        "one Go program",
        *_npm(
            "@esbuild/linux-x64",
            ("0.28.1", "9ed00ab5330c94386f3273eda99a1fb0e8f37cfd6cb5270e4ad2fe3527da3546"),
            ("0.28.2", "9573bb2233aab0f9ea7647d5cca9726113cc1768de61d66b17267f4db84488f6"),
        ),
    ),
    Pair(
        "biome",
        "one large Rust program",
        *_npm(
            "@biomejs/cli-linux-x64",
            ("2.6.7", "c360886b5ded263de504608c6ff626c87e8d4a52210b593efabdad7ec2232835"),
            ("2.6.8", "e9fc491ffec6ba4024549b7c797937cd4f01855b4fe66a78220efe83b95be7f1"),
        ),
    ),
    Pair(
        "workerd",
        "one large C++ program with V8",
        *_npm(
            "@cloudflare/workerd-linux-64",
            ("1.20261110.1", "06d7e894ad62594b0c61fdc6d840f3b2e3844a833cf97e04f9deb59d0d7cc4f6"),
            ("1.20261117.1", "b7fa7bcbde8fc42e97cab6e6e72967b518e71f787e74d1599ee36c0f1c019bb9"),
        ),
    ),
    Pair(
        "playwright",
        "a runtime with V8 and its JavaScript, as Electron bundles are",
        *_pip(
            "playwright",
            "manylinux1_x86_64",
            ("1.64.1", "577b8d88778c245cfbd145ae17cf53044f084b1b46c55c69081d4069d56057e2"),
            ("1.65.0", "e8e4d4a177bef2c2f2a17019febadded1c84cd1499b80f7100bb30ff20df7bad"),
        ),
    ),
)


def cache_folder() -> Path:
    """Return the folder in which what was fetched stays."""
    named = os.environ.get(CACHE)
    if not named:
        return Path(os.environ.get("TMPDIR", "/tmp"), "lockgate-bench-deltas")
    return Path(named)


def fetch(package: Package, folder: Path) -> Path:
    """Return the file of a package, proven by its hash; fetch it if it is not in the folder.

    Raises:
        RuntimeError: The registry's client failed, or brought other bytes.
    """
    kept = folder / package.sha256
    if not kept.is_file():
        arriving = folder / f"{package.sha256}.arriving"
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        _download(package, arriving)
        [found] = arriving.iterdir()
        found.rename(kept)
        arriving.rmdir()
    with kept.open("rb") as stream:
        found_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if found_sha256 != package.sha256:
        kept.unlink()
        raise RuntimeError(f"{package.requirement} has the SHA-256 {found_sha256}")
    return kept


def _download(package: Package, folder: Path) -> None:
    if package.platform:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--disable-pip-version-check", "--only-binary=:all:", "--implementation", "cp"]
        pip += ["--python-version", "3.12", "--platform", package.platform, "--dest", str(folder)]
        command = [*pip, package.requirement]
    else:
        command = ["npm", "pack", "--silent", "--pack-destination", str(folder)]
        command += [package.requirement]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def unpack(archive: Path, tree: Path) -> None:
    """Unpack a wheel or an npm package; files get the modes 644 or 755."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                path = Path(opened.extract(info, tree))
                if path.is_file():
                    path.chmod(0o755 if (info.external_attr >> 16) & 0o111 else 0o644)
        return
    with tarfile.open(archive) as packed:
        packed.extractall(tree, filter="data")
    for path in tree.rglob("*"):
        if path.is_file():
            path.chmod(0o755 if path.stat().st_mode & 0o111 else 0o644)


def write_tar(tree: Path, target: Path) -> None:
    """Write a tree as a canonical tar: sorted names, no times, no owners."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as packed:
        for path in sorted(tree.rglob("*")):
            if path.is_file() or path.is_symlink():
                packed.add(path, path.relative_to(tree).as_posix(), filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


@dataclass(frozen=True)
class Laid:
    """A pair on the disk: both trees, and both as canonical tars."""

    name: str
    what: str
    folder: Path

    @property
    def larger_bytes(self) -> int:
        """The size of the larger tree."""
        return max(self.tar(side).stat().st_size for side in ("old", "new"))

    def tree(self, side: str) -> Path:
        """Return the folder of `old` or `new`."""
        return self.folder / side

    def tar(self, side: str) -> Path:
        """Return the canonical tar of `old` or `new`."""
        return self.folder / f"{side}.tar"


def lay(pair: Pair, cache: Path) -> Laid:
    """Fetch both releases, unpack them, and write their tars, as far as that is not done."""
    folder = cache / pair.name
    for side, package in (("old", pair.old), ("new", pair.new)):
        if not (folder / f"{side}.tar").is_file():
            archive = fetch(package, cache / "fetched")
            shutil.rmtree(folder / side, ignore_errors=True)
            unpack(archive, folder / side)
            write_tar(folder / side, folder / f"{side}.tar.arriving")
            (folder / f"{side}.tar.arriving").rename(folder / f"{side}.tar")
    return Laid(pair.name, pair.what, folder)


def lay_together(parts: list[Laid], cache: Path) -> Laid:
    """Lay several pairs side by side as one large tree."""
    name = "together"
    folder = cache / name
    for side in ("old", "new"):
        if not (folder / f"{side}.tar").is_file():
            shutil.rmtree(folder / side, ignore_errors=True)
            for part in parts:
                shutil.copytree(part.tree(side), folder / side / part.name, symlinks=True)
            write_tar(folder / side, folder / f"{side}.tar.arriving")
            (folder / f"{side}.tar.arriving").rename(folder / f"{side}.tar")
    return Laid(name, " + ".join(part.name for part in parts), folder)
