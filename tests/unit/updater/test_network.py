"""What goes out: to whom headers go, by which proxy, how fast, and whom a CA vouches for."""

import itertools
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockgate_release.errors import LocalError, TransportError, UsageError
from lockgate_release.instants import utc_now
from lockgate_release.settings import Settings
from lockgate_updater import Unknown, Updater
from lockgate_updater.command.options import open_updater
from lockgate_updater.command.parser import build_parser
from lockgate_updater.fetch.network import Network, Throttle, read_network
from lockgate_updater.fetch.transport import HttpTransport, Limits, open_transport
from tests.simulators.client import make_client
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import RepositorySimulator

SECRET = Network(headers=(("X-Token", "s3cret"),))
FILE = b"x" * 5000


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.files["demo/file"] = FILE
    return repository


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[Server]:
    with serve(repository) as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    repository = RepositorySimulator()
    repository.files["demo/file"] = FILE
    with serve(repository) as server:
        yield server


def _fetch(transport: HttpTransport, url: str) -> bytes:
    try:
        return b"".join(transport(url))
    finally:
        transport.close()


def test_headers_go_to_the_repository_and_its_mirrors(server: Server, elsewhere: Server) -> None:
    for host in (server, elsewhere):
        sources = (f"{server.address}/x", elsewhere.address)
        transport = HttpTransport(environ={}, network=SECRET, sources=sources)
        assert _fetch(transport, f"{host.address}/demo/file") == FILE
        assert host.headers_seen[-1]["X-Token"] == "s3cret"


def test_headers_go_to_nobody_else(server: Server, elsewhere: Server) -> None:
    transport = HttpTransport(environ={}, network=SECRET, sources=(server.address,))
    assert _fetch(transport, f"{elsewhere.address}/demo/file") == FILE
    assert "X-Token" not in elsewhere.headers_seen[-1]


def test_headers_do_not_follow_a_redirect_to_another_host(
    server: Server, elsewhere: Server
) -> None:
    server.redirects["/demo/file"] = f"{elsewhere.address}/demo/file"
    transport = HttpTransport(environ={}, network=SECRET, sources=(server.address,))
    assert _fetch(transport, f"{server.address}/demo/file") == FILE
    assert server.headers_seen[-1]["X-Token"] == "s3cret"
    assert "X-Token" not in elsewhere.headers_seen[-1]


def test_a_proxy_that_is_set_goes_before_the_environment(server: Server) -> None:
    environ = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "elsewhere.test"}
    transport = HttpTransport(environ=environ, network=Network(proxy=server.address))
    assert _fetch(transport, "http://elsewhere.test/demo/file") == FILE
    assert server.paths_seen == ["http://elsewhere.test/demo/file"]


def _read(table: dict[str, object], environ: dict[str, str] | None = None) -> Network:
    return read_network(Settings(table=table, environ=environ or {}), environ or {})


def test_settings_of_the_network_are_read() -> None:
    table = {"headers": ["X-A: b c", "Authorization: env:T"], "bandwidth_bytes_s": 1000}
    found = _read({**table, "proxy": "http://p.test:3128"}, {"T": "Bearer x"})
    assert found.headers == (("X-A", "b c"), ("Authorization", "Bearer x"))
    assert (found.proxy, found.bandwidth_bytes_s) == ("http://p.test:3128", 1000)


@pytest.mark.parametrize(
    "line",
    [
        "Host: x",
        "range: bytes=0-1",
        "If-Range: x",
        "Content-Length: 1",
        "Transfer-Encoding: x",
        "X-A",
        "X A: b",
        ": b",
        "X-A:",
        "X-A: b\r\nHost: c",
        "X-A: b\n",
        "X-A: é",
        "X-A: env:UNSET",
        "X-A: env:TWO_LINES",
    ],
)
def test_a_header_that_could_bend_a_request_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="headers"):
        _read({"headers": [line]}, {"TWO_LINES": "a\r\nHost: b"})


