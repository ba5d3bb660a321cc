"""Documents are read by the field: a missing, a wrong and an unknown one is named, or kept."""

import json
from typing import Any

import pytest

from lockgate_release.documents import parse_channel, parse_entry, parse_release
from lockgate_release.errors import DocumentError
from tests.unit.release.builders import full_channel, full_release
from tests.unit.release.fields_of import (
    ALL,
    FIELDS,
    KINDS,
    OPTIONAL,
    Place,
    Value,
    name_of,
    round_trip_channel,
    round_trip_release,
    text_of,
    value_at,
    with_value,
    without,
)


def _dotted(place: Place) -> str:
    return ".".join(part for part in place if isinstance(part, str))


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_with_fields_from_the_future_survives_a_round_trip(kind: str) -> None:
    value, trip = KINDS[kind]
    assert trip(value) == value
    assert trip(trip(value)) == value


@pytest.mark.parametrize(("kind", "place"), FIELDS, ids=name_of)
def test_a_missing_field_has_a_default_or_is_named(kind: str, place: Place) -> None:
    value, trip = KINDS[kind]
    if _dotted(place) in OPTIONAL[kind]:
        trip(without(value, place))
        return
    with pytest.raises(DocumentError) as caught:
        trip(without(value, place))
    assert caught.value.what == "missing field"
    assert caught.value.subject.endswith(text_of(place))


@pytest.mark.parametrize(("kind", "place"), ALL, ids=name_of)
def test_a_field_of_a_wrong_type_is_named(kind: str, place: Place) -> None:
    value, trip = KINDS[kind]
    right = type(value_at(value, place))
    wrongs: list[Any] = [None, True, 7, "text", [], {}]
    for wrong in wrongs:
        if type(wrong) is right:
            continue
        with pytest.raises(DocumentError) as caught:
            trip(with_value(value, place, wrong))
        assert caught.value.what == "wrong type"
        assert caught.value.subject.endswith(text_of(place))


WRONG_VALUES: list[tuple[str, Place, Any]] = [
    *[(kind, ("_type",), "lockgate.other") for kind in ("release", "channel", "policy", "extras")],
    *[(kind, ("_type",), "targets") for kind in ("release", "channel", "policy", "extras")],
    *[(kind, ("app",), wrong) for kind in ("release", "channel") for wrong in ("", "Demo", "api")],
    *[(kind, ("version",), wrong) for kind in ("release", "extras") for wrong in ("", "a/b", "..")],
    ("release", ("released_at",), "2026-01-31"),
    ("release", ("artifacts",), []),
    ("release", ("artifacts", 0, "platform"), "Linux"),
    *[
        ("release", ("artifacts", 0, "name"), wrong)
        for wrong in ("", ".hidden", "..", "a/b", "a\\b", "a\0", "a\nb", "x" * 256)
    ],
    *[("release", ("artifacts", 0, "kind"), wrong) for wrong in ("", "Tar", "-x", "x" * 33)],
    ("release", ("artifacts", 0, "size"), -1),
    ("release", ("artifacts", 0, "size"), 2**53 + 1),
    ("release", ("artifacts", 0, "chunks", "size_bytes"), 2**20 - 1),
    ("release", ("artifacts", 0, "chunks", "size_bytes"), 0),
    *[
        ("release", ("artifacts", 0, "chunks", "sha256"), wrong)
        for wrong in ([], ["ab" * 32], ["ab" * 32] * 3, ["ab" * 32] * 129)
    ],
    ("release", ("artifacts", 0, "chunks", "sha256", 1), "AB" * 32),
    ("release", ("artifacts", 0, "tree_size"), -1),
    ("release", ("artifacts", 0, "sha256"), "AB" * 32),
    ("release", ("artifacts", 0, "tree_sha256"), "ab" * 31),
    *[
        ("release", ("artifacts", 0, "path"), wrong)
        for wrong in ("", "artifacts/ab/" + "ab" * 32, "../x", "https://elsewhere.invalid/x")
    ],
    *[
        ("release", ("install", "entrypoint"), wrong)
        for wrong in ("/bin/sh", "../sh", "a//b", "a/./b", "a/..", "a/", "a\0b")
    ],
    *[
        ("release", ("install", "health", "command", 0), wrong)
        for wrong in ("/bin/sh", "../sh", "")
    ],
    ("release", ("install", "health", "command"), ["x"] * 101),
    *[("release", ("install", "health", "timeout_s"), wrong) for wrong in (0, -1, 3601)],
    *[("release", ("install", "health", "tries"), wrong) for wrong in (0, -1, 21)],
    ("release", ("requires", "from_version"), "a/b"),
    ("release", ("requires", "capabilities"), ["x"] * 101),
    ("channel", ("channel",), "Stable"),
    ("channel", ("sequence",), 0),
    ("channel", ("issued_at",), "now"),
    ("channel", ("expires_at",), "2026-03-02T08:00:00+00:00"),
    ("channel", ("offers", 0, "version"), "a b"),
    *[
        ("channel", ("offers", 0, "path"), wrong)
        for wrong in ("", "release.json", "/a/b", "a//b", "a/../b", "a/b c", "a/" + "b" * 200)
    ],
    ("channel", ("offers", 0, "sha256"), ""),
    ("channel", ("offers", 0, "rollout", "salt"), "0" * 31),
    ("channel", ("offers", 0, "rollout", "exposure_bp"), 10_001),
    ("channel", ("offers", 0, "rollout", "exposure_bp"), -1),
    ("channel", ("offers", 0, "rollout", "control_bp"), 9001),
    ("channel", ("offers", 0, "rollout", "epoch"), 0),
    ("channel", ("offers", 0, "rollout", "state"), "done"),
    ("channel", ("once_full",), ["a/b"]),
    ("channel", ("once_full",), ["1.0"] * 1001),
    ("channel", ("revoked", 0, "version"), ""),
    ("channel", ("revoked", 0, "reason"), "x" * 1001),
    ("channel", ("revoked", 0, "remedy"), "ignore"),
    ("channel", ("revoked", 0, "at"), "2026-01-31T25:00:00Z"),
    ("channel", ("check_interval_s",), 59),
    ("channel", ("check_interval_s",), 86_401),
    ("policy", ("versions",), "calver"),
    ("policy", ("channels", "stable", "manual_check"), "maybe"),
    *[
        ("policy", ("channels", "stable", "paths"), [wrong])
        for wrong in ("", "releases/[0-9]*/release.json", "releases/?/release.json", "/x", "a//b")
    ],
    ("policy", ("channels", "stable", "paths"), ["releases/*/release.json"] * 101),
    ("extras", ("notes",), "x" * 100_001),
    ("extras", ("deltas", 0, "platform"), "Linux"),
    ("extras", ("deltas", 0, "from_version"), "a/b"),
    ("extras", ("deltas", 0, "from_tree_sha256"), "AB" * 32),
    *[("extras", ("deltas", 0, "algorithm"), wrong) for wrong in ("", "Some", "a_b", "x" * 33)],
    ("extras", ("deltas", 0, "size"), 0),
    ("extras", ("deltas", 0, "size"), 2**53 + 1),
    ("extras", ("deltas", 0, "memory_bytes"), -1),
    ("extras", ("deltas", 0, "scratch_bytes"), -1),
    *[
        ("extras", (items, 0, "path"), wrong)
        for items in ("deltas", "attestations")
        for wrong in ("", "artifacts/ee/" + "ee" * 32, "../x", "metadata/timestamp.json")
    ],
    *[("extras", ("attestations", 0, "kind"), wrong) for wrong in ("", "Sigstore", "a b")],
    ("extras", ("attestations", 0, "sha256"), "ab" * 31),
    ("extras", ("attestations", 0, "size"), 0),
    ("extras", ("attestations", 0, "artifacts"), ["ab" * 32] * 1001),
    ("extras", ("attestations", 0, "artifacts", 0), "AB" * 32),
    ("extras", ("attestations", 0, "predicate_type"), "x" * 1001),
    ("entry", ("version",), "a/b"),
    ("entry", ("channels",), ["Stable"]),
    ("entry", ("lifted",), {"a b": "2026-01-30T08:00:00Z"}),
    ("entry", ("lifted", "beta"), "soon"),
    ("entry", ("targets",), -1),
    ("entry", ("floor", "stable"), "a/b"),
]


