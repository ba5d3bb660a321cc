"""Uploads through the server: twice, cut off, tampered with; only what was verified lands."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import upload_record_key
from lockgate_release.uploads import (
    LEAST_PART_BYTES,
    ArrivedPart,
    UploadId,
    part_bytes_of,
    part_sizes,
)
from lockgate_server.ports import Always
from lockgate_server.services.write.old_uploads import remove_old_uploads
from lockgate_server.services.write.uploads import find_upload, receive_part
from tests.simulators.bare_sender import Sender
from tests.simulators.faulty_store import (
    FaultyStore,
    KilledError,
    Moment,
    kill,
    meanwhile,
    time_out,
)
from tests.simulators.memory_ledger import MemoryLedger
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, Scene
from tests.simulators.uploaded import artifact, artifacts, left_over

BIG = bytes(range(256)) * (LEAST_PART_BYTES // 256) + b"the second part"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    return scene


@pytest.mark.parametrize("data", [b"", b"x", BIG])
def test_what_is_sent_lies_at_its_content_address_and_nowhere_else(
    scene: Scene, data: bytes
) -> None:
    sender = Sender(scene.api(), data)
    answer = sender.deliver()
    assert (answer.status_code, answer.get_json()) == (
        201,
        {"sha256": digest_bytes(data), "size": len(data)},
    )
    assert artifact(scene, data) == data
    assert left_over(scene) == []


def test_finish_after_a_lost_answer_says_that_the_artifact_is_there(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    assert sender.deliver().status_code == 201
    assert sender.finish().status_code == 200
    assert left_over(scene) == []


def test_what_is_at_its_address_already_is_not_begun_again(scene: Scene) -> None:
    api = scene.api()
    sender = Sender(api, b"released before")
    said = {"upload_id": sender.upload_id, "size": 15, "sha256": digest_bytes(b"released before")}
    assert api("POST", f"/apps/{APP}/uploads", said).get_json()["present"] is False
    assert sender.deliver().status_code == 201
    answer = api("POST", f"/apps/{APP}/uploads", said).get_json()
    assert (answer["present"], answer["complete"], answer["parts"]) == (True, False, [])
    assert left_over(scene) == []
    # Somebody who says another size has another file, or a mistake: it is begun, and told later.
    odd = {**said, "size": 16}
    assert api("POST", f"/apps/{APP}/uploads", odd).get_json()["present"] is False


def test_a_digest_that_is_none_begins_nothing(scene: Scene) -> None:
    said = {"upload_id": "0" * 32, "size": 1, "sha256": "A" * 64}
    assert scene.api()("POST", f"/apps/{APP}/uploads", said).status_code == 400
    assert left_over(scene) == []


def test_parts_that_have_arrived_need_not_be_sent_again(scene: Scene) -> None:
    first = Sender(scene.api(), BIG)
    assert first.begin()["parts"] == []
    first.send(2)
    second = Sender(scene.api(), BIG)  # on another machine, with no journal
    (there,) = second.begin()["parts"]
    assert there == {"number": 2, "size": 15, "sha256": digest_bytes(b"the second part")}
    second.send(1)
    second.parts[2] = first.parts[2]
    assert second.finish().status_code == 201
    assert artifact(scene, BIG) == BIG


def test_a_part_that_is_missing_is_named_and_the_upload_goes_on(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send(1)
    answer = sender.finish()
    body = json.loads(answer.get_data())
    assert (answer.status_code, body["code"]) == (409, "conflict.upload-parts")
    assert body["found"] == "not there: 2"
    sender.parts[2] = replace(sender.parts[1], number=2, sha256=digest_bytes(b"the second part"))
    assert sender.finish().status_code == 409  # named, but never sent
    assert artifacts(scene) == []
    sender.send(2)
    assert sender.finish().status_code == 201


def test_a_part_with_other_bytes_than_its_digest_is_not_kept(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    answer = sender.put(2, b"the second PART", digest_bytes(b"the second part"))
    assert answer.status_code == 422
    assert json.loads(answer.get_data())["code"] == "repository.digest"
    assert left_over(scene) == [upload_record_key(APP, sender.upload_id)]


@pytest.mark.parametrize(
    ("number", "data", "words"),
    [(2, b"short", "not the size"), (3, b"", "no such part"), (0, b"", "not a part")],
)
def test_a_part_that_the_file_does_not_have_is_refused(
    scene: Scene, number: int, data: bytes, words: str
) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    answer = sender.put(number, data, digest_bytes(data))
    assert answer.status_code == 400
    assert words in json.loads(answer.get_data())["detail"]
    assert left_over(scene) == [upload_record_key(APP, sender.upload_id)]


def test_bytes_of_another_digest_reach_no_content_address_and_the_upload_is_gone(
    scene: Scene,
) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send_all()
    answer = sender.finish(sha256="ab" * 32)
    assert answer.status_code == 422
    assert json.loads(answer.get_data())["code"] == "repository.digest"
    assert (artifacts(scene), left_over(scene)) == ([], [])
    assert sender.finish().status_code == 404
    assert sender.deliver().status_code == 201


def test_a_file_whose_parts_were_changed_in_the_store_reaches_no_content_address(
    scene: Scene,
) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send_all()
    (key,) = [key for key in left_over(scene) if ".2." in key]
    scene.store.put(key, b"the SECOND part", Always())
    assert sender.finish().status_code == 422
    assert (artifacts(scene), left_over(scene)) == ([], [])


def test_the_same_id_with_another_size_is_a_conflict(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    body = {"upload_id": sender.upload_id, "size": 5}
    answer = scene.api()("POST", "/apps/demo/uploads", body)
    assert answer.status_code == 409
    assert "another size" in json.loads(answer.get_data())["detail"]


def test_an_upload_that_was_given_up_leaves_nothing(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send(1)
    assert sender.give_up().status_code == 204
    assert left_over(scene) == []
    assert sender.give_up().status_code == 204
    assert sender.finish().status_code == 404


def test_the_record_of_an_upload_goes_before_its_parts(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send(1)
    faulty = FaultyStore(scene.store)
    faulty.plan(kill(Moment.AFTER, "delete"))
    scene.store = faulty
    sender.api = scene.api()
    with pytest.raises(KilledError):
        sender.give_up()
    assert all(".1." in key for key in left_over(scene))  # a part that nobody's record names
    assert sender.begin()["mode"] == "server"
    sender.send(2)
    assert sender.finish().status_code == 201
    assert left_over(scene) == []


def test_a_file_larger_than_any_that_is_taken_is_refused_before_it_is_sent(scene: Scene) -> None:
    api = scene.api(max_artifact_bytes=100)
    body = {"upload_id": "0" * 32, "size": 101}
    assert api("POST", "/apps/demo/uploads", body).status_code == 413
    assert left_over(scene) == []


@pytest.mark.parametrize("moment", Moment)
def test_a_server_that_was_killed_at_any_write_of_a_finish_can_be_asked_again(
    scene: Scene, moment: Moment
) -> None:
    inner = scene.store
    for skip in range(20):
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
            found = artifact(scene, data)
            assert found in (None, data)
            scene.store = inner
            sender.api = scene.api()
            answer = sender.finish()
            # Killed in between the last removals: nothing is left to finish.
            assert answer.status_code == (201 if found is None else 200)
            assert artifact(scene, data) == data
            assert left_over(scene) == []
        else:
            assert skip > 2
            assert answer.status_code == 201
            return
    raise AssertionError("a finish has too many writes")


def test_an_answer_of_the_store_that_got_lost_is_looked_up(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send_all()
    faulty = FaultyStore(scene.store)
    faulty.plan(time_out(Moment.AFTER, "put", "demo/artifacts/*"))
    scene.store = faulty
    sender.api = scene.api()
    assert sender.finish().status_code == 200
    assert artifact(scene, BIG) == BIG


def test_a_store_that_does_not_answer_is_asked_again_later(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    sender.begin()
    sender.send_all()
    faulty = FaultyStore(scene.store)
    faulty.plan(time_out(Moment.BEFORE, "put", "demo/artifacts/*"))
    scene.store = faulty
    sender.api = scene.api()
    answer = sender.finish()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert sender.finish().status_code == 201


def test_two_jobs_that_finish_one_upload_at_once_both_hear_that_it_is_there(scene: Scene) -> None:
    one = Sender(scene.api(), BIG)
    one.begin()
    one.send_all()
    other = replace(one, api=scene.api())
    faulty = FaultyStore(scene.store)
    answers = []
    faulty.plan(
        meanwhile("put", "demo/artifacts/*", lambda: answers.append(other.finish().status_code))
    )
    scene.store = faulty
    one.api = scene.api()
    assert one.finish().status_code == 200
    assert answers == [201]
    assert artifact(scene, BIG) == BIG
    assert left_over(scene) == []


def test_a_record_that_nobody_can_read_is_replaced(scene: Scene) -> None:
    sender = Sender(scene.api(), BIG)
    scene.store.put(upload_record_key(APP, sender.upload_id), b"\x00", Always())
    assert sender.deliver().status_code == 201


class _Endless:
    """A body that counts how much was asked for at once."""

    def __init__(self) -> None:
        self.most = 0

    def read(self, size: int = -1, /) -> bytes:
        self.most = max(self.most, size)
        return bytes(min(size, 1 << 20))


def test_a_part_is_read_in_pieces(scene: Scene) -> None:
    sender = Sender(scene.api(), bytes(LEAST_PART_BYTES))
    sender.begin()
    record = find_upload(scene.deps(), APP, UploadId(sender.upload_id))
    body = _Endless()
    (part,) = part_sizes(LEAST_PART_BYTES, LEAST_PART_BYTES)
    said = ArrivedPart(number=1, size_bytes=part, sha256=digest_bytes(bytes(part)))
    receive_part(scene.deps(), record, said, body)
    assert body.most <= 1 << 20


@pytest.mark.parametrize(
    ("size", "part_mib"), [(0, 16), (1, 16), (16_000 << 20, 16), ((16_000 << 20) + 1, 32)]
)
def test_parts_grow_until_a_thousand_suffice(size: int, part_mib: int) -> None:
    assert part_bytes_of(size) == part_mib << 20
    sizes = part_sizes(size, part_bytes_of(size))
    assert sum(sizes) == size
    assert 1 <= len(sizes) <= 1000


def test_only_an_upload_that_nothing_was_added_to_for_a_day_is_removed(scene: Scene) -> None:
    scene.store = MemoryStore(clock=lambda: scene.now)
    scene.ledger = MemoryLedger()
    scene.register()
    broken_off, slow = Sender(scene.api(), BIG), Sender(scene.api(), BIG + b"!")
    for sender in (broken_off, slow):
        sender.begin()
        sender.send(1)
    scene.pass_time(NOW + timedelta(hours=20))
    slow.send(2)
    scene.pass_time(NOW + timedelta(hours=25))
    assert remove_old_uploads(scene.deps(), APP) == 1
    assert all(slow.upload_id in key for key in left_over(scene))
    assert slow.finish().status_code == 201
    assert broken_off.finish().status_code == 404
    assert broken_off.deliver().status_code == 201
    assert remove_old_uploads(scene.deps(), APP) == 0