@pytest.mark.parametrize(
    "table",
    [{"headers": "X: y"}, {"headers": [1]}, {"proxy": "proxy:3128"}, {"proxy": "socks5://p"}]
    + [{"bandwidth_bytes_s": wrong} for wrong in (-1, True, "1")],
)
def test_a_setting_that_makes_no_sense_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        _read(table)


def test_a_secret_is_in_no_message() -> None:
    with pytest.raises(UsageError) as caught:
        _read({"headers": ["Host: s3cret"]})
    assert "s3cret" not in str(caught.value)


def test_the_bandwidth_is_kept_on_average() -> None:
    slept: list[float] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    throttle = Throttle(1000, monotonic=lambda: clock[0], sleep=sleep)
    for _ in range(20):
        throttle.take(500)
    assert sum(slept) == pytest.approx(9.0), "10,000 bytes, of which one second's are free"
    assert Throttle(0, sleep=sleep).take(1 << 30) == 0.0


def test_a_limited_download_is_not_called_too_slow(server: Server) -> None:
    """A second passes with each look at the clock, and hours with each pause."""
    clock = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    transport = HttpTransport(
        environ={},
        limits=Limits(grace_s=3, min_speed_bytes_s=1000),
        network=Network(bandwidth_bytes_s=500),
        monotonic=lambda: clock[0],
        sleep=sleep,
    )
    assert _fetch(transport, f"{server.address}/demo/file") == FILE
    assert sum(slept) == pytest.approx(9.0)
    steps = itertools.count()
    slow = HttpTransport(
        environ={},
        limits=Limits(grace_s=3, min_speed_bytes_s=1000),
        network=Network(bandwidth_bytes_s=500),
        monotonic=lambda: 10.0 * next(steps),
        sleep=slept.append,
    )
    with pytest.raises(TransportError, match="too slow"):
        _fetch(slow, f"{server.address}/demo/file")


# -- HTTPS with an authority of one's own ----------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority; its key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    key_usage = {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
    rest = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    unused = dict.fromkeys((*rest, "encipher_only", "decipher_only"), False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**key_usage, **unused), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "ca.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def secure(server: Server, authority: Path) -> str:
    """The server behind TLS; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.parent / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server.address.replace("http:", "https:")


def test_an_authority_of_ones_own_is_trusted_if_it_is_named(secure: str, authority: Path) -> None:
    trusting = HttpTransport(environ={}, ca=str(authority))
    assert _fetch(trusting, f"{secure}/demo/file") == FILE
    with pytest.raises(TransportError, match="certificate"):
        _fetch(HttpTransport(environ={}), f"{secure}/demo/file")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_wrong_file_of_authorities_is_this_machines_fault(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "wrong.pem"
    if content is not None:
        path.write_bytes(content)
    transport = open_transport(("https://127.0.0.1:9",), {}, str(path))
    with pytest.raises(LocalError, match=r"wrong\.pem: not a file of certificate authorities"):
        transport("https://127.0.0.1:9/x")
    transport.close()


def test_a_check_says_which_file_of_authorities_is_missing(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    client = make_client(repository, tmp_path / "home", address="https://127.0.0.1:9")
    updater = Updater.open(client.home, environ={}, flags={"ca": "missing.pem"})
    found = updater.check()
    assert isinstance(found, Unknown)
    assert isinstance(found.error, LocalError)
    assert str(client.home / "missing.pem") in found.reason


def test_a_file_that_is_typed_is_meant_from_the_current_folder(
    repository: RepositorySimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(repository, tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    options = build_parser().parse_args(["check", "--home", str(client.home), "--ca", "ca.pem"])
    assert open_updater(options, {}).configuration.ca == str(tmp_path / "ca.pem")
    said = open_updater(options, {"LOCKGATE_CA": "other.pem"}).configuration.ca
    assert said == str(tmp_path / "ca.pem")
