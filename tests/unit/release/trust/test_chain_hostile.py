"""Hostile bytes in the place of metadata are refused, and never a bug."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from lockgate_release.errors import DocumentError, ExpiredError, TrustError
from lockgate_release.trust.chain import follow_roots, load_chain, parse_metadata
from tests.unit.release.builders import NOW, Repository
from tests.unit.release.trust.chains import load, threshold_repository


@pytest.fixture
def repository() -> Repository:
    return threshold_repository()


Change = Callable[[dict[str, Any]], object]
HOSTILE: list[Change] = [
    lambda v: v.clear(),
    lambda v: v.update(signatures=None),
    lambda v: v.update(signatures=[{}]),
    lambda v: v.update(signatures={"a": 1}),
    lambda v: v["signatures"].append(v["signatures"][0]),
    lambda v: v["signatures"][0].update(sig=5),
    lambda v: v["signatures"][0].update(sig=None),
    lambda v: v["signatures"][0].update(sig=["a"]),
    lambda v: v["signatures"][0].update(sig="zz"),
    lambda v: v["signatures"][0].update(sig=""),
    lambda v: v["signatures"][0].update(keyid=5),
    lambda v: v["signatures"][0].update(keyid=[]),
    lambda v: v.update(signed=[]),
    lambda v: v["signed"].update(_type="unknown"),
    lambda v: v["signed"].update(_type=[]),
    lambda v: v["signed"].update(version=0),
    lambda v: v["signed"].update(version="1"),
    lambda v: v["signed"].update(version=1.5),
    lambda v: v["signed"].update(version=10**30),
    lambda v: v["signed"].update(expires=5),
    lambda v: v["signed"].update(expires="never"),
    lambda v: v["signed"].update(spec_version="9.0"),
    lambda v: v["signed"].update(spec_version=1),
    lambda v: v["signed"].update(meta=[]),
    lambda v: v["signed"].update(meta={}),
    lambda v: v["signed"].update(meta={"snapshot.json": {"version": {}}}),
    lambda v: v["signed"].update(x=1.5),
    lambda v: v["signed"].update(x=float("nan")),
    lambda v: v["signed"].update(x="\ud800"),
    lambda v: v["signed"].update({"\ud800": 1}),
]


@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_timestamp_is_refused_and_never_a_bug(change: Change) -> None:
    repository = Repository(now=NOW)
    value = json.loads(repository.files["metadata/timestamp.json"])
    change(value)
    repository.files["metadata/timestamp.json"] = json.dumps(value).encode()
    with pytest.raises((TrustError, DocumentError), match=r"timestamp\.json"):
        load(repository)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"null", b"1", b'{"a":' * 100_000, b"[" * 100_000]
)
@pytest.mark.parametrize("kind", [Root, Timestamp, Snapshot, Targets])
def test_what_is_no_metadata_is_refused(kind: Any, data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"x\.json: not TUF metadata"):
        parse_metadata(kind, data, "x.json")


@pytest.mark.parametrize("levels", [100, 500, 900, 100_000])
def test_nesting_without_end_is_refused(levels: int) -> None:
    repository = Repository(now=NOW)
    value = json.loads(repository.files["metadata/timestamp.json"])
    value["signed"]["x"] = 0
    text = json.dumps(value).replace('"x": 0', '"x": ' + "[" * levels + "]" * levels)
    repository.files["metadata/timestamp.json"] = text.encode()
    with pytest.raises((TrustError, DocumentError), match=r"timestamp\.json"):
        load(repository)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
SHARED = Repository(now=NOW)


def _places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in items:
        found.append((*here, key))
        if isinstance(inner, dict | list):
            found += _places(inner, (*here, key))
    return found


@given(st.data(), st.sampled_from(["timestamp", "1.snapshot", "1.targets", "1.releases"]))
def test_any_change_is_refused_and_never_a_bug(data: st.DataObject, name: str) -> None:
    key = f"metadata/{name}.json"
    value = json.loads(SHARED.files[key])
    place = data.draw(st.sampled_from(_places(value)))
    inner = value
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = data.draw(JUNK)
    files = {**SHARED.files, key: json.dumps(value).encode()}
    try:
        load_chain(lambda file: files.get(f"metadata/{file}"), SHARED.bootstrap, now=NOW)
    except (TrustError, DocumentError, ExpiredError):
        return
    # What verifies is read as it was, the signatures' own list aside.
    was = Metadata.from_bytes(SHARED.files[key]).signed
    assert Metadata.from_bytes(files[key]).signed == was


@given(st.data())
def test_any_change_of_a_pinned_root_is_refused_and_never_a_bug(data: st.DataObject) -> None:
    value = json.loads(SHARED.bootstrap)
    place = data.draw(st.sampled_from(_places(value)))
    inner = value
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = data.draw(JUNK)
    try:
        found = follow_roots(SHARED.read, json.dumps(value).encode())
    except (TrustError, DocumentError):
        return
    assert found.signed == SHARED.root.signed
