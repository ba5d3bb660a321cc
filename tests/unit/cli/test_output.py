"""What is said and shown."""

import pytest

from lockgate_cli.output import (
    Progress,
    format_percentage,
    format_size,
    say,
    show_json,
    show_table,
    warn,
)


@pytest.mark.parametrize(
    ("basis_points", "text"), [(0, "0%"), (1, "0.01%"), (1250, "12.5%"), (10_000, "100%")]
)
def test_a_share_is_written_as_people_write_it(basis_points: int, text: str) -> None:
    assert format_percentage(basis_points) == text


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


def test_without_a_terminal_progress_is_one_plain_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress(clock=lambda: 0.0, watched=False).bar("uploading x", 2000) as advance:
        advance(1000)
        advance(1000)
    assert capsys.readouterr().err == "uploading x (2.0 kB)\n"


def test_on_a_terminal_progress_tells_share_speed_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments = iter([0.0, 2.0, 2.0, 4.0])
    with Progress(clock=lambda: next(moments), watched=True).bar("uploading x", 4000) as advance:
        advance(2000)
    drawn = capsys.readouterr().err
    assert " 50% 1.0 kB/s, 2 s left" in drawn
    assert drawn.endswith("\n")
