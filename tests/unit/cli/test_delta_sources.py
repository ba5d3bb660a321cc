"""From which releases deltas lead to a new one."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from lockgate_cli.defaults import PublishOptions
from lockgate_cli.deltas.options import DeltaOptions, parse_memory
from lockgate_cli.deltas.running import memory_for
from lockgate_cli.deltas.sources import LEAST_ARCHIVE_BYTES, choose_pairs, rank_versions
from lockgate_cli.repository import Base, load_base
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact, Delta, ReleaseDocument
from lockgate_release.errors import UsageError
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Platform, Sha256Hex
from lockgate_server.services.objects import read_object
from tests.simulators.extras import a_delta
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, STABLE, Scene

LINUX, MAC = Platform("linux-x86_64"), Platform("macos-arm64")
TREE = Sha256Hex("aa" * 32)


class Files:
    """A server's files, read as the command reads them."""

    def __init__(self, scene: Scene) -> None:
        self._objects = scene.store

    def read_file(self, app: AppName, path: str) -> bytes | None:
        found = read_object(self._objects, f"{app}/{path}")
        return None if found is None else found.data


@pytest.fixture
def base(tmp_path: Path) -> Base:
    scene = Scene(folder=tmp_path)
    scene.register()
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        scene.publish(version)
    scene.publish("1.4.0-rc.1", channels=["beta"])
    return load_base(Files(scene), APP, scene.publisher.root, now=NOW)


def rank(base: Base, usage: Mapping[str, int], lowest: str = "") -> tuple[str, ...]:
    return rank_versions(base, "1.4.0", [STABLE], usage, from_version=lowest)


def test_where_nothing_is_reported_the_newest_of_the_channel_come_first(base: Base) -> None:
    assert rank(base, {}) == ("1.3.0", "1.2.0", "1.1.0", "1.0.0")


def test_what_is_offered_to_everybody_comes_before_what_most_still_use(base: Base) -> None:
    found = rank(base, {"1.1.0": 70, "1.0.0": 900, "1.4.0-rc.1": 1})
    assert found == ("1.3.0", "1.0.0", "1.1.0", "1.4.0-rc.1", "1.2.0")


def test_what_may_not_be_left_for_the_new_one_is_no_place_to_begin(base: Base) -> None:
    assert rank(base, {"1.0.0": 900, "2.0.0": 5}, "1.2.0") == ("1.3.0", "1.2.0")
    assert rank_versions(base, "1.1.0", [STABLE], {"1.3.0": 9}) == ("1.0.0",)


def artifact(
    platform: str = LINUX, *, tree: str = TREE, size: int = LEAST_ARCHIVE_BYTES, kind: str = "zip"
) -> Artifact:
    sha256 = digest_bytes(f"{platform} {tree}".encode())
    return Artifact(
        platform=Platform(platform),
        name="app.zip",
        kind=kind,
        size=size,
        sha256=sha256,
        tree_sha256=Sha256Hex(tree),
        tree_size=size,
        path=artifact_path(sha256),
    )


def release(version: str, *artifacts: Artifact) -> ReleaseDocument:
    return ReleaseDocument(app=APP, version=version, released_at=NOW, artifacts=artifacts)


def chosen(
    new: ReleaseDocument, olds: Iterable[ReleaseDocument], *, most: int = 3, live_tree: str = ""
) -> list[tuple[str, str]]:
    documents = {old.version: old for old in olds}
    live: tuple[Delta, ...] = ()
    if live_tree:
        live = (
            a_delta(
                digest_bytes(b""),
                size=1,
                platform=LINUX,
                from_tree_sha256=Sha256Hex(live_tree),
            ),
        )
    pairs = choose_pairs(
        new, documents, documents.get, most=most, live=live, algorithm="lockgate-columns-1"
    )
    return [(pair.new.platform, pair.from_version) for pair in pairs]


