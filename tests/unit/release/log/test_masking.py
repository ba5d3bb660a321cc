"""What is secret stands in no line, wherever it came from; what is not stays readable."""

import time

import pytest

from lockgate_release.log.masking import mask, mask_addresses

TOKEN = "lg_EWOrTnzbt96vZln-y2AEAYK0_4lJE_wPqqVK08dm0Ik"
PRESIGNED = (
    "https://b.s3.example.com/k?partNumber=7&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260131%2Feu%2Fs3%2Faws4_request"
    "&X-Amz-Security-Token=FwoGZXIvYXdzEJr&X-Amz-Signature=5d672d79c15b13162d9279b0855cfba6"
)
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIB\nq0f1\n-----END PRIVATE KEY-----"

SECRETS = {
    "a token": (f"saw {TOKEN}, twice {TOKEN}", TOKEN),
    "a key": (f"before {PEM} after", "MC4CAQAwBQ"),
    "a key with its line breaks escaped": (repr(PEM), "MC4CAQAwBQ"),
    "a key that was cut off": (PEM[:60], "MC4CAQAwBQ"),
    "a password in an address": ("at http://ann:pa%24s@proxy.example.com:3128/x", "pa%24s"),
    "a name in an address": ("git+ssh://deploy@example.com/x", "deploy"),
    "a password of odd characters": ("http://a:b:c!d=e@example.com/", "b:c!d"),
    "a signature in an address": (PRESIGNED, "5d672d79"),
    "a credential in an address": (PRESIGNED, "20260131%2Feu"),
    "a session in an address": (PRESIGNED, "FwoGZXIvYXdzEJr"),
    "a signature of the old kind": ("/k?AWSAccessKeyId=x&Signature=vjbyPxybdZaNmGa", "vjbyPxyb"),
    "a signature of another cloud": ("/k?sv=2024&sig=Zm9vYmFyYmF6", "Zm9vYmFy"),
    "a header": ("Authorization: Bearer abc.def-ghi_jkl", "abc.def"),
    "a header in a dictionary": ("{'Authorization': 'Basic dXNlcjpwYXNzd29yZA=='}", "dXNlcjpw"),
    "a header of a proxy": ("proxy-authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "a cookie": ("Cookie: session=1234", "1234"),
    "a bearer's word": ("got bearer abcdefghijklmnop", "abcdefghijklmnop"),
    "a signature of AWS": (
        "AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=fe5f80", "fe5f80"
    ),
    "an access key": ("no such key ASIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    "a variable": ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    "a passphrase": ("LOCKGATE_KEY_PASSPHRASE=correct-horse", "correct-horse"),
    "a secret in JSON": ('{"secret": "abc123", "n": 1}', "abc123"),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_masked(name: str) -> None:
    text, secret = SECRETS[name]
    assert secret in text
    assert secret not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "a token would travel unencrypted",
        "https://releases.example.com/demo/metadata/timestamp.json?limit=7",
        "s3://my-releases/prefix?endpoint=https://storage.example.com&region=auto",
        "key=demo/metadata/3.snapshot.json code=transport",
        "demo: no such channel; expected one of stable, beta (see --channel)",
        "basic rules",
        "design=7",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert mask(text) == text


def test_what_surrounds_a_secret_stays() -> None:
    assert mask(f"before {PEM} after") == "before [PEM] after"
    assert mask("http://a:b@proxy.example.com:3128/x") == "http://[masked]@proxy.example.com:3128/x"
    assert mask(PRESIGNED).startswith("https://b.s3.example.com/k?partNumber=7&")


@pytest.mark.parametrize(
    "piece",
    ["-----BEGIN A-----", "a://", "token=", "x_", "Authorization:", "bearer ", "lg_", "1:", "\n"],
)
def test_no_text_makes_masking_slow(piece: str) -> None:
    # Were an expression quadratic, this would take hours; nothing is held against a clock here.
    text = piece * (60_000 // len(piece))
    before = time.process_time()
    mask(text)
    mask_addresses(text)
    assert time.process_time() - before < 60


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Invalid request from ip=203.0.113.9: bad", "Invalid request from ip=[address]: bad"),
        ("from 2001:db8::1 at", "from [address] at"),
        ("from ::ffff:203.0.113.9 at", "from [address] at"),
        ("[2001:db8::1]:8080", "[address]:8080"),
        ("gunicorn 23.0.0 on 3 sockets at 12:30", "gunicorn 23.0.0 on 3 sockets at 12:30"),
    ],
)
def test_a_librarys_line_names_no_address(text: str, left: str) -> None:
    assert mask_addresses(text) == left
