"""What is said and shown."""

import pytest

from lockgate_cli.output import (
    format_size,
    say,
    show_json,
    show_table,
    warn,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_300_000, "12.3 MB"), (5e12, "5.0 TB")],
)
def test_a_size_is_written_as_people_write_it(size: float, text: str) -> None:
    assert format_size(size) == text


def test_a_hostile_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("reason \x1b[2J\x9b")
    show_table(("head",), [("cell\x1b]0;x\x07",)])
    show_json({"text": "\x1b[2J"})
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "\x9b" not in captured.err


def test_data_goes_to_stdout_and_words_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    warn("words")
    show_json([1])
    captured = capsys.readouterr()
    assert captured.out == "[\n  1\n]\n"
    assert "words" in captured.err
