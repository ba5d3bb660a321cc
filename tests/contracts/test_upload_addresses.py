"""An address that takes a part: for what it is good, how long, and that it changes nothing else."""

import re

import pytest

from lockgate_release.layout import artifact_key
from lockgate_release.uploads import UploadId
from lockgate_server.services.write.uploads import find_upload
from tests.contracts.direct import (
    BIG,
    EVIL,
    GONE,
    KEY,
    SMALL,
    before,
)
from tests.simulators.bare_sender import Sender, put_to
from tests.simulators.server_scene import APP, Scene, read_all
from tests.simulators.uploaded import artifacts, left_over


def test_an_address_is_dead_once_the_upload_is_finished(scene: Scene) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    url = sender.url(1)
    sender.send(1)
    assert sender.finish().status_code == 201
    assert put_to(url, EVIL)[0] in GONE
    assert read_all(scene.store, KEY) == SMALL
    assert left_over(scene) == []


@pytest.mark.parametrize("verb", ["open", "copy"])
def test_an_address_changes_nothing_between_the_reading_and_the_copy(
    scene: Scene, verb: str
) -> None:
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    url = sender.url(1)
    sender.send(1)
    tries: list[int] = []
    key = f"{APP}/uploads/*.data" if verb == "open" else KEY
    before(scene, sender, verb, key, lambda: tries.append(put_to(url, EVIL)[0]))
    assert sender.finish().status_code == 201
    assert len(tries) == 1
    assert tries[0] in GONE
    assert read_all(scene.store, KEY) == SMALL


def test_who_begins_the_same_upload_again_cannot_exchange_what_was_read(scene: Scene) -> None:
    good = bytes(1 << 20) + b"good" + bytes(1 << 20)
    evil = bytes(1 << 20) + b"evil" + bytes(1 << 20)  # the same id: it names size and edges only
    victim, thief = Sender(scene.api(), good), Sender(scene.api(), evil)
    assert victim.upload_id == thief.upload_id
    victim.begin()
    victim.send(1)
    answers: list[int] = []

    def exchange() -> None:
        answers.append(thief.give_up().status_code)
        thief.begin()
        thief.send(1)
        record = find_upload(scene.deps(), APP, UploadId(thief.upload_id))
        assert scene.uploads is not None
        scene.uploads.complete(record.data_key, record.store_id, {1: thief.parts[1].etag})

    target = artifact_key(APP, victim.sha256)
    before(scene, victim, "copy", target, exchange)
    assert victim.finish().status_code >= 400
    assert answers == [204]
    assert artifacts(scene) == []
    assert victim.finish().status_code == 422  # what lies there now is the thief's, and it shows
    assert artifacts(scene) == []
    assert victim.deliver().status_code == 201
    assert read_all(scene.store, target) == good


def test_an_address_is_good_for_its_part_and_size_only(r2_scene: Scene) -> None:
    sender = Sender(r2_scene.api(), BIG)
    sender.begin()
    url = sender.url(2)
    for wrong, data in [
        (url, b"short"),
        (url, b"the second part, longer"),
        (url.replace("partNumber=2", "partNumber=1"), sender.piece(2)),
        (url.replace(".data?", ".data2?"), sender.piece(2)),
        (re.sub(r"uploadId=[^&]*&partNumber=2", "", url).replace("?&", "?"), sender.piece(2)),
    ]:
        status, said = put_to(wrong, data)
        assert (status, "SignatureDoesNotMatch" in said) == (403, True), wrong
    assert put_to(url, sender.piece(2))[0] == 200


def test_an_address_expires(r2_scene: Scene) -> None:
    sender = Sender(r2_scene.api(), SMALL)
    sender.begin()
    uploads = r2_scene.uploads
    assert uploads is not None
    record = find_upload(r2_scene.deps(), APP, UploadId(sender.upload_id))
    url = uploads.part_url(record.data_key, record.store_id, 1, len(SMALL), expires_s=1)
    said = (200, "")
    for _ in range(1000):  # as long as it takes
        said = put_to(url, SMALL)
        if said[0] != 200:
            break
    assert said[0] == 403
    assert "expired" in said[1]
    sender.send(1)  # a new address for the same part
    assert sender.finish().status_code == 201
