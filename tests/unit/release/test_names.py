"""The alphabets of names and numbers: what is in, what is out."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release import names
from lockgate_release.errors import UsageError
from lockgate_release.names import MAX_EXPOSURE_BP, format_percentage, parse_percentage

GOOD_NAMES = ["a", "1", "stable", "pr-123", "my.app", "a_b", "a" * 64, "x" + "-" * 62 + "y"]
BAD_NAMES = [
    "",
    "A",
    "Stable",
    "-a",
    "a-",
    ".a",
    "a.",
    "_a",
    "a..b",
    "a/b",
    "a b",
    "a\n",
    "a\0",
    "ä",
    "a" * 65,
    "a\\b",
    "a%2fb",
]


@pytest.mark.parametrize("text", GOOD_NAMES)
def test_a_good_name_names_apps_and_channels(text: str) -> None:
    assert names.parse_app_name(text) == text
    assert names.parse_channel_name(text) == text


@pytest.mark.parametrize("parse", [names.parse_app_name, names.parse_channel_name])
@pytest.mark.parametrize("text", BAD_NAMES)
def test_a_bad_name_names_nothing(parse: Callable[[str], str], text: str) -> None:
    with pytest.raises(UsageError, match="not a"):
        parse(text)


@pytest.mark.parametrize("text", ["api", "health", "metrics", "static"])
def test_an_app_cannot_take_an_address_of_the_server(text: str) -> None:
    with pytest.raises(UsageError, match="not an app name"):
        names.parse_app_name(text)
    assert names.parse_channel_name(text) == text


@pytest.mark.parametrize("text", ["any", "linux-x86_64", "macos-aarch64", "l", "9", "a" * 64])
def test_a_platform_tag_is_taken(text: str) -> None:
    assert names.parse_platform(text) == text


@pytest.mark.parametrize("text", ["", "-linux", "Linux", "a/b", "a b", "a\n", "ä", "a" * 65, ".a"])
def test_what_is_no_platform_tag_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a platform tag"):
        names.parse_platform(text)


def test_a_sha256_is_taken() -> None:
    assert names.parse_sha256("0a" * 32) == "0a" * 32


@pytest.mark.parametrize("text", ["", "0a" * 31, "0a" * 33, "0A" * 32, "0g" * 32, "\u0660" * 64])
def test_what_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a SHA-256"):
        names.parse_sha256(text)


def _spellings(basis_points: int) -> list[str]:
    whole, part = divmod(basis_points, 100)
    spellings = [f"{whole}.{part:02}"]
    if part % 10 == 0:
        spellings.append(f"{whole}.{part // 10}")
    if part == 0:
        spellings.append(str(whole))
    return spellings


def test_every_share_of_everybody_is_read_from_each_of_its_spellings() -> None:
    for basis_points in range(MAX_EXPOSURE_BP + 1):
        for text in _spellings(basis_points):
            for sign in ("", "%", " %"):
                assert parse_percentage(text + sign) == basis_points, text + sign


@pytest.mark.parametrize(
    ("text", "basis_points"),
    [("0.1", 10), ("0.1%", 10), ("0.01", 1), ("1", 100), (" 10% ", 1000), ("100%", 10_000)],
)
def test_a_share_is_never_rounded_and_never_a_fraction(text: str, basis_points: int) -> None:
    assert parse_percentage(text) == basis_points


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "%",
        "NaN",
        "inf",
        "-1",
        "-0",
        "+5",
        "100.01",
        "100.1",
        "101",
        "999",
        "1000",
        "1.234",
        "0.001",
        "1.",
        ".5",
        "1,5",
        "1e1",
        "1_0",
        "0x10",
        "10%%",
        "10 percent",
        "1/2",
        "\u0665",
        "\uff15",
        "1\u0660",
        "5\u00a0%",
    ],
)
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a percentage"):
        parse_percentage(text)


@given(st.text(max_size=12))
def test_a_text_is_a_share_from_0_to_10000_or_refused(text: str) -> None:
    try:
        found = parse_percentage(text)
    except UsageError:
        return
    assert 0 <= found <= MAX_EXPOSURE_BP


@pytest.mark.parametrize(
    ("basis_points", "text"), [(0, "0%"), (1, "0.01%"), (1250, "12.5%"), (10_000, "100%")]
)
def test_a_share_is_written_as_people_write_it(basis_points: int, text: str) -> None:
    assert format_percentage(basis_points) == text


@given(st.integers(0, MAX_EXPOSURE_BP))
def test_a_share_that_is_written_is_read_back(basis_points: int) -> None:
    assert parse_percentage(format_percentage(basis_points)) == basis_points
