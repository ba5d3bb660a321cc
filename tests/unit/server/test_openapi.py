"""The OpenAPI document says what is registered, no more and no less."""

import re
from pathlib import Path
from typing import Any

import pytest

from lockgate_server.views.api.routes import PREFIX, ROUTES
from lockgate_server.views.api.schemas import SCHEMAS
from tests.simulators.pending_scene import request_of, shared_scene, signature_of
from tests.simulators.server_scene import Client, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(folder=tmp_path)


@pytest.fixture
def document(scene: Scene) -> dict[str, Any]:
    answer = Client(scene.api().http, "")("GET", "/openapi.json")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.get_json()
    return body


def test_every_registered_route_is_described_and_every_described_one_registered(
    scene: Scene, document: dict[str, Any]
) -> None:
    rules = scene.api().http.application.url_map.iter_rules()
    registered = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX)))
        for rule in rules
        if rule.rule.startswith(PREFIX) and "path:path" not in rule.rule
        for method in rule.methods or ()
    }
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    # Flask answers HEAD wherever it answers GET.
    heads = {("HEAD", path) for method, path in described if method == "GET"}
    assert registered - heads == described - heads


def test_every_reference_leads_somewhere_and_every_schema_is_used(
    document: dict[str, Any],
) -> None:
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if reference:
                found.add(reference)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)
    for reference in found:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    used = {item.rpartition("/")[2] for item in found if "/schemas/" in item}
    assert used == set(SCHEMAS)


def test_operations_have_names_of_their_own_and_say_their_scope(document: dict[str, Any]) -> None:
    operations = [item for path in document["paths"].values() for item in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) == len(ROUTES)
    for operation in operations:
        assert ("x-lockgate-scope" in operation) is bool(operation["security"])
        assert ("401" in operation["responses"]) is bool(operation["security"])


