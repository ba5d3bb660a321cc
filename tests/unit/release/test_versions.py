"""Versions: two schemes, each a total order, and only texts that can stand in a path."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import VersionError
from lockgate_release.versions import Version, VersionScheme, is_version_text

SEMVER, PEP440 = VersionScheme.SEMVER, VersionScheme.PEP440

# SemVer 2.0.0, sections 11.2 to 11.4, and how identifiers of digits and of letters compare.
SEMVER_ORDER = [
    "0.0.0-0",
    "0.0.0",
    "0.0.1",
    "0.9.0",
    "0.10.0",
    "1.0.0-0",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-A",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.1.0",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "2.0.0",
    "2.1.0",
    "2.1.1",
    "10.0.0",
    "99999999999999999999.0.0",
]
# PEP 440, "Summary of permitted suffixes and relative ordering", with epochs and local versions.
PEP440_ORDER = [
    "0.9",
    "1.0.dev456",
    "1.0a1",
    "1.0a2.dev456",
    "1.0a12.dev456",
    "1.0a12",
    "1.0b1.dev456",
    "1.0b2",
    "1.0b2.post345.dev456",
    "1.0b2.post345",
    "1.0rc1.dev456",
    "1.0rc1",
    "1.0",
    "1.0+abc.5",
    "1.0+abc.7",
    "1.0+5",
    "1.0.post456.dev34",
    "1.0.post456",
    "1.0.15",
    "1.1.dev1",
    "1.1",
    "10.0",
    "1!0.1",
]

_IDENTIFIERS = st.one_of(
    st.integers(0, 30).map(str), st.text(st.sampled_from("abAB-"), max_size=2).map("{}z".format)
)
SEMVERS = st.builds(
    lambda numbers, pre, build: (
        ".".join(map(str, numbers))
        + ("-" + ".".join(pre) if pre else "")
        + ("+" + ".".join(build) if build else "")
    ),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 12)),
    st.lists(_IDENTIFIERS, max_size=3),
    st.lists(_IDENTIFIERS, max_size=2),
).filter(is_version_text)
PEP440S = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "v", "1!"]),
        st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n))),
        st.sampled_from(["", "a1", "alpha1", "-A1", "b2", "rc1", ".RC1", "c1"]),
        st.sampled_from(["", ".post1", "-1", "rev1"]),
        st.sampled_from(["", ".dev0", "dev", "_dev0"]),
        st.sampled_from(["", "+a", "+A", "+1", "+01", "+a.1", "+a-1", "+10"]),
    ),
)
CASES = st.one_of(
    st.tuples(st.just(SEMVER), SEMVERS, SEMVERS, SEMVERS),
    st.tuples(st.just(PEP440), PEP440S, PEP440S, PEP440S),
)


@pytest.mark.parametrize(
    ("scheme", "order"), [(SEMVER, SEMVER_ORDER), (PEP440, PEP440_ORDER)], ids=["semver", "pep440"]
)
def test_the_order_is_the_one_of_the_specification(scheme: VersionScheme, order: list[str]) -> None:
    versions = [scheme.parse(text) for text in order]
    for (i, a), (j, b) in itertools.product(enumerate(versions), repeat=2):
        assert (a < b, a == b, a > b) == (i < j, i == j, i > j), f"{a} and {b}"


@given(CASES)
def test_the_order_is_total(case: tuple[VersionScheme, str, str, str]) -> None:
    scheme, *texts = case
    a, b, c = map(scheme.parse, texts)
    assert (a < b) + (a == b) + (a > b) == 1
    assert (a <= b) == (not b < a)
    assert (a >= b) == (b <= a)
    assert not (a <= b <= a) or a == b
    assert not (a <= b <= c) or a <= c
    assert a != b or hash(a) == hash(b)
    assert sorted([a, b, c]) == sorted([c, b, a])


@given(SEMVERS)
def test_semver_build_metadata_takes_no_part_in_the_order(text: str) -> None:
    plain = text.partition("+")[0]
    assert SEMVER.parse(text) == SEMVER.parse(plain)
    assert hash(SEMVER.parse(text)) == hash(SEMVER.parse(plain))


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.0", "1.0.0"), ("v1.0", "1.0"), ("1.0RC1", "1.0rc1"), ("1.0-1", "1.0.post1")],
)
def test_pep440_spellings_of_one_version_are_equal(one: str, other: str) -> None:
    assert PEP440.parse(one) == PEP440.parse(other)
    assert hash(PEP440.parse(one)) == hash(PEP440.parse(other))


def test_letter_case_counts_in_semver() -> None:
    assert SEMVER.parse("1.0.0-RC1") != SEMVER.parse("1.0.0-rc1")


def test_a_version_is_shown_as_it_was_written() -> None:
    assert str(PEP440.parse("v1.0-1")) == "v1.0-1"
    assert str(SEMVER.parse("1.0.0+b")) == "1.0.0+b"


def test_versions_of_two_schemes_have_no_order() -> None:
    one, other = SEMVER.parse("1.0.0"), PEP440.parse("1.0.0")
    assert one != other
    with pytest.raises(ValueError, match="no common order"):
        assert one < other


def test_a_version_is_equal_to_no_text() -> None:
    assert SEMVER.parse("1.0.0") != "1.0.0"


@pytest.mark.parametrize(
    ("scheme", "text", "is_prerelease"),
    [
        (SEMVER, "1.0.0-rc.1", True),
        (SEMVER, "1.0.0", False),
        (SEMVER, "1.0.0+b", False),
        (PEP440, "1.0rc1", True),
        (PEP440, "1.0.dev1", True),
        (PEP440, "1.0.post1", False),
    ],
)
def test_which_versions_are_pre_releases(
    scheme: VersionScheme, text: str, is_prerelease: bool
) -> None:
    assert scheme.parse(text).is_prerelease is is_prerelease


ODD = [
    "",
    " ",
    "1.0.0 ",
    " 1.0.0",
    "1.0.0\n",
    "1/0/0",
    "../1.0.0",
    "1..0",
    "1.0.0..",
    "1.0.0-",
    "1.0.0+",
    ".1.0",
    "-1.0.0",
    "1.0.0\0",
    "1.0.0\\x",
    "1.0.0%2f",
    "1.0.0:x",
    "\u0661.0.0",
    "\uff11.0.0",
    "1.0.0-é",
    "1.0.0-" + "a" * 60,
    "latest",
    "1.x",
    "NaN",
]


@pytest.mark.parametrize("scheme", VersionScheme)
@pytest.mark.parametrize("text", ODD)
def test_what_is_no_version_is_refused(scheme: VersionScheme, text: str) -> None:
    with pytest.raises(VersionError, match=r"not a version; expected (SemVer|PEP 440)"):
        scheme.parse(text)


@pytest.mark.parametrize(
    "text", ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-01", "1.0.0-a..b", "1!1.0.0"]
)
def test_what_is_no_semver_is_refused(text: str) -> None:
    with pytest.raises(VersionError):
        SEMVER.parse(text)


@pytest.mark.parametrize("text", ["1.0.0-alpha.beta", "1.0+a+b", "1.0-x-y"])
def test_what_is_no_pep440_version_is_refused(text: str) -> None:
    with pytest.raises(VersionError):
        PEP440.parse(text)


@given(st.sampled_from(VersionScheme), st.text(max_size=70))
def test_any_text_is_a_version_or_refused(scheme: VersionScheme, text: str) -> None:
    try:
        version = scheme.parse(text)
    except VersionError:
        return
    assert isinstance(version, Version)
    assert is_version_text(text)
    assert version.text == text


@given(st.text(st.sampled_from("01ab.+!_-/\\"), max_size=66))
def test_a_version_text_is_one_part_of_a_path(text: str) -> None:
    if is_version_text(text):
        assert 1 <= len(text) <= 64
        assert not set(text) & set("/\\")
        assert ".." not in text
        assert text[0].isalnum()
        assert text[-1].isalnum()
