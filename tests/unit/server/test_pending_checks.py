"""What waits is checked when it is begun and again at the last signature, and kept until then."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    ChannelPolicy,
    PolicyDocument,
    SignatureRule,
    parse_release,
)
from lockgate_release.errors import (
    ConflictError,
    DigestMismatchError,
    TrustError,
    UsageError,
)
from lockgate_release.layout import artifact_key, condemned_key, release_path
from lockgate_release.names import ChannelName
from lockgate_release.pending_requests import SignaturesRequest
from lockgate_release.requests import OfferRequest
from lockgate_release.strict_json import dump_json
from lockgate_release.trust.keys import generate_signer
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import IfAbsent
from lockgate_server.services.collect.collecting import collect
from lockgate_server.services.collect.keys import Kind
from lockgate_server.services.collect.reachability import Why
from lockgate_server.services.collect.verifying import verify_app
from lockgate_server.services.write.condemned import CondemnedList
from lockgate_server.services.write.old_uploads import remove_old_uploads
from lockgate_server.services.write.pending import begin, finish_pending, sign
from lockgate_server.services.write.pending_words import (
    describe_with_pending,
    read_content,
)
from lockgate_server.services.write.renewing import renew
from lockgate_server.services.write.status import read_current
from tests.simulators.pending_scene import (
    CI,
    put_signature,
    request_of,
    shared_scene,
    signature_of,
    start,
    take_back,
    told,
    waiting,
)
from tests.simulators.previewers import Previewers
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene

BETA = ChannelName("beta")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return shared_scene(tmp_path)


def test_what_could_not_come_into_force_is_not_even_kept(scene: Scene) -> None:
    build = scene.publisher.build("1.0.0")
    whole = scene.publisher.publish(scene.look().chain, build)
    with pytest.raises(UsageError, match="not on the server"):
        begin(scene.deps(), APP, request_of(scene, whole), CI)
    scene.upload(build)
    path = release_path("1.0.0")
    other = {**whole.documents, path: whole.documents[path] + b" "}
    request = request_of(scene, whole)
    with pytest.raises(DigestMismatchError):
        begin(scene.deps(), APP, replace(request, documents=other), CI)
    offers = (OfferRequest(channel=BETA, version="1.0.0"),)
    with pytest.raises(UsageError, match="do not allow it in this channel"):
        begin(scene.deps(), APP, request_of(scene, whole, offers=offers), CI)
    for role in ("previews", "channels", "root"):
        with pytest.raises(TrustError, match="no such role"):
            begin(scene.deps(), APP, replace(request, role=role), CI)
    assert waiting(scene) == []


def test_an_artifact_that_went_meanwhile_keeps_it_pending_and_says_so(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    content = read_content(scene.deps(), APP, begun.change_id)
    artifact = parse_release(content.documents[release_path("1.0.0")]).artifacts[0]
    key = artifact_key(APP, artifact.sha256)
    scene.store.delete(key)
    with pytest.raises(UsageError, match="not on the server"):
        put_signature(scene, begun.change_id, 1)
    (item,) = told(scene)
    assert (item["state"], item["missing"]) == ("complete", 0)
    assert "not on the server" in str(item["problem"])
    said = describe_with_pending(scene.deps(), read_current(scene.deps(), APP))
    assert "cannot come into force" in str(said["warnings"])
    assert finish_pending(scene.deps(), APP, CALLER) == 0
    assert scene.look().live() == {"0.9.0"}
    data = next(iter(scene.publisher.build("1.0.0").artifacts.values()))
    assert digest_bytes(data) == artifact.sha256
    scene.land(data)
    assert finish_pending(scene.deps(), APP, CALLER) == 1
    assert scene.look().live() == {"0.9.0", "1.0.0"}


def test_a_document_that_was_changed_in_the_ledger_comes_into_force_nowhere(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    changes = scene.ledger.changes  # type: ignore[attr-defined]
    (key,) = changes
    whole = changes[key]
    path = release_path("1.0.0")
    spoilt = {**whole.documents, path: whole.documents[path].replace(b"program", b"PROGRAM")}
    changes[key] = replace(whole, documents=spoilt)
    with pytest.raises(DigestMismatchError):
        put_signature(scene, begun.change_id, 1)
    assert scene.look().live() == {"0.9.0"}
    assert "not the bytes that were signed" in str(told(scene)[0]["problem"])


def test_a_list_that_was_changed_in_the_ledger_has_no_signature_left(scene: Scene) -> None:
    begun = start(
        scene,
        "1.0.0",
        signed_by=[
            0,
        ],
    )
    changes = scene.ledger.changes  # type: ignore[attr-defined]
    (key,) = changes
    other = changes[key].metadata.replace(b"stable", b"secret")
    changes[key] = replace(changes[key], metadata=other)
    assert told(scene)[0]["signatures"] == []
    with pytest.raises(TrustError, match="of another list"):
        sign(
            scene.deps(),
            APP,
            begun.change_id,
            SignaturesRequest(signatures=((begun_keys(scene)[0], "00" * 64),)),
            CALLER,
        )
    assert scene.look().live() == {"0.9.0"}


def begun_keys(scene: Scene) -> list[str]:
    return [signer.public_key.keyid for signer in scene.publisher.keys.publishers]


def test_a_revocation_that_came_meanwhile_keeps_it_pending(scene: Scene) -> None:
    promoted = scene.publisher.promote(scene.look().chain, "0.9.0", BETA)
    begun = begin(scene.deps(), APP, request_of(scene, promoted), CI)
    put_signature(scene, begun.change_id, 0)
    scene.revoke("0.9.0")
    with pytest.raises(UsageError, match="revoked"):
        put_signature(scene, begun.change_id, 1)
    assert BETA not in scene.look().channels
    take_back(scene, begun.change_id)


def test_a_channel_that_demands_more_signatures_gets_them_before_it_is_live(
    tmp_path: Path,
) -> None:
    """Two of three publish, and stable takes what all three have signed."""
    policy = PolicyDocument(
        app=APP, channels={STABLE: ChannelPolicy(signatures=SignatureRule(threshold=3))}
    )
    scene = shared_scene(tmp_path, policy=policy)
    begun = start(scene, "1.0.0")
    for place in (0, 1):
        put_signature(scene, begun.change_id, place)
    assert (told(scene)[0]["state"], told(scene)[0]["missing"]) == ("open", 1)
    assert scene.look().live() == {"0.9.0"}
    put_signature(scene, begun.change_id, 2)
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_each_role_of_releases_has_its_own_that_waits(tmp_path: Path) -> None:
    rules = {"nightly": ChannelPolicy(paths=("previews/*/release.json",))}
    policy = PolicyDocument(app=APP, channels={ChannelName(n): r for n, r in rules.items()})
    scene = shared_scene(tmp_path, policy=policy)
    signers = [generate_signer(), generate_signer()]
    crew = Previewers(publisher=scene.publisher, threshold=2, signers=signers)
    renew(scene.deps(), APP, crew.delegate(scene.look().chain), CALLER)
    main = start(scene, "1.0.0", signed_by=[0])
    build = scene.publisher.build("2.0.0-pre")
    scene.upload(build)
    whole = crew.publish(scene.look().chain, build)
    request = request_of(scene, whole)
    begun = begin(scene.deps(), APP, replace(request, role="previews"), CI)
    assert [item["role"] for item in told(scene)] == ["previews", "releases"]
    stranger = signature_of(scene, begun.change_id, scene.publisher.keys.publishers[0])
    with pytest.raises(TrustError, match="by no key of the role"):
        sign(scene.deps(), APP, begun.change_id, stranger, CALLER)
    for signer in signers:
        mine = signature_of(scene, begun.change_id, signer)
        sign(scene.deps(), APP, begun.change_id, mine, CALLER)
    assert scene.look().offers("nightly") == [("2.0.0-pre", 10_000)]
    put_signature(scene, main.change_id, 1)
    assert scene.look().live() == {"0.9.0", "1.0.0", "2.0.0-pre"}


def test_what_is_being_removed_at_this_moment_is_not_waited_for(scene: Scene) -> None:
    """Collection has looked before it could see the change: the change goes, not the artifact."""
    whole = scene.prepare("1.0.0")
    path = release_path("1.0.0")
    artifact = parse_release(whole.documents[path]).artifacts[0]
    key = artifact_key(APP, artifact.sha256)
    condemned = CondemnedList(app=APP, since=NOW, keys=frozenset({key}), run="ab")
    scene.store.put(condemned_key(APP), condemned.to_bytes(), IfAbsent())
    with pytest.raises(ConflictError, match="being removed"):
        begin(scene.deps(), APP, request_of(scene, whole), CI)
    assert waiting(scene) == []
    assert scene.outcomes()[-1] == ("pending.drop", "done")
    scene.store.delete(condemned_key(APP))
    assert begin(scene.deps(), APP, request_of(scene, whole), CI).change is not None


def test_the_bytes_that_wait_are_the_ones_that_were_begun(scene: Scene) -> None:
    begun = start(scene, "1.0.0")
    with pytest.raises(NotFoundError):
        read_content(scene.deps(), APP, "0" * 64)
    content = read_content(scene.deps(), APP, begun.change_id)
    assert content.parse(dump_json(content.to_json())) == content
    assert set(content.documents) >= {release_path("1.0.0")}
    assert [offer.version for offer in content.wishes.offers] == ["1.0.0"]


def test_collection_keeps_what_a_pending_change_names(scene: Scene) -> None:
    begun = start(scene, "1.0.0", signed_by=[0])
    scene.upload(scene.publisher.build("9.9.9"))
    scene.pass_time(NOW + timedelta(days=6))
    remove_old_uploads(scene.deps(), APP)
    collected = collect(scene.deps(), APP, CALLER, grace=timedelta(0))
    gone = [item for item in collected.removed if item.what.kind is Kind.ARTIFACT]
    kept = [item for item in collected.verdicts if item.why is Why.WAITING]
    assert (len(gone), len(kept)) == (1, 1)
    assert verify_app(scene.deps(), APP).is_whole
    put_signature(scene, begun.change_id, 1)
    assert scene.look().live() == {"0.9.0", "1.0.0"}
