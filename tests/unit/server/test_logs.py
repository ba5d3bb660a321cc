"""Log lines: one JSON object each, or words for a person, and never a token."""

import io
import json
import logging

from lockgate_server.logs import LineFormatter, mask, set_up_logs

TOKEN = "lg_EWOrTnzbt96vZln-y2AEAYK0_4lJE_wPqqVK08dm0Ik"


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, __file__, 1, message, (), None)
    made.lockgate = fields
    return made


def test_a_token_is_masked_wherever_it_stands() -> None:
    for as_json in (True, False):
        formatter = LineFormatter("api", as_json=as_json)
        line = formatter.format(record(f"saw {TOKEN}", path=f"/x/{TOKEN}/y"))
        assert TOKEN not in line
        assert "lg_…" in line
    assert mask(f"a {TOKEN}, b {TOKEN}") == "a lg_…, b lg_…"


def test_a_line_is_one_json_object_also_with_a_trace_in_it() -> None:
    made = record("a fault", request_id="r-1")
    try:
        raise ValueError("two\nlines")
    except ValueError as exc:
        made.exc_info = (ValueError, exc, exc.__traceback__)
    line = LineFormatter("api", as_json=True).format(made)
    assert "\n" not in line
    body = json.loads(line)
    assert (body["part"], body["event"], body["request_id"]) == ("api", "a fault", "r-1")
    assert "ValueError: two" in body["trace"]
    words = LineFormatter("api", as_json=False).format(made)
    assert "a fault request_id=r-1" in words


def test_a_person_at_a_terminal_gets_words() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        for stream, is_json in ((Terminal(), False), (io.StringIO(), True)):
            set_up_logs("run", stream)
            logging.getLogger("anything").info("hello", extra={"lockgate": {"a": 1}})
            assert stream.getvalue().startswith("{") is is_json
            assert "hello" in stream.getvalue()
    finally:
        root.handlers[:], root.level = before


def test_a_stranger_makes_up_no_line_and_moves_no_cursor() -> None:
    made = record("request", path="/demo/\n12:00:00 api     request status=200 \x1b[2J\u202e")
    line = LineFormatter("public", as_json=False).format(made)
    assert line.isprintable()