def _matches(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _matches(value, document["components"]["schemas"][schema["$ref"][21:]], document)
    if "oneOf" in schema:
        return sum(_matches(value, one, document) for one in schema["oneOf"]) == 1
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    python = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if not any(value is None if k == "null" else type(value) is python[k] for k in kinds):
        return False
    return _matches_kind(value, schema, document)


def _matches_kind(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    match value:
        case dict():
            return _matches_object(value, schema, document)
        case list():
            return all(_matches(item, schema["items"], document) for item in value)
        case str():
            return re.search(schema.get("pattern", ""), value) is not None
        case int():
            return bool(value >= schema.get("minimum", value))
        case _:
            return True


def _matches_object(
    value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any]
) -> bool:
    if not set(schema.get("required", ())) <= set(value):
        return False
    rest = schema.get("additionalProperties")
    properties = schema.get("properties", {})
    return all(
        _matches(inner, properties.get(name, rest), document)
        for name, inner in value.items()
        if properties.get(name, rest) is not None
    )


def test_real_answers_are_what_the_document_says(scene: Scene, document: dict[str, Any]) -> None:
    scene.register()
    scene.publish("1.0.0", floors={"stable": "1.0.0"})
    request = scene.prepare("1.1.0", exposure_bp=1_000).to_json()
    api = scene.api()
    calls = [
        ("GET", "/", "/", None),
        ("GET", "/apps", "/apps", None),
        ("POST", "/apps/next/online-key", "/apps/{app}/online-key", None),
        ("POST", "/apps/demo/publish", "/apps/{app}/publish", request),
        (
            "PATCH",
            "/apps/demo/channels/stable/rollouts/1.1.0",
            "/apps/{app}/channels/{channel}/rollouts/{version}",
            {"action": "pause"},
        ),
        (
            "POST",
            "/apps/demo/revocations",
            "/apps/{app}/revocations",
            {"version": "1.1.0", "reason": "bad"},
        ),
        (
            "POST",
            "/apps/demo/metadata",
            "/apps/{app}/metadata",
            lambda: scene.publisher.renew(scene.look().chain, "targets").to_json(),
        ),
        ("GET", "/apps/demo", "/apps/{app}", None),
        ("GET", "/apps/demo/releases", "/apps/{app}/releases", None),
        ("GET", "/apps/demo/releases/1.0.0", "/apps/{app}/releases/{version}", None),
        ("GET", "/apps/demo/audit", "/apps/{app}/audit", None),
        ("GET", "/apps/nobody", "/apps/{app}", None),
    ]
    check_calls(api, document, calls)


def check_calls(
    api: Client, document: dict[str, Any], calls: list[tuple[str, str, str, Any]]
) -> None:
    """Make these calls, and hold what is sent and answered to the document."""
    for method, address, path, body in calls:
        sent = body() if callable(body) else body
        answer = api(method, address, sent)
        described = document["paths"][path][method.lower()]
        said = described["responses"][str(answer.status_code)]
        if answer.status_code >= 400:
            schema = SCHEMAS["Problem"]
        else:
            schema = said["content"]["application/json"]["schema"]
            if sent is not None:
                wanted = described["requestBody"]["content"]["application/json"]["schema"]
                assert _matches(sent, wanted, document), (address, sent)
        assert _matches(answer.get_json(), schema, document), (address, answer.get_json())


def test_real_answers_about_what_waits_are_what_the_document_says(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    scene = shared_scene(tmp_path / "shared")
    request = request_of(scene, scene.prepare("1.0.0"), title="publish 1.0.0")
    api = scene.api()
    change = api("POST", "/apps/demo/pending", request.to_json()).get_json()["change"]
    one, all_of_it = f"/apps/demo/pending/{change}", "/apps/{app}/pending/{change}"

    def signature(place: int) -> object:
        signer = scene.publisher.keys.publishers[place]
        return lambda: signature_of(scene, change, signer).to_json()

    calls = [
        ("POST", "/apps/demo/pending", "/apps/{app}/pending", request.to_json()),
        ("POST", f"{one}/signatures", f"{all_of_it}/signatures", signature(0)),
        ("GET", "/apps/demo/pending", "/apps/{app}/pending", None),
        ("GET", one, all_of_it, None),
        ("GET", "/apps/demo", "/apps/{app}", None),
        ("POST", f"{one}/withdraw", f"{all_of_it}/withdraw", {"reason": "bad"}),
        ("GET", one, all_of_it, None),
        ("POST", "/apps/demo/pending", "/apps/{app}/pending", request.to_json()),
        ("POST", f"{one}/signatures", f"{all_of_it}/signatures", signature(0)),
        ("POST", f"{one}/signatures", f"{all_of_it}/signatures", signature(1)),
    ]
    check_calls(api, document, calls)
    assert scene.look().live() == {"0.9.0", "1.0.0"}


def test_what_waits_is_read_signed_and_lifted_by_those_who_may(tmp_path: Path) -> None:
    scene = shared_scene(tmp_path)
    request = request_of(scene, scene.prepare("1.0.0")).to_json()
    http = scene.api().http
    read, publish = (Client(http, scene.token(name)) for name in ("read", "publish"))
    assert read("POST", "/apps/demo/pending", request).status_code == 403
    lift = {"version": "0.9.0", "reason": "x", "channels": ["stable"]}
    assert publish("POST", "/apps/demo/pending", {**request, "lifts": [lift]}).status_code == 403
    one = (
        f"/apps/demo/pending/{publish('POST', '/apps/demo/pending', request).get_json()['change']}"
    )
    assert read("GET", "/apps/demo/pending").status_code == 200
    assert read("GET", one).status_code == 403
    assert read("POST", f"{one}/signatures", {"signatures": []}).status_code == 403
    assert read("POST", f"{one}/withdraw", {}).status_code == 403
    other = Client(http, scene.token("publish", "theirs"))
    refused = other("POST", f"{one}/withdraw", {})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "denied")
    assert "maintainer" in refused.get_json()["hint"]
    assert publish("GET", one[:-1]).status_code == 400
    assert publish("GET", one).status_code == 200
