"""`lockgate-server storage check` tells weak stores from strong ones; `run` refuses them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import ExitCode
from tests.simulators.buckets import BucketAt, moto_bucket, r2_bucket
from tests.simulators.certificates import make_certificates
from tests.simulators.server_process import run_command
from tests.simulators.server_site import type_command
from tests.simulators.weak_store import Weakness

CREATE, REPLACE = "create-only", "replace-only"
CREATE_RACE, REPLACE_RACE = "create-race", "replace-race"

LACKS = {
    Weakness.CARELESS: {CREATE, REPLACE, CREATE_RACE, REPLACE_RACE},
    Weakness.QUOTES: {REPLACE, REPLACE_RACE},
    Weakness.SWIFT: {REPLACE, CREATE_RACE, REPLACE_RACE},
    Weakness.TWO_STEPS: {CREATE_RACE, REPLACE_RACE},
}


@pytest.fixture(scope="module", params=list(LACKS))
def weak(request: pytest.FixtureRequest) -> Iterator[tuple[Weakness, BucketAt]]:
    with moto_bucket(request.param) as bucket:
        yield request.param, bucket


def check(bucket: BucketAt, code: ExitCode) -> dict[str, dict[str, Any]]:
    """What the command finds, by the code of the experiment; nothing stays in the bucket."""
    done = type_command("storage", "check", "--json", **bucket.environ)
    assert done.code == code, done.err
    said = json.loads(done.out)
    assert said["is_fit"] == (code == ExitCode.OK)
    assert bucket.keys() == []
    return {one["code"]: one for one in said["findings"]}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_r2_has_all_that_is_needed_and_checks_what_it_signs(tmp_path: Path, scheme: str) -> None:
    certificates = make_certificates(tmp_path) if scheme == "https" else None
    with r2_bucket(tmp_path / "r2", certificates) as bucket:
        assert bucket.endpoint.startswith(f"{scheme}://")
        found = check(bucket, ExitCode.OK)
    assert {one["answer"] for one in found.values() if one["is_needed"]} == {"yes"}
    signed = found["presigned-part"]
    assert signed["answer"] == "yes"
    assert signed["found"] == "good for its part and its time only, and of its size"
    assert found["content-md5"]["answer"] == "yes"
    assert found["checksum-sha256"]["answer"] == "no"


def test_a_store_that_checks_no_signature_is_fit_and_says_so() -> None:
    with moto_bucket() as bucket:
        found = check(bucket, ExitCode.OK)
    assert found["presigned-part"]["answer"] == "no"
    assert found["presigned-part"]["found"] == "it is good for another part too"
    assert found["list-parts"]["answer"] == "yes"


def test_every_lack_of_a_weak_store_is_exposed(weak: tuple[Weakness, BucketAt]) -> None:
    weakness, bucket = weak
    found = check(bucket, ExitCode.LOCAL)
    lacking = {one["code"] for one in found.values() if one["is_needed"] and one["answer"] == "no"}
    assert lacking == LACKS[weakness]


@pytest.mark.parametrize("weak", [Weakness.SWIFT, Weakness.TWO_STEPS], indirect=True)
def test_a_server_refuses_to_run_on_a_weak_store_and_says_why(
    weak: tuple[Weakness, BucketAt], tmp_path: Path
) -> None:
    weakness, bucket = weak
    done = run_command(
        "run", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", **bucket.environ
    )
    assert done.returncode == ExitCode.LOCAL
    assert "not fit for releases" in done.stderr
    assert ("replace only what was read" in done.stderr) == (REPLACE in LACKS[weakness])
    assert "one winner when many replace" in done.stderr
    assert not (tmp_path / "data" / "run.json").exists()
    assert bucket.keys() == []


@pytest.mark.parametrize("weak", [Weakness.CARELESS], indirect=True)
def test_nothing_is_collected_on_a_weak_store(
    weak: tuple[Weakness, BucketAt], tmp_path: Path
) -> None:
    made = type_command("token", "create", "--scope", "admin", "--data", str(tmp_path))
    assert made.code == ExitCode.OK
    done = type_command("gc", "--data", str(tmp_path), **weak[1].environ)
    assert done.code == ExitCode.LOCAL
    assert "not fit for releases" in done.err
    looked = type_command("gc", "--dry-run", "--data", str(tmp_path), **weak[1].environ)
    assert looked.code == ExitCode.OK, looked.err


def test_a_person_gets_a_table_and_a_verdict(tmp_path: Path) -> None:
    done = type_command("storage", "check", "--storage", str(tmp_path / "objects"))
    assert done.code == ExitCode.OK, done.err
    lines = done.out.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("yes ") for line in lines)
    assert sum(" needed " in line for line in lines) == 9
    assert "fit for releases" in done.err
    left = [path.name for path in (tmp_path / "objects").rglob("*") if "~" not in str(path)]
    assert sorted(left) == ["health", "probe"]


def test_a_store_that_is_not_there_is_a_matter_of_the_network() -> None:
    nobody = BucketAt("http://127.0.0.1:1")
    done = type_command("storage", "check", **nobody.environ)
    assert done.code == ExitCode.TRANSPORT
    assert "did not answer" in done.err


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    objects.write_text("a file")
    done = type_command("storage", "check", "--storage", str(objects))
    assert done.code == ExitCode.LOCAL


def test_without_any_store_it_says_how_to_name_one() -> None:
    done = type_command("storage", "check")
    assert done.code == ExitCode.USAGE
    assert "--data" in done.err
