"""What the values of documents know of themselves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    ChannelPolicy,
    ChunkHasher,
    Chunks,
    PolicyDocument,
    RolloutState,
    chunk_bytes_for,
)
from lockgate_release.names import ChannelName, Platform
from tests.unit.release.builders import (
    APP,
    NOW,
    artifact,
    channel,
    offer_of,
    release,
    revocation,
    rollout,
    trusted,
)

ANY = artifact(b"any", platform=Platform("any"))


def test_a_release_serves_a_platform_exactly_or_as_any_or_not_at_all() -> None:
    document = release(artifacts=(ANY, artifact()))
    assert document.artifact_for(Platform("linux-x86_64")) == artifact()
    assert document.artifact_for(Platform("macos-aarch64")) == ANY
    assert release().artifact_for(Platform("macos-aarch64")) is None


def test_the_moment_of_publishing_makes_no_other_publish() -> None:
    one, later = release(), release(released_at=NOW + timedelta(days=1))
    assert one != later
    assert one.is_same_publish(later)
    assert one.with_moment_of(later) == later


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.0.1"},
        {"artifacts": (ANY,)},
        {"install": replace(release().install, entrypoint="")},
        {"requires": replace(release().requires, from_version="0.9.0")},
        {"unknown": {"x": 1}},
    ],
)
def test_anything_else_makes_another_publish(changes: dict[str, Any]) -> None:
    assert not release().is_same_publish(release(**changes))


def test_a_rollout_is_full_only_at_everybody_and_while_it_runs() -> None:
    assert rollout(10_000).is_full
    assert not rollout(9_999).is_full
    assert not rollout(10_000, state=RolloutState.PAUSED).is_full


def test_offers_and_revocations_are_found_by_version() -> None:
    offered = offer_of(trusted("1.0.0"))
    document = channel([offered], revoked=(revocation("0.9.0"),))
    assert document.offer_of("1.0.0") == offered
    assert document.offer_of("0.9.0") is None
    assert document.revocation_of("0.9.0") == revocation("0.9.0")
    assert document.revocation_of("1.0.0") is None
    assert offered.with_rollout(rollout(5)).rollout.exposure_bp == 5


def test_a_channel_takes_its_own_rule_then_the_one_of_all_then_the_default() -> None:
    own, everybody = ChannelPolicy(paths=("a/*",)), ChannelPolicy(paths=("b/*",))
    stable, beta = ChannelName("stable"), ChannelName("beta")
    policy = PolicyDocument(app=APP, channels={"stable": own, "*": everybody})
    assert policy.channel(stable) == own
    assert policy.channel(beta) == everybody
    assert PolicyDocument(app=APP).channel(beta) == ChannelPolicy()


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("releases/1.0.0/release.json", True),
        ("releases/a/b/release.json", False),
        ("releases/release.json", False),
        ("previews/1.0.0/release.json", False),
        ("releases/1.0.0/extras.json", False),
        ("Releases/1.0.0/release.json", False),
    ],
)
def test_a_star_stands_for_one_part_of_a_path(path: str, is_allowed: bool) -> None:
    assert ChannelPolicy().allows_path(path) is is_allowed


def test_a_rule_without_paths_allows_nothing() -> None:
    assert not ChannelPolicy(paths=()).allows_path("releases/1.0.0/release.json")


MIB = 1 << 20


@pytest.mark.parametrize(
    ("size_bytes", "chunk_bytes"),
    [(0, MIB), (1, MIB), (128 * MIB, MIB), (128 * MIB + 1, 2 * MIB), (1 << 40, 1 << 33)],
)
def test_chunks_are_the_smallest_that_are_few_enough(size_bytes: int, chunk_bytes: int) -> None:
    assert chunk_bytes_for(size_bytes) == chunk_bytes
    assert -(-size_bytes // chunk_bytes) <= 128


@pytest.mark.parametrize("size_bytes", [0, 1, MIB, MIB + 1, 2 * MIB, 3 * MIB - 1])
@pytest.mark.parametrize("step_bytes", [1 << 16, MIB - 1, MIB, 5 * MIB])
def test_chunks_do_not_depend_on_how_the_bytes_came(size_bytes: int, step_bytes: int) -> None:
    data = bytes(range(251)) * (size_bytes // 251 + 1)
    data = data[:size_bytes]
    hasher = ChunkHasher(size_bytes)
    for at in range(0, size_bytes, step_bytes):
        hasher.update(data[at : at + step_bytes])
    assert hasher.sha256 == digest_bytes(data)
    pieces = tuple(digest_bytes(data[at : at + MIB]) for at in range(0, size_bytes, MIB))
    expected = Chunks(size_bytes=MIB, sha256=pieces) if size_bytes > MIB else None
    assert hasher.finish() == expected
