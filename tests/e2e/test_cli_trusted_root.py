"""`lockgate policy trusted-root`: put before maintainers, signed, in force, shown, mirrored."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import TRUSTED_ROOT_PATH
from lockgate_server.services.collect.collecting import collect
from lockgate_server.services.write.deps import Caller
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.trusted_roots import trusted_root

MAINTAINER = "keys/root/maintainer-1.pem"
BOTS = "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v*"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as desk:
        desk.init()
        (desk.folder / "ours.json").write_bytes(trusted_root())
        yield desk


def put_in_force(desk: ReleaseDesk, file: str) -> None:
    desk.person.must("root", "sign", file, "--key", MAINTAINER, "--yes")
    desk.person.must("root", "submit", file)


def test_a_private_instance_is_trusted_once_maintainers_have_signed_it(desk: ReleaseDesk) -> None:
    said = desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    assert f"trusts ours.json (SHA-256 {digest_bytes(trusted_root())})" in said.err
    assert "  + certificate authority https://ca.example.test from 2026-01-01" in said.err
    assert TRUSTED_ROOT_PATH not in desk.chain().targets.signed.targets
    put_in_force(desk, "c.json")
    assert TRUSTED_ROOT_PATH in desk.chain().targets.signed.targets
    sha256 = digest_bytes(trusted_root())
    key = f"{APP}/targets/sigstore/{sha256}.trusted_root.json"
    assert desk.files()[key] == trusted_root()
    assert "transparency log https://log.example.test" in desk.person.must("policy", "show").err
    (desk.folder / "next.json").write_bytes(trusted_root("next"))
    again = desk.person.must("policy", "trusted-root", "d.json", "--from-file", "next.json")
    assert "  - certificate authority https://ca.example.test" in again.err
    assert "  + certificate authority https://ca.next.test" in again.err


def test_it_comes_in_one_ceremony_with_the_policy_that_needs_it(desk: ReleaseDesk) -> None:
    demand = ("policy", "edit", "c.json", "--channel", "beta", "--attest", BOTS)
    desk.person.must_end(20, demand, "nothing to verify them with", "lockgate policy trusted-root")
    desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    edited = desk.person.must(*demand, "--attest-type", "https://slsa.dev/provenance/v1")
    assert "whose word on who built a release counts" in edited.err
    put_in_force(desk, "c.json")
    shown = desk.person.must("policy", "show")
    (rule,) = json.loads(shown.out)["channels"]["beta"]["attestations"]["demands"]
    issuer = "https://token.actions.githubusercontent.com"
    assert rule["signers"] == [{"identity": BOTS, "issuer": issuer}]
    assert rule["predicate_types"] == ["https://slsa.dev/provenance/v1"]
    assert json.loads(shown.out)["channels"]["beta"]["critical"] == ["attestations"]
    assert f"of 1 of {BOTS} (by {issuer})" in shown.err
    desk.person.must("policy", "edit", "d.json", "--channel", "beta", "--no-attest")
    put_in_force(desk, "d.json")
    assert (
        "attestations" not in json.loads(desk.person.must("policy", "show").out)["channels"]["beta"]
    )


def test_it_goes_by_a_ceremony_and_not_while_a_channel_demands_proofs(desk: ReleaseDesk) -> None:
    remove = ("policy", "trusted-root", "r.json", "--remove")
    desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    desk.person.must("policy", "edit", "c.json", "--channel", "beta", "--attest", BOTS)
    put_in_force(desk, "c.json")
    desk.person.must_end(2, remove, "proofs of origin are demanded", "beta", "--no-attest")
    assert not (desk.folder / "r.json").exists()
    desk.person.must("policy", "edit", "r.json", "--channel", "beta", "--no-attest")
    said = desk.person.must(*remove)
    assert "nobody's word on who built a release counts any more" in said.err
    assert "  - certificate authority https://ca.example.test" in said.err
    both = desk.person.must(
        "policy", "edit", "r.json", "--channel", "beta", "--manual-check", "wait"
    )
    assert "counts any more" in both.err
    desk.person.must_end(
        20, ("policy", "edit", "r.json", "--channel", "beta", "--attest", BOTS), "nothing to verify"
    )
    put_in_force(desk, "r.json")
    assert TRUSTED_ROOT_PATH not in desk.chain().targets.signed.targets
    assert "transparency log" not in desk.person.must("policy", "show").err
    desk.person.must("policy", "trusted-root", "again.json", "--from-file", "ours.json")
    put_in_force(desk, "again.json")
    assert TRUSTED_ROOT_PATH in desk.chain().targets.signed.targets


def test_a_ceremony_that_changes_nothing_any_more_goes(desk: ReleaseDesk) -> None:
    add = ("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    remove = ("policy", "trusted-root", "c.json", "--remove")
    desk.person.must(*add)
    tried = desk.person.must(*remove, "--dry-run", "--json")
    assert "c.json changes nothing any more: nobody has to sign it, and it would go" in tried.err
    assert (desk.folder / "c.json").exists()
    gone = desk.person.must(*remove, "--json")
    assert "nobody has to sign it, and it is gone" in gone.err
    assert json.loads(gone.out) == {"app": APP, "parts": [], "changes": []}
    assert not (desk.folder / "c.json").exists()
    desk.person.must(*add)
    put_in_force(desk, "c.json")
    (desk.folder / "c.json").unlink()
    desk.person.must(*remove)
    back = desk.person.must(*add)
    assert "c.json changes nothing any more" in back.err
    assert not (desk.folder / "c.json").exists()


def test_of_a_ceremony_only_what_is_undone_goes(desk: ReleaseDesk) -> None:
    desk.person.must("root", "renew", "c.json", "--role", "root")
    desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    assert set(shown(desk, "c.json")["parts"]) == {"root", "targets"}
    desk.person.must("policy", "trusted-root", "c.json", "--remove")
    assert set(shown(desk, "c.json")["parts"]) == {"root"}
    put_in_force(desk, "c.json")
    wait = ("--channel", "beta", "--manual-check", "wait")
    desk.person.must("policy", "edit", "d.json", *wait)
    desk.person.must("policy", "trusted-root", "d.json", "--from-file", "ours.json")
    desk.person.must("policy", "trusted-root", "d.json", "--remove")
    put_in_force(desk, "d.json")
    assert TRUSTED_ROOT_PATH not in desk.chain().targets.signed.targets
    assert json.loads(desk.person.must("policy", "show").out)["channels"]["beta"]


def shown(desk: ReleaseDesk, file: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(desk.person.must("root", "show", file, "--json").out)
    return found


def test_what_is_so_already_is_nothing_to_do(desk: ReleaseDesk) -> None:
    remove = ("policy", "trusted-root", "r.json", "--remove")
    add = ("policy", "trusted-root", "r.json", "--from-file", "ours.json")
    none = desk.person.must(*remove, "--json")
    assert "Nothing to do: demo has no trusted root." in none.err
    assert json.loads(none.out) == {"app": APP, "parts": [], "changes": []}
    assert not (desk.folder / "r.json").exists()
    desk.person.must(*add)
    before = (desk.folder / "r.json").read_bytes()
    assert "is in r.json already" in desk.person.must(*add).err
    assert (desk.folder / "r.json").read_bytes() == before
    put_in_force(desk, "r.json")
    (desk.folder / "r.json").unlink()
    assert "is in force already" in desk.person.must(*add).err
    desk.person.must(*remove)
    assert "demo has no trusted root" in desk.person.must(*remove).err
    put_in_force(desk, "r.json")
    assert TRUSTED_ROOT_PATH not in desk.chain().targets.signed.targets


def test_it_is_mirrored_and_never_collected(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    put_in_force(desk, "c.json")
    desk.person.must("mirror", "copy")
    name = f"targets/sigstore/{digest_bytes(trusted_root())}.trusted_root.json"
    assert list(desk.folder.rglob(name))
    collect(desk.server.write_deps(), APP, Caller(actor="worker"), grace=timedelta(0))
    assert f"{APP}/{name}" in desk.files()


def test_the_public_one_is_taken_from_the_package_and_that_is_said(desk: ReleaseDesk) -> None:
    said = desk.person.must(
        "policy", "trusted-root", "c.json", "--sigstore-public-good", "--dry-run"
    )
    assert "trusts the public Sigstore, as in sigstore 4." in said.err
    assert "https://fulcio.sigstore.dev" in said.err
    assert not (desk.folder / "c.json").exists()


def test_what_is_none_or_two_is_said_in_words(desk: ReleaseDesk) -> None:
    command = ("policy", "trusted-root", "c.json")
    desk.person.must_end(2, command, "which trusted root?")
    both = (*command, "--from-file", "ours.json", "--sigstore-public-good")
    desk.person.must_end(2, both, "which trusted root?")
    (desk.folder / "none.json").write_text("{}")
    desk.person.must_end(2, (*command, "--from-file", "none.json"), "mediaType: missing")
    desk.person.must_end(2, (*command, "--from-file", "gone.json"), "no such file")
    edit = ("policy", "edit", "c.json", "--channel", "beta")
    desk.person.must_end(2, (*edit, "--attest-type", "x"), "--attest IDENTITY")
    desk.person.must_end(2, (*edit, "--attest", "ann@example.com"), "--attest-issuer URL")
    wild = (*edit, "--attest", "*@*", "--attest-issuer", "https://accounts.example")
    desk.person.must_end(2, wild, "with its owner written out")
