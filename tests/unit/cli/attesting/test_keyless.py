"""Signing by Sigstore: who signs, and what becomes of an instance that misbehaves."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sigstore.errors import TUFError
from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError, SlowRetrievalError

from lockgate_cli.attesting.keyless import KeylessWish, open_keyless, translate_error
from lockgate_release.digests import digest_bytes
from lockgate_release.errors import TransportError, TrustError, UsageError
from lockgate_release.provenance.bundles import BundleVerifier
from tests.simulators.scripted_server import Answer, scripted_server
from tests.simulators.sigstore import ANN, SigstoreSimulator, serve_sigstore

SHA256 = digest_bytes(b"artifact")


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as served:
        yield served


def wish(folder: Path, config: str, deadline_s: float = 60.0) -> KeylessWish:
    path = folder / "config.json"
    path.write_text(config, "utf-8")
    return KeylessWish(trust_config=path, deadline_s=deadline_s)


def environ(sigstore: SigstoreSimulator) -> dict[str, str]:
    return {"SIGSTORE_ID_TOKEN": sigstore.token(ANN)}


def test_a_digest_is_signed_as_whoever_the_token_names(
    sigstore: SigstoreSimulator, tmp_path: Path
) -> None:
    logged = len(sigstore.log.entries)
    keyless = open_keyless(wish(tmp_path, sigstore.trust_config), environ(sigstore))
    assert (keyless.signatory.identity, keyless.signatory.issuer) == (ANN.identity, ANN.issuer)
    assert len(sigstore.log.entries) == logged
    signed = keyless.sign(SHA256)
    assert (signed.identity, signed.issuer) == (ANN.identity, ANN.issuer)
    assert signed.said.digests == {SHA256}
    proven = BundleVerifier(sigstore.trusted_root).verify(signed.said.data, SHA256)
    assert proven.identity == ANN.identity


def test_an_instance_that_says_nothing_is_given_up(
    sigstore: SigstoreSimulator, tmp_path: Path
) -> None:
    with scripted_server(Answer(silent=True)) as silent:
        config = sigstore.trust_config.replace(sigstore.address, silent.url)
        with pytest.raises(TransportError, match="no answer"):
            open_keyless(wish(tmp_path, config, deadline_s=0.3), environ(sigstore))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=500), "certificate: did not do it"),
        (Answer(status=401, body=b'{"message": "who are you"}'), "who are you"),
        (Answer(status=201, body=b"{}"), "certificate: did not do it"),
        (Answer(status=201, body=b"not JSON"), "certificate"),
        (Answer(hangs_up=True), "certificate: cannot be reached"),
    ],
)
def test_an_instance_that_fails_is_a_fault_of_the_network(
    sigstore: SigstoreSimulator, tmp_path: Path, answer: Answer, words: str
) -> None:
    with scripted_server(answer) as broken:
        config = sigstore.trust_config.replace(sigstore.address, broken.url)
        with pytest.raises(TransportError, match=words):
            open_keyless(wish(tmp_path, config), environ(sigstore))


def test_a_log_that_is_not_the_configured_one_is_refused(
    sigstore: SigstoreSimulator, tmp_path: Path
) -> None:
    with serve_sigstore() as other:
        # The certificate is genuine, and the log's promise is somebody else's.
        config = sigstore.trust_config
        log = config.rindex(f'"url": "{sigstore.address}"')
        config = config[:log] + config[log:].replace(sigstore.address, other.address)
        sign = open_keyless(wish(tmp_path, config), environ(sigstore)).sign
        with pytest.raises(TrustError, match=f"sha256:{SHA256[:12]}"):
            sign(SHA256)


def test_a_token_that_has_ended_signs_nothing(sigstore: SigstoreSimulator, tmp_path: Path) -> None:
    import jwt

    claims = jwt.decode(sigstore.token(), options={"verify_signature": False}, audience="sigstore")
    claims |= {"exp": datetime(2020, 1, 1, tzinfo=UTC)}
    old = jwt.encode(claims, "k" * 40, algorithm="HS256")
    with pytest.raises(UsageError, match="not a token to sign with"):
        open_keyless(wish(tmp_path, sigstore.trust_config), {"SIGSTORE_ID_TOKEN": old})


@pytest.mark.parametrize("config", ["", "{}", "[]", '{"mediaType": "x"}'])
def test_what_is_no_trust_config_is_named(
    sigstore: SigstoreSimulator, tmp_path: Path, config: str
) -> None:
    with pytest.raises(UsageError, match=r"config\.json: not a trust config"):
        open_keyless(wish(tmp_path, config), environ(sigstore))


def test_no_message_and_no_value_shows_the_token(
    sigstore: SigstoreSimulator, tmp_path: Path
) -> None:
    token = sigstore.token(ANN)
    with scripted_server(Answer(status=403, body=b"{}")) as broken:
        config = sigstore.trust_config.replace(sigstore.address, broken.url)
        with pytest.raises(TransportError) as raised:
            open_keyless(wish(tmp_path, config), {"SIGSTORE_ID_TOKEN": token})
    assert token not in str(raised.value)
    assert token.rsplit(".", 1)[-1] not in repr(raised.value)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (SlowRetrievalError(), TransportError),
        (DownloadHTTPError("gone", 503), TransportError),
        (ExpiredMetadataError("root"), TrustError),
    ],
)
def test_public_keys_that_cannot_be_reached_are_not_keys_that_are_refused(
    cause: Exception, expected: type[Exception]
) -> None:
    exc = TUFError("Failed to refresh TUF metadata")
    exc.__cause__ = cause
    assert type(translate_error(exc, "Sigstore")) is expected
