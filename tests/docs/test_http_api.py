"""The page of the HTTP API names what the server answers, on both sides."""

import re
from pathlib import Path

import pytest
from flask import Flask

from docs.generate import REFERENCE, render
from lockgate_server.services.read.files import MISSING_CACHE_CONTROL, find_file
from lockgate_server.views.api.context import ApiContext
from lockgate_server.views.api.routes import PREFIX, ROUTES
from tests.docs.pages import PAGES, name_of
from tests.simulators.server_scene import Scene

PAGE = REFERENCE / "http-api.md"
TEXT = PAGE.read_text("utf-8")
SHA = "ab" + 62 * "0"
SECONDS = {"60 s": 60, "a year": 365 * 24 * 3600}
_FILE_ROW = re.compile(r"^\| `/(\{app\}/[^`]+)` \| (60 s|a year)(, immutable)?", re.MULTILINE)
_NAMED_PATH = re.compile(r"/(?:api/v1|health)[A-Za-z0-9_{}/.-]*")


@pytest.fixture
def apps(tmp_path: Path) -> tuple[Flask, Flask]:
    scene = Scene(folder=tmp_path)
    return scene.public().application, scene.api().http.application


def test_the_page_is_what_the_server_says_of_itself() -> None:
    assert render(PAGE.name) == TEXT, "stale: run `make docs`"


def test_every_route_of_both_sides_is_named(apps: tuple[Flask, Flask]) -> None:
    paths = {
        re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        for app in apps
        for rule in app.url_map.iter_rules()
        if "path:" not in rule.rule and rule.rule != "/api/"
    }
    assert {path for path in paths if f"`{path}" not in TEXT} == set()
    assert "/health/ready" in paths


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_that_a_page_names_is_answered(page: Path) -> None:
    known = {f"{PREFIX}{route.path}".rstrip("/") for route in ROUTES}
    known |= {"/health", "/health/live", "/health/ready", "/health/snapshot", "/api/v1"}
    known |= {"/health/metrics", "/health.md"}  # the second is a page
    named = set(_NAMED_PATH.findall(page.read_text("utf-8")))
    assert {path for path in named if path.rstrip("/.") not in known} == set()


def test_files_may_be_cached_for_as_long_as_the_page_says() -> None:
    rows = _FILE_ROW.findall(TEXT)
    assert len(rows) == 5
    for path, kept, immutable in rows:
        filled = path.replace("…", "releases/1.0.0").replace("{first two}", SHA[:2])
        names = {"app": "demo", "n": "7", "role": "root", "sha256": SHA, "channel": "stable"}
        app, _, rest = filled.format_map({**names, "name": "release.json"}).partition("/")
        found = find_file(app, rest)
        assert found is not None, path
        assert f"max-age={SECONDS[kept]}" in found.cache_control, path
        assert ("immutable" in found.cache_control) is bool(immutable), path
    assert MISSING_CACHE_CONTROL.endswith("max-age=10")
    assert '"No such file" may be cached for 10 s' in TEXT


def test_the_page_names_the_limits_of_bodies() -> None:
    limits = {name: field.default for name, field in ApiContext.__dataclass_fields__.items()}
    assert limits["max_body_bytes"] == 32 << 20
    assert limits["max_artifact_bytes"] == 16 << 30
    assert "at most 32 MiB" in TEXT
    assert "at most 16 GiB" in TEXT
