"""One tree of errors: one sentence, stable codes, and an exit code for each branch."""

import importlib
import pkgutil
import re

import pytest

import lockgate_release
from lockgate_release import errors
from lockgate_release.errors import ExitCode, LockgateError

for _module in pkgutil.walk_packages(lockgate_release.__path__, "lockgate_release."):
    importlib.import_module(_module.name)


def _tree(root: type[LockgateError]) -> list[type[LockgateError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


OURS = sorted(
    (cls for cls in _tree(LockgateError) if cls.__module__.startswith("lockgate_release.")),
    key=lambda cls: cls.code,
)
BRANCHES = {
    errors.RepositoryError: ExitCode.REFUSED,
    errors.TransportError: ExitCode.TRANSPORT,
    errors.LocalError: ExitCode.LOCAL,
    errors.DeniedError: ExitCode.DENIED,
    errors.ConflictError: ExitCode.CONFLICT,
    errors.UsageError: ExitCode.USAGE,
}


def test_the_sentence_holds_all_that_was_said_in_a_fixed_order() -> None:
    error = LockgateError(
        "wrong size", subject="a.json", expected="1 byte", found="2 bytes", hint="Try again."
    )
    assert str(error) == "a.json: wrong size; expected 1 byte; found 2 bytes. Try again."


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, "wrong"),
        ({"subject": "x"}, "x: wrong"),
        ({"expected": "y"}, "wrong; expected y"),
        ({"found": "z"}, "wrong; found z"),
        ({"hint": "Do it."}, "wrong. Do it."),
    ],
)
def test_what_was_not_said_leaves_no_trace_in_the_sentence(
    said: dict[str, str], sentence: str
) -> None:
    assert str(LockgateError("wrong", **said)) == sentence


def test_what_was_said_can_be_read_apart() -> None:
    error = errors.DocumentError("w", subject="s", expected="e", found="f", hint="h")
    assert (error.what, error.subject, error.expected, error.found, error.hint) == tuple("wsefh")


def test_no_two_errors_share_a_code() -> None:
    codes = [cls.code for cls in OURS]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", OURS)
def test_a_code_is_dotted_lower_case_and_begins_with_its_parents(cls: type[LockgateError]) -> None:
    assert re.fullmatch(r"[a-z-]+(\.[a-z-]+)*", cls.code)
    parent = cls.__mro__[1]
    if parent not in {Exception, LockgateError}:
        assert issubclass(parent, LockgateError)
        assert cls.code.startswith(parent.code + ".")


@pytest.mark.parametrize("cls", [cls for cls in OURS if cls.__mro__[1] is not Exception])
def test_every_error_exits_as_its_branch_does(cls: type[LockgateError]) -> None:
    branches = [branch for branch in BRANCHES if branch in cls.__mro__]
    assert len(branches) == 1
    assert cls.exit_code is BRANCHES[branches[0]]


def test_an_error_of_no_branch_exits_as_a_bug() -> None:
    assert LockgateError.exit_code is ExitCode.BUG


def test_every_error_of_the_module_is_public() -> None:
    here = {cls.__name__ for cls in OURS if cls.__module__ == errors.__name__}
    assert here | {"ExitCode"} == set(errors.__all__)


def test_the_exit_codes_are_the_ones_that_were_promised() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "BUG": 1,
        "USAGE": 2,
        "OFFER": 10,
        "HELD": 11,
        "UNKNOWN": 12,
        "REFUSED": 20,
        "TRANSPORT": 21,
        "LOCAL": 22,
        "DENIED": 23,
        "CONFLICT": 24,
        "ROLLED_BACK": 30,
        "LAUNCHER": 125,
    }