def trees(*names: str) -> list[ReleaseDocument]:
    return [release(f"1.{n}.0", artifact(tree=name * 32)) for n, name in enumerate(names)]


def test_each_platform_gets_so_many_whatever_the_others_lack() -> None:
    new = release("2.0.0", artifact(LINUX, tree="f0" * 32), artifact(MAC, tree="f1" * 32))
    olds = [
        release("1.3.0", artifact(LINUX, tree="13" * 32)),
        release("1.2.0", artifact(LINUX, tree="12" * 32), artifact(MAC, tree="22" * 32)),
        release("1.1.0", artifact(LINUX, tree="11" * 32), artifact(MAC, tree="21" * 32)),
    ]
    assert chosen(new, olds, most=2) == [
        (LINUX, "1.3.0"),
        (LINUX, "1.2.0"),
        (MAC, "1.2.0"),
        (MAC, "1.1.0"),
    ]


def test_a_machine_that_had_the_artifact_for_any_platform_is_led_from_it() -> None:
    new = release("2.0.0", artifact(LINUX, tree="f0" * 32))
    assert chosen(new, [release("1.0.0", artifact("any"))]) == [(LINUX, "1.0.0")]
    assert chosen(release("2.0.0", artifact("any")), [release("1.0.0", artifact(LINUX))]) == []


def test_a_small_archive_and_one_that_nobody_can_unpack_get_no_delta() -> None:
    old = release("1.0.0", artifact())
    assert chosen(release("2.0.0", artifact(size=LEAST_ARCHIVE_BYTES - 1)), [old]) == []
    assert chosen(release("2.0.0", artifact(kind="rar")), [old]) == []
    assert chosen(release("2.0.0", artifact()), [release("1.0.0", artifact(kind="rar"))]) == []


def test_an_earlier_tree_that_is_much_smaller_saves_too_little() -> None:
    new = release("2.0.0", artifact(size=10 * LEAST_ARCHIVE_BYTES))
    for size, expected in ((3, [(LINUX, "1.0.0")]), (2, [])):
        old = release("1.0.0", artifact(tree="01" * 32, size=size * LEAST_ARCHIVE_BYTES))
        assert chosen(new, [old]) == expected


def test_two_releases_with_one_tree_need_one_delta() -> None:
    assert chosen(release("2.0.0", artifact()), trees("01", "01", "02")) == [
        (LINUX, "1.0.0"),
        (LINUX, "1.2.0"),
    ]


def test_what_the_release_has_is_not_made_again_and_counts() -> None:
    new = release("2.0.0", artifact())
    found = chosen(new, trees("01", "02", "03"), most=2, live_tree="01" * 32)
    assert found == [(LINUX, "1.1.0")]


# How they are made.


def test_memory_follows_from_sizes_and_ceiling_alone() -> None:
    assert memory_for(1 << 20, 10 << 20, 1 << 31) == (64 << 20) + 6 * (10 << 20)
    assert memory_for(1 << 40, 1, 1 << 31) == 1 << 31


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("2GB", 2 * 10**9), ("512MiB", 512 << 20), ("1 GiB", 1 << 30)]
)
def test_a_size_is_read_with_its_unit(text: str, size_bytes: int) -> None:
    assert parse_memory(text) == size_bytes


@pytest.mark.parametrize("text", ["", "2", "2gb", "-1GB", "127MiB", "0GB", "1e3MB", "2 GB free"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        parse_memory(text)


def test_a_flag_speaks_before_the_settings_and_these_before_the_defaults() -> None:
    said = PublishOptions(deltas=7, delta_memory="1GiB")
    wish = DeltaOptions(deltas=1).over(said)
    assert (wish.most, wish.memory_bytes, wish.algorithm) == (1, 1 << 30, "lockgate-columns-1")
    assert DeltaOptions().over(PublishOptions()).most == 3
    assert DeltaOptions().over(said).most == 7
    with pytest.raises(UsageError, match="out of range"):
        DeltaOptions().over(PublishOptions(deltas=-1))
