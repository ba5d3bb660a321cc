"""Where the public is sent for artifacts, and what the server tells of its address."""

from pathlib import Path

import pytest

from lockgate_release.errors import UsageError
from lockgate_server.serving import Serving, read_serving
from tests.simulators.server_scene import APP, Scene

CDN = "https://cdn.example.com/releases"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    return scene


def test_artifacts_and_nothing_else_are_redirected(scene: Scene) -> None:
    public = scene.public(redirect_to=CDN)
    redirected = set()
    for info in list(scene.store.list(f"{APP}/")):
        answer = public.get(f"/{info.key}")
        if answer.status_code == 302:
            assert answer.headers["Location"] == f"{CDN}/{info.key}"
            assert answer.headers["Cache-Control"] == "public, max-age=300"
            redirected.add(info.key.split("/")[1])
        else:
            assert answer.status_code == 200
    assert redirected == {"artifacts"}


def test_nobody_is_redirected_to_what_is_not_there(scene: Scene) -> None:
    answer = scene.public(redirect_to=CDN).get(f"/{APP}/artifacts/00/{'0' * 64}")
    assert answer.status_code == 404


def test_who_comes_from_the_cdn_is_not_sent_back_to_it(scene: Scene) -> None:
    [key] = [info.key for info in scene.store.list(f"{APP}/artifacts/")]
    public = scene.public(redirect_to=CDN)
    assert public.get(f"/{key}", headers={"Host": "CDN.example.com"}).status_code == 200


def test_settings_survive_the_way_to_a_child() -> None:
    for serving in (
        Serving(),
        Serving(public_url=CDN, redirects_artifacts=True, mirror_limit_s=3600),
    ):
        environ = serving.to_environ()
        assert read_serving(lambda name: environ[f"LOCKGATE_{name.upper()}"]) == serving  # noqa: B023


def test_a_slash_at_the_end_of_the_address_says_nothing() -> None:
    said = {"public_url": f"{CDN}/"}
    assert read_serving(said.get).public_url == CDN


@pytest.mark.parametrize(
    "said",
    [
        {"public_url": "releases.example.com"},
        {"public_url": "file:///srv/www"},
        {"artifacts": "redirect"},
        {"artifacts": "cdn", "public_url": CDN},
        {"mirror_valid_for": "soon"},
    ],
)
def test_settings_that_make_no_sense_are_refused(said: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        read_serving(said.get)
