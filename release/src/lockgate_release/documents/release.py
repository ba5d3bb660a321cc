"""`releases/<version>/release.json`: what a release is. Written once, immutable."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lockgate_release.documents.chunks import Chunks, read_chunks
from lockgate_release.documents.common import (
    open_document,
    read_content_path,
    read_sha256,
    rest_of,
    with_unknown,
)
from lockgate_release.documents.python_wheels import (
    PythonWheels,
    is_inner_path,
    read_python_wheels,
)
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, Platform, Sha256Hex, is_platform
from lockgate_release.platforms import best_platform
from lockgate_release.strict_json import Fields, JsonObject, dump_json, parse_json
from lockgate_release.versions import is_version_text

__all__ = [
    "TYPE",
    "Artifact",
    "HealthCheck",
    "Install",
    "ReleaseDocument",
    "Requirements",
    "parse_release",
]

TYPE = "lockgate.release"
_MAX_HEALTH_TIMEOUT_S = 3600
_MAX_TRIES = 20
_DEFAULT_HEALTH_TIMEOUT_S = 60
_DEFAULT_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of a release for one platform.

    Attributes:
        platform: Its tag, or `any`.
        name: The file's name as CI uploaded it, one path part.
        kind: The archive's format, an `ArchiveKind` or one that this version does not know: what
            an updater cannot unpack it holds, and says so.
        size: Size of the file in bytes.
        sha256: SHA-256 of the file.
        tree_sha256: Digest of the unpacked tree (see `digests`).
        tree_size: Bytes in all files of the unpacked tree: the limit while unpacking.
        path: Where the file lies below the app's address.
        chunks: The digests of its chunks, or None: the whole file is the only one.
    """

    platform: Platform
    name: str
    kind: str
    size: int
    sha256: Sha256Hex
    tree_sha256: Sha256Hex
    tree_size: int
    path: str
    chunks: Chunks | None = None
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the artifact as it stands in the document."""
        known: dict[str, object] = {
            "platform": self.platform,
            "name": self.name,
            "kind": self.kind,
            "size": self.size,
            "sha256": self.sha256,
            "tree_sha256": self.tree_sha256,
            "tree_size": self.tree_size,
            "path": self.path,
        }
        if self.chunks is not None:
            known["chunks"] = self.chunks.to_json()
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How a freshly installed release proves itself.

    Attributes:
        command: Program and arguments, the program relative to the tree. Empty: no command; the
            program says `confirm` itself.
        timeout_s: How long the command, or the wait for `confirm`, may take, in seconds.
        tries: How many starts a release on trial gets.
        reaches_server: Whether the update server must be reached, too, once it runs: a release that
            cuts a machine off from its updates is left.
    """

    command: tuple[str, ...] = ()
    timeout_s: int = _DEFAULT_HEALTH_TIMEOUT_S
    tries: int = _DEFAULT_TRIES
    reaches_server: bool = False
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the health check as it stands in the document."""
        known: dict[str, object] = {
            "command": list(self.command),
            "timeout_s": self.timeout_s,
            "tries": self.tries,
        }
        if self.reaches_server:
            # Where it says nothing new, a document stays what it was, byte for byte.
            known["reaches_server"] = True
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """What to do with the unpacked tree.

    Attributes:
        entrypoint: The program to start, relative to the tree, or "" if there is none.
        health: How it proves itself.
        python: How the wheels in the tree are installed, or None: it is no Python application. With
            it, programs are relative to the environment that the wheels go into.
    """

    entrypoint: str = ""
    health: HealthCheck = HealthCheck()
    python: PythonWheels | None = None
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the instructions as they stand in the document."""
        known: dict[str, object] = {
            "entrypoint": self.entrypoint,
            "health": self.health.to_json(),
        }
        if self.python is not None:
            known["python"] = self.python.to_json()
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What must hold before this release may be installed.

    Attributes:
        from_version: Lowest installed version that may go to this one directly, or "".
        capabilities: What an updater must be able to do.
    """

    from_version: str = ""
    capabilities: tuple[str, ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the requirements as they stand in the document."""
        known = {"from_version": self.from_version, "capabilities": list(self.capabilities)}
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDocument:
    """One immutable version of an app."""

    app: AppName
    version: str
    released_at: datetime
    artifacts: tuple[Artifact, ...]
    install: Install = Install()
    requires: Requirements = Requirements()
    unknown: JsonObject = field(default_factory=dict)

    def artifact_for(self, platform: Platform) -> Artifact | None:
        """Return the artifact that serves this platform, exactly or as `any`."""
        tag = best_platform(platform, (artifact.platform for artifact in self.artifacts))
        return next((item for item in self.artifacts if item.platform == tag), None)

    def is_same_publish(self, other: ReleaseDocument) -> bool:
        """Whether both publish the same thing: all but the moment of publishing is equal."""
        return self.with_moment_of(other) == other

    def with_moment_of(self, other: ReleaseDocument) -> ReleaseDocument:
        """Return this document with the other's `released_at`."""
        return ReleaseDocument(
            app=self.app,
            version=self.version,
            released_at=other.released_at,
            artifacts=self.artifacts,
            install=self.install,
            requires=self.requires,
            unknown=self.unknown,
        )

    def to_json(self) -> JsonObject:
        """Return the document."""
        known = {
            "_type": TYPE,
            "app": self.app,
            "version": self.version,
            "released_at": format_instant(self.released_at),
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "install": self.install.to_json(),
            "requires": self.requires.to_json(),
        }
        return with_unknown(known, self.unknown)

    def to_bytes(self) -> bytes:
        """Return the document's bytes: equal documents are equal bytes."""
        return dump_json(self.to_json())


