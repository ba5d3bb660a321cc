"""Uploads straight to a bucket: what the adapter and the use cases hold to on real services."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_key
from lockgate_release.uploads import ArrivedPart, UploadId
from lockgate_server.services.write.old_uploads import remove_old_uploads
from lockgate_server.services.write.uploads import find_upload
from lockgate_server.stores.s3_client import S3Limits
from lockgate_server.stores.s3_uploads import S3Uploads
from tests.contracts.conftest import BUCKET, Service, emptied
from tests.contracts.direct import (
    BIG,
    EVIL,
    GONE,
    KEY,
    SMALL,
    killed,
    no_answer,
    sent,
)
from tests.simulators.bare_sender import Sender, put_to
from tests.simulators.faulty_store import FaultyStore, KilledError, Moment, kill
from tests.simulators.server_scene import APP, Scene, read_all
from tests.simulators.uploaded import artifacts, left_over


@pytest.mark.parametrize("data", [b"", b"x", BIG])
def test_what_is_sent_straight_to_the_bucket_lies_at_its_content_address(
    scene: Scene, data: bytes
) -> None:
    sender = Sender(scene.api(), data)
    answer = sender.deliver()
    assert answer.status_code == 201, answer.get_data()
    assert sender.mode == ("direct" if data else "server")
    key = artifact_key(APP, digest_bytes(data))
    assert read_all(scene.store, key) == data
    assert (artifacts(scene), left_over(scene)) == ([key], [])
    assert sender.finish().status_code == 200


def test_a_small_file_costs_a_few_requests_of_the_store(scene: Scene) -> None:
    """A release of many small files is slow by what each of them asks for."""
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    api = scene.api()
    Sender(api, b"first").deliver()  # the uploads are counted, and not again for a while
    faulty.calls.clear()
    sender = Sender(api, SMALL)
    said = {"upload_id": sender.upload_id, "size": len(SMALL), "sha256": digest_bytes(SMALL)}
    assert api("POST", f"/apps/{APP}/uploads", said).get_json()["present"] is False
    assert [call.verb for call in faulty.calls] == ["head", "open", "put"]
    sender.begin()
    sender.send(1)
    faulty.calls.clear()
    assert sender.finish().status_code == 201
    # Its record, its bytes, their address; then nothing is left.
    assert [call.verb for call in faulty.calls] == ["open", "open", "copy", "delete", "delete"]
    assert (KEY in artifacts(scene), left_over(scene)) == (True, [])


def test_a_wrong_etag_is_refused_and_the_upload_goes_on(scene: Scene) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    sender.send(1)
    right = sender.parts[1]
    sender.parts[1] = replace(right, etag="0" * 32)
    answer = sender.finish()
    body = json.loads(answer.get_data())
    assert (answer.status_code, body["code"]) == (409, "conflict.upload-parts")
    assert artifacts(scene) == []
    sender.parts[1] = right
    assert sender.finish().status_code == 201


def test_a_part_that_never_came_is_refused_and_the_upload_goes_on(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send(1)
    answer = sender.finish()
    assert (answer.status_code, answer.get_json()["found"]) == (409, "not there: 2")
    sender.parts[2] = replace(sender.parts[1], number=2)
    assert sender.finish().status_code == 409
    sender.send(2)
    assert sender.finish().status_code == 201


def test_parts_of_other_sizes_than_announced_remove_the_upload(scene: Scene) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    record = find_upload(scene.deps(), APP, UploadId(sender.upload_id))
    assert scene.uploads is not None
    url = scene.uploads.part_url(record.data_key, record.store_id, 1, 3, expires_s=60)
    status, etag = put_to(url, b"odd")  # as on a store that holds nobody to a size
    assert status == 200
    sender.parts[1] = ArrivedPart(number=1, etag=etag)
    answer = sender.finish()
    assert (answer.status_code, answer.get_json()["code"]) == (422, "repository.digest")
    assert answer.get_json()["found"] == "3 bytes"
    assert (artifacts(scene), left_over(scene)) == ([], [])
    assert sender.deliver().status_code == 201


def test_other_bytes_than_announced_remove_the_upload(scene: Scene) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    sender.send(1, EVIL)
    answer = sender.finish()
    assert (answer.status_code, answer.get_json()["code"]) == (422, "repository.digest")
    assert (artifacts(scene), left_over(scene)) == ([], [])
    assert sender.deliver().status_code == 201


def test_a_completion_whose_answer_got_lost_is_looked_up(scene: Scene) -> None:
    sender, faulty = sent(scene)
    faulty.after = no_answer
    assert sender.finish().status_code == 201
    assert read_all(scene.store, KEY) == SMALL
    assert (len(faulty.completed), left_over(scene)) == (1, [])


def test_a_completion_that_did_not_happen_is_asked_for_again(scene: Scene) -> None:
    sender, faulty = sent(scene)
    faulty.before = no_answer
    answer = sender.finish()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert artifacts(scene) == []
    faulty.before = lambda: None
    assert sender.finish().status_code == 201


def test_a_server_killed_after_completion_finds_the_upload_complete(scene: Scene) -> None:
    sender, faulty = sent(scene)
    faulty.after = killed
    with pytest.raises(KilledError):
        sender.finish()
    assert artifacts(scene) == []
    faulty.after = lambda: None
    other = Sender(scene.api(), SMALL)  # another machine: it knows no parts
    assert other.begin()["complete"] is True
    assert other.finish().status_code == 201
    assert read_all(scene.store, KEY) == SMALL
    assert left_over(scene) == []


@pytest.mark.parametrize("moment", Moment)
def test_a_server_killed_at_any_write_of_a_finish_can_be_asked_again(
    scene: Scene, moment: Moment
) -> None:
    inner = scene.store
    for skip in range(10):
        data = f"{moment.value} {skip}".encode()
        sender = Sender(scene.api(), data)
        sender.begin()
        sender.send_all()
        faulty = FaultyStore(inner)
        faulty.plan(kill(moment, "write", skip=skip))
        scene.store = faulty
        sender.api = scene.api()
        try:
            answer = sender.finish()
        except KilledError:
            scene.store = inner
            sender.api = scene.api()
            there = read_all(inner, artifact_key(APP, sender.sha256))
            assert there in (None, data)
            assert sender.finish().status_code == (201 if there is None else 200)
            assert read_all(inner, artifact_key(APP, sender.sha256)) == data
        else:
            assert skip >= 3  # the copy, the record, the data
            assert answer.status_code == 201
            assert left_over(scene) == []
            return
    raise AssertionError("a finish has too many writes")


def test_two_jobs_that_finish_one_upload_at_once_both_hear_that_it_is_there(scene: Scene) -> None:
    one = Sender(scene.api(), SMALL)
    one.begin()
    one.send(1)
    senders = [replace(one, api=scene.api()) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda sender: sender.finish().status_code, senders))
    assert set(statuses) <= {200, 201}
    assert read_all(scene.store, KEY) == SMALL
    assert (artifacts(scene), left_over(scene)) == ([KEY], [])


def test_an_upload_that_the_store_gave_up_is_begun_again(r2_scene: Scene) -> None:
    scene = r2_scene
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    sender.send(1)
    record = find_upload(scene.deps(), APP, UploadId(sender.upload_id))
    assert scene.uploads is not None
    scene.uploads.abort(record.data_key, record.store_id)
    answer = sender.finish()
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not-found.upload")
    assert left_over(scene) == []
    assert sender.deliver().status_code == 201


def test_an_upload_that_was_given_up_takes_no_more_parts(scene: Scene) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    url = sender.url(1)
    assert sender.give_up().status_code == 204
    assert put_to(url, SMALL)[0] in GONE
    assert left_over(scene) == []


def test_what_has_arrived_is_told_where_the_store_can_tell(scene: Scene, service: Service) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send(2)
    state = sender.begin()
    etag = hashlib.md5(sender.piece(2), usedforsecurity=False).hexdigest()
    can_tell = service.address.region is None  # moto; the R2 emulator lists no parts
    parts = [{"number": 2, "size": 15, "etag": etag}] if can_tell else []
    assert (state["parts"], state["complete"]) == (parts, False)
    assert [given["number"] for given in state["urls"]] == ([1] if can_tell else [1, 2])
    sender.send(1)
    assert sender.finish().status_code == 201


def test_parts_that_the_store_holds_for_nobody_are_given_up(moto: Service, tmp_path: Path) -> None:
    with emptied(moto.apart().open(BUCKET, S3Limits())) as store:
        uploads = S3Uploads(store.bucket)
        scene = Scene(folder=tmp_path, store=store, uploads=uploads)
        scene.register()
        old = uploads.begin(f"{APP}/uploads/x.data", content_type="a/b", cache_control="no-cache")
        other = uploads.begin("other/uploads/x.data", content_type="a/b", cache_control="no-cache")
        assert [item.store_id for item in uploads.unfinished(f"{APP}/")] == [old]
        uploads.begin(f"{APP}/artifacts/ab/abcd", content_type="x/y", cache_control="no-cache")
        assert remove_old_uploads(scene.deps(), APP) == 2  # moto says it was begun in 2010
        assert [item.store_id for item in uploads.unfinished("")] == [other]
        uploads.abort("other/uploads/x.data", other)
    store.close()


def test_parts_are_given_up_also_where_everything_goes_through_the_server(
    moto: Service, tmp_path: Path
) -> None:
    with emptied(moto.apart().open(BUCKET, S3Limits())) as store:
        parts = S3Uploads(store.bucket)
        scene = Scene(folder=tmp_path, store=store, uploads=parts)
        scene.register()
        assert Sender(scene.api(), SMALL).begin()["mode"] == "direct"
        scene.uploads, scene.parts = None, parts  # the setting was changed meanwhile
        assert Sender(scene.api(), SMALL).begin()["mode"] == "server"
        assert list(parts.unfinished("")) == []
        # A large write of the server's own breaks off too.
        parts.begin(f"{APP}/artifacts/ab/abcd", content_type="x/y", cache_control="no-cache")
        assert remove_old_uploads(scene.deps(), APP) == 1
        assert list(parts.unfinished("")) == []
    store.close()


def test_the_setting_server_sends_everything_through_the_server(scene: Scene) -> None:
    scene.uploads = None
    sender = Sender(scene.api(), BIG)
    assert sender.deliver().status_code == 201
    assert sender.mode == "server"
    assert read_all(scene.store, artifact_key(APP, sender.sha256)) == BIG
    assert left_over(scene) == []


def test_an_upload_begun_in_the_other_mode_is_begun_again(scene: Scene) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    sender.send(1)
    scene.uploads = None
    again = Sender(scene.api(), SMALL)
    assert again.begin()["mode"] == "server"
    again.send_all()
    assert again.finish().status_code == 201
    assert left_over(scene) == []


def test_a_file_too_large_for_one_copy_is_copied_in_parts(service: Service, tmp_path: Path) -> None:
    limits = S3Limits(copy_bytes=5 << 20)
    with emptied(service.apart().open(BUCKET, limits)) as store:
        scene = Scene(folder=tmp_path, store=store, uploads=S3Uploads(store.bucket))
        scene.register()
        sender = Sender(scene.api(), BIG)
        assert sender.deliver().status_code == 201
        assert read_all(store, artifact_key(APP, sender.sha256)) == BIG
        assert left_over(scene) == []
    store.close()