@pytest.mark.parametrize(("kind", "place", "wrong"), WRONG_VALUES)
def test_a_wrong_value_is_named(kind: str, place: Place, wrong: Any) -> None:
    value, trip = KINDS[kind]
    if isinstance(wrong, int) and wrong > 2**53:
        with pytest.raises(DocumentError, match="integer out of range"):
            trip(with_value(value, place, wrong))
        return
    with pytest.raises(DocumentError) as caught:
        trip(with_value(value, place, wrong))
    assert text_of(place) in caught.value.subject
    assert caught.value.expected or caught.value.what == "empty"
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("kind", "place"), [("policy", ("channels", "Stable")), ("entry", ("floor", "Stable"))]
)
def test_a_channel_that_cannot_be_one_is_named(kind: str, place: Place) -> None:
    value, trip = KINDS[kind]
    good = value_at(value, (place[0], "stable"))
    with pytest.raises(DocumentError, match="expected a channel name"):
        trip(with_value(value, place, good))


def test_two_artifacts_for_one_platform_are_refused() -> None:
    value = full_release()
    value["artifacts"] *= 2
    with pytest.raises(DocumentError, match="two artifacts for one platform; found 'linux-x86_64'"):
        round_trip_release(value)


def test_a_version_offered_twice_is_refused() -> None:
    value = full_channel()
    value["offers"] *= 2
    with pytest.raises(DocumentError, match=r"signed\.offers: a version offered twice"):
        round_trip_channel(value)


def test_an_empty_entrypoint_and_no_health_command_are_good() -> None:
    value = full_release()
    value["install"] = {"entrypoint": "", "health": {"command": []}}
    document = parse_release(json.dumps(value).encode())
    assert (document.install.entrypoint, document.install.health.command) == ("", ())
    assert (document.install.health.timeout_s, document.install.health.tries) == (60, 3)


@pytest.mark.parametrize(
    "envelope",
    [{}, {"signed": full_channel()}, {"signatures": []}, {"signed": [], "signatures": []}],
)
def test_a_channel_document_without_its_envelope_is_refused(envelope: Value) -> None:
    with pytest.raises(DocumentError, match=r"signatures|signed"):
        parse_channel(json.dumps(envelope).encode())


@pytest.mark.parametrize("custom", [None, {}])
def test_an_entry_without_the_publishers_mark_is_refused(custom: Value | None) -> None:
    with pytest.raises(DocumentError, match=r"releases/1/release\.json: custom\."):
        parse_entry(custom, subject="releases/1/release.json")


@pytest.mark.parametrize("custom", ["floor", ["floor"], 7, [], "", 0])
def test_an_entry_whose_mark_is_no_object_is_refused(custom: Any) -> None:
    with pytest.raises(DocumentError, match="custom"):
        parse_entry(custom, subject="releases/1/release.json")
