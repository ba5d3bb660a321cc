"""The way to the network: what is repeated, what is translated, and where the token goes."""

import io
import traceback
from collections.abc import Iterator

import pytest

from lockgate_cli.hosts import MOST_REDIRECTS, check_redirect, is_loopback
from lockgate_cli.http import Answer, Care, Http, parse_answer
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import RepositoryError, TransportError, UsageError
from lockgate_release.trust.verify import NotFoundError
from tests.simulators.scripted_api import Scripted, serve_script

TOKEN = "lg_secret-of-a-maintainer"


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def http(waited: list[float]) -> Iterator[Http]:
    with Http(token=TOKEN, waits=WaitRules(sleep=waited.append, jitter=lambda: 1.0)) as made:
        yield made


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_what_can_be_repeated_safely_is_repeated_after_growing_waits(
    http: Http, waited: list[float], method: str
) -> None:
    with serve_script(Scripted(status=503), Scripted(status=502), Scripted(body=b"")) as server:
        assert http.exchange(method, server.address).status == 200
        assert len(server.asked) == 3
    assert waited == [0.5, 1.0]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_had_an_effect_is_not_repeated(
    http: Http, waited: list[float], method: str
) -> None:
    with serve_script(Scripted(status=503), Scripted()) as server:
        assert http.exchange(method, server.address, json_body={}).status == 503
        assert len(server.asked) == 1
    assert waited == []


def test_a_post_whose_answer_was_lost_is_not_sent_twice(http: Http) -> None:
    with serve_script(Scripted(drop=True), Scripted()) as server:
        with pytest.raises(TransportError):
            http.exchange("POST", server.address, json_body={})
        assert len(server.asked) == 1


def test_a_post_is_repeated_when_nobody_was_there_to_hear_it(
    http: Http, waited: list[float]
) -> None:
    with serve_script() as server:
        address = server.address
    with pytest.raises(TransportError, match="connection failed"):
        http.exchange("POST", address, json_body={})
    assert len(waited) == 3


def test_a_server_that_says_when_to_come_back_is_obeyed_within_reason(
    http: Http, waited: list[float]
) -> None:
    later = {"Retry-After": "7"}
    much_later = {"Retry-After": "999999"}
    with serve_script(
        Scripted(status=503, headers=later), Scripted(status=429, headers=much_later), Scripted()
    ) as server:
        http.exchange("GET", server.address)
    assert waited == [7.0, 60.0]


def test_the_last_answer_counts_when_all_attempts_fail(http: Http) -> None:
    with serve_script(Scripted(status=503)) as server:
        assert http.exchange("GET", server.address).status == 503
        assert len(server.asked) == 4


def test_a_body_that_breaks_off_is_no_answer(http: Http) -> None:
    with serve_script(Scripted(body=b"{", short_by=10)) as server, pytest.raises(TransportError):
        http.exchange("GET", server.address)


def test_a_streamed_body_that_breaks_off_is_an_error_in_its_middle(http: Http) -> None:
    with serve_script(Scripted(body=b"half", short_by=10)) as server, pytest.raises(TransportError):
        list(http.stream(server.address))


def test_a_streamed_file_that_is_not_there_is_told_apart(http: Http) -> None:
    with serve_script(Scripted(status=404)) as server, pytest.raises(NotFoundError):
        list(http.stream(server.address))


def test_a_streamed_answer_of_another_kind_is_refused(http: Http) -> None:
    moved = Scripted(status=302, headers={"Location": "/x"})
    with serve_script(moved) as server, pytest.raises(TransportError, match="302"):
        list(http.stream(server.address))


def test_a_stream_that_may_be_moved_goes_to_where_it_is_sent(http: Http) -> None:
    with serve_script(Scripted(body=b"from the cache")) as other:
        moved = Scripted(status=302, headers={"Location": f"{other.address}/elsewhere"})
        with serve_script(moved) as server:
            assert b"".join(http.stream(server.address, start_bytes=5, moved=True)) == b"the cache"
        (asked,) = other.asked
        assert "authorization" not in asked.headers
        assert (asked.path, asked.headers["range"]) == ("/elsewhere", "bytes=5-")


def test_a_stream_that_is_moved_in_circles_ends(http: Http) -> None:
    moved = [Scripted(status=302, headers={"Location": "/again"})] * (MOST_REDIRECTS + 1)
    with serve_script(*moved) as server:
        with pytest.raises(TransportError, match="again and again"):
            list(http.stream(server.address, moved=True))
        assert len(server.asked) == MOST_REDIRECTS + 1


def test_a_stream_is_not_moved_out_of_the_web(http: Http) -> None:
    moved = Scripted(status=302, headers={"Location": "file:///etc/hostname"})
    with serve_script(moved) as server, pytest.raises(RepositoryError, match="no repository"):
        list(http.stream(server.address, moved=True))


PUBLIC, TLS = "http://93.184.215.14/app", "https://93.184.215.14/app"
"""An address that is anybody's."""

NAMES = {
    "localhost": ["127.0.0.1"],
    "0x7f.1": ["127.0.0.1"],
    "2130706433": ["127.0.0.1"],
    "both.example": ["1.1.1.1", "10.0.0.1"],
    "cdn.example": ["1.1.1.1", "2606:4700::1111"],
    "inner.example": ["fe80::1%eth0"],
}