def parse_release(data: bytes, *, subject: str = "release.json") -> ReleaseDocument:
    """Return the release in `data`.

    Raises:
        DocumentError: It is not one; the message names the field.
    """
    fields = parse_json(data, subject=subject)
    app = open_document(fields, TYPE)
    version = fields.checked("version", is_version_text, "a version")
    released_at = fields.instant("released_at")
    artifacts = tuple(_read_artifact(item) for item in fields.objects("artifacts", most=200))
    _check_artifacts(fields, artifacts)
    install = _read_install(fields.object("install", optional=True))
    requires = _read_requirements(fields.object("requires", optional=True))
    return ReleaseDocument(
        app=app,
        version=version,
        released_at=released_at,
        artifacts=artifacts,
        install=install,
        requires=requires,
        unknown=rest_of(fields),
    )


def _check_artifacts(fields: Fields, artifacts: tuple[Artifact, ...]) -> None:
    if not artifacts:
        fields.fail("artifacts", "empty", expected="at least one artifact")
    platforms = [artifact.platform for artifact in artifacts]
    for platform in platforms:
        if platforms.count(platform) > 1:
            fields.fail("artifacts", "two artifacts for one platform", found=repr(platform))


def _read_artifact(fields: Fields) -> Artifact:
    sha256 = read_sha256(fields, "sha256")
    path = read_content_path(fields, sha256)
    size = fields.integer("size", minimum=0)
    chunks = fields.object("chunks", optional=True)
    return Artifact(
        platform=Platform(fields.checked("platform", is_platform, "a platform tag")),
        name=fields.text("name", pattern=r"(?!\.)[^/\\\x00-\x1f]+", max_length=255),
        kind=fields.text("kind", pattern=r"[a-z0-9][a-z0-9._-]*", max_length=32),
        size=size,
        sha256=sha256,
        tree_sha256=read_sha256(fields, "tree_sha256"),
        tree_size=fields.integer("tree_size", minimum=0),
        path=path,
        chunks=read_chunks(chunks, size) if fields.has("chunks") else None,
        unknown=rest_of(fields),
    )


def _read_install(fields: Fields) -> Install:
    entrypoint = fields.text("entrypoint", default="")
    if entrypoint and not is_inner_path(entrypoint):
        fields.fail(
            "entrypoint", "wrong value", expected="a path inside the tree", found=repr(entrypoint)
        )
    python = fields.object("python", optional=True)
    health = fields.object("health", optional=True)
    command = health.texts("command", most=100, optional=True)
    if command and not is_inner_path(command[0]):
        health.fail(
            "command[0]", "wrong value", expected="a path inside the tree", found=repr(command[0])
        )
    return Install(
        entrypoint=entrypoint,
        health=HealthCheck(
            command=command,
            timeout_s=health.integer(
                "timeout_s",
                minimum=1,
                maximum=_MAX_HEALTH_TIMEOUT_S,
                default=_DEFAULT_HEALTH_TIMEOUT_S,
            ),
            tries=health.integer("tries", minimum=1, maximum=_MAX_TRIES, default=_DEFAULT_TRIES),
            reaches_server=health.boolean("reaches_server", default=False),
            unknown=rest_of(health),
        ),
        python=read_python_wheels(python) if fields.has("python") else None,
        unknown=rest_of(fields),
    )


def _read_requirements(fields: Fields) -> Requirements:
    from_version = fields.text("from_version", default="")
    if from_version and not is_version_text(from_version):
        fields.fail("from_version", "wrong value", expected="a version", found=repr(from_version))
    return Requirements(
        from_version=from_version,
        capabilities=fields.texts("capabilities", most=100, optional=True),
        unknown=rest_of(fields),
    )
