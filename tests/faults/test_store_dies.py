"""The store is killed in the middle of a publish, and comes back with what it had on its disk."""

from collections.abc import Iterator

import pytest

from lockgate_release.errors import ExitCode
from tests.faults.bench import APP, BUCKET, Bench, open_bench
from tests.simulators.fault_proxy import Fault, Gate
from tests.simulators.r2_server import R2Server, need_r2

MOMENTS = {
    "behind the artifact": ("PUT", "*/artifacts/*", True),
    "behind the list": ("PUT", "*.releases.json", True),
    "before the pointer": ("PUT", "*/timestamp.json", False),
    "behind the pointer": ("PUT", "*/timestamp.json", True),
    "at the copy": ("PUT", f"*/{APP}/channels/*", False),
}


class _Killing(Gate):
    """Whoever comes here kills the store, and then goes on."""

    def __init__(self, store: R2Server) -> None:
        super().__init__()
        self._store = store

    def pass_through(self) -> None:
        self._store.kill()


@pytest.fixture(scope="module")
def r2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[R2Server]:
    need_r2()
    with R2Server(tmp_path_factory.mktemp("r2"), BUCKET) as server:
        yield server


@pytest.fixture(scope="module")
def bench(r2: R2Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_bench(tmp_path_factory.mktemp("bench"), r2.endpoint) as made:
        yield made


@pytest.mark.parametrize(("method", "key", "behind"), MOMENTS.values(), ids=MOMENTS)
def test_a_store_that_is_killed_and_comes_back_has_lost_nothing(
    r2: R2Server, bench: Bench, method: str, key: str, *, behind: bool
) -> None:
    before = bench.look()
    version = bench.next_version()
    bench.proxy.plan(Fault(_Killing(r2), method, key, behind=behind))
    ended = bench.publish(version)
    assert bench.proxy.heal(), "the store was never killed"
    r2.start()
    after = bench.look()
    is_new = version in after.live()
    assert is_new or after.numbers() == before.numbers()
    assert ended.code in {ExitCode.OK, ExitCode.TRANSPORT}, ended.err
    assert ended.code != ExitCode.OK or is_new
    bench.must(bench.publish(version))
    assert bench.look().offers()[0] == (version, 10_000)
    assert bench.update() == version