def known(host: str) -> list[str]:
    """What a resolver says: an address stands for itself, and most names for nobody."""
    is_address = host.count(".") == 3 or ":" in host
    return NAMES.get(host, [host] if is_address else [])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (TLS, PUBLIC),  # never back to plain HTTP
        (TLS, "ftp://93.184.215.14/app"),
        (PUBLIC, "https:///no-host"),
        *((PUBLIC, f"http://{host}/") for host in (
            "127.0.0.1:8081", "localhost", "10.1.2.3", "192.168.1.1", "172.16.0.1",
            "169.254.169.254", "[::1]", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
            "0x7f.1", "2130706433", "both.example", "inner.example",
        )),
    ],
)  # fmt: skip
def test_nobody_on_the_internet_sends_a_copy_into_an_inner_network(
    source: str, target: str
) -> None:
    with pytest.raises(RepositoryError, match="no repository may send"):
        check_redirect(source, target, known)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (PUBLIC, "http://1.1.1.1/x"),
        (PUBLIC, "https://1.1.1.1/x"),
        (TLS, "https://[2606:4700::1111]/x"),
        ("http://10.0.0.1/", "http://10.0.0.2/"),  # who copies there is sent about there
        ("http://127.0.0.1:8080/", "http://127.0.0.1:9090/"),
        ("http://10.0.0.1/", "https://1.1.1.1/"),
        (PUBLIC, "https://cdn.example/x"),
        (PUBLIC, "https://nobody-knows.example/x"),  # the connection, or a proxy, says more
    ],
)
def test_a_copy_is_sent_on_among_equals_and_outwards(source: str, target: str) -> None:
    check_redirect(source, target, known)


def test_a_stream_carries_no_token(http: Http) -> None:
    with serve_script() as server:
        list(http.stream(server.address))
        assert "authorization" not in server.asked[0].headers


def test_the_token_goes_only_where_it_was_asked_for(http: Http) -> None:
    with serve_script() as server:
        http.exchange("GET", server.address)
        http.exchange("GET", server.address, authorised=True)
        seen = [asked.headers.get("authorization") for asked in server.asked]
    assert seen == [None, f"Bearer {TOKEN}"]


def test_a_redirect_is_not_followed(http: Http) -> None:
    with serve_script() as other:
        moved = Scripted(status=307, headers={"Location": other.address})
        with serve_script(moved) as server:
            assert http.exchange("GET", server.address, authorised=True).status == 307
        assert other.asked == []


def test_the_token_does_not_travel_unencrypted_to_another_machine(http: Http) -> None:
    with pytest.raises(UsageError, match="--insecure") as caught:
        http.exchange("GET", "http://updates.example/api/v1/", authorised=True)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:80/", True),
        ("http://127.0.0.1:8081", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8081", True),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_only_this_machine_counts_as_this_machine(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "umläut"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Http(token=token, waits=WaitRules(sleep=lambda _: None, jitter=lambda: 0.0))
    assert token not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/", "http://"])
def test_what_is_no_web_address_is_refused(http: Http, url: str) -> None:
    with pytest.raises(UsageError, match="not a web address"):
        http.exchange("GET", url)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff"])
def test_an_answer_from_something_else_is_a_failed_transport(http: Http, body: bytes) -> None:
    with serve_script(Scripted(body=body)) as server, pytest.raises(TransportError):
        parse_answer(http.exchange("GET", server.address))


class Bytes:
    """A body out of memory."""

    def __init__(self, content: bytes) -> None:
        self.stream = io.BytesIO(content)
        self.size = len(content)

    def __len__(self) -> int:
        return self.size

    def read(self, size: int = -1, /) -> bytes:
        return self.stream.read(size)


SECRET = "X-Amz-Signature=secret"


def test_a_body_is_sent_once_whatever_comes_of_it(http: Http, waited: list[float]) -> None:
    content = bytes(range(256)) * 4096
    with serve_script(Scripted(status=503)) as server:
        answer = http.send_once(server.address, Bytes(content), subject="x", authorised=False)
        assert isinstance(answer, Answer)
        assert answer.status == 503
        assert [asked.body for asked in server.asked] == [content]
        assert server.asked[0].headers["content-length"] == str(len(content))
        assert "authorization" not in server.asked[0].headers
    assert waited == []


def test_an_empty_body_says_its_length(http: Http) -> None:
    with serve_script() as server:
        http.send_once(server.address, Bytes(b""), subject="x", authorised=False)
        assert server.asked[0].headers["content-length"] == "0"
        assert "transfer-encoding" not in server.asked[0].headers


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "nonsense"])
def test_an_address_that_is_a_secret_is_in_no_error(http: Http, address: str) -> None:
    try:
        outcome = http.send_once(
            f"{address}/?{SECRET}", Bytes(b"x"), subject="part 1", authorised=False
        )
    except UsageError as exc:
        shown = "".join(traceback.format_exception(exc))
    else:
        assert isinstance(outcome, TransportError)
        shown = "".join(traceback.format_exception(outcome))
    assert SECRET not in shown
    assert "part 1" in shown


def test_what_is_harmless_twice_is_repeated_whatever_its_method(
    http: Http, waited: list[float]
) -> None:
    with serve_script(Scripted(status=503), Scripted(drop=True), Scripted()) as server:
        care = Care(repeatable=True)
        assert http.exchange("POST", server.address, json_body={}, care=care).status == 200
    assert len(waited) == 2


def test_a_cookie_is_not_kept(http: Http) -> None:
    with serve_script(Scripted(headers={"Set-Cookie": "a=b"}), Scripted()) as server:
        http.exchange("GET", server.address)
        http.exchange("GET", server.address)
        assert "cookie" not in server.asked[1].headers
