"""Which store an address names, and what an address may not hold."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import UsageError
from lockgate_server.ports import Always
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.factory import open_store
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from tests.simulators.scripted_server import Answer, scripted_server


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}", "file://localhost{}", "FILE://{}"])
def test_a_path_in_any_form_is_a_directory(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "store"))
    assert isinstance(store, DirectoryStore)
    store.put("app/x", b"bytes", Always())
    assert (tmp_path / "store/app/x").read_bytes() == b"bytes"
    store.close()


def test_a_relative_path_begins_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("plain", "./with:colon"):
        open_store(address).put("x", b"", Always())
        assert (tmp_path / address / "x").exists()


def test_a_file_address_may_hold_escapes(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/with%20blank").put("x", b"", Always())
    assert (tmp_path / "with blank/x").exists()


@pytest.mark.parametrize(
    "address",
    ["", "http://host/x", "S4://bucket", "gs://bucket", "ftp://user:hunter2@host/x", "c:\\data"],
)
def test_any_other_address_is_refused_by_naming_what_is_possible(address: str) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET") as caught:
        open_store(address)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ["file://host/x", "file:", "file:///x?y", "file:///x#y"])
def test_a_file_of_another_machine_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not a folder of this machine"):
        open_store(address)


def test_a_directory_does_not_pay_for_boto3(tmp_path: Path) -> None:
    program = """
import sys
from lockgate_server.stores.factory import open_store
open_store(sys.argv[1])
sys.exit("boto3.session" in sys.modules or "botocore" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_an_s3_address_is_the_bucket_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with scripted_server(Answer(headers={"ETag": '"e"'})) as server:
        store = open_store(
            f"s3://releases/some/prefix?endpoint={server.url}&region=auto&style=path"
        )
        assert isinstance(store, S3Store)
        store.put("app/x", b"", Always())
        store.close()
    (request,) = server.requests
    assert request.path == "/releases/some/prefix/app/x"
    assert "/auto/s3/" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://releases", S3Address(bucket="releases")),
        ("s3://releases/", S3Address(bucket="releases")),
        ("s3://releases/a/b/", S3Address(bucket="releases", prefix="a/b/")),
        (
            "s3://re.le-ases/a?endpoint=https://x.example:9000&region=eu-west-1&style=virtual",
            S3Address(
                bucket="re.le-ases",
                prefix="a/",
                endpoint="https://x.example:9000",
                region="eu-west-1",
                style=Style.VIRTUAL,
            ),
        ),
    ],
)
def test_an_address_is_read(url: str, address: S3Address) -> None:
    assert S3Address.parse(url) == address


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("s3://", "not a bucket"),
        ("s3://x", "not a bucket"),
        ("s3://bucket:80", "not a bucket"),
        ("s3://bu cket", "not a bucket"),
        ("s3://bucket/a//b", "not a prefix"),
        ("s3://bucket/../b", "not a prefix"),
        ("s3://bucket/~", "not a prefix"),
        ("s3://bucket?endpoint=", "not an endpoint"),
        ("s3://bucket?endpoint=host:9000", "not an endpoint"),
        ("s3://bucket?endpoint=ftp://host", "not an endpoint"),
        ("s3://bucket?endpoint=http://", "not an endpoint"),
        ("s3://bucket?endpoint=http://host:99999", "not an endpoint"),
        ("s3://bucket?endpoint=http://[::1", "not an endpoint"),
        ("s3://bucket?region=", "not a region"),
        ("s3://bucket?region=a/b", "not a region"),
        ("s3://bucket?style=dns", "not a style"),
        ("s3://bucket?endpiont=http://host", "no such option"),
        ("s3://bucket?region=a&region=b", "given twice"),
        ("s3://bucket#x", "not an address of a bucket"),
        ("s3://[::1", "not an address of a store"),
        ("https://bucket", "not an address of a bucket"),
    ],
)
def test_what_is_no_address_is_refused_with_the_form_of_one(url: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        S3Address.parse(url)
    assert "s3://BUCKET/PREFIX" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:hunter2@bucket/x",
        "s3://bucket?endpoint=https://AKIA:hunter2@host",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="credentials have no place") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    assert "AKIA" not in str(caught.value)


@given(st.text())
def test_no_text_makes_anything_but_an_address_or_a_refusal(text: str) -> None:
    for url in (f"s3:{text}", f"s3://bucket{text}", f"s3://bucket?{text}"):
        try:
            S3Address.parse(url)
        except UsageError:
            continue
