"""Which file belongs to which release, and what counts as covered."""

from dataclasses import replace

import pytest

from lockgate_cli.attesting.backfilling import plan_backfill
from lockgate_cli.attesting.coverage import Live, judge_listed, survey
from lockgate_cli.attesting.reading import Said, read_attestations
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact, ExtrasDocument
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, ChannelName, Platform
from tests.simulators.attestations import as_bytes, signature, statement

APP = AppName("demo")
STABLE = ChannelName("stable")


def artifact(content: str, name: str = "app.tar.gz") -> Artifact:
    sha256 = digest_bytes(content.encode())
    return Artifact(
        platform=Platform("linux-x86_64"),
        name=name,
        kind="tar.gz",
        size=len(content),
        sha256=sha256,
        tree_sha256=sha256,
        tree_size=1,
        path=artifact_path(sha256),
    )


def live(version: str, *artifacts: Artifact) -> Live:
    return Live(
        version=version,
        channels=(STABLE,),
        artifacts=artifacts,
        extras=ExtrasDocument(app=APP, version=version),
    )


ONE, TWO = live("1.0.0", artifact("one")), live("2.0.0", artifact("two"))
RELEASES = (TWO, ONE)


def said(value: object, subject: str = "x.json") -> Said:
    (found,) = read_attestations(as_bytes(value), subject=subject)
    return found


def digests(release: Live) -> list[str]:
    return [item.sha256 for item in release.artifacts]


def test_a_statement_about_two_releases_goes_to_both() -> None:
    both = said(statement(*digests(ONE), *digests(TWO)))
    plan = plan_backfill(RELEASES, [both])
    assert sorted(plan.additions) == ["1.0.0", "2.0.0"]
    assert [one.attestation.artifacts for one in plan.additions["1.0.0"]] == [(*digests(ONE),)]


def test_what_is_listed_is_left_out_and_only_there() -> None:
    both = said(statement(*digests(ONE), *digests(TWO)))
    first = plan_backfill([ONE], [both]).onto([ONE])
    plan = plan_backfill([*first, TWO], [both])
    assert sorted(plan.additions) == ["2.0.0"]
    again = plan_backfill(plan.onto([*first, TWO]), [both])
    assert (again.additions, again.known, again.strangers) == ({}, 1, ())


def test_the_same_file_twice_is_added_once() -> None:
    one = said(signature(*digests(ONE)))
    plan = plan_backfill(RELEASES, [one, replace(one, subject="copy.json")])
    assert len(plan.additions["1.0.0"]) == 1


def test_what_belongs_to_nobody_is_told() -> None:
    other = said(signature(digest_bytes(b"other")), "other.json")
    assert plan_backfill(RELEASES, [other]).strangers == ("other.json",)


def test_an_sbom_by_name_alone_is_nobody_s_where_every_release_has_that_name() -> None:
    bom = {"bomFormat": "CycloneDX"}
    named = said(bom, "app.tar.gz.cdx.json")
    assert plan_backfill(RELEASES, [named]).strangers == ("app.tar.gz.cdx.json",)
    only = live("3.0.0", artifact("three", "app-3.tar.gz"))
    plan = plan_backfill([*RELEASES, only], [said(bom, "app-3.tar.gz.cdx.json")])
    assert sorted(plan.additions) == ["3.0.0"]
    hashed = {
        "bomFormat": "CycloneDX",
        "metadata": {
            "component": {"hashes": [{"alg": "SHA-256", "content": digests(ONE)[0]}]},
        },
    }
    plan = plan_backfill(RELEASES, [said(hashed, "app.tar.gz.cdx.json")])
    assert sorted(plan.additions) == ["1.0.0"]


@pytest.mark.parametrize(
    ("value", "covers"),
    [
        (signature(*digests(ONE)), True),
        (statement(*digests(ONE)), True),
        (statement(*digests(TWO)), False),
    ],
)
def test_only_a_bundle_about_the_artifact_covers_it(value: object, covers: bool) -> None:
    plan = plan_backfill([ONE, TWO], [said(value)])
    (covered,) = survey(plan.onto([ONE]), judge_listed)
    assert bool(covered.lacks) != covers


def test_an_sbom_covers_nothing() -> None:
    bom = said({"bomFormat": "CycloneDX"}, "app.tar.gz.cdx.json")
    (covered,) = survey(plan_backfill([ONE], [bom]).onto([ONE]), judge_listed)
    assert len(covered.attestations) == 1
    assert covered.lacks
