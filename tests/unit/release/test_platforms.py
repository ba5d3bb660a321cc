"""Platform tags: this machine's, and which artifact serves it."""

import platform

import pytest

from lockgate_release.names import Platform, is_platform
from lockgate_release.platforms import ANY_PLATFORM, best_platform, current_platform, platform_tag

LINUX, MACOS = Platform("linux-x86_64"), Platform("macos-aarch64")


@pytest.mark.parametrize(
    ("system", "machine", "tag"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-aarch64"),
        ("Linux", "armv7l", "linux-armv7"),
        ("Linux", "i686", "linux-x86"),
        ("Darwin", "arm64", "macos-aarch64"),
        ("Windows", "AMD64", "windows-x86_64"),
        ("FreeBSD", "riscv64", "freebsd-riscv64"),
    ],
)
def test_the_tag_of_a_machine(system: str, machine: str, tag: str) -> None:
    assert platform_tag(system, machine) == tag


def test_this_machines_tag_is_what_python_says_of_it() -> None:
    assert is_platform(current_platform())
    assert current_platform() == platform_tag(platform.system(), platform.machine())


@pytest.mark.parametrize(
    ("available", "best"),
    [
        ([LINUX, ANY_PLATFORM], LINUX),
        ([ANY_PLATFORM, MACOS], ANY_PLATFORM),
        ([MACOS], None),
        ([], None),
    ],
)
def test_the_exact_tag_goes_before_any_and_another_machine_s_never_serves(
    available: list[Platform], best: Platform | None
) -> None:
    assert best_platform(LINUX, available) == best
