"""A server and the people who publish through it, in one process: the scene of the server's tests.

The use cases, the adapters' stand-ins and the signatures are real; only time stands still.

    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    scene.look().offers("stable")          # what a client sees, verified from the pinned root
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from tuf.api.metadata import TargetFile
from werkzeug.test import TestResponse

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    Remedy,
    parse_channel,
    parse_release,
)
from lockgate_release.layout import artifact_key, channel_path, target_key
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.requests import (
    PublishRequest,
    RevokeRequest,
)
from lockgate_release.steering_requests import RolloutAction, RolloutRequest
from lockgate_release.trust.chain import Chain, load_chain
from lockgate_release.uploads import ArrivedPart, BeginRequest, FinishRequest, make_upload_id
from lockgate_server.api import ApiDeps, create_api_app
from lockgate_server.keys import KeyRing
from lockgate_server.patience import Patience
from lockgate_server.ports import Highest, IfAbsent, Intent, Ledger, ObjectStore, Scope
from lockgate_server.ports.reports import ReportLedger
from lockgate_server.ports.uploads import DirectUploads
from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.services.read.checks import BackupNews
from lockgate_server.services.read.health import Health, Signing
from lockgate_server.services.reports.blocks import block_mark
from lockgate_server.services.reports.in_force import View
from lockgate_server.services.reports.intake import Intake, IntakeLimits
from lockgate_server.services.write.apps import make_online_key, register
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.finishing import finish_upload
from lockgate_server.services.write.key_check import find_key_problem
from lockgate_server.services.write.publish import publish
from lockgate_server.services.write.revoking import Revoked, revoke
from lockgate_server.services.write.rollouts import ChangedRollout, change_rollout
from lockgate_server.services.write.uploads import begin_upload, receive_part
from lockgate_server.views.api.context import ApiContext
from tests.simulators.memory_ledger import MemoryLedger
from tests.simulators.memory_reports import MemoryReportLedger
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW, Build, PublisherSimulator

__all__ = ["APP", "CALLER", "STABLE", "Scene", "Sight", "read_all"]

APP = AppName("demo")
STABLE = ChannelName("stable")
CALLER = Caller(actor="a test", request_id="r-1")


def read_all(store: ObjectStore, key: str) -> bytes | None:
    """The bytes of an object, or None."""
    found = store.open(key)
    if found is None:
        return None
    with found:
        return found.read()


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a client sees that follows the chain: everything in it was verified."""

    chain: Chain
    channels: Mapping[str, ChannelDocument]

    def offers(self, channel: str = STABLE) -> list[tuple[str, int]]:
        """Versions and exposures that a channel offers, in its order."""
        document = self.channels.get(channel)
        offers = document.offers if document else ()
        return [(offer.version, offer.rollout.exposure_bp) for offer in offers]

    def revoked(self, channel: str = STABLE) -> list[str]:
        """Versions that are revoked in a channel."""
        return [item.version for item in self.channels[channel].revoked]

    def live(self) -> set[str]:
        """Versions that publishers list."""
        return {entry.version for entry in self.chain.entries().values()}

    def numbers(self) -> tuple[int, int, dict[str, int]]:
        """What tells one state from another."""
        sequences = {name: document.sequence for name, document in self.channels.items()}
        return self.chain.timestamp.version, self.chain.releases.version, sequences


