"""Extras of live releases issued anew: one signed list, and nothing else moves."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_cli.context import Call, Flags
from lockgate_cli.extras import describe_extras, join_extras
from lockgate_cli.reissuing import reissue
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import load_stored
from lockgate_cli.submitting import Outcome
from lockgate_cli.uploading.session import Outgoing
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ExtrasDocument
from lockgate_release.errors import UsageError
from lockgate_release.layout import artifact_key, release_path
from lockgate_release.settings import load_settings
from tests.simulators.command_line import CommandLine
from tests.simulators.extras import a_delta, an_attestation
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.signers import Team, first_release, open_team

PATCH, PROOF = b"a patch", b"a proof"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with open_team(tmp_path, first_release) as made:
        yield made


def add(live: ExtrasDocument) -> ExtrasDocument:
    """Add a delta and an attestation."""
    delta = a_delta(digest_bytes(PATCH), size=len(PATCH))
    proof = an_attestation(digest_bytes(PROOF), size=len(PROOF))
    return join_extras(live, [delta], [proof])


def change(
    person: CommandLine,
    folder: Path,
    *versions: str,
    to: Callable[[ExtrasDocument], ExtrasDocument] = add,
    **flags: bool,
) -> Outcome:
    """Issue the extras of these versions anew, with the files that they then name."""
    call = Call(
        around=person.surroundings(),
        flags=Flags(**flags),  # type: ignore[arg-type]
        settings=load_settings(person.folder, person.environ),
    )
    beside = []
    for data in (PATCH, PROOF):
        path = folder / digest_bytes(data)
        path.write_bytes(data)
        beside.append(
            Outgoing(path=path, name="x", sha256=digest_bytes(data), size_bytes=len(data))
        )
    with call.api() as api:
        return reissue(
            call, api, APP, dict.fromkeys(versions, to), title="add extras", beside=beside
        )


def live_extras(person: CommandLine, version: str) -> ExtrasDocument:
    call = Call(around=person.surroundings(), settings=load_settings(person.folder, person.environ))
    with call.api() as api:
        base = load_newest_base(call, api, APP, call.pinned_root())
        stored = load_stored(api, base, version)
    assert stored is not None
    assert stored.extras is not None
    return stored.extras


def test_two_releases_get_extras_by_one_list_and_stay_what_they_are(
    desk: ReleaseDesk, tmp_path: Path
) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    before = desk.chain()
    outcome = change(desk.person, tmp_path, "1.0.0", "1.1.0")
    after = desk.chain()
    assert after.releases.version == before.releases.version + 1
    assert after.timestamp.version == before.timestamp.version + 1
    assert after.target(release_path("1.1.0")) == before.target(release_path("1.1.0"))
    assert after.entries() == before.entries()
    files = desk.files()
    for version in ("1.0.0", "1.1.0"):
        extras = live_extras(desk.person, version)
        assert [delta.sha256 for delta in extras.deltas] == [digest_bytes(PATCH)]
        assert [proof.sha256 for proof in extras.attestations] == [digest_bytes(PROOF)]
    assert files[artifact_key(APP, digest_bytes(PATCH))] == PATCH
    assert any("1.1.0: delta from 1.0.0" in line for line in outcome.plan.following.changes)
    assert desk.offers() == {"1.1.0": 10_000}


def test_what_is_there_already_is_signed_by_nobody(desk: ReleaseDesk, tmp_path: Path) -> None:
    desk.publish("1.0.0")
    change(desk.person, tmp_path, "1.0.0")
    before = desk.files()
    assert not change(desk.person, tmp_path, "1.0.0").plan.changed
    assert desk.files() == before


def test_a_version_that_is_not_live_gets_no_extras(desk: ReleaseDesk, tmp_path: Path) -> None:
    desk.publish("1.0.0")
    before = desk.files()
    with pytest.raises(UsageError, match="not a live release"):
        change(desk.person, tmp_path, "1.0.0", "9.9.9")
    assert desk.files() == before


def test_extras_whose_files_nobody_sent_are_put_in_force_by_no_server(
    desk: ReleaseDesk, tmp_path: Path
) -> None:
    desk.publish("1.0.0")
    before = desk.files()
    other = a_delta(digest_bytes(b"never sent"), size=10)
    with pytest.raises(UsageError, match="the delta is not on the server"):
        change(desk.person, tmp_path, "1.0.0", to=lambda live: replace(live, deltas=(other,)))
    assert {key for key in desk.files() if "artifacts" not in key} == {
        key for key in before if "artifacts" not in key
    }


def test_what_somebody_else_publishes_meanwhile_stays_and_the_change_is_made_on_it(
    desk: ReleaseDesk, tmp_path: Path
) -> None:
    desk.publish("1.0.0")
    published: list[str] = []

    def add_late(live: ExtrasDocument) -> ExtrasDocument:
        if not published:
            published.append("1.1.0")
            desk.publish("1.1.0")
        return add(live)

    change(desk.person, tmp_path, "1.0.0", to=add_late)
    assert desk.versions() == {"1.0.0", "1.1.0"}
    assert live_extras(desk.person, "1.0.0").deltas


def test_whoever_signs_sees_what_this_version_has_no_words_for() -> None:
    delta = replace(a_delta(digest_bytes(PATCH), size=7), unknown={"later": 1})
    extras = ExtrasDocument(app=APP, version="1.0.0", deltas=(delta,), unknown={"more": [2]})
    lines = list(describe_extras(extras))
    assert '  1.0.0 extras say {"later":1} too' in lines
    assert '  1.0.0 extras say {"more":[2]} too' in lines


def test_extras_wait_for_as_many_signatures_as_a_release_does(team: Team, tmp_path: Path) -> None:
    outcome = change(team.ci, tmp_path, "0.9.0", unsigned=True)
    assert outcome.pending is not None
    shown = team.ann.must("sign", APP, "0.9.0", "--dry-run").out
    assert "~ 0.9.0: its extras are other ones" in shown
    assert f"0.9.0 delta from 1.0.0 for any, 7 B, {digest_bytes(PATCH)}" in shown
    team.sign_all("0.9.0")
    assert live_extras(team.ann, "0.9.0").deltas
