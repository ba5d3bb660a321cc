"""What the image and the compose file promise, as far as they can be read without building them."""

import re
import shlex
from typing import Any, get_args

import click
import pytest
import yaml

from lockgate_release.settings import SettingName
from lockgate_server.command.group import lockgate_server
from lockgate_server.stores.s3_address import S3Address
from lockgate_server.supervisor import PARTS
from tests.docs.pages import ROOT

COMPOSE = ROOT / "deploy" / "compose"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
OURS = ("api", "public", "worker")


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))


def arguments_of(service: Any) -> click.Context:
    """What the command takes from the service's line; raises what it would refuse."""
    name, *rest = service["command"]
    return lockgate_server.commands[name].make_context(name, rest)


def test_the_services_are_all_the_parts_of_one_server(compose: Any) -> None:
    told = [arguments_of(compose["services"][name]).params["parts"] for name in OURS]
    assert sorted(told) == sorted(PARTS)


@pytest.mark.parametrize("name", OURS)
def test_a_service_can_write_to_its_data_alone(compose: Any, name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"] == ["data:/data"]
    assert "ports" not in service


def test_every_setting_of_the_services_is_one(compose: Any) -> None:
    known = {f"LOCKGATE_{name.upper()}" for name in get_args(SettingName)}
    said = {name for name in compose["services"]["api"]["environment"] if "LOCKGATE" in name}
    assert said <= known
    address = S3Address.parse(compose["services"]["api"]["environment"]["LOCKGATE_STORAGE"])
    assert (address.bucket, address.endpoint) == ("releases", "http://store:8333")


def test_every_image_can_be_named_by_digest_and_every_secret_must_be_given(compose: Any) -> None:
    text = (COMPOSE / "compose.yaml").read_text("utf-8")
    for service in compose["services"].values():
        assert re.fullmatch(r"\$\{[A-Z_]+:-[^}]+\}", service["image"])
    for name in re.findall(r"\$\{(\w+)", text):
        assert name in (COMPOSE / "env.example").read_text("utf-8") or name == "LOCKGATE_IMAGE"
    for secret in ("STORE_ACCESS_KEY", "STORE_SECRET_KEY"):
        assert f"${{{secret}:?" in text


def test_only_nginx_is_reached_from_outside_and_the_api_from_this_machine_alone(
    compose: Any,
) -> None:
    outside = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert outside == {"nginx": ["8080:8080", "127.0.0.1:8081:8081"]}


def test_the_image_runs_as_nobody_special_and_starts_the_server() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert [stage.split()[0] for stage in stages] == ["${BASE}", "${BASE}"]
    last = stages[-1]
    assert re.search(r"^USER lockgate$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    [line] = re.findall(r"^CMD (\[.+\])$", last, re.MULTILINE)
    name, *rest = yaml.safe_load(line)
    lockgate_server.commands[name].make_context(name, rest)


def test_all_that_the_image_is_built_from_is_let_in() -> None:
    let_in = (ROOT / ".dockerignore").read_text("utf-8").split()
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for word in shlex.split(line)
    ]
    assert copied
    assert all(f"!{name}" in let_in and (ROOT / name).exists() for name in copied)
