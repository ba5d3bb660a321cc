"""Where things lie. These addresses are a contract with every client in the field."""

from lockgate_release import layout
from lockgate_release.names import AppName, ChannelName, Sha256Hex

APP, STABLE = AppName("demo"), ChannelName("stable")
DIGEST = Sha256Hex("ab" + "0" * 62)


def test_paths_of_documents() -> None:
    assert layout.release_path("1.0.0") == "releases/1.0.0/release.json"
    assert layout.release_path("1.0.0", folder="previews") == "previews/1.0.0/release.json"
    assert layout.extras_path("1.0.0") == "releases/1.0.0/extras.json"
    assert layout.extras_path("1.0.0", folder="previews") == "previews/1.0.0/extras.json"
    assert layout.channel_path(STABLE) == "channels/stable/version.json"
    assert layout.POLICY_PATH == "policy.json"


def test_keys_of_everything_in_the_store() -> None:
    assert layout.artifact_path(DIGEST) == f"artifacts/ab/{DIGEST}"
    assert layout.artifact_key(APP, DIGEST) == f"demo/artifacts/ab/{DIGEST}"
    assert layout.metadata_key(APP, "root", 3) == "demo/metadata/3.root.json"
    assert layout.timestamp_key(APP) == "demo/metadata/timestamp.json"
    assert layout.channel_copy_key(APP, STABLE) == "demo/channels/stable/version.json"
    assert layout.upload_key(APP, "u1") == "demo/uploads/u1"


def test_the_digest_of_a_target_stands_before_its_file_name() -> None:
    assert (
        layout.target_key(APP, "releases/1.0/release.json", DIGEST)
        == f"demo/targets/releases/1.0/{DIGEST}.release.json"
    )
    assert layout.target_key(APP, "policy.json", DIGEST) == f"demo/targets/{DIGEST}.policy.json"


def test_what_belongs_to_an_upload_begins_with_its_key_and_a_dot() -> None:
    digest = Sha256Hex("ab" * 32)
    assert layout.upload_record_key(APP, "u1") == "demo/uploads/u1.json"
    assert layout.upload_data_key(APP, "u1", "77") == "demo/uploads/u1.77.data"
    assert layout.upload_part_key(APP, "u1", 3, digest) == f"demo/uploads/u1.3.{digest}"
