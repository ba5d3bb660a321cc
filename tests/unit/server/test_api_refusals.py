"""What the API refuses, and how it says so: problem+json, a code, a request id, nothing changed."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from lockgate_server.ports import Always, UnsupportedError
from lockgate_server.views.api.slots import Slots, slots_of
from tests.simulators.faulty_store import FaultyStore, Moment, meanwhile, time_out
from tests.simulators.server_scene import APP, Client, Scene

BODIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "register": (
        "PUT",
        "/apps/demo",
        {"root": "", "targets": "", "releases": "", "documents": {}},
    ),
    "publish": ("POST", "/apps/demo/publish", {}),
    "rollout": ("PATCH", "/apps/demo/channels/stable/rollouts/1.0.0", {"action": "pause"}),
    "unrevoke": (
        "POST",
        "/apps/demo/revocations/lifted",
        {"version": "1.0.0", "reason": "good", "channels": ["stable"]},
    ),
    "revoke": ("POST", "/apps/demo/revocations", {"version": "1.0.0", "reason": "bad"}),
    "begin": ("POST", "/apps/demo/uploads", {"upload_id": "0" * 32, "size": 1}),
    "urls": ("POST", f"/apps/demo/uploads/{'0' * 32}/urls", {"numbers": [1]}),
    "finish": (
        "POST",
        f"/apps/demo/uploads/{'0' * 32}/finish",
        {"sha256": "0" * 64, "size": 1, "parts": []},
    ),
    "renew": ("POST", "/apps/demo/metadata", {"role": "targets", "metadata": ""}),
    "wait": ("POST", "/apps/demo/pending", {"releases": "", "title": "publish 1.1.0"}),
    "sign": ("POST", f"/apps/demo/pending/{'0' * 64}/signatures", {"signatures": []}),
    "withdraw": ("POST", f"/apps/demo/pending/{'0' * 64}/withdraw", {}),
}

PART = f"/apps/demo/uploads/{'0' * 32}/parts/1?sha256={'0' * 64}"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    return scene


@pytest.fixture
def api(scene: Scene) -> Client:
    return scene.api()


def assert_problem(answer: TestResponse, status: int, code: str, text: str = "") -> dict[str, Any]:
    body = json.loads(answer.get_data())
    assert answer.status_code == status, body
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["status"] == status
    assert body["code"] == code, body
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert text in body["detail"], body
    found: dict[str, Any] = body
    return found


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b" ", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "wrong type"),
        (b"null", "wrong type"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"a": 1, "a": 2}', "duplicate key"),
        (b'{"a": 1.5}', "not an integer"),
        (b'{"a": 9007199254740993}', "integer out of range"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", ""),
    ],
)
def test_a_body_that_is_no_strict_json_object_is_refused(
    scene: Scene, api: Client, name: str, data: bytes, text: str
) -> None:
    method, path, _ = BODIES[name]
    before = scene.look().numbers()
    answer = api(method, path, data=data)
    body = assert_problem(answer, 400, "repository.document", text)
    assert body["subject"].startswith("request")
    assert scene.look().numbers() == before


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("register", {"root": 1}, "root"),
        ("register", {"root": "***"}, "root"),
        ("register", {"documents": []}, "documents"),
        ("publish", {"releases": True}, "releases"),
        ("publish", {"offer": "1.0.0"}, "offer"),
        ("publish", {"offer": {"channel": "S", "version": "1", "exposure_bp": 1}}, "offer.channel"),
        (
            "publish",
            {"offer": {"channel": "s", "version": "1/2", "exposure_bp": 1}},
            "offer.version",
        ),
        (
            "publish",
            {"offer": {"channel": "s", "version": "1", "exposure_bp": 10_001}},
            "offer.exposure_bp",
        ),
        (
            "publish",
            {"offer": {"channel": "s", "version": "1", "exposure_bp": -1}},
            "offer.exposure_bp",
        ),
        ("rollout", {"action": "explode"}, "action"),
        ("rollout", {"action": "set"}, "exposure_bp"),
        ("rollout", {"action": "set", "exposure_bp": "10%"}, "exposure_bp"),
        ("rollout", {"expected_epoch": -1}, "expected_epoch"),
        ("revoke", {"reason": " "}, "reason"),
        ("revoke", {"dry_run": 1}, "dry_run"),
        ("unrevoke", {"reason": " "}, "reason"),
        ("unrevoke", {"channels": []}, "channels"),
        ("unrevoke", {"channels": ["A b"]}, "channels"),
        ("unrevoke", {"releases": "?"}, "releases"),
        ("revoke", {"reason": "x" * 1001}, "reason"),
        ("revoke", {"remedy": "burn"}, "remedy"),
        ("revoke", {"channels": ["../x"]}, "channels"),
        ("revoke", {"version": ""}, "version"),
        ("begin", {"upload_id": "0" * 33}, "upload_id"),
        ("begin", {"size": -1}, "size"),
        ("urls", {"numbers": [0]}, "numbers[0]"),
        ("urls", {"numbers": [1001]}, "numbers[0]"),
        ("urls", {"numbers": list(range(1, 102))}, "numbers"),
        ("finish", {"sha256": "0" * 63}, "sha256"),
        ("finish", {"parts": [{"number": 1}]}, "parts[0].sha256"),
        ("finish", {"parts": [{"number": 1, "etag": "a b"}]}, "parts[0].etag"),
        ("renew", {"role": "timestamp"}, "role"),
        ("renew", {"metadata": None}, "metadata"),
        ("wait", {"releases": "***"}, "releases"),
        ("wait", {"title": " "}, "title"),
        ("wait", {"title": "x" * 201}, "title"),
        ("wait", {"role": "../x"}, "role"),
        ("wait", {"offers": [{"channel": "S"}]}, "offers[0].channel"),
        ("wait", {"lifts": [{"channels": []}]}, "lifts[0].channels"),
        ("wait", {"instead_of": "x"}, "instead_of"),
        ("sign", {"signatures": [{"keyid": "a"}]}, "signatures[0].sig"),
        ("sign", {"signatures": [{"keyid": "a b", "sig": "00"}]}, "signatures[0].keyid"),
        ("sign", {"signatures": [{"keyid": "a", "sig": "00"}] * 65}, "signatures"),
        ("withdraw", {"reason": 1}, "reason"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    scene: Scene, api: Client, name: str, change: dict[str, Any], field: str
) -> None:
    method, path, body = BODIES[name]
    before = scene.look().numbers()
    said = assert_problem(api(method, path, {**body, **change}), 400, "repository.document")
    assert said["subject"].startswith(f"request: {field}")
    assert said.get("found") or said.get("expected")
    assert scene.look().numbers() == before


def test_a_version_that_is_not_one_is_refused_by_the_apps_own_order(api: Client) -> None:
    body = {"version": "1.0", "reason": "bad"}
    assert_problem(api("POST", "/apps/demo/revocations", body), 400, "usage.version", "SemVer")


@pytest.mark.parametrize("app", ["UPPER", "a..b", "api", "-a", "a" * 65, "%2e%2e", "a b"])
def test_an_app_name_that_is_not_one_is_refused(scene: Scene, api: Client, app: str) -> None:
    for method, path in (("GET", f"/apps/{app}"), ("POST", f"/apps/{app}/online-key")):
        assert_problem(api(method, path), 400, "usage", "not an app name")
    assert not list((scene.folder / "keys").glob(f"*{app}*"))


def test_an_app_that_does_not_exist_is_not_found(api: Client) -> None:
    for path in ("", "/releases", "/releases/1.0.0", "/audit"):
        assert_problem(api("GET", f"/apps/nobody{path}"), 404, "not-found", "no such app")
    for method, path, body in BODIES.values():
        if method != "PUT":
            answer = api(method, path.replace("demo", "nobody"), body)
            assert_problem(answer, 404, "not-found")
    answer = api("PUT", PART.replace("demo", "nobody"), data=b"x")
    assert_problem(answer, 404, "not-found.upload")
    assert_problem(api("DELETE", f"/apps/nobody/uploads/{'0' * 32}"), 404, "not-found")


@pytest.mark.parametrize("sha256", ["0" * 63, "G" * 64, "A" * 64, "..", "x"])
def test_an_artifact_address_that_is_not_one_is_refused(api: Client, sha256: str) -> None:
    answer = api("PUT", PART.replace("0" * 64, sha256), data=b"x")
    assert_problem(answer, 400, "usage", "not a SHA-256")


@pytest.mark.parametrize("upload_id", ["0" * 31, "G" * 32, "x"])
def test_an_upload_id_that_is_not_one_is_refused(api: Client, upload_id: str) -> None:
    assert_problem(api("DELETE", f"/apps/demo/uploads/{upload_id}"), 400, "usage", "not an upload")
    body = {"upload_id": upload_id, "size": 1}
    assert_problem(api("POST", "/apps/demo/uploads", body), 400, "repository.document")


def test_a_body_without_a_length_is_refused(api: Client) -> None:
    for method, path, _ in [*BODIES.values(), ("PUT", PART, {})]:
        answer = api(
            method, path, headers={"Transfer-Encoding": "chunked"}, data=b"x", content_length=None
        )
        assert_problem(answer, 411, "usage.length-required")


def test_a_body_that_is_too_long_is_refused_unread(scene: Scene) -> None:
    api = scene.api("lg_admin-ci-0123456789", max_body_bytes=100, max_artifact_bytes=100)
    scene.token()
    for method, path, _ in [*BODIES.values(), ("PUT", PART, {})]:
        answer = api(method, path, data=b"x" * 101)
        assert_problem(answer, 413, "usage.too-large")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic lg_x", "Bearer lg_wrong", "lg_x", "Bearer \xff"]
)
def test_without_a_living_token_nothing_is_answered(scene: Scene, header: str) -> None:
    api = Client(scene.api().http, "")
    headers = {"Authorization": header} if header else {}
    for method, path, body in [*BODIES.values(), ("GET", "/apps", {}), ("GET", "/apps/demo", {})]:
        answer = api(method, path, body, headers=headers)
        assert_problem(answer, 401, "denied.token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_is_none(scene: Scene) -> None:
    api = scene.api()
    assert api("GET", "/apps").status_code == 200
    (info,) = scene.ledger.tokens()
    scene.ledger.revoke_token(info.token_id, now=scene.now)
    assert_problem(api("GET", "/apps"), 401, "denied.token")


def test_a_token_does_what_its_scope_allows_and_no_more(scene: Scene) -> None:
    http = scene.api().http
    read = Client(http, scene.token("read"))
    publish = Client(http, scene.token("publish"))
    request = scene.prepare("1.1.0").to_json()
    assert_problem(read("POST", "/apps/demo/publish", request), 403, "denied", "scope publish")
    assert read("GET", "/apps/demo").status_code == 200
    assert publish("POST", "/apps/demo/publish", request).status_code == 200
    for name in ("register", "rollout", "revoke"):
        method, path, body = BODIES[name]
        assert_problem(publish(method, path, body), 403, "denied", "scope admin")
    assert_problem(publish("POST", "/apps/other/online-key"), 403, "denied")
    targets = scene.publisher.renew(scene.look().chain, "targets").to_json()
    assert_problem(publish("POST", "/apps/demo/metadata", targets), 403, "denied", "scope admin")
    releases = scene.publisher.renew(scene.look().chain, "releases").to_json()
    assert publish("POST", "/apps/demo/metadata", releases).status_code == 200
    assert scene.look().chain.targets.version == 1


def test_wrongly_signed_metadata_is_refused(api: Client, tmp_path: Path) -> None:
    stranger = Scene(folder=tmp_path / "stranger")
    stranger.register()
    stranger.publish("1.0.0")
    request = stranger.prepare("1.1.0")
    body = {"releases": base64.b64encode(request.releases or b"").decode()}
    assert_problem(api("POST", "/apps/demo/publish", body), 422, "repository.trust")
    for role in ("root", "targets"):
        renewal = stranger.publisher.renew(stranger.look().chain, role).to_json()
        answer = api("POST", "/apps/demo/metadata", renewal)
        assert_problem(answer, 422, "repository.trust")


def test_truncated_metadata_is_refused(scene: Scene, api: Client) -> None:
    request = scene.prepare("1.1.0")
    assert request.releases is not None
    for length in (0, 1, len(request.releases) // 2, len(request.releases) - 1):
        body = {"releases": base64.b64encode(request.releases[:length]).decode()}
        assert_problem(api("POST", "/apps/demo/publish", body), 400, "repository.document")


def test_a_store_that_does_not_answer_is_not_now(scene: Scene) -> None:
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    api = scene.api()
    faulty.plan(time_out(Moment.BEFORE, "open", times=-1))
    answer = api("GET", "/apps/demo")
    assert_problem(answer, 503, "transport")
    assert int(answer.headers["Retry-After"]) > 0


def test_what_a_store_can_never_do_is_told_apart_from_not_now(scene: Scene) -> None:
    faulty = FaultyStore(scene.store)

    def never() -> None:
        raise UnsupportedError("the object store is not able to do this", found="501")

    faulty.plan(meanwhile("put", "*/metadata/timestamp.json", never, times=-1))
    scene.store = faulty
    said = {"version": "1.0.0", "reason": "bad"}
    answer = scene.api()("POST", "/apps/demo/revocations", said)
    assert_problem(answer, 501, "local.store-unsupported", "not able")
    assert "Retry-After" not in answer.headers


def test_a_store_that_was_put_back_is_refused_with_what_was_expected(
    scene: Scene, api: Client
) -> None:
    key = f"{APP}/metadata/timestamp.json"
    found = scene.store.open(key)
    assert found is not None
    with found:
        older = found.read()
    scene.publish("1.1.0")
    scene.store.put(key, older, Always())
    body = assert_problem(
        api("POST", "/apps/demo/revocations", {"version": "1.0.0", "reason": "bad"}),
        422,
        "repository.stale",
        "put back",
    )
    assert (body["expected"], body["found"]) == ("at least 3", "2")


def test_addresses_that_are_not_in_the_table_are_not_found(api: Client) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert_problem(api(method, "/nothing/here"), 404, "not-found")


def test_a_request_id_is_echoed_and_a_malformed_one_is_replaced(api: Client) -> None:
    good = api("GET", "/", headers={"X-Request-Id": "build-7.1_a"})
    assert good.headers["X-Request-Id"] == "build-7.1_a"
    for bad in ("", "x" * 65, "a b", "a\tb"):
        answer = api("GET", "/", headers={"X-Request-Id": bad})
        assert answer.headers["X-Request-Id"] == "made-id"


def test_a_fault_of_ours_tells_nothing_but_its_request(scene: Scene) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("a secret detail: " + name)

    scene.token()
    scene.store = Broken()
    answer = scene.api("lg_admin-ci-0123456789")("GET", "/apps/demo")
    body = assert_problem(answer, 500, "error")
    assert "secret" not in json.dumps(body)


def test_the_public_side_sends_whoever_wants_the_api_to_its_port(scene: Scene) -> None:
    public = scene.public()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
        for path in ("/api/", "/api/v1/", "/api/v1/apps/demo/publish"):
            answer = public.open(path, method=method)
            assert answer.status_code == 421
            if method != "HEAD":
                assert answer.get_json()["code"] == "wrong-side"
                assert answer.get_json()["api_port"] == 8081


AS_GUNICORN = {"wsgi.input_terminated": True}
"""It ends bodies by itself, so nothing stands between it and the views."""


class SlowBody(io.BytesIO):
    """A body that lets something else happen, and then breaks off."""

    def __init__(self, meanwhile: Callable[[], object], size_bytes: int = 100) -> None:
        super().__init__(bytes(size_bytes))
        self._meanwhile = meanwhile

    def read(self, size: int | None = -1, /) -> bytes:
        del size
        self._meanwhile()
        return b""


def test_publishers_who_send_slowly_leave_a_thread_for_a_revocation(scene: Scene) -> None:
    api = scene.api(slots=Slots(1))
    answers: list[TestResponse] = []

    def others_ask() -> None:
        answers.append(api("POST", "/apps/demo/uploads", {"upload_id": "0" * 32, "size": 1}))
        answers.append(api("POST", *BODIES["revoke"][1:]))

    begin = BODIES["begin"][1]
    api("POST", begin, input_stream=SlowBody(others_ask), environ_overrides=AS_GUNICORN)
    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].headers["Retry-After"] == "5"
    assert api(*BODIES["begin"]).status_code == 200  # the slot is free again


def test_a_few_large_bodies_are_held_at_once_and_small_ones_beside_them(scene: Scene) -> None:
    api = scene.api(large_bodies=Slots(1))
    path, large = BODIES["publish"][1], bytes((1 << 20) + 1)
    codes: list[int] = []

    def others_ask() -> None:
        codes.append(api("POST", path, data=large).status_code)
        codes.append(api("POST", path, data=large[1:]).status_code)

    body = SlowBody(others_ask, len(large))
    api("POST", path, input_stream=body, environ_overrides=AS_GUNICORN)
    assert codes == [503, 400]
    assert api("POST", path, data=large).status_code == 400  # it is free again


@pytest.mark.parametrize(("threads", "slots"), [(1, 1), (2, 1), (16, 12), (64, 48)])
def test_publishers_get_all_threads_but_a_quarter(threads: int, slots: int) -> None:
    assert slots_of(threads) == slots


def test_a_body_that_does_not_come_is_no_fault_of_the_server(api: Client) -> None:
    def fall_silent() -> None:
        raise BlockingIOError

    for path in (BODIES["begin"][1], BODIES["publish"][1]):
        body = SlowBody(fall_silent)
        answer = api("POST", path, input_stream=body, environ_overrides=AS_GUNICORN)
        assert_problem(answer, 408, "http.408")
