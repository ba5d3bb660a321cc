"""Files over HTTP: what is served, for how long it may be kept, and which part of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import TransportError
from lockgate_release.layout import artifact_key
from lockgate_server.ports import Always, ObjectStore
from lockgate_server.services.read.files import describe_key, find_file
from lockgate_server.stores.directory import DirectoryStore
from tests.simulators.faulty_store import FaultyStore, Moment, time_out
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import APP, Scene, read_all

BODY = bytes(range(256)) * 1024
SHA256 = digest_bytes(BODY)
ADDRESS = f"/{artifact_key(APP, SHA256)}"

FOR_EVER = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60"


@pytest.fixture(params=[lambda _: MemoryStore(), lambda folder: DirectoryStore(folder / "objects")])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    make: Callable[[Path], ObjectStore] = request.param
    scene = Scene(folder=tmp_path, store=make(tmp_path))
    scene.register()
    scene.publish("1.0.0")
    scene.store.put(artifact_key(APP, SHA256), BODY, Always())
    yield scene
    scene.store.close()


@pytest.fixture
def public(scene: Scene) -> FlaskClient:
    return scene.public()


def test_every_file_of_an_app_is_served_with_its_kind(scene: Scene, public: FlaskClient) -> None:
    scene.revoke("1.0.0")
    for info in scene.store.list(f"{APP}/"):
        answer = public.get(f"/{info.key}")
        assert answer.status_code == 200
        assert answer.get_data() == read_all(scene.store, info.key)
        assert answer.content_length == info.size_bytes
        is_pointer = info.key.endswith("/timestamp.json") or "/channels/stable/v" in info.key
        is_copy = info.key == f"{APP}/channels/stable/version.json"
        expected = SHORT if is_copy or info.key.endswith("/timestamp.json") else FOR_EVER
        assert is_pointer or expected == FOR_EVER
        assert answer.headers["Cache-Control"] == expected
        kind = "application/octet-stream" if "/artifacts/" in info.key else "application/json"
        assert answer.content_type == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["ETag"]


def test_the_api_side_serves_the_same_files(scene: Scene) -> None:
    """The public side answers most of it before Flask, the API in Flask: nobody can tell."""
    public, api = scene.public(), scene.api().http
    for info in scene.store.list(f"{APP}/"):
        asked = {"X-Operation-Id": "0f" * 8, "X-Request-Id": "1e" * 8}
        answers = [side.get(f"/{info.key}", headers=asked) for side in (public, api)]
        first, second = answers
        assert first.get_data() == second.get_data()
        assert dict(first.headers) == dict(second.headers)


def test_the_digest_is_the_etag_of_what_is_named_by_it(public: FlaskClient) -> None:
    assert public.get(ADDRESS).headers["ETag"] == f'"{SHA256}"'


@pytest.mark.parametrize(
    "path",
    [
        "/demo/uploads/x",
        "/demo/metadata/99.snapshot.json",
        "/demo/metadata/0.root.json",
        "/demo/metadata/root.json",
        "/demo/metadata/../metadata/timestamp.json",
        "/demo/metadata/%2e%2e/timestamp.json",
        "/demo//metadata/timestamp.json",
        "/demo/metadata/timestamp.json/",
        "/demo/artifacts/00/" + SHA256,
        f"/demo/artifacts/{SHA256[:2]}/{SHA256.upper()}",
        "/demo/targets/policy.json",
        "/demo/targets/releases/../x/" + SHA256 + ".release.json",
        "/nobody/metadata/timestamp.json",
        "/UPPER/metadata/timestamp.json",
        "/demo/keys/demo.pem",
        "/ledger.sqlite3",
        "/favicon.ico",
        "/",
        "/demo",
        "/demo/metadata/timestamp.json%00",
    ],
)
def test_nothing_else_is_served_and_the_answer_is_small(public: FlaskClient, path: str) -> None:
    answer = public.get(path)
    assert answer.status_code == 404
    assert len(answer.get_data()) < 300
    assert answer.get_json()["code"] == "not-found"


def test_an_upload_is_served_to_nobody(scene: Scene, public: FlaskClient) -> None:
    scene.store.put(f"{APP}/uploads/abc", b"not verified", Always())
    assert public.get(f"/{APP}/uploads/abc").status_code == 404


def test_a_missing_root_may_be_asked_for_again_soon(public: FlaskClient) -> None:
    answer = public.get("/demo/metadata/2.root.json")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "public, max-age=10"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(BODY)),
        ("bytes=-100", len(BODY) - 100, len(BODY)),
        (f"bytes=-{len(BODY) + 5}", 0, len(BODY)),
        (f"bytes={len(BODY) - 1}-", len(BODY) - 1, len(BODY)),
        (f"bytes=5-{len(BODY) * 2}", 5, len(BODY)),
    ],
)
def test_a_range_is_that_part(public: FlaskClient, header: str, start: int, stop: int) -> None:
    answer = public.get(ADDRESS, headers={"Range": header})
    assert answer.status_code == 206
    assert answer.get_data() == BODY[start:stop]
    assert answer.content_length == stop - start
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
    assert answer.headers["ETag"] == f'"{SHA256}"'


@pytest.mark.parametrize("header", [f"bytes={len(BODY)}-", f"bytes={len(BODY)}-{len(BODY) + 9}"])
def test_a_range_beyond_the_end_cannot_be_satisfied(public: FlaskClient, header: str) -> None:
    answer = public.get(ADDRESS, headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(BODY)}"
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "items=0-5", "bytes=5-2", "bytes=a-b", "bytes", "bytes=-", "x"]
)
def test_a_range_that_is_none_or_several_gets_everything(public: FlaskClient, header: str) -> None:
    answer = public.get(ADDRESS, headers={"Range": header})
    assert answer.status_code == 200
    assert answer.get_data() == BODY


def test_a_range_on_a_condition_holds_only_for_the_same_file(public: FlaskClient) -> None:
    same = {"Range": "bytes=0-9", "If-Range": f'"{SHA256}"'}
    assert public.get(ADDRESS, headers=same).status_code == 206
    for other in ('"other"', "Sat, 31 Jan 2026 08:00:00 GMT"):
        answer = public.get(ADDRESS, headers={"Range": "bytes=0-9", "If-Range": other})
        assert answer.status_code == 200
        assert answer.get_data() == BODY


@pytest.mark.parametrize("said", [f'"{SHA256}"', f'W/"{SHA256}"', f'"x", "{SHA256}"', "*"])
def test_what_a_client_has_is_not_sent_again(public: FlaskClient, said: str) -> None:
    answer = public.get(ADDRESS, headers={"If-None-Match": said})
    assert answer.status_code == 304
    assert answer.get_data() == b""
    assert answer.headers["ETag"] == f'"{SHA256}"'
    assert answer.headers["Cache-Control"] == FOR_EVER


def test_what_a_client_has_of_something_else_does_not_count(public: FlaskClient) -> None:
    assert public.get(ADDRESS, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_pointer_has_another_etag_once_it_moved(scene: Scene, public: FlaskClient) -> None:
    address = "/demo/metadata/timestamp.json"
    etag = public.get(address).headers["ETag"]
    assert public.get(address, headers={"If-None-Match": etag}).status_code == 304
    scene.revoke("1.0.0")
    moved = public.get(address, headers={"If-None-Match": etag})
    assert moved.status_code == 200
    assert moved.headers["ETag"] != etag


def test_head_tells_the_same_and_sends_nothing(public: FlaskClient) -> None:
    got, told = public.get(ADDRESS), public.head(ADDRESS)
    assert told.status_code == 200
    assert told.get_data() == b""
    assert told.content_length == len(BODY)
    for name in ("ETag", "Cache-Control", "Content-Type", "Accept-Ranges", "Last-Modified"):
        assert told.headers[name] == got.headers[name]
    part = public.head(ADDRESS, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content_length) == (206, 10)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_only_read(public: FlaskClient, method: str) -> None:
    answer = public.open(ADDRESS, method=method)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"


def test_an_empty_artifact_is_served(scene: Scene, public: FlaskClient) -> None:
    empty = digest_bytes(b"")
    scene.store.put(artifact_key(APP, empty), b"", Always())
    answer = public.get(f"/{artifact_key(APP, empty)}")
    assert (answer.status_code, answer.get_data(), answer.content_length) == (200, b"", 0)


@pytest.mark.parametrize(("verb", "asked"), [("open", {}), ("head", {"Range": "bytes=0-9"})])
def test_a_store_that_does_not_answer_is_not_a_missing_file(
    scene: Scene, verb: str, asked: dict[str, str]
) -> None:
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    faulty.plan(time_out(Moment.BEFORE, verb, times=-1))
    answer = scene.public().get(ADDRESS, headers=asked)
    assert answer.status_code == 503
    assert answer.get_json()["code"] == "transport"


def test_a_file_that_vanishes_between_two_looks_is_missing(scene: Scene) -> None:
    store = scene.store

    class Vanishing(FaultyStore):
        def open(self, key: str, *, start: int = 0, stop: int | None = None) -> None:
            del key, start, stop

    scene.store = Vanishing(store)
    assert scene.public().get(ADDRESS).status_code == 404


def test_a_body_that_breaks_off_in_the_store_breaks_off_for_the_client(scene: Scene) -> None:
    faulty = FaultyStore(scene.store)
    faulty.break_off("demo/artifacts/*", after_bytes=1000)
    scene.store = faulty
    with pytest.raises(TransportError):
        scene.public().get(ADDRESS)


def test_only_what_is_served_is_described() -> None:
    assert describe_key("demo/metadata/timestamp.json").cache_control == SHORT
    with pytest.raises(ValueError, match="nothing is served"):
        describe_key("demo/uploads/x")
    assert find_file("api", "metadata/timestamp.json") is None


def test_health_is_live_ready_and_counted(scene: Scene) -> None:
    token = {"Authorization": f"Bearer {scene.token('read')}"}
    for client in (scene.public(), scene.api().http):
        assert client.get("/health/live").get_json() == {"status": "live"}
        assert client.get("/health/ready").get_json()["status"] == "ready"
    snapshot = scene.api().http.get("/health/snapshot", headers=token).get_json()
    assert snapshot["version"] == "1.2.3"
    assert (snapshot["apps"], snapshot["releases"]) == (1, 1)
    assert (snapshot["storage"], snapshot["database"]) == ("ok", "ok")
    assert snapshot["last_signed_at"]
    assert snapshot["uptime_s"] == 0


def test_a_server_without_its_store_is_live_and_not_ready(scene: Scene) -> None:
    faulty = FaultyStore(scene.store)
    faulty.plan(time_out(Moment.BEFORE, "head", times=-1))
    scene.store = faulty
    client = scene.public()
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.get_json()["detail"] == "the object store does not answer"
    assert client.get("/health/snapshot").get_json()["checks"]["storage"] == "failed"
    assert scene.health().snapshot()["storage"] == "unreadable"


def test_health_counts_nothing_before_the_first_app(tmp_path: Path) -> None:
    snapshot = Scene(folder=tmp_path).health().snapshot()
    assert (snapshot["apps"], snapshot["releases"], snapshot["last_signed_at"]) == (0, 0, None)