@dataclass(kw_only=True)
class Scene:
    """A server's state, and the people who hold the offline keys.

    Attributes:
        folder: Where the online key lies.
        now: What time everybody believes it is; change it with `pass_time`.
        store: Where the files are; put a faulty one around it to see it fail.
        ledger: What people did.
        publisher: Who signs.
        reports: What clients reported.
        uploads: How clients send parts straight to the store, if they can.
        parts: What the store holds of such uploads, where clients send here; else as `uploads`.
        room: How many bytes more the store has for uploads, if it can tell.
        patience: How long caches are waited for when keys change.
    """

    folder: Path
    now: datetime = NOW
    store: ObjectStore = field(default_factory=MemoryStore)
    ledger: Ledger = field(default_factory=MemoryLedger)
    publisher: PublisherSimulator = field(default_factory=PublisherSimulator)
    app: AppName = APP
    reports: ReportLedger = field(default_factory=MemoryReportLedger)
    uploads: DirectUploads | None = None
    parts: DirectUploads | None = None
    room: int | None = None
    patience: Patience = field(default_factory=Patience)
    naps: list[float] = field(default_factory=list)
    between_tries: Callable[[], object] = lambda: None
    _random: Iterator[int] = field(default_factory=itertools.count)

    def deps(self) -> WriteDeps:
        """What the use cases get."""
        return WriteDeps(
            store=self.store,
            ledger=self.ledger,
            keys=KeyRing(self.folder / "keys", {}),
            now=lambda: self.now,
            random_hex=lambda size: f"{next(self._random):0{2 * size}x}"[-2 * size :],
            sleep=self._sleep,
            reports=self.reports,
            uploads=self.uploads,
            parts=self.parts or self.uploads,
            room=lambda: self.room,
            patience=self.patience,
        )

    def _sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.between_tries()

    def pass_time(self, to: datetime) -> None:
        """Let everybody believe it is this late."""
        self.now = to
        self.publisher.now = to

    def fork(self) -> Scene:
        """Return the same state in a store and a ledger of its own, with nothing in the log."""
        store = MemoryStore()
        for info in self.store.list(""):
            data = read_all(self.store, info.key)
            assert data is not None
            store.put(info.key, data, IfAbsent())
        ledger = MemoryLedger()
        ledger.pin_app(self.app, self.publisher.root)
        intent = Intent(
            app=self.app,
            actor="fork",
            action="fork",
            details={},
            request_id="",
            timestamp_sha256="",
        )
        ledger.finish(ledger.begin(intent, now=self.now), self.highest())
        return Scene(
            folder=self.folder,
            now=self.now,
            store=store,
            ledger=ledger,
            publisher=self.publisher,
            _random=self._random,
        )

    # What people do, through the use cases.

    def register(self) -> Base:
        """Make the online key and put the app's first state in force."""
        key = make_online_key(self.deps(), self.app)
        base, _ = register(self.deps(), self.app, self.publisher.register(key), CALLER)
        return base

    def upload(self, build: Build) -> None:
        """Receive the build's artifacts, through the server."""
        for data in build.artifacts.values():
            self.land(data)

    def land(self, data: bytes) -> None:
        """Receive an artifact, through the server."""
        deps = replace(self.deps(), uploads=None)
        upload_id = make_upload_id(io.BytesIO(data), len(data))
        begin = BeginRequest(upload_id=upload_id, size_bytes=len(data))
        record = begin_upload(deps, self.app, begin, limit_bytes=len(data)).record
        file = io.BytesIO(data)
        parts = []
        for number, size_bytes in enumerate(record.part_sizes(), 1):
            piece = file.read(size_bytes)
            part = ArrivedPart(number=number, size_bytes=len(piece), sha256=digest_bytes(piece))
            parts.append(receive_part(deps, record, part, io.BytesIO(piece)))
        said = FinishRequest(sha256=digest_bytes(data), size_bytes=len(data), parts=parts)
        finish_upload(deps, self.app, upload_id, said)

    def prepare(self, version: str, **how: Any) -> PublishRequest:
        """Upload a build of a version, and return the request that would publish it."""
        build = self.publisher.build(version)
        self.upload(build)
        return self.publisher.publish(self.look().chain, build, **how)

    def publish(self, version: str, **how: Any) -> Outcome[ChannelOffer | None]:
        """Build, upload and publish a version."""
        return self.send(self.prepare(version, **how))

    def send(self, request: PublishRequest) -> Outcome[ChannelOffer | None]:
        """Publish a request as it is."""
        return publish(self.deps(), self.app, request, CALLER)

    def revoke(
        self,
        version: str,
        reason: str = "it breaks",
        *,
        remedy: Remedy = Remedy.REPLACE,
        channels: tuple[str, ...] = (),
    ) -> Outcome[Revoked]:
        """Revoke a version."""
        names = tuple(ChannelName(name) for name in channels)
        request = RevokeRequest(version=version, reason=reason, remedy=remedy, channels=names)
        return revoke(self.deps(), self.app, request, CALLER)

    def roll(
        self,
        version: str,
        action: str,
        exposure_bp: int = 0,
        *,
        expected_epoch: int = 0,
        channel: str = STABLE,
    ) -> Outcome[ChangedRollout]:
        """Set, pause or resume a rollout."""
        request = RolloutRequest(
            action=RolloutAction(action), exposure_bp=exposure_bp, expected_epoch=expected_epoch
        )
        return change_rollout(self.deps(), self.app, ChannelName(channel), version, request, CALLER)

    # What others see.

    def look(self, store: ObjectStore | None = None) -> Sight:
        """Follow the chain as a client does, from the pinned root, and check all that it names.

        Args:
            store: Where to read; where the server writes, by default.
        """
        source = store or self.store
        chain = load_chain(
            lambda name: read_all(source, f"{self.app}/metadata/{name}"),
            self.publisher.root,
            now=self.now,
        )
        for held in chain.lists.values():
            for path, target in held.signed.targets.items():
                self._check_release(source, path, target)
        channels = {}
        for path, target in chain.channels.signed.targets.items():
            document = parse_channel(self._read(source, path, target))
            assert channel_path(document.channel) == path
            for offer in document.offers:
                assert offer.path in chain.entries()
            channels[str(document.channel)] = document
        return Sight(chain=chain, channels=channels)

    def _read(self, store: ObjectStore, path: str, target: TargetFile) -> bytes:
        data = read_all(store, target_key(self.app, path, Sha256Hex(target.hashes["sha256"])))
        assert data is not None, f"{path} is named and missing"
        assert digest_bytes(data) == target.hashes["sha256"], f"{path} is not what was signed"
        return data

    def _check_release(self, store: ObjectStore, path: str, target: TargetFile) -> None:
        data = self._read(store, path, target)
        if path.endswith("/release.json"):
            for artifact in parse_release(data).artifacts:
                found = read_all(store, artifact_key(self.app, artifact.sha256))
                assert found is not None, f"{artifact.sha256} is named and missing"
                assert digest_bytes(found) == artifact.sha256

    def highest(self) -> Highest:
        """How far the ledger says the app has got."""
        found = self.ledger.highest(self.app)
        assert found is not None
        return found

    def outcomes(self) -> list[tuple[str, str]]:
        """Action and outcome of every entry of the audit log, oldest first."""
        entries = self.ledger.audit(self.app, limit=1000)
        return [(entry.intent.action, entry.outcome) for entry in reversed(entries)]

    # HTTP.

    def health(self, *, is_public: bool = False, backup: BackupNews | None = None) -> Health:
        """What monitors ask of a side."""
        return Health(
            store=self.store,
            ledger=self.ledger,
            now=lambda: self.now,
            started_at=NOW,
            version="1.2.3",
            reports=self.reports,
            signing=None
            if is_public
            else Signing(find_problem=partial(find_key_problem, self.deps())),
            backup=lambda: backup,
        )

    def token(self, scope: str = "admin", label: str = "ci") -> str:
        """Return the secret of a token of this scope, made if need be."""
        secret = f"lg_{scope}-{label}-0123456789"
        if self.ledger.find_token(digest_bytes(secret.encode())) is not None:
            return secret
        self.ledger.create_token(
            scope=Scope(scope),
            label=label,
            secret_sha256=digest_bytes(secret.encode()),
            now=self.now,
        )
        return secret

    def api(self, token: str | None = None, **limits: Any) -> Client:
        """A client of the api app, with an admin's token by default."""
        context = ApiContext(write=self.deps(), version="1.2.3", **limits)
        app = create_api_app(
            ApiDeps(context=context, health=self.health(), new_id=lambda: "made-id")
        )
        app.test_client_class = WholeAnswers
        return Client(app.test_client(), self.token() if token is None else token)

    def intake(self, **limits: Any) -> Intake:
        """What takes reports in; time passes for it as for everybody, in `now`."""
        moment = self.now

        def monotonic_s() -> float:
            return (self.now - moment).total_seconds()

        return Intake(
            ledger=self.reports,
            view=View(self.store, self.ledger, monotonic_s),
            now=lambda: self.now,
            monotonic_s=monotonic_s,
            limits=IntakeLimits(**limits),
        )

    def public(self, *, redirect_to: str = "", intake: Intake | None = None) -> FlaskClient:
        """A client of the public app; with an intake, it believes every `X-Forwarded-For`."""
        deps = PublicDeps(
            store=self.store,
            health=self.health(is_public=True),
            api_port=8081,
            new_id=lambda: "made-id",
            redirect_to=redirect_to,
            intake=intake,
            find_block=lambda _peer, forwarded: block_mark(forwarded, b"salt"),
        )
        app = create_public_app(deps)
        app.test_client_class = WholeAnswers
        return app.test_client()


class WholeAnswers(FlaskClient):
    """Reads every answer to its end and closes it, as a connection does."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs["buffered"] = True
        return super().open(*args, **kwargs)


@dataclass
class Client:
    """Speaks to the api app with a token; addresses are below `/api/v1`."""

    http: FlaskClient
    token: str

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            more["json"] = body
        return self.http.open(f"/api/v1{path}", method=method, headers=headers, **more)
