"""What a stolen token of scope publish can take of the store: little, and never the last of it."""

import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.names import AppName
from lockgate_release.uploads import LEAST_PART_BYTES
from lockgate_server.services.write.open_uploads import OpenUploads
from lockgate_server.services.write.upload_limits import MAX_OPEN_UPLOADS, MAX_PART_CONTENTS
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.factory import find_room
from tests.simulators.bare_sender import Sender
from tests.simulators.faulty_store import Call, FaultyStore
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, Scene
from tests.simulators.uploaded import left_over


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    return scene


def test_an_upload_takes_no_room_that_is_kept_for_revocations(scene: Scene) -> None:
    data = b"x" * 1000
    scene.room = 1999  # its parts, and the whole, until it is finished
    answer = scene.api()("POST", f"/apps/{APP}/uploads", {"upload_id": "0" * 32, "size": 1000})
    assert answer.status_code == 507
    assert "kept for revocations" in answer.get_json()["hint"]
    assert left_over(scene) == []
    scene.room = 2000
    sender = Sender(scene.api(), data)
    sender.begin()
    scene.room = 999  # somebody else was faster
    assert sender.put(1, data, digest_bytes(data)).status_code == 507
    scene.room = 1000
    sender.send(1)
    scene.room = 999
    assert sender.finish().status_code == 507
    scene.room = 0
    assert scene.revoke("1.0.0").changed
    scene.room = 1000
    assert sender.finish().status_code == 201


def test_so_many_uploads_are_open_and_no_more(scene: Scene) -> None:
    api = scene.api()

    def begin(number: int) -> int:
        body = {"upload_id": f"{number:032x}", "size": 10}
        return api("POST", f"/apps/{APP}/uploads", body).status_code

    assert {begin(number) for number in range(MAX_OPEN_UPLOADS)} == {200}
    before = left_over(scene)
    assert begin(MAX_OPEN_UPLOADS) == 409
    assert left_over(scene) == before
    assert begin(0) == 200  # who has begun goes on
    assert api("DELETE", f"/apps/{APP}/uploads/{1:032x}").status_code == 204
    assert begin(MAX_OPEN_UPLOADS) == 200


def test_what_others_begin_meanwhile_counts_before_the_limit(scene: Scene) -> None:
    """Two servers on one store, each of which remembers what it has counted."""
    apis = [scene.api(), scene.api()]

    def begin(number: int) -> int:
        body = {"upload_id": f"{number:032x}", "size": 10}
        return apis[number % 2]("POST", f"/apps/{APP}/uploads", body).status_code

    answers = [begin(number) for number in range(MAX_OPEN_UPLOADS + 5)]
    assert answers == [200] * MAX_OPEN_UPLOADS + [409] * 5


def test_a_release_of_many_small_files_lists_the_uploads_once(scene: Scene) -> None:
    store = FaultyStore(scene.store)
    scene.store = store
    api = scene.api()
    for number in range(20):
        body = {"upload_id": f"{number:032x}", "size": 10}
        assert api("POST", f"/apps/{APP}/uploads", body).status_code == 200
    listed = [call for call in store.calls if call == Call("list", f"{APP}/uploads/")]
    assert len(listed) == 1


def test_a_count_is_made_again_when_it_is_old_or_the_clock_was_set_back() -> None:
    memory = OpenUploads()
    assert not memory.take_one(APP, 200, NOW)  # nothing was counted yet
    memory.note(APP, 97, NOW)
    later = NOW + timedelta(seconds=9)
    assert [memory.take_one(APP, 200, later) for _ in range(4)] == [True] * 3 + [False]
    memory.note(APP, 1, NOW)
    assert not memory.take_one(APP, 200, NOW + timedelta(seconds=10))
    assert not memory.take_one(APP, 200, NOW - timedelta(seconds=1))
    assert not memory.take_one(AppName("other"), 200, NOW)


def test_one_part_sent_with_ever_other_bytes_does_not_fill_the_store(scene: Scene) -> None:
    whole = b"first and last" + bytes(LEAST_PART_BYTES)
    sender = Sender(scene.api(), whole)
    sender.begin()
    path = f"/apps/{APP}/uploads/{sender.upload_id}/parts/2"
    for seed in range(3 * MAX_PART_CONTENTS):
        data = random.Random(seed).randbytes(len(b"first and last"))
        answer = scene.api()("PUT", f"{path}?sha256={digest_bytes(data)}", data=data)
        assert answer.status_code == 200
        assert any(digest_bytes(data) in key for key in left_over(scene))
    record_and_parts = 1 + MAX_PART_CONTENTS
    assert len(left_over(scene)) == record_and_parts
    assert sender.deliver().status_code == 201


def test_a_folder_keeps_some_of_its_disk_free_and_a_bucket_cannot_tell(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    room = find_room(DirectoryStore(tmp_path / "objects"))
    assert room is not None
    assert room < free
    assert find_room(MemoryStore()) is None
