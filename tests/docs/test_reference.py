"""The short pages of the reference say what the code does."""

import hashlib
import hmac
import importlib
import itertools
import json
import pkgutil
import re
from pathlib import Path

import pytest

import lockgate_release
from lockgate_release.digests import digest_bytes, digest_tree
from lockgate_release.documents import parse_release
from lockgate_release.errors import DocumentError, ExitCode, LockgateError
from lockgate_release.gate import Arm, bucket, choose_arm
from lockgate_release.names import Platform, Sha256Hex
from lockgate_release.platforms import best_platform, platform_tag
from lockgate_release.provenance.tree_claims import tree_claim
from lockgate_release.versions import VersionScheme
from tests.docs.tables import examples, page, rows, section

ERRORS = page("errors.md")

# -- exit-codes.md and errors.md --------------------------------------------------------------


def test_the_exit_codes_are_those_of_the_code() -> None:
    found = {name: int(code) for code, name, *_ in rows(page("exit-codes.md"), "code")}
    assert found == {code.name: code.value for code in ExitCode}


def test_every_exit_code_has_a_meaning() -> None:
    assert all(meaning for _, _, meaning, _ in rows(page("exit-codes.md"), "code"))


def _tree(root: type[LockgateError]) -> list[type[LockgateError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


def test_the_errors_are_those_of_the_code() -> None:
    for module in pkgutil.walk_packages(lockgate_release.__path__, "lockgate_release."):
        importlib.import_module(module.name)
    ours = [cls for cls in _tree(LockgateError) if cls.__module__.startswith("lockgate_release.")]
    found = [(name, code, int(exit_code)) for name, code, exit_code, _ in rows(ERRORS, "class")]
    assert sorted(found) == sorted((cls.__name__, cls.code, cls.exit_code.value) for cls in ours)


def test_a_branch_stands_before_its_leaves() -> None:
    codes = [code for _, code, *_ in rows(ERRORS, "class")]
    for at, code in enumerate(codes):
        parent = code.rpartition(".")[0]
        assert not parent or parent in codes[:at]


def test_the_error_that_the_page_shows_is_one_that_can_be_got() -> None:
    value = json.loads(examples(page("documents.md"))["release"])
    artifact = {**value["artifacts"][0], "size": "7"}
    with pytest.raises(DocumentError) as caught:
        parse_release(json.dumps({**value, "artifacts": [artifact]}).encode())
    assert f"\n{caught.value}\n" in ERRORS


# -- gate.md ----------------------------------------------------------------------------------


def test_the_worked_example_of_the_gate_is_right() -> None:
    said = dict(line.split() for line in examples(page("gate.md"))["gate"].splitlines())
    key, message = bytes.fromhex(said["salt"]), said["client_id"].encode("ascii")
    digest = hmac.new(key, message, hashlib.sha256)
    assert said["hmac"] == digest.hexdigest()
    assert int(said["u"]) == int(said["hmac"][:16], 16)
    assert int(said["bucket"]) == int(said["u"]) * 10_000 // 2**64
    assert int(said["bucket"]) == bucket(said["salt"], said["client_id"])
    (first,) = re.findall(r"from `exposure_bp` (\d+) on", page("gate.md"))
    for exposure_bp, arm in ((int(first) - 1, Arm.OUTSIDE), (int(first), Arm.OFFERED)):
        found = choose_arm(said["salt"], said["client_id"], exposure_bp=exposure_bp, control_bp=0)
        assert found is arm


def test_the_page_of_the_gate_names_every_arm() -> None:
    assert {arm for arm, _ in rows(page("gate.md"), "arm")} == {arm.value for arm in Arm}


def test_the_program_that_reads_the_vectors_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", page("gate.md"), re.DOTALL)
    exec(compile(program, "gate.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) > 50
    for line in printed:
        salt, client_id, exposure_bp, control_bp, place, arm = line.split()
        assert bucket(salt, client_id) == int(place)
        found = choose_arm(
            salt, client_id, exposure_bp=int(exposure_bp), control_bp=int(control_bp)
        )
        assert found == arm


# -- versions-and-platforms.md ----------------------------------------------------------------

VERSIONS = page("versions-and-platforms.md")


def test_the_versions_of_the_page_are_in_order() -> None:
    lines = dict(line.split(None, 1) for line in examples(VERSIONS)["order"].splitlines())
    assert lines.keys() == {scheme.value for scheme in VersionScheme}
    for name, texts in lines.items():
        versions = [VersionScheme(name).parse(text) for text in texts.split()]
        assert all(one < other for one, other in itertools.pairwise(versions))


def test_what_the_table_says_of_versions_is_so() -> None:
    semver, pep440 = VersionScheme.SEMVER.parse, VersionScheme.PEP440.parse
    assert semver("1.4.2-rc.1+build.5") < semver("1.4.2")
    assert pep440("1.4.2rc1") < pep440("1.4.2")
    assert semver("1.0.0+a") == semver("1.0.0+b")
    assert pep440("1.0") == pep440("1.0.0") == pep440("v1.0")
    assert semver("1.0.0-RC") < semver("1.0.0-rc")
    assert pep440("1.0RC1") == pep440("1.0rc1")
    assert pep440("1.0") < pep440("1.0+1")


@pytest.mark.parametrize(
    ("system", "machine", "tag"),
    [
        ("Linux", "AMD64", "linux-x86_64"),
        ("Darwin", "arm64", "macos-aarch64"),
        ("Windows", "i686", "windows-x86"),
        ("Linux", "armv7l", "linux-armv7"),
        ("FreeBSD", "Riscv64", "freebsd-riscv64"),
    ],
)
def test_tags_are_made_as_the_table_says(system: str, machine: str, tag: str) -> None:
    assert platform_tag(system, machine) == tag
    told = " ".join(shape for _, shape in rows(section(VERSIONS, "## Platforms"), ""))
    for word in tag.split("-", 1):
        assert word in {"freebsd", "riscv64"} or f"`{word}`" in told


def test_any_serves_those_without_a_tag_of_their_own() -> None:
    own, anything = Platform("linux-x86_64"), Platform("any")
    assert best_platform(own, [anything]) == anything
    assert best_platform(own, [anything, own]) == own


# -- tree-digest.md ---------------------------------------------------------------------------


def test_the_worked_example_of_the_tree_digest_is_right(tmp_path: Path) -> None:
    text = page("tree-digest.md")
    for line in examples(text)["tree"].splitlines():
        name, about = line.split(None, 1)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if about == "empty folder":
            path.mkdir()
        elif about.startswith("link to "):
            path.symlink_to(about.removeprefix("link to "))
        else:
            path.write_text(about.split('"')[1])
            path.chmod(0o755 if about.startswith("executable") else 0o644)
    header, *lines = re.findall(r"```\n(lockgate-tree-1\n.*?)```", text, re.DOTALL)[0].splitlines()
    listing = f"{header}\n{''.join(lines)}".replace("|", "\0").encode()
    (digest,) = re.findall(r"```\n([0-9a-f]{64})\n```", text)
    assert hashlib.sha256(listing).hexdigest() == digest
    assert digest_tree(tmp_path).sha256 == digest


def test_the_worked_example_of_the_tree_claim_is_right() -> None:
    text = page("tree-digest.md")
    (claim,) = re.findall(r"```\n(lockgate-tree-claim-1\n.*?)```", text, re.DOTALL)
    (artifact,) = re.findall(r"whose bytes are `(.+?)`", text)
    (tree,) = re.findall(r"```\n([0-9a-f]{64})\n```", text)
    assert tree_claim(digest_bytes(artifact.encode()), Sha256Hex(tree)) == claim.encode()
    assert re.findall(r"Its SHA-256 is `([0-9a-f]{64})`", text) == [digest_bytes(claim.encode())]
