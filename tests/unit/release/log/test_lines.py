"""Lines: one JSON object each, or a sentence for a person; bounded, and nobody makes one up."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import UsageError
from lockgate_release.log.events import Event
from lockgate_release.log.fields import FIELDS, Value
from lockgate_release.log.lines import JsonLines, Words, told_in
from lockgate_release.log.rules import LogFormat, LogRules, read_log_rules, set_up_lines
from lockgate_release.log.server_events import (
    CHILD_ENDED,
    COPY_NOT_WRITTEN,
    REQUEST_BUG,
    REQUEST_PROBED,
    REQUEST_REFUSED,
)
from lockgate_release.log.telling import ATTRIBUTE, Told, bound, tell

TOKEN = "lg_EWOrTnzbt96vZln-y2AEAYK0_4lJE_wPqqVK08dm0Ik"
HOSTILE = [
    '/x\n{"event": "change.in-force", "level": "info"}',
    "/x\r\n12:00:00 api     all is well",
    "/x\x1b[2J\x9b1A\u202e\u2028\x00\x7f",
    '", "event": "other", "x": "',
    "\ud800 alone",
    "{0.__class__} {event} %s %(levelname)s",
    "a" * 1_000_000,
    "é\U0001f600" * 500_000,
]


def record(event: Event, **fields: Value) -> logging.LogRecord:
    made = logging.LogRecord("x", event.level, __file__, 1, event.name, (), None)
    setattr(made, ATTRIBUTE, Told(event, fields))
    return made


def test_a_line_of_json_has_its_event_its_level_and_its_fields() -> None:
    line = json.loads(JsonLines("run").format(record(CHILD_ENDED, child="api", exit_code=-9)))
    assert line.pop("at").endswith("Z")
    assert line.pop("pid") > 0
    assert line == {
        "level": "error",
        "part": "run",
        "event": "child.ended",
        "child": "api",
        "exit_code": -9,
    }


def test_a_person_reads_a_sentence_and_what_it_leaves_unsaid() -> None:
    made = record(COPY_NOT_WRITTEN, key="demo/x", code="transport", reason="no answer")
    words = Words("api").format(made)
    assert words[8:] == (
        " api     warning: a copy was not written, a job will repair it: no answer"
        " key=demo/x code=transport"
    )


def test_what_is_not_said_is_left_out() -> None:
    line = json.loads(JsonLines("api").format(record(REQUEST_REFUSED, path="", actor=None, ms=0)))
    assert line["ms"] == 0
    assert not {"path", "actor", "status"} & line.keys()
    assert "None" not in Words("api").format(record(REQUEST_REFUSED, actor=None))


def test_every_line_from_within_names_the_request() -> None:
    formatter = JsonLines("api")
    with bound(request_id="r-1"), bound(operation_id="ci-7"):
        ours = json.loads(formatter.format(record(CHILD_ENDED, child="api", exit_code=1)))
        theirs = logging.LogRecord("boto3", logging.WARNING, "", 1, "slow %s", ("x",), None)
        library = json.loads(formatter.format(theirs))
    after = json.loads(formatter.format(record(CHILD_ENDED, child="api", exit_code=1)))
    for line in (ours, library):
        assert (line["request_id"], line["operation_id"]) == ("r-1", "ci-7")
    assert not {"request_id", "operation_id"} & after.keys()
    assert (library["event"], library["logger"], library["text"]) == (
        "library.said", "boto3", "slow x"
    )  # fmt: skip


def test_a_library_that_misuses_logging_takes_nothing_down() -> None:
    made = logging.LogRecord("x", logging.WARNING, "", 1, "%d of %d", ("one",), None)
    assert told_in(made).fields["text"] == "%d of %d"


@pytest.mark.parametrize("make", [JsonLines, Words])
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_stands_in_a_field_a_line_is_one_line_and_short(
    make: Callable[[str], logging.Formatter], hostile: str
) -> None:
    made = record(REQUEST_REFUSED, method=hostile, path=hostile, code=hostile, actor=hostile)
    line = make("api").format(made)
    assert line.isprintable()
    assert len(line) < 12_000
    assert len(line.splitlines()) == 1
    if make is JsonLines:
        assert line.isascii()
        body = json.loads(line)
        assert (body["event"], body["level"]) == ("request.refused", "info")
        assert len(body["path"]) <= FIELDS["path"].limit + len("[cut]")
        assert body.keys() <= {"at", "level", "part", "pid", "event", *REQUEST_REFUSED.fields}


@given(text=st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_makes_one_line_of_both_kinds(text: str) -> None:
    made = record(REQUEST_REFUSED, method=text, path=text, reason=text)
    line = JsonLines("api").format(made)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["event"] == "request.refused"
    assert Words("api").format(made).isprintable()


def test_a_secret_is_masked_before_it_is_cut() -> None:
    limit = FIELDS["path"].limit
    for start in range(limit - 60, limit + 5):
        made = record(REQUEST_REFUSED, path="/" * start + TOKEN)
        assert TOKEN[:9] not in JsonLines("api").format(made)
        made = record(REQUEST_REFUSED, path=f"{'x' * start} http://ann:secret@example.com/")
        assert "ann" not in JsonLines("api").format(made)


@pytest.mark.parametrize("make", [JsonLines, Words])
def test_a_trace_is_masked_cut_and_cannot_pass_for_a_line(
    make: Callable[[str], logging.Formatter],
) -> None:
    made = record(REQUEST_BUG, reason="ValueError")
    try:
        raise ValueError(f"{TOKEN}\n12:00:00 api     all is well\n{{}}" + "x\n" * 100_000 + TOKEN)
    except ValueError as exc:
        made.exc_info = (ValueError, exc, exc.__traceback__)
    line = make("api").format(made)
    assert TOKEN not in line
    assert len(line) < 30_000
    first, *rest = line.splitlines()
    assert "ValueError" in first
    if make is JsonLines:
        assert rest == []
        assert json.loads(line)["trace"]
    assert all(one.startswith("    ") for one in rest if one)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        yield root
    finally:
        root.handlers[:], root.level = before
        logging.captureWarnings(capture=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        (LogFormat.AUTO, Terminal(), False),
        (LogFormat.AUTO, io.StringIO(), True),
        (LogFormat.JSON, Terminal(), True),
        (LogFormat.TEXT, io.StringIO(), False),
    ],
)
def test_the_form_is_as_said_or_as_who_reads(
    form: LogFormat, stream: io.StringIO, *, is_json: bool
) -> None:
    set_up_lines("run", stream, LogRules(form=form))
    logging.getLogger("anything").info("hello")
    assert stream.getvalue().startswith("{") is is_json
    assert "hello" in stream.getvalue()


@pytest.mark.usefixtures("root")
def test_nothing_below_the_level_is_written() -> None:
    stream = io.StringIO()
    set_up_lines("run", stream, LogRules(form=LogFormat.JSON, level="warning"))
    logging.getLogger("anything").info("hello")
    assert stream.getvalue() == ""


@pytest.mark.usefixtures("root")
def test_at_debug_we_tell_more_and_libraries_do_not_spill_their_signatures() -> None:
    stream = io.StringIO()
    set_up_lines("api", stream, LogRules(form=LogFormat.JSON, level="debug"))
    logging.getLogger("botocore.auth").debug("Signature:\n%s", "5d672d79c15b13162d9279b0855c")
    logging.getLogger("urllib3.connectionpool").debug("PUT /k?X=1")
    tell(logging.getLogger("lockgate_server.x"), REQUEST_PROBED, method="GET", status=200)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "request.probed"


def test_rules_are_read_and_handed_on() -> None:
    said = {"log_format": "json", "log_level": "debug"}
    rules = read_log_rules(said.get)
    assert rules == LogRules(form=LogFormat.JSON, level="debug")
    assert read_log_rules(lambda name: rules.to_environ()[f"LOCKGATE_{name.upper()}"]) == rules
    assert read_log_rules(lambda _: None) == LogRules()
    for wrong in ({"log_format": "xml"}, {"log_level": "loud"}):
        with pytest.raises(UsageError, match="expected"):
            read_log_rules(wrong.get)
